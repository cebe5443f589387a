//! What a publish changes for visitors: the container that they get now against the one that is to be published.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use crate::byte_size::ByteSize;
use crate::cache_control::CacheControl;
use crate::experiment::{Experiment, Part, Percent, Recipe, Traffic};
use crate::object::Object;
use crate::script::Script;
use crate::served::Served;

/// What changes, against what.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Difference {
    /// Where the old container was read, and what it is.
    pub(crate) against: String,
    /// Whether the very same bytes are served already.
    pub(crate) is_same: bool,
    /// Whether scripts were compared, and not bytes and headers alone.
    pub(crate) is_looked_into: bool,
    pub(crate) changes: Vec<Change>,
}

/// One thing that changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) kind: ChangeKind,
    /// The experiment's id or the header's name; empty for what concerns the whole file.
    pub(crate) subject: String,
    /// The experiment's name.
    pub(crate) name: String,
    pub(crate) detail: String,
}

/// In the order in which they are listed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum ChangeKind {
    /// What is served now cannot be compared.
    Unsound,
    Starts,
    Ramps,
    Diverts,
    /// Goes back from one recipe for all to a share of the visitors.
    Resumes,
    Stops,
    /// Other code or other recipes.
    Changes,
    Renamed,
    /// Comes or goes without any visitor having it.
    Staged,
    Unstaged,
    /// The library or the code that experiments share.
    SharedCode,
    Header,
    Size,
}

impl ChangeKind {
    /// The word for it, in the log and in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Starts => "starts",
            Self::Ramps => "ramps",
            Self::Diverts => "diverts",
            Self::Resumes => "resumes",
            Self::Stops => "stops",
            Self::Changes => "changes",
            Self::Renamed => "renamed",
            Self::Staged => "staged",
            Self::Unstaged => "unstaged",
            Self::SharedCode => "shared code",
            Self::Header => "header",
            Self::Size => "size",
            Self::Unsound => "unsound",
        }
    }
}

impl Serialize for ChangeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Difference {
    /// Compares what is served now with what is to be published.
    pub(crate) fn between(
        served: &Served,
        script: Option<&Script>,
        object: &Object,
        cache_control: &CacheControl,
    ) -> Self {
        let mut changes = Vec::new();
        if let Some(script) = script {
            match served.script() {
                Ok(old) => changes = between_scripts(old, script),
                Err(problem) => changes.push(Change::of_file(ChangeKind::Unsound, problem)),
            }
        }
        for (name, new) in Object::headers(cache_control) {
            let old = served.header(name);
            if old != Some(new) {
                let detail = format!("{} → {new}", old.unwrap_or("none"));
                changes.push(Change {
                    subject: name.to_owned(),
                    ..Change::of_file(ChangeKind::Header, detail)
                });
            }
        }
        let is_same = served.body == object.body;
        let same = if is_same { ", the same bytes" } else { "" };
        let (old, new) = (ByteSize(served.body.len() as u64), object.compressed_size());
        let detail = if old == new {
            format!("{new} compressed{same}")
        } else {
            format!("{old} → {new} compressed ({})", growth(old, new))
        };
        changes.push(Change::of_file(ChangeKind::Size, detail));
        changes.sort_by_key(|change| change.kind);
        Self {
            against: served.to_string(),
            is_same,
            is_looked_into: script.is_some(),
            changes,
        }
    }

    /// Whether at most the size is other than before.
    pub(crate) fn is_nothing(&self) -> bool {
        self.changes
            .iter()
            .all(|change| change.kind == ChangeKind::Size)
    }
}

fn growth(old: ByteSize, new: ByteSize) -> String {
    let sign = if new > old { "+" } else { "-" };
    let share = Percent::of_bytes(new.0.abs_diff(old.0), old.0.max(1));
    format!("{sign}{share}")
}

impl Change {
    fn of_file(kind: ChangeKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            subject: String::new(),
            name: String::new(),
            detail: detail.into(),
        }
    }

    fn of(experiment: &Experiment, kind: ChangeKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            subject: experiment.id.clone(),
            name: experiment.name.clone(),
            detail: detail.into(),
        }
    }
}

/// What changes between two scripts. Experiments are the same if they have the same id.
fn between_scripts(old: &Script, new: &Script) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut gone: Vec<&Experiment> = old.experiments.iter().collect();
    for experiment in &new.experiments {
        // Each once, so that ids that are there twice are compared in their order.
        let before = gone.iter().position(|old| old.id == experiment.id);
        let before = before.map(|at| gone.remove(at));
        changes.extend(of_traffic(before, experiment));
        if let Some(before) = before {
            changes.extend(of_content(before, experiment));
        }
    }
    changes.extend(gone.into_iter().map(|experiment| match experiment.traffic {
        Traffic::Staged => Change::of(
            experiment,
            ChangeKind::Unstaged,
            "removed; no visitor had it",
        ),
        _ => Change::of(
            experiment,
            ChangeKind::Stops,
            format!("{} → removed", experiment.traffic_shown()),
        ),
    }));
    if old.shared_code != new.shared_code {
        let version = |script: &Script| {
            script
                .build_info
                .as_ref()
                .and_then(|info| info.mojito_version.clone())
        };
        let detail = match (version(old), version(new)) {
            (Some(old), Some(new)) if old != new => format!("Mojito {old} → {new}"),
            _ => "the library, or the code that experiments share, is other than before".to_owned(),
        };
        changes.push(Change::of_file(ChangeKind::SharedCode, detail));
    }
    changes
}

