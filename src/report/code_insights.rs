//! The reports on a commit in Bitbucket, for people who read no build log: what changes for visitors, what that means for them,
//! and how the run ended. One for each container and environment.

use std::collections::BTreeSet;
use std::time::Duration;

use super::notes::{self, Note, Weight};
use super::{denied, summary, tables};
use crate::bitbucket::client::Sent;
use crate::bitbucket::report::{
    Annotation, AnnotationType, Datum, Report, ReportId, Severity, Url, Verdict,
};
use crate::common::layout::cut;
use crate::common::printable::sanitize;
use crate::container::changes::{Change, ChangeKind, Changes};
use crate::container::object::Container;
use crate::container::InvalidFile;
use crate::exit::Exit;
use crate::publish::compare::NotCompared;
use crate::publish::outcome::Outcome;
use crate::publish::plan::Plan;
use crate::publish::state::{ContainerState, RunState};
use crate::settings::code_insights::ReportTarget;
use crate::settings::environment::Environment;
use crate::settings::names::{public_url_of, s3_uri, ContainerName, Variant};
use crate::settings::pipeline::{short, Build};
use crate::settings::Settings;

/// How many containers of a run have a report: those that failed first, then those that change.
const MAX_REPORTS: usize = 10;
/// How many changes the details list. The annotations have all.
const MAX_CHANGES: usize = 8;
/// How wide a change is in the details.
const MAX_CHANGE: usize = 160;
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

/// What all reports of a run have in common.
#[derive(Clone, Copy)]
pub(crate) struct Common<'a> {
    pub(crate) target: &'a ReportTarget,
    pub(crate) build: &'a Build,
    pub(crate) elapsed: Duration,
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

/// What a report says of a container.
struct Draft<'a> {
    name: &'a ContainerName,
    verdict: Verdict,
    /// What the title says after the environment.
    what: String,
    details: Vec<String>,
    data: Vec<Datum>,
    annotations: Vec<Annotation>,
    changes: bool,
}

/// The reports of a publish.
pub(crate) fn of_run(plan: &Plan, outcome: &Outcome, common: Common) -> Reports {
    let state = &outcome.state;
    let headline = summary::headline(plan, outcome, common.elapsed);
    let draft = |container| {
        let draft = draft(plan, state, container, common);
        let (verdict, what) = how_it_ended(plan, state, container);
        let what = match (verdict, state.container(container)) {
            (Verdict::Passed, ContainerState::Published) => format!("{what}, {}", draft.what),
            _ => what,
        };
        let error = error(plan, state, container).filter(|_| verdict == Verdict::Failed);
        let details = [headline.clone()].into_iter().chain(error);
        Draft {
            verdict,
            what,
            details: details.chain(draft.details).collect(),
            ..draft
        }
    };
    let drafts = plan.containers.iter().map(draft).collect();
    reports(drafts, plan.settings.environment, common)
}

/// The reports of a dry run. `problem` is why a publish would fail.
pub(crate) fn of_dry_run(
    plan: &Plan,
    state: &RunState,
    problem: Option<&str>,
    common: Common,
) -> Reports {
    let environment = plan.settings.environment;
    let of_build = common.build.label();
    let of_build = of_build.map_or_else(String::new, |label| format!(" of {label}"));
    let headline = format!("preview{of_build} for {environment}: nothing is published by it");
    let draft = |container| {
        let draft = draft(plan, state, container, common);
        let (verdict, what, note) = match (problem, state.superseded_by(container)) {
            (Some(problem), _) => (
                Verdict::Failed,
                "a publish would fail".to_owned(),
                Some(format!("a publish would fail: {problem}")),
            ),
            (None, Some(build)) => (Verdict::Passed, newer(build), None),
            (None, None) => (Verdict::Passed, draft.what, None),
        };
        let details = [headline.clone()].into_iter().chain(note);
        Draft {
            verdict,
            what,
            details: details.chain(draft.details).collect(),
            ..draft
        }
    };
    let drafts = plan.containers.iter().map(draft).collect();
    reports(drafts, environment, common)
}

