//! What a run has done so far, by object and by distribution.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use super::compare::NotCompared;
use super::plan::Plan;
use crate::aws::credentials::CredentialOrigin;
use crate::aws::error::AwsError;
use crate::aws::iam_policy::Permissions;
use crate::aws::s3::Stored;
use crate::aws::sts::Identity;
use crate::container::changes::Changes;
use crate::container::object::{Container, Object};
use crate::settings::names::{CdnPath, ContainerName, DistributionId, ObjectKey};

/// The progress of an object's upload.
#[derive(Clone, Debug)]
pub(crate) enum Upload {
    Pending,
    /// Sent, without a response yet: it may be stored.
    InFlight,
    Uploaded(Stored),
    /// Not replaced, as `ONLY_NEWER` found the object of this newer build.
    Superseded(u64),
    /// It may be stored all the same, if the error says so.
    Failed(AwsError),
}

impl Upload {
    /// A word of the result's schema.
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Pending => "not_started",
            _ if self.is_unknown() => "unknown",
            Self::Uploaded(_) => "uploaded",
            Self::Superseded(_) => "superseded",
            Self::InFlight | Self::Failed(_) => "failed",
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Uploaded(_))
    }

    /// The version that S3 has made, where the bucket keeps versions.
    pub(crate) fn version_id(&self) -> Option<&str> {
        match self {
            Self::Uploaded(stored) => stored.version_id.as_deref(),
            _ => None,
        }
    }

    pub(crate) fn error(&self) -> Option<&AwsError> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the object may be stored, although no response confirmed it.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::InFlight) || self.error().is_some_and(|it| it.outcome_unknown)
    }

    /// The newer build that is live.
    pub(crate) fn superseded_by(&self) -> Option<u64> {
        match self {
            Self::Superseded(build) => Some(*build),
            _ => None,
        }
    }
}

/// The progress of a distribution's invalidation.
#[derive(Clone, Debug)]
pub(crate) enum Invalidation {
    Pending,
    /// A request is sent, without a response yet.
    InFlight(Accepted),
    /// CloudFront has accepted all requests.
    InProgress(Accepted),
    Completed(Accepted),
    /// A request failed, after which no other was sent.
    Failed(Accepted, AwsError),
}

/// What CloudFront has accepted for a distribution: several requests if the paths exceed one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accepted {
    pub(crate) ids: Vec<String>,
    pub(crate) paths: usize,
}

impl Invalidation {
    /// A word of the result's schema.
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Pending => "not_started",
            Self::InFlight(_) => "unknown",
            Self::InProgress(_) => "in_progress",
            Self::Completed(_) => "completed",
            Self::Failed(accepted, _) if !accepted.ids.is_empty() => "incomplete",
            Self::Failed(_, error) if error.outcome_unknown => "unknown",
            Self::Failed(..) => "failed",
        }
    }

    fn accepted(&self) -> Option<&Accepted> {
        match self {
            Self::Pending => None,
            Self::InFlight(accepted)
            | Self::InProgress(accepted)
            | Self::Completed(accepted)
            | Self::Failed(accepted, _) => Some(accepted),
        }
    }

    /// The IDs of the requests that CloudFront has accepted.
    pub(crate) fn ids(&self) -> &[String] {
        self.accepted().map_or(&[], |accepted| &accepted.ids)
    }

    /// What was accepted, unless it is nothing or all.
    pub(crate) fn accepted_in_part(&self) -> Option<&Accepted> {
        let accepted = self.accepted()?;
        (!self.is_accepted() && !accepted.ids.is_empty()).then_some(accepted)
    }

    fn is_accepted(&self) -> bool {
        matches!(self, Self::InProgress(_) | Self::Completed(_))
    }

    pub(crate) fn error(&self) -> Option<&AwsError> {
        match self {
            Self::Failed(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Whether visitors get a container that was published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verification {
    /// Not yet, with what the last poll got.
    Pending {
        last_seen: Option<Mismatch>,
    },
    Verified,
    /// With what was served instead at the deadline.
    Failed(Mismatch),
}

/// Why a poll did not get the published container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mismatch {
    pub(crate) phrase: String,
    /// Whether there was a response, so that it is known what visitors get.
    pub(crate) answered: bool,
}

impl Verification {
    fn mismatch(&self) -> Option<&Mismatch> {
        match self {
            Self::Pending { last_seen } => last_seen.as_ref(),
            Self::Verified => None,
            Self::Failed(mismatch) => Some(mismatch),
        }
    }

    /// What visitors get instead of the new container, as far as is known.
    pub(crate) fn problem(&self) -> Option<&str> {
        let problem = self.mismatch().map_or("no response yet", |it| &it.phrase);
        (*self != Self::Verified).then_some(problem)
    }

    /// Whether visitors were seen to get something else.
    pub(crate) fn is_known_to_differ(&self) -> bool {
        self.mismatch().is_some_and(|it| it.answered)
    }
}

/// The progress of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunState {
    pub(crate) credentials: Option<CredentialOrigin>,
    pub(crate) identity: Option<Identity>,
    pub(crate) uploads: BTreeMap<ObjectKey, Upload>,
    pub(crate) invalidations: Vec<(DistributionId, Invalidation)>,
    /// Whether a store other than AWS's supports conditional writes. `None` as long as that is unknown.
    pub(crate) conditional_writes: Option<bool>,
    /// Why `WAIT` did not see an invalidation completed.
    pub(crate) wait_errors: Vec<AwsError>,
    /// What changes for visitors, by container, or why that is not known.
    pub(crate) changes: BTreeMap<ContainerName, Result<Changes, NotCompared>>,
    /// By public URL. Empty until the uploads are done.
    pub(crate) verifications: BTreeMap<String, Verification>,
    pub(crate) published_at: Option<SystemTime>,
}

/// What a container's visitors get, as far as the run knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ContainerState {
    Published,
    NotPublished,
    Unknown,
    /// A newer build's container is live.
    Superseded,
}

