//! The reports on a commit in Bitbucket, for people who read no build log: what changes for visitors, what that means for them,
//! and how the run ended. One for each container and environment.
//!
//! A run that a signal stops has none, as it must end within a second.

mod changes;
mod verdict;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use self::verdict::{error, how_it_ended, newer};
use super::{notes, rollback, summary, words};
use crate::bitbucket::client::Sent;
use crate::bitbucket::report::{Annotation, AnnotationType, Datum, Report, ReportId, Url, Verdict};
use crate::common::printable::sanitize;
use crate::container::object::Container;
use crate::container::InvalidFile;
use crate::mojito::waves::Waves;
use crate::publish::outcome::Outcome;
use crate::publish::plan::Plan;
use crate::publish::state::RunState;
use crate::settings::code_insights::ReportTarget;
use crate::settings::environment::Environment;
use crate::settings::names::{ContainerName, Variant};
use crate::settings::pipeline::{short, Build};
use crate::settings::purpose::Purpose;
use crate::settings::Settings;

/// How many containers of a run have a report.
const MAX_REPORTS: usize = 10;
/// How many refused files the details of a report list at most.
const MAX_FILES: usize = 10;
/// The start of each report's ID.
const PREFIX: &str = env!("CARGO_PKG_NAME");

/// The reports of a run.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) list: Vec<Report>,
    /// Earlier reports on the commit that no longer hold.
    pub(crate) outdated: Vec<ReportId>,
    /// How many containers have none.
    left_out: usize,
}

/// What was to be published, once the settings are known.
#[derive(Debug)]
pub(crate) struct Planned {
    environment: Environment,
    containers: Vec<ContainerName>,
}

impl Planned {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            environment: settings.environment,
            containers: settings.target.containers.clone(),
        }
    }
}

/// Makes the reports of a run, by how it ended.
#[derive(Clone, Copy)]
pub(crate) struct Reporter<'a> {
    pub(crate) target: &'a ReportTarget,
    pub(crate) purpose: Purpose,
    pub(crate) build: &'a Build,
    pub(crate) elapsed: Duration,
    /// Until when the sources of the experiments are read.
    pub(crate) deadline: Instant,
}

/// What a report says of a container.
struct Said {
    verdict: Verdict,
    /// What the title says after the environment.
    what: String,
    details: Vec<String>,
    /// The rows of the table that only this end has.
    data: Vec<Datum>,
    annotations: Vec<Annotation>,
}

