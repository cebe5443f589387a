//! What a publish changes for visitors: compares the live container with the new one.

use std::collections::BTreeSet;

use serde::Serialize;

use super::consequences::Consequence;
use super::object::Object;
use super::served::ServedContainer;
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize;
use crate::mojito::experiment::{describe_recipes, Experiment, Part, Percent, Traffic};
use crate::mojito::script::Script;
use crate::settings::cache_control::CacheControl;

/// The changes relative to the live container.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    /// The live container's URL and build.
    pub(crate) against: String,
    /// The same for the log: which build it is, or if that is unknown, its URL.
    pub(crate) live: String,
    /// Whether the live container has the same bytes.
    pub(crate) is_same: bool,
    /// Whether the scripts were compared, not just bytes and headers.
    pub(crate) scripts_compared: bool,
    pub(crate) list: Vec<Change>,
    /// What the changes of live experiments mean for visitors.
    pub(crate) consequences: Vec<Consequence>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) kind: ChangeKind,
    /// The experiment's id or the header's name. Empty if the change concerns the whole file.
    pub(crate) subject: String,
    /// The experiment's name.
    pub(crate) name: String,
    pub(crate) detail: String,
    /// What in the experiment's sources causes it.
    #[serde(skip)]
    pub(crate) causes: Vec<Cause>,
}

/// What in an experiment's sources causes a change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cause {
    /// The property `state`, or that the experiment is added or removed.
    State,
    SampleRate,
    DivertTo,
    Name,
    /// The recipe with this id: it is added, removed, renamed, or has another sample rate.
    Recipe(String),
    Code(Part),
}

/// The kind of a change, in listing order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeKind {
    /// The live container cannot be compared.
    NotComparable,
    Starts,
    Ramps,
    Diverts,
    /// From diverted back to a sample of the visitors.
    Resumes,
    Stops,
    /// Does not run, and had no visitors before.
    Breaks,
    /// Code or recipes changed.
    Changes,
    Renamed,
    /// Added in staging.
    Staged,
    /// Removed while in staging.
    RemovedWhileStaged,
    /// The library or the code that experiments share.
    SharedCode,
    Header,
    Size,
}

impl Changes {
    /// Compares the live container with the new one.
    pub(crate) fn between(
        served: &ServedContainer,
        script: Option<&Script>,
        object: &Object,
        cache_control: &CacheControl,
    ) -> Self {
        let mut changes = Vec::new();
        if let Some(script) = script {
            match served.script() {
                Ok(old) => changes = between_scripts(old, script),
                Err(problem) => changes.push(Change::new(ChangeKind::NotComparable, "", problem)),
            }
        }
        for (name, new) in object.headers(cache_control) {
            if served.header(name) != Some(new) {
                let old = served.shown_header(name);
                let old = old.unwrap_or_else(|| "none".to_owned());
                let detail = format!("{old} → {}", sanitize(new));
                changes.push(Change::new(ChangeKind::Header, name, detail));
            }
        }
        let is_same = served.body == object.body;
        let same = if is_same { ", identical" } else { "" };
        let (old, new) = (ByteSize(served.body.len() as u64), object.compressed_size());
        let detail = if old == new {
            format!("{new} compressed{same}")
        } else {
            format!("{old} → {new} compressed ({})", growth(old, new))
        };
        changes.push(Change::new(ChangeKind::Size, "", detail));
        changes.sort_by_key(|change| change.kind);
        Self {
            against: served.to_string(),
            live: Some(served.details())
                .filter(|details| !details.is_empty())
                .unwrap_or_else(|| served.from.clone()),
            is_same,
            scripts_compared: script.is_some(),
            list: changes,
            consequences: Vec::new(),
        }
    }

    /// Whether nothing changed, except perhaps the size.
    pub(crate) fn is_nothing(&self) -> bool {
        let mut changes = self.list.iter();
        changes.all(|change| change.kind == ChangeKind::Size)
    }
}

fn growth(old: ByteSize, new: ByteSize) -> String {
    let sign = if new > old { "+" } else { "-" };
    let share = Percent::of_bytes(new.0.abs_diff(old.0), old.0.max(1));
    format!("{sign}{share}")
}

