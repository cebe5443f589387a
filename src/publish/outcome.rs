//! How a run ended, computed once from its state.
//!
//! The exit code, the summary and the JSON derive from it, so they cannot contradict each other.

use std::time::Duration;

use super::state::{RunState, Upload};
use crate::exit::Exit;

/// How a run ended.
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    /// The signal that stopped it.
    pub(crate) stopped_by: Option<&'static str>,
    pub(crate) elapsed: Duration,
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
            elapsed,
            state,
        }
    }
}

fn exit(state: &RunState) -> Exit {
    if !state.uploads.values().all(Upload::is_done) {
        Exit::NotPublished
    } else if !state.not_invalidated().is_empty() {
        Exit::NotInvalidated
    } else if state
        .verifications
        .values()
        .any(|it| it.problem().is_some())
    {
        Exit::NotVerified
    } else {
        Exit::Published
    }
}