fn of_traffic(before: Option<&Experiment>, experiment: &Experiment) -> Option<Change> {
    let now = experiment.traffic_shown();
    let change = |kind, detail| Some(Change::of(experiment, kind, detail));
    let Some(before) = before else {
        return match experiment.traffic {
            Traffic::Staged => change(ChangeKind::Staged, "new; no visitor has it".to_owned()),
            _ => change(ChangeKind::Starts, now),
        };
    };
    if before.traffic == experiment.traffic {
        return None;
    }
    let both = format!("{} → {now}", before.traffic_shown());
    match (&before.traffic, &experiment.traffic) {
        (Traffic::Staged, _) => change(ChangeKind::Starts, both),
        (_, Traffic::Staged) => change(ChangeKind::Stops, both),
        (_, Traffic::Diverted { .. }) => change(ChangeKind::Diverts, both),
        (Traffic::Diverted { .. }, _) => change(ChangeKind::Resumes, both),
        _ => change(ChangeKind::Ramps, both),
    }
}

fn of_content(before: &Experiment, experiment: &Experiment) -> Vec<Change> {
    let mut changes = Vec::new();
    let parts: BTreeSet<&Part> = before.code.keys().chain(experiment.code.keys()).collect();
    let mut details: Vec<String> = parts
        .into_iter()
        .filter(|part| before.code.get(*part) != experiment.code.get(*part))
        .map(|part| experiment.part_shown(part))
        .collect();
    if before.recipes != experiment.recipes {
        details.push(format!(
            "recipes {} → {}",
            recipes_shown(&before.recipes),
            recipes_shown(&experiment.recipes)
        ));
    }
    if !details.is_empty() {
        changes.push(Change::of(
            experiment,
            ChangeKind::Changes,
            details.join(", "),
        ));
    }
    if before.name != experiment.name {
        changes.push(Change::of(
            experiment,
            ChangeKind::Renamed,
            format!("was {}", before.name),
        ));
    }
    changes
}

