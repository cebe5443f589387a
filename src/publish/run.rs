//! A run: its plan, its state, and how it ended.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use super::outcome::Outcome;
use super::plan::Plan;
use super::state::{ContainerState, Invalidation, RunState, Upload, Verification};
use crate::container::object::Container;
use crate::settings::names::{public_url_of, CdnPath, DistributionId, ObjectKey, MAX_PATHS};

/// A run.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    started: Instant,
    pub(crate) caller_reference: String,
    /// Not to be held while something is printed, which may block.
    state: Mutex<RunState>,
    /// Set once. Nothing is sent after that.
    outcome: OnceLock<Outcome>,
}

impl Run {
    pub(crate) fn new(plan: Plan, started: Instant) -> Self {
        let uploads = plan
            .objects()
            .map(|object| (object.key.clone(), Upload::Pending));
        let distributions = plan.settings.distributions.iter();
        let state = RunState {
            uploads: uploads.collect(),
            invalidations: distributions
                .map(|id| (id.clone(), Invalidation::Pending))
                .collect(),
            ..RunState::default()
        };
        Self {
            plan,
            started,
            caller_reference: caller_reference(),
            state: Mutex::new(state),
            outcome: OnceLock::new(),
        }
    }

    /// Ends the run: from now on, nothing is sent and nothing changes how it ended. Only the first call decides.
    pub(crate) fn end(&self, stopped_by: Option<&'static str>) -> &Outcome {
        let state = self.state();
        self.outcome
            .get_or_init(|| Outcome::new(state.clone(), stopped_by, self.started.elapsed()))
    }

    /// How it ended, if it has.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Marks an upload as sent, unless the run has ended.
    pub(crate) fn start_upload(&self, key: &ObjectKey) -> bool {
        let mut state = self.state();
        let may_start = self.outcome.get().is_none();
        if may_start {
            state.uploads.insert(key.clone(), Upload::InFlight);
        }
        may_start
    }

    /// Marks an invalidation as sent, unless the run has ended.
    pub(crate) fn start_invalidation(&self, distribution: &DistributionId) -> bool {
        let mut state = self.state();
        let may_start = self.outcome.get().is_none();
        if may_start {
            state.set_invalidation(distribution, Invalidation::InFlight);
        }
        may_start
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
        self.state().set_invalidation(distribution, invalidation);
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

/// Made once for a run. It is new in each, because CloudFront answers a used one with the old, finished invalidation.
fn caller_reference() -> String {
    format!("mojito-publish-{:032x}", fastrand::u128(..))
}