impl Change {
    fn new(kind: ChangeKind, subject: &str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            subject: subject.to_owned(),
            name: String::new(),
            detail: detail.into(),
            causes: Vec::new(),
        }
    }

    fn of(experiment: &Experiment, kind: ChangeKind, detail: impl Into<String>) -> Self {
        Self {
            name: experiment.name.clone(),
            ..Self::new(kind, &experiment.id, detail)
        }
    }
}

/// The changes between two scripts. Experiments are matched by id.
fn between_scripts(old: &Script, new: &Script) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut removed: Vec<&Experiment> = old.experiments.iter().collect();
    for experiment in &new.experiments {
        // Each is matched only once, so duplicate ids are compared in order.
        let before = removed.iter().position(|old| old.id == experiment.id);
        let before = before.map(|at| removed.remove(at));
        changes.extend(traffic_change(before, experiment));
        if let Some(before) = before {
            changes.extend(content_changes(before, experiment));
        }
    }
    for experiment in removed {
        let (kind, detail) = match experiment.traffic {
            Traffic::Staged | Traffic::Broken { .. } => (
                ChangeKind::RemovedWhileStaged,
                "removed; no visitor had it".to_owned(),
            ),
            _ => (
                ChangeKind::Stops,
                format!("{} → removed", experiment.describe_traffic()),
            ),
        };
        changes.push(Change::of(experiment, kind, detail));
    }
    if old.shared_code != new.shared_code {
        let version = |script: &Script| script.build_info.as_ref()?.mojito_version.clone();
        let detail = match (version(old), version(new)) {
            (Some(old), Some(new)) if old != new => format!("Mojito {old} → {new}"),
            _ => "the library or the shared code changed".to_owned(),
        };
        changes.push(Change::new(ChangeKind::SharedCode, "", detail));
    }
    changes
}

fn traffic_change(before: Option<&Experiment>, experiment: &Experiment) -> Option<Change> {
    let now = experiment.describe_traffic();
    let had_visitors = before.is_some_and(|before| before.traffic.reaches_visitors());
    let kind = match (before.map(|before| &before.traffic), &experiment.traffic) {
        (Some(before), now) if before == now => return None,
        (Some(Traffic::Broken { .. }), Traffic::Broken { .. }) => return None,
        (_, Traffic::Staged | Traffic::Broken { .. }) if had_visitors => ChangeKind::Stops,
        (_, Traffic::Broken { .. }) => ChangeKind::Breaks,
        (_, Traffic::Staged) => ChangeKind::Staged,
        _ if !had_visitors => ChangeKind::Starts,
        (_, Traffic::Diverted { .. }) => ChangeKind::Diverts,
        (Some(Traffic::Diverted { .. }), _) => ChangeKind::Resumes,
        _ => ChangeKind::Ramps,
    };
    let detail = match before {
        Some(before) => format!("{} → {now}", before.describe_traffic()),
        None if kind == ChangeKind::Staged => "new; no visitor has it".to_owned(),
        None if kind == ChangeKind::Breaks => format!("new; {now}"),
        None => now,
    };
    Some(Change::of(experiment, kind, detail))
}

fn content_changes(before: &Experiment, experiment: &Experiment) -> Vec<Change> {
    let mut changes = Vec::new();
    let parts: BTreeSet<&Part> = before.code.keys().chain(experiment.code.keys()).collect();
    let mut details: Vec<String> = parts
        .into_iter()
        .filter(|part| before.code.get(*part) != experiment.code.get(*part))
        .map(|part| experiment.describe_part(part))
        .collect();
    if before.recipes != experiment.recipes {
        let [old, new] = [before, experiment].map(|it| describe_recipes(&it.recipes));
        details.push(format!("recipes {old} → {new}"));
    }
    if !details.is_empty() {
        let detail = details.join(", ");
        changes.push(Change::of(experiment, ChangeKind::Changes, detail));
    }
    if before.name != experiment.name {
        let detail = format!("was {}", before.name);
        changes.push(Change::of(experiment, ChangeKind::Renamed, detail));
    }
    changes
}
