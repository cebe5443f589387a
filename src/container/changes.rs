//! What a publish changes for visitors: compares the live container with the new one.

use std::collections::BTreeSet;

use serde::Serialize;

use super::consequences::{self, Consequence};
use super::object::Object;
use super::served::ServedContainer;
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize;
use crate::mojito::experiment::{
    describe_recipes, Experiment, Part, Percent, Recipe, RecipeShare, Traffic,
};
use crate::mojito::script::Script;
use crate::mojito::words::WordChanges;
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
    /// Whether visitors had the experiment, or get it.
    #[serde(skip)]
    pub(crate) is_live: bool,
    /// What in the experiment's sources causes it.
    #[serde(skip)]
    pub(crate) causes: Vec<Cause>,
}

/// What in an experiment's sources causes a change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    pub(crate) source: Source,
    /// What changes: `10% → 50%`, ``js of `Blue` ``.
    pub(crate) detail: String,
}

/// The part of an experiment's sources that causes a change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// The property `state`, or that the experiment is added.
    State,
    /// The experiment is not in the container any more: its `state` is `inactive`, or its sources are gone.
    Removed,
    SampleRate,
    /// `divertTo`, which is there or not.
    DivertTo,
    Name,
    RecipeAdded(String),
    RecipeName(String),
    /// With the share that the recipe gets now.
    RecipeShare(String, RecipeShare),
    /// Without words if the part is added or removed.
    Code(Part, Option<WordChanges>),
    /// Not a line of its own: a recipe that is removed, or what is not known.
    NoLine,
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
        let (mut changes, mut consequences) = (Vec::new(), Vec::new());
        if let Some(script) = script {
            match served.script() {
                Ok(old) => {
                    changes = between_scripts(old, script);
                    consequences = consequences::between(old, script);
                }
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
            consequences,
        }
    }

    /// Whether nothing changed, except perhaps the size.
    pub(crate) fn is_nothing(&self) -> bool {
        self.list.iter().all(Change::is_size)
    }

    /// Whether visitors may get something else. Where scripts are not compared, another file may change anything.
    pub(crate) fn may_change_something(&self) -> bool {
        !self.is_nothing() || !(self.is_same || self.scripts_compared)
    }
}

#[cfg(test)]
impl Changes {
    /// From one text to another, both served with the same headers.
    pub(crate) fn of_texts(old: &str, new: &str) -> Self {
        Self::of_container(old, &super::object::Container::of_text("mojito", new))
    }

    pub(crate) fn of_container(old: &str, new: &super::object::Container) -> Self {
        let cache_control = CacheControl::default();
        let headers = Object::built_headers(&cache_control);
        let old = super::gzip::Gzip::new().compress(old.as_bytes(), None);
        let url = "https://cdn.example/js/mojito.js";
        let served = ServedContainer::new(url, headers, old.into(), ByteSize(9_999_999));
        Self::between(
            &served,
            new.script.as_ref(),
            &new.objects[0],
            &cache_control,
        )
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
            is_live: false,
            causes: Vec::new(),
        }
    }

    fn of(experiment: &Experiment, kind: ChangeKind, detail: impl Into<String>) -> Self {
        Self {
            name: experiment.name.clone(),
            is_live: experiment.traffic.reaches_visitors(),
            ..Self::new(kind, &experiment.id, detail)
        }
    }

    /// Whether it only says how large the file is, which is no change for visitors.
    pub(crate) fn is_size(&self) -> bool {
        self.kind == ChangeKind::Size
    }

    /// One with one cause.
    fn by(self, source: Source) -> Self {
        let detail = self.detail.clone();
        let causes = vec![Cause { source, detail }];
        Self { causes, ..self }
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
        changes.push(Change::of(experiment, kind, detail).by(Source::Removed));
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
    let now = match &experiment.traffic {
        Traffic::Broken { reason } => format!("{}: {reason}", experiment.describe_traffic()),
        _ => experiment.describe_traffic(),
    };
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
    let change = Change::of(experiment, kind, detail);
    // What breaks is in its problems, which have their own places, or in another experiment.
    let change = match &experiment.traffic {
        Traffic::Broken { .. } => change,
        now => change.by(cause_of_traffic(before.map(|it| &it.traffic), now)),
    };
    let is_live = change.is_live || had_visitors;
    Some(Change { is_live, ..change })
}

