//! What a run has done so far, object by object and distribution by distribution.
//!
//! It is the one truth about a run: the exit code, the closing lines, the JSON and the answer to SIGTERM are all read
//! from it, so none of them can tell another story.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use super::compare::NotCompared;
use super::plan::Plan;
use crate::aws::error::AwsError;
use crate::aws::iam_policy::Permissions;
use crate::aws::sts::Identity;
use crate::container::changes::Changes;
use crate::container::object::Container;
use crate::exit::Exit;
use crate::settings::names::{
    public_url_of, CdnPath, ContainerName, DistributionId, ObjectKey, Variant, MAX_PATHS,
};

/// How far the upload of an object is.
#[derive(Clone, Debug)]
pub(crate) enum Upload {
    Pending,
    /// Sent and not yet answered: whether it was stored is unknown.
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

/// A run and its state.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) started: Instant,
    pub(crate) caller_reference: String,
    /// How the run ends, from when its closing lines are being printed.
    pub(crate) exit: OnceLock<Exit>,
    /// Not to be held while something is printed, which may take for ever.
    state: Mutex<RunState>,
}

/// What changes during a run.
#[derive(Debug, Default)]
pub(crate) struct RunState {
    pub(crate) credentials: Option<String>,
    pub(crate) identity: Option<Identity>,
    pub(crate) uploads: BTreeMap<ObjectKey, Upload>,
    pub(crate) invalidations: Vec<(DistributionId, Invalidation)>,
    /// What is changed for visitors, by container, or why that is not known.
    pub(crate) changes: BTreeMap<ContainerName, Result<Changes, NotCompared>>,
    /// By public URL, from when the uploads are done.
    pub(crate) verifications: BTreeMap<String, Verification>,
    pub(crate) published_at: Option<SystemTime>,
}

/// What a container's visitors get, as far as the run knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ContainerState {
    Published,
    NotPublished,
    Unknown,
}

impl Run {
    pub(crate) fn new(plan: Plan, started: Instant) -> Self {
        let state = RunState {
            uploads: plan
                .objects()
                .map(|object| (object.key.clone(), Upload::Pending))
                .collect(),
            invalidations: plan
                .settings
                .distributions
                .iter()
                .map(|id| (id.clone(), Invalidation::Pending))
                .collect(),
            ..RunState::default()
        };
        Self {
            plan,
            started,
            caller_reference: caller_reference(),
            exit: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_upload(&self, key: &ObjectKey, upload: Upload) {
        let mut state = self.state();
        if matches!(upload, Upload::Uploaded) {
            state.published_at = Some(SystemTime::now());
        }
        state.uploads.insert(key.clone(), upload);
    }

    pub(crate) fn set_invalidation(
        &self,
        distribution: &DistributionId,
        invalidation: Invalidation,
    ) {
        let invalidations = &mut self.state().invalidations;
        if let Some((_, entry)) = invalidations.iter_mut().find(|(id, _)| id == distribution) {
            *entry = invalidation;
        }
    }

    /// The containers whose `NAME.js` was replaced.
    pub(crate) fn published_containers(&self) -> Vec<&Container> {
        let state = self.state();
        let published =
            |container: &&Container| state.container(container) == ContainerState::Published;
        self.plan.containers.iter().filter(published).collect()
    }

    /// From here on, the run has succeeded only when the public URL, if one is set, shows what was published.
    pub(crate) fn expect_verification(&self) {
        let Some(public_url) = &self.plan.settings.public_url else {
            return;
        };
        for container in self.published_containers() {
            if let Some(object) = container.minified() {
                let url = public_url_of(public_url, &object.cdn_path);
                self.set_verification(&url, Verification::Pending { last_seen: None });
            }
        }
    }

    pub(crate) fn set_verification(&self, url: &str, verification: Verification) {
        let verifications = &mut self.state().verifications;
        verifications.insert(url.to_owned(), verification);
    }

    /// The paths of what was published, or may be, in the groups that one request each can hold.
    pub(crate) fn published_paths(&self) -> Vec<Vec<CdnPath>> {
        let state = self.state();
        let paths: Vec<CdnPath> = self
            .plan
            .objects()
            .filter(|object| match state.uploads.get(&object.key) {
                Some(Upload::Uploaded) => true,
                Some(Upload::Failed(error)) => error.outcome_unknown,
                _ => false,
            })
            .map(|object| object.cdn_path.clone())
            .collect();
        paths.chunks(MAX_PATHS).map(<[CdnPath]>::to_vec).collect()
    }
}

impl RunState {
    pub(crate) fn container(&self, container: &Container) -> ContainerState {
        let minified = container
            .objects
            .iter()
            .find(|object| object.bundle == Variant::Minified);
        match minified.and_then(|object| self.uploads.get(&object.key)) {
            Some(Upload::Uploaded) => ContainerState::Published,
            Some(Upload::InFlight) => ContainerState::Unknown,
            Some(Upload::Failed(error)) if error.outcome_unknown => ContainerState::Unknown,
            _ => ContainerState::NotPublished,
        }
    }

    /// The faults of the uploads and of the invalidations.
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

    /// The distributions that were not told of what is published.
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

    /// Whether every distribution has said that it has forgotten the old container.
    pub(crate) fn all_invalidations_completed(&self) -> bool {
        let mut invalidations = self.invalidations.iter();
        !self.invalidations.is_empty()
            && invalidations.all(|(_, it)| matches!(it, Invalidation::Completed(_)))
    }

    /// Whether a distribution may have been told all the same, as CloudFront has not answered.
    pub(crate) fn may_be_invalidated(&self) -> bool {
        self.invalidations
            .iter()
            .any(|(_, invalidation)| match invalidation {
                Invalidation::InFlight => true,
                Invalidation::Failed(error) => error.outcome_unknown,
                _ => false,
            })
    }

    /// The scope of the run, with the account of the caller where it is known by now.
    pub(crate) fn permissions(&self, plan: &Plan) -> Permissions {
        let account_id = self
            .identity
            .as_ref()
            .map(|identity| identity.account_id.clone());
        Permissions::of(&plan.settings).of_account(account_id)
    }

    /// How the run ends if it ends now.
    pub(crate) fn exit(&self) -> Exit {
        if self.uploads.values().any(|upload| !upload.is_done()) {
            Exit::NotPublished
        } else if !self.not_invalidated().is_empty() {
            Exit::NotInvalidated
        } else if self
            .verifications
            .values()
            .any(|verification| *verification != Verification::Verified)
        {
            Exit::NotVerified
        } else {
            Exit::Published
        }
    }
}

/// Made once for a run. It is new in each, because CloudFront answers a used one with the old, finished invalidation.
fn caller_reference() -> String {
    format!("mojito-publish-{:032x}", fastrand::u128(..))
}
