//! What the log calls what a run does, which is either to publish or to put an earlier version back.

use crate::settings::Settings;

/// The words of a run.
pub(super) struct Words {
    /// Before the environment: `published to` production.
    pub(super) done: &'static str,
    /// What visitors get until then.
    pub(super) old: &'static str,
    /// What they get from then on.
    pub(super) new: &'static str,
}

const OF_PUBLISH: Words = Words {
    done: "published to",
    old: "the old container",
    new: "the new container",
};

const OF_ROLLBACK: Words = Words {
    done: "put back in",
    old: "the container that was live",
    new: "the container that was put back",
};

/// The words of a run with these settings.
pub(super) fn of(settings: &Settings) -> &'static Words {
    match settings.rollback {
        Some(_) => &OF_ROLLBACK,
        None => &OF_PUBLISH,
    }
}
