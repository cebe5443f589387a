//! How a run ended, computed once from its state.
//!
//! The exit code, the summary and the JSON derive from it, so they cannot contradict each other.

use super::plan::Plan;
use super::state::{ContainerState, RunState};
use crate::exit::Exit;

/// How a run ended.
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    /// The signal that stopped it.
    pub(crate) stopped_by: Option<&'static str>,
    pub(crate) state: RunState,
}

impl Outcome {
    pub(super) fn new(plan: &Plan, state: RunState, stopped_by: Option<&'static str>) -> Self {
        Self {
            exit: exit(plan, &state),
            stopped_by,
            state,
        }
    }
}

/// Of several reasons, the one that most needs somebody to act. That a newer build is live needs nobody.
fn exit(plan: &Plan, state: &RunState) -> Exit {
    use ContainerState::{NotPublished, Published, Superseded, Unknown};
    let any = |wanted: &[ContainerState]| {
        let mut states = plan.containers.iter().map(|it| state.container(it));
        states.any(|it| wanted.contains(&it))
    };
    if any(&[NotPublished, Unknown]) {
        Exit::NotPublished
    } else if any(&[Published]) && !state.not_invalidated().is_empty() {
        Exit::NotInvalidated
    } else if state.is_unverified() || plan.settings.wait && state.is_invalidating() {
        Exit::NotVerified
    } else if any(&[Superseded]) {
        Exit::Superseded
    } else {
        Exit::Published
    }
}