impl Reporter<'_> {
    /// The reports of a publish or a rollback.
    pub(crate) fn of_run(&self, plan: &Plan, outcome: &Outcome) -> Reports {
        let state = &outcome.state;
        let headline = summary::headline(plan, outcome, self.elapsed);
        let waves = self.waves();
        let said = |container: &Container| {
            let (verdict, mut what) = how_it_ended(plan, state, container);
            if verdict == Verdict::Passed && state.superseded_by(container).is_none() {
                let changes = changes::phrase(state.changes.get(&container.name), container);
                what = format!("{what}, {changes}");
            }
            let error = error(plan, state, container).filter(|_| verdict == Verdict::Failed);
            let lines = [headline.clone()].into_iter().chain(error).collect();
            self.said(plan, state, &waves, container, (verdict, what, lines))
        };
        let failed =
            |container: &Container| how_it_ended(plan, state, container).0 == Verdict::Failed;
        self.of_plan(plan, state, failed, said)
    }

    /// The reports of a dry run. `problem` is why a publish would fail.
    pub(crate) fn of_dry_run(
        &self,
        plan: &Plan,
        state: &RunState,
        problem: Option<&str>,
    ) -> Reports {
        let environment = plan.settings.environment;
        let is_rollback = self.purpose == Purpose::Rollback;
        let of = match (is_rollback, words::label(plan)) {
            (true, Some(build)) => format!(" of a rollback to {build}"),
            (true, None) => " of a rollback".to_owned(),
            (false, Some(build)) => format!(" of {build}"),
            (false, None) => String::new(),
        };
        let done = words::of(self.purpose).done;
        let headline = format!("preview{of} for {environment}: nothing is {done} by it");
        let waves = self.waves();
        let said = |container: &Container| {
            let mut lines = vec![headline.clone()];
            let (verdict, what) = match (problem, state.superseded_by(container)) {
                (Some(problem), _) => {
                    lines.push(format!("a publish would fail: {problem}"));
                    (Verdict::Failed, "a publish would fail".to_owned())
                }
                (None, Some(build)) => (Verdict::Passed, newer(build)),
                (None, None) => {
                    let changes = changes::phrase(state.changes.get(&container.name), container);
                    let what = if is_rollback {
                        let what = rollback::what(container);
                        format!("{what} would be put back, {changes}")
                    } else {
                        changes
                    };
                    (Verdict::Passed, what)
                }
            };
            self.said(plan, state, &waves, container, (verdict, what, lines))
        };
        self.of_plan(plan, state, |_| false, said)
    }

    /// The reports of files that cannot be published. Nothing is published then, whichever container they belong to.
    pub(crate) fn of_files(&self, planned: &Planned, files: &[InvalidFile]) -> Reports {
        let mut by_name: BTreeMap<&OsStr, Vec<&InvalidFile>> = BTreeMap::new();
        for file in files {
            let name = file.path.file_name().unwrap_or_default();
            by_name.entry(name).or_default().push(file);
        }
        let own = |name: &ContainerName| -> Vec<&InvalidFile> {
            let names = [Variant::Minified, Variant::Pretty].map(|it| it.file_name(name));
            let files = names.iter().filter_map(|it| by_name.get(OsStr::new(it)));
            files.flatten().copied().collect()
        };
        let mut names: Vec<&ContainerName> = planned.containers.iter().collect();
        names.sort_by_cached_key(|name| own(name).is_empty());
        self.of_names(planned.environment, &names, |name| {
            let own = own(name);
            let (what, shown) = match own[..] {
                [] => (
                    "not published, as another container is refused",
                    files.iter().collect(),
                ),
                _ => ("refused", own.clone()),
            };
            let folder = self.target.folder.as_deref();
            let bug = |file: &&InvalidFile| {
                changes::annotation(&notes::of_file(file), AnnotationType::Bug, folder)
            };
            Said {
                verdict: Verdict::Failed,
                what: what.to_owned(),
                details: shown
                    .iter()
                    .take(MAX_FILES)
                    .map(ToString::to_string)
                    .collect(),
                data: Vec::new(),
                annotations: own.iter().map(bug).collect(),
            }
        })
    }

    /// The reports of a run that ended before its first upload for another reason.
    pub(crate) fn of_error(&self, planned: Option<&Planned>, what: &str, message: &str) -> Reports {
        if let Some(planned) = planned {
            let names: Vec<&ContainerName> = planned.containers.iter().collect();
            let said = |_: &ContainerName| Said {
                verdict: Verdict::Failed,
                what: what.to_owned(),
                details: vec![message.to_owned()],
                data: Vec::new(),
                annotations: Vec::new(),
            };
            return self.of_names(planned.environment, &names, said);
        }
        let title = format!("{PREFIX}: {what}");
        let report = Report::new(early_id(), Verdict::Failed, &title, message)
            .link(self.run_url())
            .data([self.build(), self.duration()]);
        Reports {
            list: vec![report],
            ..Reports::default()
        }
    }

    /// The sources of the experiments, unless they have no place in the repository.
    fn waves(&self) -> Waves {
        let folder = self.target.folder.as_ref();
        folder.map_or_else(Waves::none, |_| Waves::read(Path::new("."), self.deadline))
    }

    /// What is said of a container however the run ended: what changes for visitors.
    fn said(
        &self,
        plan: &Plan,
        state: &RunState,
        waves: &Waves,
        container: &Container,
        (verdict, what, mut details): (Verdict, String, Vec<String>),
    ) -> Said {
        let compared = state.changes.get(&container.name);
        let changes = compared.and_then(|it| it.as_ref().ok());
        let environment = plan.settings.environment;
        let notes = |changes| notes::of_changes(environment, changes, waves);
        let mut notes = changes.map_or_else(Vec::new, notes);
        if let Some(script) = &container.script {
            notes.extend(notes::of_problems(environment, &script.experiments, waves));
        }
        let is_superseded = state.superseded_by(container).is_some();
        let verdict = match changes {
            Some(it) if !is_superseded && changes::breaks(it, container) => Verdict::Failed,
            _ => verdict,
        };
        let folder = self.target.folder.as_deref();
        let annotations = notes.iter();
        let annotations =
            annotations.map(|note| changes::annotation(note, AnnotationType::CodeSmell, folder));
        details.extend(rollback::details(container));
        details.extend(changes::warnings(container));
        details.extend(changes::details(compared));
        Said {
            verdict,
            what,
            details,
            data: changes::data(plan, container, changes),
            annotations: annotations.collect(),
        }
    }

    /// The reports of those containers that failed, then of those that change.
    fn of_plan(
        &self,
        plan: &Plan,
        state: &RunState,
        has_failed: impl Fn(&Container) -> bool,
        said: impl Fn(&Container) -> Said,
    ) -> Reports {
        let is_unchanged = |container: &Container| {
            let changes = state.changes.get(&container.name);
            changes.is_some_and(|it| {
                it.as_ref()
                    .is_ok_and(|changes| !changes.may_change_something())
            })
        };
        let mut containers: Vec<&Container> = plan.containers.iter().collect();
        containers.sort_by_cached_key(|it| (!has_failed(it), is_unchanged(it)));
        let report = |container: &&Container| {
            self.report(plan.settings.environment, &container.name, said(container))
        };
        reports(&containers, report)
    }

    /// The reports of containers of which nothing is known but their names.
    fn of_names(
        &self,
        environment: Environment,
        names: &[&ContainerName],
        said: impl Fn(&ContainerName) -> Said,
    ) -> Reports {
        reports(names, |name| self.report(environment, name, said(name)))
    }

    fn report(&self, environment: Environment, name: &ContainerName, said: Said) -> Report {
        let environment = environment.to_string();
        let id = ReportId::new(&[PREFIX, &environment, name.as_str()]);
        let title = format!("{} → {environment}: {}", sanitize(name.as_str()), said.what);
        let data = [Datum::text("Environment", &environment), self.build()];
        let data = data.into_iter().chain(said.data);
        Report::new(id, said.verdict, &title, &said.details.join("\n"))
            .link(self.run_url())
            .data(data.chain([self.duration()]))
            .annotations(said.annotations)
    }

    fn build(&self) -> Datum {
        let label = self.build.label();
        let label = label.unwrap_or_else(|| "this build".to_owned());
        Datum::link(words::of(self.purpose).by, &label, self.run_url())
    }

    fn duration(&self) -> Datum {
        Datum::duration("Duration", self.elapsed)
    }

    /// The page of the pipeline's run.
    fn run_url(&self) -> Option<Url> {
        Url::new(self.build.url.as_ref()?.exact())
    }
}

