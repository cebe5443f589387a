//! A run: its plan, its state, and how it ended.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use super::outcome::Outcome;
use super::plan::Plan;
use super::state::{Invalidation, RunState, Upload, Verification};
use crate::container::object::{Container, Object};
use crate::settings::names::{public_url_of, CdnPath, DistributionId, ObjectKey};

/// A run of `publish`.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) caller_reference: String,
    state: Mutex<RunState>,
    /// Set once.
    outcome: OnceLock<Outcome>,
}

impl Run {
    pub(crate) fn new(plan: Plan) -> Self {
        let state = Mutex::new(RunState::new(&plan));
        Self {
            plan,
            caller_reference: caller_reference(),
            state,
            outcome: OnceLock::new(),
        }
    }

    /// Ends the run: how it ended is final. Only the first call has an effect.
    ///
    /// Nothing must be sent any more by now. What was sent before is marked as such in the state.
    pub(crate) fn end(&self, stopped_by: Option<&'static str>) -> &Outcome {
        let state = self.state().clone();
        self.outcome
            .get_or_init(|| Outcome::new(&self.plan, state, stopped_by))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_upload(&self, key: &ObjectKey, upload: Upload) {
        let mut state = self.state();
        if matches!(upload, Upload::Uploaded(_)) {
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

    /// Each `NAME.js` that was replaced.
    pub(crate) fn published_scripts(&self) -> Vec<&Object> {
        let state = self.state();
        let containers = self.plan.containers.iter();
        let minified = containers.filter_map(Container::minified);
        minified
            .filter(|object| state.uploads[&object.key].is_done())
            .collect()
    }

    /// From now on, the run succeeds only if `PUBLIC_URL`, where set, serves what was published.
    pub(crate) fn expect_verification(&self) {
        let Some(public_url) = &self.plan.settings.public_url else {
            return;
        };
        for object in self.published_scripts() {
            let url = public_url_of(public_url, &object.cdn_path);
            self.set_verification(&url, Verification::Pending { last_seen: None });
        }
    }

    pub(crate) fn set_verification(&self, url: &str, verification: Verification) {
        let verifications = &mut self.state().verifications;
        verifications.insert(url.to_owned(), verification);
    }

    /// The paths of what was published, or may have been, in groups that fit in one request each.
    pub(crate) fn published_paths(&self) -> Vec<Vec<CdnPath>> {
        let state = self.state();
        let paths: Vec<CdnPath> = state.paths_to_invalidate(&self.plan).collect();
        let of_request = self.plan.settings.max_paths();
        paths.chunks(of_request).map(<[CdnPath]>::to_vec).collect()
    }
}

/// Unique, because for a known one CloudFront returns the old invalidation instead of creating one.
fn caller_reference() -> String {
    format!("mojito-publish-{:032x}", fastrand::u128(..))
}