/// The reports of files that cannot be published.
pub(crate) fn of_files(planned: &Planned, files: &[InvalidFile], common: Common) -> Reports {
    let is_of = |file: &&InvalidFile, name: &ContainerName| {
        let file = file.path.file_name();
        let names = [Variant::Minified, Variant::Pretty].map(|it| it.file_name(name));
        names
            .iter()
            .any(|name| file.is_some_and(|it| *it == **name))
    };
    let draft = |name| {
        let own: Vec<&InvalidFile> = files.iter().filter(|it| is_of(it, name)).collect();
        let (what, shown) = match own[..] {
            [] => (
                "not published, as another container is refused",
                files.iter().collect(),
            ),
            _ => ("refused", own),
        };
        let details = shown.iter().map(ToString::to_string);
        Draft {
            details: details.collect(),
            ..failed(name, what, common)
        }
    };
    let mut drafts: Vec<Draft> = planned.containers.iter().map(draft).collect();
    drafts.sort_by_key(|draft| draft.what != "refused");
    reports(drafts, planned.environment, common)
}

/// The reports of a run that ended before its first upload for another reason.
pub(crate) fn of_error(
    planned: Option<&Planned>,
    exit: Exit,
    message: &str,
    common: Common,
) -> Reports {
    let what = match exit {
        Exit::Refused => "settings refused",
        _ => "not published",
    };
    if let Some(planned) = planned {
        let draft = |name| Draft {
            details: vec![message.to_owned()],
            ..failed(name, what, common)
        };
        let drafts = planned.containers.iter().map(draft).collect();
        return reports(drafts, planned.environment, common);
    }
    let title = format!("{PREFIX}: {what}");
    let report = Report::new(early_id(), Verdict::Failed, &title, message)
        .link(run_url(common.target))
        .data([
            build_link(common),
            Datum::duration("Duration", common.elapsed),
        ]);
    Reports {
        list: vec![report],
        ..Reports::default()
    }
}

/// The ID of the report of a run whose containers are not known.
fn early_id() -> ReportId {
    ReportId::new(&[PREFIX])
}

fn failed<'a>(name: &'a ContainerName, what: &str, common: Common) -> Draft<'a> {
    Draft {
        name,
        verdict: Verdict::Failed,
        what: what.to_owned(),
        details: Vec::new(),
        data: vec![
            build_link(common),
            Datum::duration("Duration", common.elapsed),
        ],
        annotations: Vec::new(),
        changes: false,
    }
}

/// What is known of a container however the run ended: what changes for visitors.
fn draft<'a>(plan: &Plan, state: &RunState, container: &'a Container, common: Common) -> Draft<'a> {
    let compared = state.changes.get(&container.name);
    let changes = compared.and_then(|it| it.as_ref().ok());
    let notes = changes.map_or_else(Vec::new, notes::of_changes);
    let annotations = notes.iter();
    let annotations =
        annotations.map(|note| annotation(note, AnnotationType::CodeSmell, common.target));
    Draft {
        name: &container.name,
        verdict: Verdict::Passed,
        what: what_changes(compared),
        details: details(compared),
        data: data(plan, container, changes, common),
        annotations: annotations.collect(),
        changes: changes.is_none_or(|changes| !changes.is_nothing()),
    }
}

/// What changes, in a few words.
fn what_changes(compared: Option<&Result<Changes, NotCompared>>) -> String {
    let changes = match compared {
        Some(Ok(changes)) => changes,
        Some(Err(not_compared)) if not_compared.nothing_published().is_some() => {
            return "the first publish".to_owned();
        }
        Some(Err(_)) | None => return "not compared with what visitors get".to_owned(),
    };
    let has = |kind| changes.list.iter().any(|change| change.kind == kind);
    match experiments_of(changes, |_| true) {
        1 => "1 experiment changes".to_owned(),
        2.. => format!("{} experiments change", experiments_of(changes, |_| true)),
        0 if has(ChangeKind::NotComparable) => "what visitors get cannot be compared".to_owned(),
        0 if has(ChangeKind::SharedCode) => "the shared code changes".to_owned(),
        0 if changes.is_same && has(ChangeKind::Header) => "only headers change".to_owned(),
        0 if changes.is_same => "nothing changes".to_owned(),
        0 if !changes.scripts_compared => "another file".to_owned(),
        0 => "no experiment changes".to_owned(),
    }
}

