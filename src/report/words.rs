//! What a run does, in words: either it publishes, or it puts an earlier version back.

use super::rollback;
use crate::container::object::Container;
use crate::publish::plan::Plan;
use crate::settings::environment::Environment;
use crate::settings::purpose::Purpose;

/// The words of a run.
pub(crate) struct Words {
    /// What it is.
    pub(super) run: &'static str,
    /// What it does to a container.
    pub(super) done: &'static str,
    /// If it does not do that.
    pub(crate) not_done: &'static str,
    /// What the pipeline's build is to that.
    pub(super) by: &'static str,
    /// Between that and the environment.
    to: &'static str,
    /// What visitors get until then.
    pub(super) old: &'static str,
    /// What they get from then on.
    pub(super) new: &'static str,
}

const OF_PUBLISH: Words = Words {
    run: "publish",
    done: "published",
    not_done: "not published",
    by: "Build",
    to: "to",
    old: "the old container",
    new: "the new container",
};

const OF_ROLLBACK: Words = Words {
    run: "rollback",
    done: "put back",
    not_done: "not put back",
    by: "Put back by",
    to: "in",
    old: "the container that was live",
    new: "the container that was put back",
};

/// The words of a command.
pub(crate) fn of(purpose: Purpose) -> &'static Words {
    match purpose {
        Purpose::Rollback => &OF_ROLLBACK,
        _ => &OF_PUBLISH,
    }
}

impl Words {
    /// `published to production`
    pub(super) fn done_in(&self, environment: Environment) -> String {
        format!("{} {} {environment}", self.done, self.to)
    }

    /// What every end before the first upload means to visitors.
    pub(crate) fn nothing_uploaded(&self) -> String {
        format!("nothing was uploaded; visitors still get {}", self.old)
    }

    /// ` to production`, or nothing if the environment is not known.
    pub(super) fn in_environment(&self, environment: Option<Environment>) -> String {
        environment.map_or_else(String::new, |it| format!(" {} {it}", self.to))
    }
}

/// The build that a run publishes, or puts back: `build 57 (v1.4.0, 1f2e3d4)`. `None` if it is not known, or not the same for all
/// containers.
pub(super) fn label(plan: &Plan) -> Option<String> {
    match plan.settings.purpose {
        Purpose::Rollback => rollback::label(&plan.containers),
        _ => plan.settings.build.label(),
    }
}

/// What became of a container that is published or put back: `build 56 (v1.4.0, 1f2e3d4) put back`.
pub(super) fn done(plan: &Plan, container: &Container) -> String {
    let done = of(plan.settings.purpose).done;
    match plan.settings.purpose {
        Purpose::Rollback => format!("{} {done}", rollback::what(container)),
        _ => done.to_owned(),
    }
}
