//! What a run has done so far, object by object and distribution by distribution.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use super::compare::NotCompared;
use super::plan::Plan;
use crate::aws::error::AwsError;
use crate::aws::iam_policy::Permissions;
use crate::aws::sts::Identity;
use crate::container::changes::Changes;
use crate::container::object::Container;
use crate::settings::names::{ContainerName, DistributionId, ObjectKey};

/// How far the upload of an object is.
#[derive(Clone, Debug)]
pub(crate) enum Upload {
    Pending,
    /// Sent, without a response yet: it may be stored.
    InFlight,
    Uploaded,
    Failed(AwsError),
}

impl Upload {
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Uploaded)
    }
}

/// How far the invalidation in a distribution is. Several ids where the paths exceed one request.
#[derive(Clone, Debug)]
pub(crate) enum Invalidation {
    Pending,
    InFlight,
    InProgress(Vec<String>),
    Completed(Vec<String>),
    Failed(AwsError),
}

/// Whether visitors get a container that was published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verification {
    /// Still waited for, with what was served at the last poll.
    Pending {
        last_seen: Option<String>,
    },
    Verified,
    /// What was served instead at the deadline.
    Failed(String),
}

impl Verification {
    /// What visitors get in place of the new container, as far as it is known.
    pub(crate) fn problem(&self) -> Option<&str> {
        match self {
            Self::Pending { last_seen } => Some(last_seen.as_deref().unwrap_or("no response yet")),
            Self::Verified => None,
            Self::Failed(problem) => Some(problem),
        }
    }
}

/// What changes during a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunState {
    pub(crate) credentials: Option<String>,
    pub(crate) identity: Option<Identity>,
    pub(crate) uploads: BTreeMap<ObjectKey, Upload>,
    pub(crate) invalidations: Vec<(DistributionId, Invalidation)>,
    /// What changes for visitors, by container, or why that is not known.
    pub(crate) changes: BTreeMap<ContainerName, Result<Changes, NotCompared>>,
    /// By public URL, from when the uploads are done.
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
}

impl RunState {
    pub(super) fn set_invalidation(&mut self, of: &DistributionId, invalidation: Invalidation) {
        let mut invalidations = self.invalidations.iter_mut();
        if let Some((_, entry)) = invalidations.find(|(id, _)| id == of) {
            *entry = invalidation;
        }
    }

    pub(crate) fn container(&self, container: &Container) -> ContainerState {
        let minified = container.minified();
        match minified.and_then(|object| self.uploads.get(&object.key)) {
            Some(Upload::Uploaded) => ContainerState::Published,
            Some(Upload::InFlight) => ContainerState::Unknown,
            Some(Upload::Failed(error)) if error.outcome_unknown => ContainerState::Unknown,
            _ => ContainerState::NotPublished,
        }
    }

    /// The errors of the uploads and of the invalidations.
    pub(crate) fn errors(&self) -> Vec<AwsError> {
        let uploads = self.uploads.values().filter_map(|upload| match upload {
            Upload::Failed(error) => Some(error.clone()),
            _ => None,
        });
        let invalidations =
            self.invalidations
                .iter()
                .filter_map(|(_, invalidation)| match invalidation {
                    Invalidation::Failed(error) => Some(error.clone()),
                    _ => None,
                });
        uploads.chain(invalidations).collect()
    }

    /// The distributions that still serve the old container.
    pub(crate) fn not_invalidated(&self) -> Vec<&DistributionId> {
        self.invalidations
            .iter()
            .filter(|(_, invalidation)| {
                !matches!(
                    invalidation,
                    Invalidation::InProgress(_) | Invalidation::Completed(_)
                )
            })
            .map(|(id, _)| id)
            .collect()
    }

    /// Whether every distribution serves the new container, as CloudFront says.
    pub(crate) fn all_invalidations_completed(&self) -> bool {
        let mut invalidations = self.invalidations.iter();
        !self.invalidations.is_empty()
            && invalidations.all(|(_, it)| matches!(it, Invalidation::Completed(_)))
    }

    /// Whether one of those may have been invalidated after all, as CloudFront did not respond.
    pub(crate) fn may_be_invalidated(&self) -> bool {
        self.invalidations
            .iter()
            .any(|(_, invalidation)| match invalidation {
                Invalidation::InFlight => true,
                Invalidation::Failed(error) => error.outcome_unknown,
                _ => false,
            })
    }

    /// The permissions that the run needs, with the account of the caller where it is known by now.
    pub(crate) fn permissions(&self, plan: &Plan) -> Permissions {
        let account_id = self
            .identity
            .as_ref()
            .map(|identity| identity.account_id.clone());
        Permissions::of(&plan.settings).with_fallback_account(account_id)
    }
}