/// How many experiments have changes of certain kinds.
fn experiments_of(changes: &Changes, is_wanted: impl Fn(ChangeKind) -> bool) -> usize {
    let changes = changes.list.iter();
    let changes = changes
        .filter(|it| it.kind != ChangeKind::Header && !it.subject.is_empty() && is_wanted(it.kind));
    let ids: BTreeSet<&str> = changes.map(|it| it.subject.as_str()).collect();
    ids.len()
}

/// What changes, and what that means for visitors.
fn details(compared: Option<&Result<Changes, NotCompared>>) -> Vec<String> {
    let changes = match compared {
        Some(Ok(changes)) => changes,
        Some(Err(not_compared)) => {
            return vec![match not_compared.nothing_published() {
                Some(_) => "nothing is published yet".to_owned(),
                None => format!("not compared with what visitors get: {not_compared}"),
            }]
        }
        None => return Vec::new(),
    };
    let shown = changes.list.iter();
    let mut shown = shown.filter(|change| change.kind != ChangeKind::Size);
    let listed = shown.by_ref().take(MAX_CHANGES).map(describe);
    let mut lines: Vec<String> = listed.collect();
    let more = shown.count();
    if more > 0 {
        lines.push(format!("({more} more changes)"));
    }
    let consequences = changes.consequences.iter();
    lines.extend(consequences.map(|it| it.sentence.clone()));
    lines
}

/// A change in a line: `• ramps w1 Big button: 10% → 50%`.
fn describe(change: &Change) -> String {
    let subject = match (change.subject.as_str(), change.name.as_str()) {
        ("", _) => String::new(),
        (subject, "") => format!(" {subject}"),
        (subject, name) => format!(" {subject} {name}"),
    };
    let word = tables::word(change.kind);
    cut(&format!("• {word}{subject}: {}", change.detail), MAX_CHANGE)
}

/// The table of a report: what reviewers look for first.
fn data(
    plan: &Plan,
    container: &Container,
    changes: Option<&Changes>,
    common: Common,
) -> Vec<Datum> {
    let settings = &plan.settings;
    let count = |number: usize| number as u64;
    let mut data = vec![build_link(common)];
    if let Some(changes) = changes {
        use ChangeKind::{Breaks, Resumes, Starts, Stops};
        data.push(Datum::text("Compared with", &changes.live));
        let starts = experiments_of(changes, |kind| matches!(kind, Starts | Resumes));
        let stops = experiments_of(changes, |kind| matches!(kind, Stops | Breaks));
        let all = experiments_of(changes, |_| true);
        data.push(Datum::number("Experiments that start", count(starts)));
        data.push(Datum::number("Experiments that stop", count(stops)));
        let others = all.saturating_sub(starts + stops);
        data.push(Datum::number(
            "Experiments that change otherwise",
            count(others),
        ));
    }
    if let Some(script) = &container.script {
        let experiments = script.experiments.iter();
        let live = experiments.filter(|it| it.traffic.reaches_visitors());
        data.push(Datum::number(
            "Experiments live in this build",
            count(live.count()),
        ));
    }
    if let Some(object) = container.minified() {
        let size = changes.and_then(|it| it.list.iter().find(|it| it.kind == ChangeKind::Size));
        let size = match size {
            Some(size) => size.detail.clone(),
            None => format!("{} compressed", object.compressed_size()),
        };
        data.push(Datum::text("Size", &size));
        if let Some(public_url) = &settings.public_url {
            let url = public_url_of(public_url, &object.cdn_path);
            data.push(Datum::link("Address", &url, Url::new(&url)));
        }
    }
    data.push(Datum::duration("Duration", common.elapsed));
    data
}

fn build_link(common: Common) -> Datum {
    let label = common.build.label();
    let label = label.unwrap_or_else(|| "this build".to_owned());
    Datum::link("Build", &label, run_url(common.target))
}

/// The page of the pipeline's run.
fn run_url(target: &ReportTarget) -> Option<Url> {
    Url::new(&target.run_url())
}