impl RunState {
    /// Nothing is done yet.
    pub(crate) fn new(plan: &Plan) -> Self {
        let uploads = plan.objects();
        let distributions = plan.settings.distributions.iter();
        Self {
            uploads: uploads
                .map(|object| (object.key.clone(), Upload::Pending))
                .collect(),
            invalidations: distributions
                .map(|id| (id.clone(), Invalidation::Pending))
                .collect(),
            ..Self::default()
        }
    }

    pub(super) fn set_invalidation(&mut self, of: &DistributionId, invalidation: Invalidation) {
        let mut invalidations = self.invalidations.iter_mut();
        if let Some((_, entry)) = invalidations.find(|(id, _)| id == of) {
            *entry = invalidation;
        }
    }

    pub(crate) fn container(&self, container: &Container) -> ContainerState {
        let minified = container.minified();
        match minified.and_then(|object| self.uploads.get(&object.key)) {
            Some(Upload::Uploaded(_)) => ContainerState::Published,
            Some(upload) if upload.is_unknown() => ContainerState::Unknown,
            _ if self.superseded_by(container).is_some() => ContainerState::Superseded,
            _ => ContainerState::NotPublished,
        }
    }

    /// The newer build because of which `ONLY_NEWER` did not replace a container.
    pub(crate) fn superseded_by(&self, container: &Container) -> Option<u64> {
        let uploads = container.objects.iter().map(|it| &self.uploads[&it.key]);
        uploads.filter_map(Upload::superseded_by).max()
    }

    /// Whether some URL was not seen to serve what was published.
    pub(crate) fn is_unverified(&self) -> bool {
        let mut verifications = self.verifications.values();
        verifications.any(|it| *it != Verification::Verified)
    }

    /// The errors of the uploads, of the invalidations and of waiting for them.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &AwsError> {
        let invalidations = self.invalidations.iter();
        let uploads = self.uploads.values().filter_map(Upload::error);
        let errors = uploads.chain(invalidations.filter_map(|(_, it)| it.error()));
        errors.chain(&self.wait_errors)
    }

    /// Why `WAIT` did not see a distribution's invalidation completed.
    pub(crate) fn wait_error(&self, of: &DistributionId) -> Option<&AwsError> {
        let mut errors = self.wait_errors.iter();
        errors.find(|error| error.resource == of.as_str())
    }

    /// The paths of what was published, or may have been.
    pub(crate) fn paths_to_invalidate<'a>(
        &'a self,
        plan: &'a Plan,
    ) -> impl Iterator<Item = CdnPath> + use<'a> {
        let may_be_stored = |object: &&Object| {
            let upload = &self.uploads[&object.key];
            upload.is_done() || upload.is_unknown()
        };
        let objects = plan.objects().filter(may_be_stored);
        objects.map(|object| plan.settings.invalidated(&object.cdn_path))
    }

    /// The distributions that still serve an old container.
    pub(crate) fn not_invalidated(&self) -> Vec<&DistributionId> {
        let invalidations = self.invalidations.iter();
        let not_accepted = invalidations.filter(|(_, it)| !it.is_accepted());
        not_accepted.map(|(id, _)| id).collect()
    }

    /// Whether CloudFront has completed the invalidation in every distribution, and there is one.
    pub(crate) fn all_invalidations_completed(&self) -> bool {
        let mut invalidations = self.invalidations.iter();
        !self.invalidations.is_empty()
            && invalidations.all(|(_, it)| matches!(it, Invalidation::Completed(_)))
    }

    /// Whether CloudFront has yet to complete an invalidation, as far as is known.
    pub(crate) fn is_invalidating(&self) -> bool {
        let mut invalidations = self.invalidations.iter();
        invalidations.any(|(_, it)| matches!(it, Invalidation::InProgress(_)))
    }

    /// Whether one of `not_invalidated` may have been invalidated after all, as CloudFront did not respond.
    pub(crate) fn may_be_invalidated(&self) -> bool {
        self.invalidations.iter().any(|(_, it)| {
            matches!(it, Invalidation::InFlight(_))
                || it.error().is_some_and(|error| error.outcome_unknown)
        })
    }

    /// Of the distributions that were invalidated in part, what was.
    pub(crate) fn invalidated_in_part(&self) -> impl Iterator<Item = (&DistributionId, &Accepted)> {
        let invalidations = self.invalidations.iter();
        invalidations.filter_map(|(id, it)| Some((id, it.accepted_in_part()?)))
    }

    /// The permissions that the run needs, with the caller's account if it is known by now.
    pub(crate) fn permissions(&self, plan: &Plan) -> Permissions {
        let account_id = self.identity.as_ref().map(|it| it.account_id.clone());
        Permissions::of(&plan.settings).with_fallback_account(account_id)
    }
}