fn cause_of_traffic(before: Option<&Traffic>, now: &Traffic) -> Source {
    match (before, now) {
        (None, _) => Source::State,
        (Some(Traffic::Broken { .. } | Traffic::Dynamic), _)
        | (_, Traffic::Broken { .. } | Traffic::Dynamic) => Source::NoLine,
        // In staging, neither of the others counts.
        (Some(Traffic::Staged), _) | (_, Traffic::Staged) => Source::State,
        (Some(Traffic::Diverted { .. }), _) | (_, Traffic::Diverted { .. }) => Source::DivertTo,
        (Some(Traffic::Live { .. }), Traffic::Live { .. }) => Source::SampleRate,
    }
}

fn content_changes(before: &Experiment, experiment: &Experiment) -> Vec<Change> {
    let mut changes = Vec::new();
    let parts: BTreeSet<&Part> = before.code.keys().chain(experiment.code.keys()).collect();
    let is_changed = |part: &&Part| before.code.get(*part) != experiment.code.get(*part);
    let parts: Vec<&Part> = parts.into_iter().filter(is_changed).collect();
    let mut details: Vec<String> = parts
        .iter()
        .map(|it| experiment.describe_part(it))
        .collect();
    let mut causes = causes_of_code(before, experiment, &parts);
    let of_recipes = causes_of_recipes(&before.recipes, &experiment.recipes);
    if !of_recipes.is_empty() {
        let [old, new] = [before, experiment].map(|it| describe_recipes(&it.recipes));
        details.push(format!("recipes {old} → {new}"));
        causes.extend(of_recipes);
    }
    if !details.is_empty() {
        let detail = details.join(", ");
        let change = Change::of(experiment, ChangeKind::Changes, detail);
        changes.push(Change { causes, ..change });
    }
    if before.name != experiment.name {
        let detail = format!("was {}", before.name);
        let change = Change::of(experiment, ChangeKind::Renamed, detail);
        changes.push(change.by(Source::Name));
    }
    changes
}

fn causes_of_code(before: &Experiment, experiment: &Experiment, parts: &[&Part]) -> Vec<Cause> {
    let has = |experiment: &Experiment, id: &str| experiment.recipes.iter().any(|it| it.id == id);
    // The code of a recipe that is added or removed has no cause of its own.
    let is_in_both = |part: &&&Part| {
        let is_in_both = |id| has(before, id) && has(experiment, id);
        part.recipe().is_none_or(is_in_both)
    };
    let cause = |part: &&Part| {
        let both = before.code.get(*part).zip(experiment.code.get(*part));
        let words = both.map(|(old, new)| WordChanges::between(old, new));
        Cause {
            source: Source::Code((*part).clone(), words),
            detail: experiment.describe_part(part),
        }
    };
    parts.iter().filter(is_in_both).map(cause).collect()
}

fn causes_of_recipes(before: &[Recipe], recipes: &[Recipe]) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut add = |source, recipe: &Recipe, what: &str| {
        let detail = format!("recipe `{}` ({what})", recipe.name);
        causes.push(Cause { source, detail });
    };
    for recipe in recipes {
        let id = &recipe.id;
        let Some(old) = before.iter().find(|old| old.id == *id) else {
            add(Source::RecipeAdded(id.clone()), recipe, "added");
            continue;
        };
        if old.name != recipe.name {
            let source = Source::RecipeName(id.clone());
            add(source, recipe, &format!("was `{}`", old.name));
        }
        let [before, now] = [old, recipe].map(|it| it.share.to_string());
        // Sums of rates have noise, so shares that look alike are the same.
        if before != now {
            let source = Source::RecipeShare(id.clone(), recipe.share);
            add(source, recipe, &format!("{before} → {now}"));
        }
    }
    let is_removed = |old: &&Recipe| !recipes.iter().any(|it| it.id == old.id);
    for old in before.iter().filter(is_removed) {
        add(Source::NoLine, old, "removed");
    }
    let is_same_order = before
        .iter()
        .map(|it| &it.id)
        .eq(recipes.iter().map(|it| &it.id));
    if causes.is_empty() && !is_same_order {
        causes.push(Cause {
            source: Source::NoLine,
            detail: "the order of the recipes".to_owned(),
        });
    }
    causes
}
