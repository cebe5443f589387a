//! What a report says of the changes to a container: in its title, its details, its table and its annotations.

use std::collections::BTreeSet;

use crate::bitbucket::report::{Annotation, AnnotationType, Datum, Url};
use crate::common::layout::cut;
use crate::container::changes::{ChangeKind, Changes};
use crate::container::object::Container;
use crate::mojito::experiment::Traffic;
use crate::publish::compare::NotCompared;
use crate::publish::plan::Plan;
use crate::report::{self, notes::Note};
use crate::settings::names::public_url_of;
use crate::settings::purpose::Purpose;

/// How many changes the details list. The annotations have all.
const MAX_CHANGES: usize = 8;
/// How wide a change is in the details.
const MAX_CHANGE: usize = 160;

/// How many warnings the details list. The annotations have those about experiments.
const MAX_WARNINGS: usize = 5;

/// What changes, in a few words, and how many experiments do not run.
pub(super) fn phrase(
    compared: Option<&Result<Changes, NotCompared>>,
    container: &Container,
) -> String {
    let phrase = what_changes(compared);
    match broken(container).count() {
        0 => phrase,
        1 => format!("{phrase}, 1 does not run"),
        number => format!("{phrase}, {number} do not run"),
    }
}

/// The ids of the experiments that do not run.
fn broken(container: &Container) -> impl Iterator<Item = &str> {
    let script = container.script.iter();
    let experiments = script.flat_map(|script| &script.experiments);
    let broken = experiments.filter(|it| matches!(it.traffic, Traffic::Broken { .. }));
    broken.map(|it| it.id.as_str())
}

/// Whether an experiment does not run any more, or is new and does not run.
pub(super) fn breaks(changes: &Changes, container: &Container) -> bool {
    let broken: BTreeSet<&str> = broken(container).collect();
    let mut changes = changes.list.iter();
    changes.any(|change| match change.kind {
        ChangeKind::Breaks => true,
        ChangeKind::Stops => broken.contains(change.subject.as_str()),
        _ => false,
    })
}

/// What looks wrong in the container.
pub(super) fn warnings(container: &Container) -> Vec<String> {
    let warnings = container.warnings.iter();
    let listed = warnings.clone().take(MAX_WARNINGS);
    let mut lines: Vec<String> = listed.map(|it| format!("warning: {it}")).collect();
    let more = warnings.skip(MAX_WARNINGS).count();
    if more > 0 {
        lines.push(format!("({more} more warnings)"));
    }
    lines
}

fn what_changes(compared: Option<&Result<Changes, NotCompared>>) -> String {
    let changes = match compared {
        Some(Ok(changes)) => changes,
        Some(Err(not_compared)) if not_compared.nothing_published().is_some() => {
            return "the first publish".to_owned();
        }
        Some(Err(_)) | None => return "not compared with what visitors get".to_owned(),
    };
    let has = |kind| changes.list.iter().any(|change| change.kind == kind);
    let all = experiments_of(changes, |_| true);
    let are_all = |kind| experiments_of(changes, |it| it == kind) == all;
    let verb = match all {
        _ if are_all(ChangeKind::Starts) => "start",
        _ if are_all(ChangeKind::Stops) => "stop",
        _ => "change",
    };
    match all {
        1 => format!("1 experiment {verb}s"),
        number @ 2.. => format!("{number} experiments {verb}"),
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
pub(super) fn details(compared: Option<&Result<Changes, NotCompared>>) -> Vec<String> {
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
    let mut shown = shown.filter(|change| !change.is_size());
    let listed = shown.by_ref().take(MAX_CHANGES);
    let listed = listed.map(|change| {
        cut(
            &format!("• {}", report::changes::in_a_line(change)),
            MAX_CHANGE,
        )
    });
    let mut lines: Vec<String> = listed.collect();
    let more = shown.count();
    if more > 0 {
        lines.push(format!("({more} more changes)"));
    }
    let consequences = changes.consequences.iter();
    lines.extend(consequences.map(|it| it.sentence.clone()));
    lines
}

/// The table of a report, as far as it is about the container: up to seven rows.
pub(super) fn data(plan: &Plan, container: &Container, changes: Option<&Changes>) -> Vec<Datum> {
    let settings = &plan.settings;
    let count = |number: usize| number as u64;
    let mut data = Vec::new();
    if let Some(changes) = changes {
        data.push(Datum::text("Compared with", &changes.live));
        let starts = experiments_of(changes, |kind| kind == ChangeKind::Starts);
        let stops = experiments_of(changes, |kind| kind == ChangeKind::Stops);
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
        let which = match settings.purpose {
            Purpose::Rollback => "that",
            _ => "this",
        };
        let name = format!("Experiments live in {which} build");
        data.push(Datum::number(&name, count(live.count())));
    }
    if let Some(object) = container.minified() {
        let size = changes.and_then(|it| it.list.iter().find(|it| it.is_size()));
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
    data
}

/// A note at its place, which is in `folder` of the repository.
pub(super) fn annotation(note: &Note, kind: AnnotationType, folder: Option<&str>) -> Annotation {
    let annotation = Annotation::new(kind, note.severity, &note.summary, &note.details);
    match (&note.place, folder) {
        (Some(place), Some("")) => annotation.at(&place.path, place.line),
        (Some(place), Some(folder)) => {
            annotation.at(&format!("{folder}/{}", place.path), place.line)
        }
        _ => annotation,
    }
}