/// The recipes, with their shares where they have some: `Control / Treatment`.
pub(crate) fn recipes_shown(recipes: &[Recipe]) -> String {
    let recipe = |recipe: &Recipe| match recipe.share {
        Some(share) => format!("{} {}", recipe.name, Percent(share)),
        None => recipe.name.clone(),
    };
    recipes.iter().map(recipe).collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::gzip::Gzip;
    use crate::name::{Bundle, ContainerName, Prefix};
    use crate::overview;
    use crate::script;

    fn container(experiments: &str) -> String {
        format!("window.Mojito||(Mojito=function(){{}}(),Mojito.buildInfo={{mojitoVersion:'2.7.1'}}{experiments})")
    }

    fn add(properties: &str) -> String {
        format!(",Mojito.addTest({{{properties},recipes:{{0:{{name:'Control'}},1:{{name:'Blue',js:function(e){{e.a()}}}}}}}})")
    }

    /// What changes from one script to another, as it is shown.
    fn between(old: &str, new: &str) -> Vec<String> {
        let object = object(new);
        let served = served(old);
        let script = script::read(new).unwrap();
        let difference =
            Difference::between(&served, Some(&script), &object, &CacheControl::default());
        let (_, rows) = overview::difference(&difference);
        let rows = rows.into_iter().map(|row| row.text);
        rows.filter(|row| !row.starts_with("  size")).collect()
    }

    fn object(text: &str) -> Object {
        let prefix = Prefix::literal("js");
        let name = ContainerName::parse("mojito").unwrap();
        let body = Gzip::new().compress(text.as_bytes(), None);
        let size = ByteSize(text.len() as u64);
        Object::new(&name, Bundle::Minified, &prefix, &prefix, size, body)
    }

    fn served(text: &str) -> Served {
        let cache_control = CacheControl::default();
        let body = Bytes::from(Gzip::new().compress(text.as_bytes(), None));
        Served::new(
            "s3://acme/js/mojito.js",
            Object::headers(&cache_control),
            body,
            Served::limit(ByteSize(0)),
        )
    }

    #[test]
    fn each_change_of_traffic_has_its_word() {
        #[track_caller]
        fn case(old: Option<&str>, new: Option<&str>, expected: &str) {
            let with = |properties: Option<&str>| {
                let added = properties.map(|it| add(&format!("id:'w1',name:'Hero',{it}")));
                container(&added.unwrap_or_default())
            };
            assert_eq!(between(&with(old), &with(new)), [expected]);
        }
        let tenth = Some("state:'live',sampleRate:.1");
        let half = Some("state:'live',sampleRate:.5");
        let diverted = Some("state:'live',sampleRate:.5,divertTo:'1'");
        let staged = Some("state:'staging',sampleRate:.5");
        case(None, tenth, "+ starts  w1  Hero  10%");
        case(staged, tenth, "+ starts  w1  Hero  staged → 10%");
        case(tenth, half, "↗ ramps  w1  Hero  10% → 50%");
        case(half, tenth, "↗ ramps  w1  Hero  50% → 10%");
        case(half, diverted, "→ diverts  w1  Hero  50% → all get `Blue`");
        case(diverted, half, "← resumes  w1  Hero  all get `Blue` → 50%");
        case(half, None, "- stops  w1  Hero  50% → removed");
        case(half, staged, "- stops  w1  Hero  50% → staged");
        case(
            diverted,
            None,
            "- stops  w1  Hero  all get `Blue` → removed",
        );
        case(None, staged, "+ staged  w1  Hero  new; no visitor has it");
        case(
            staged,
            None,
            "- unstaged  w1  Hero  removed; no visitor had it",
        );
    }

    #[test]
    fn other_code_recipes_and_names_are_changes() {
        let old = container(&add(
            "id:'w1',name:'Hero',state:'live',trigger:function(e){e.b()}",
        ));
        let new = old.replace("e.a()", "e.c()");
        assert_eq!(between(&old, &new), ["~ changes  w1  Hero  js of `Blue`"]);
        let new = old
            .replace("e.b()", "e.c()")
            .replace("'Blue',", "'Blue',css:'a{}',");
        assert_eq!(
            between(&old, &new),
            ["~ changes  w1  Hero  trigger, css of `Blue`"]
        );
        let new = old.replace("'Blue'", "'Red'").replace("'Hero'", "'Footer'");
        assert_eq!(
            between(&old, &new),
            [
                "~ changes  w1  Footer  recipes Control / Blue → Control / Red",
                "~ renamed  w1  Footer  was Hero"
            ]
        );
        let new = old.replace("(e)", "(t)").replace("{e.", "{t.");
        assert_eq!(between(&old, &new), [""; 0]);
    }

    #[test]
    fn the_shared_code_is_told_apart_from_the_experiments() {
        let old = container(&add("id:'w1'"));
        let new = old.replace("function(){}()", "function(){return 1}()");
        assert_eq!(
            between(&old, &new),
            ["~ shared code  the library, or the code that experiments share, is other than before"]
        );
        let new = new.replace("2.7.1", "2.8.0");
        assert_eq!(between(&old, &new), ["~ shared code  Mojito 2.7.1 → 2.8.0"]);
    }

    #[test]
    fn what_cannot_be_compared_is_said_to_be() {
        let new = container("");
        assert_eq!(
            between("Mojito=(", &new),
            ["! unsound  what is served now is no sound script: Expected `)` but found `EOF`"]
        );
        assert_eq!(
            between("<html>", &new),
            ["! unsound  what is served now is a page and no script"]
        );
    }

    #[test]
    fn headers_and_bytes_are_compared() {
        let new = container("");
        let object = object(&new);
        let headers = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")];
        let served = Served::new(
            "s3://acme/js/mojito.js",
            headers,
            object.body.clone(),
            Served::limit(ByteSize(0)),
        );
        let difference = Difference::between(&served, None, &object, &CacheControl::default());
        let (heading, rows) = overview::difference(&difference);
        assert_eq!(
            heading,
            "compared with what visitors get now (s3://acme/js/mojito.js):"
        );
        let rows: Vec<String> = rows.into_iter().map(|row| row.text).collect();
        let size = object.compressed_size();
        assert_eq!(
            rows,
            [
                "~ header  content-type: text/plain → application/javascript; charset=utf-8"
                    .to_owned(),
                format!(
                    "~ header  cache-control: none → {}",
                    CacheControl::default().as_str()
                ),
                format!("  size    {size} compressed, the same bytes"),
            ]
        );
    }

    #[test]
    fn the_summary_names_the_experiments_that_change() {
        let old =
            container(&(add("id:'w1',state:'live',sampleRate:.1") + &add("id:'w2',state:'live'")));
        let new =
            container(&(add("id:'w1',state:'live',sampleRate:.5") + &add("id:'w3',state:'live'")));
        let object = object(&new);
        let script = script::read(&new).unwrap();
        let difference = Difference::between(
            &served(&old),
            Some(&script),
            &object,
            &CacheControl::default(),
        );
        assert_eq!(
            overview::summary(&difference).as_deref(),
            Some("w3 starts, w1 ramps 10% → 50%, w2 stops")
        );
        assert!(!difference.is_nothing());
        let same = Difference::between(
            &served(&new),
            Some(&script),
            &object,
            &CacheControl::default(),
        );
        assert_eq!(overview::summary(&same), None);
        assert!(same.is_nothing());
    }
}