/// The reports of the first containers.
fn reports<T>(containers: &[T], report: impl Fn(&T) -> Report) -> Reports {
    Reports {
        list: containers.iter().take(MAX_REPORTS).map(report).collect(),
        outdated: vec![early_id()],
        left_out: containers.len().saturating_sub(MAX_REPORTS),
    }
}

/// The ID of the report of a run whose containers are not known.
fn early_id() -> ReportId {
    ReportId::new(&[PREFIX])
}

/// What became of the reports, in a line of the log.
pub(crate) fn line(reports: &Reports, sent: &Sent, target: &ReportTarget) -> String {
    let commit = sanitize(&short(&target.commit));
    let count = match sent.reports {
        1 => "1 report".to_owned(),
        number => format!("{number} reports"),
    };
    let left_out = match reports.left_out {
        0 => String::new(),
        1 => " (1 more container has none)".to_owned(),
        more => format!(" ({more} more containers have none)"),
    };
    match (&sent.problem, sent.reports) {
        (None, _) => format!("reported to Bitbucket: {count} on commit {commit}{left_out}"),
        (Some(problem), 0) => not_reported(problem),
        (Some(problem), number) => format!(
            "reported to Bitbucket in part: {number} of {} reports on commit {commit}: {problem}",
            reports.list.len()
        ),
    }
}

/// Why nothing is reported.
pub(crate) fn not_reported(problem: &str) -> String {
    format!("not reported to Bitbucket: {problem}")
}

#[cfg(test)]
mod tests;
