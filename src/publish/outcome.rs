//! How a run ended, computed once from its state.
//!
//! The exit code, the summary and the JSON are functions of it, so none of them can contradict another.

use std::time::{Duration, SystemTime};

use super::state::{RunState, Upload, Verification};
use crate::exit::Exit;

/// How a run ended.
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    /// The signal that stopped it.
    pub(crate) stopped_by: Option<&'static str>,
    pub(crate) started_at: SystemTime,
    pub(crate) elapsed: Duration,
    /// Its state at the end.
    pub(crate) state: RunState,
}

impl Outcome {
    pub(super) fn new(
        state: RunState,
        stopped_by: Option<&'static str>,
        elapsed: Duration,
    ) -> Self {
        Self {
            exit: exit(&state),
            stopped_by,
            started_at: SystemTime::now() - elapsed,
            elapsed,
            state,
        }
    }
}

fn exit(state: &RunState) -> Exit {
    let is_verified = |it: &Verification| *it == Verification::Verified;
    if !state.uploads.values().all(Upload::is_done) {
        Exit::NotPublished
    } else if !state.not_invalidated().is_empty() {
        Exit::NotInvalidated
    } else if !state.verifications.values().all(is_verified) {
        Exit::NotVerified
    } else {
        Exit::Published
    }
}