/// How the run ended for a container.
fn how_it_ended(plan: &Plan, state: &RunState, container: &Container) -> (Verdict, String) {
    match state.container(container) {
        ContainerState::Superseded => {
            let build = state.superseded_by(container).unwrap_or_default();
            return (Verdict::Passed, newer(build));
        }
        ContainerState::NotPublished => return (Verdict::Failed, "not published".to_owned()),
        ContainerState::Unknown => {
            return (
                Verdict::Failed,
                "not known whether it is published".to_owned(),
            )
        }
        ContainerState::Published => {}
    }
    let failure = if !state.not_invalidated().is_empty() {
        if state.may_be_invalidated() {
            "published, but it is not known whether CloudFront was invalidated"
        } else {
            "published, but CloudFront was not invalidated"
        }
    } else if let Some(is_known) = unverified(plan, state, container) {
        if is_known {
            "published, but visitors do not get it yet"
        } else {
            "published, but not verified"
        }
    } else if plan.settings.wait && state.is_invalidating() {
        "published, but CloudFront was not seen to complete the invalidation"
    } else {
        return (Verdict::Passed, "published".to_owned());
    };
    (Verdict::Failed, failure.to_owned())
}

fn newer(build: u64) -> String {
    format!("not replaced, as the newer build {build} is live")
}

/// If a container was not seen at its URL or in the store, whether something else was.
fn unverified(plan: &Plan, state: &RunState, container: &Container) -> Option<bool> {
    let object = container.minified()?;
    let settings = &plan.settings;
    let public_url = settings.public_url.as_ref();
    let public_url = public_url.map(|url| public_url_of(url, &object.cdn_path));
    let stored = s3_uri(&settings.target.bucket, &object.key);
    let urls = public_url.into_iter().chain([stored]);
    let mut verifications = urls.filter_map(|url| state.verifications.get(&url));
    let verification = verifications.find(|it| it.problem().is_some())?;
    Some(verification.is_known_to_differ())
}

/// What went wrong with a container, or with all of them, and what to do.
fn error(plan: &Plan, state: &RunState, container: &Container) -> Option<String> {
    let uploads = container.objects.iter();
    let own = uploads.filter_map(|it| state.uploads.get(&it.key)?.error());
    let error = own.chain(state.errors()).next();
    if let Some(error) = error {
        let remedy = denied::remedy(error, plan, state);
        return Some(format!("{error}\nwhat to do: {remedy}"));
    }
    let mut verifications = state.verifications.iter();
    let (problem, remedy) =
        verifications.find_map(|(url, it)| summary::why_not_verified(state, url, it))?;
    Some(format!("{problem}\nwhat to do: {remedy}"))
}

fn annotation(note: &Note, kind: AnnotationType, target: &ReportTarget) -> Annotation {
    let severity = match note.weight {
        Weight::High => Severity::High,
        Weight::Medium => Severity::Medium,
        Weight::Low => Severity::Low,
    };
    let annotation = Annotation::new(kind, severity, &note.summary, &note.details);
    match (&note.place, target.folder.as_deref()) {
        (Some(place), Some("")) => annotation.at(&place.path, place.line),
        (Some(place), Some(folder)) => {
            annotation.at(&format!("{folder}/{}", place.path), place.line)
        }
        _ => annotation,
    }
}

/// The reports of the containers that matter most.
fn reports(mut drafts: Vec<Draft>, environment: Environment, common: Common) -> Reports {
    drafts.sort_by_key(|draft| (draft.verdict == Verdict::Passed, !draft.changes));
    let left_out = drafts.len().saturating_sub(MAX_REPORTS);
    drafts.truncate(MAX_REPORTS);
    let report = |draft: Draft| {
        let name = draft.name.as_str();
        let id = ReportId::new(&[PREFIX, &environment.to_string(), name]);
        let title = format!("{} → {environment}: {}", sanitize(name), draft.what);
        let data = [Datum::text("Environment", &environment.to_string())];
        Report::new(id, draft.verdict, &title, &draft.details.join("\n"))
            .link(run_url(common.target))
            .data(data.into_iter().chain(draft.data))
            .annotations(draft.annotations)
    };
    Reports {
        list: drafts.into_iter().map(report).collect(),
        outdated: vec![early_id()],
        left_out,
    }
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
