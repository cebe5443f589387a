//! The picture of a container: its experiments and what a publish changes, laid out to be read at a glance.

use std::fmt::Write as _;

use super::console::{Row, Style};
use crate::common::byte_size::ByteSize;
use crate::common::layout::{columns, first_ten};
use crate::container::changes::{describe_recipes, ChangeKind, Changes};
use crate::container::object::{Container, Object};
use crate::mojito::experiment::{Experiment, Percent, Traffic};
use crate::mojito::script::Script;
use crate::publish::plan::Plan;
use crate::settings::names::s3_uri;

/// Cells of the bar that shows a share.
const BAR: usize = 10;

/// A heading, and a row for each experiment: those that visitors have first.
pub(crate) fn experiments(container: &Container, script: &Script) -> (String, Vec<Row>) {
    let mut experiments: Vec<&Experiment> = script.experiments.iter().collect();
    experiments.sort_by(|one, other| order(one).total_cmp(&order(other)));
    let shares = experiments.iter().map(|it| share(&it.traffic).len());
    let widest = shares.max().unwrap_or_default();
    let cells: Vec<Vec<String>> = experiments
        .iter()
        .map(|experiment| {
            vec![
                state(&experiment.traffic).to_owned(),
                bar(&experiment.traffic),
                format!("{:>widest$}", share(&experiment.traffic)),
                experiment.id.clone(),
                experiment.name.clone(),
                recipes(experiment),
            ]
        })
        .collect();
    let style = |experiment: &&Experiment| match experiment.traffic {
        Traffic::Live { .. } => Style::Good,
        Traffic::Diverted { .. } | Traffic::Dynamic => Style::Notable,
        Traffic::Staged => Style::Plain,
    };
    let heading = format!("{}: {}", built(container, script), counted(&experiments));
    (heading, rows(&cells, experiments.iter().map(style)))
}

/// What the container says of itself: `mojito, commit 1f2e3d4, built at ...`.
fn built(container: &Container, script: &Script) -> String {
    let mut built = format!("container {}", container.name);
    if let Some(info) = &script.build_info {
        for (what, value) in [
            ("commit", info.commit.clone()),
            ("built", info.built_at()),
            ("with Mojito", info.mojito_version.clone()),
        ] {
            if let Some(value) = value {
                let _ = write!(built, ", {what} {value}");
            }
        }
    }
    built
}

fn counted(experiments: &[&Experiment]) -> String {
    if experiments.is_empty() {
        return "no experiments".to_owned();
    }
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for experiment in experiments {
        let state = state(&experiment.traffic);
        match counts.last_mut() {
            Some((last, count)) if *last == state => *count += 1,
            _ => counts.push((state, 1)),
        }
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    counts.join(", ")
}

/// The more visitors have it, the further up.
fn order(experiment: &Experiment) -> f64 {
    match experiment.traffic {
        Traffic::Live { share } => 1.0 - share,
        Traffic::Diverted { .. } => 2.0,
        Traffic::Dynamic => 3.0,
        Traffic::Staged => 4.0,
    }
}

fn state(traffic: &Traffic) -> &'static str {
    match traffic {
        Traffic::Live { .. } => "live",
        Traffic::Diverted { .. } => "diverted",
        Traffic::Staged => "staged",
        Traffic::Dynamic => "computed",
    }
}

fn bar(traffic: &Traffic) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "from 0 to 10"
    )]
    let filled = match traffic {
        Traffic::Live { share } => {
            let filled = (share * BAR as f64).round() as usize;
            // Little is not nothing, and much is not all.
            let least = usize::from(*share > 0.0);
            filled.clamp(least, BAR - usize::from(*share < 1.0))
        }
        Traffic::Diverted { .. } => BAR,
        Traffic::Staged | Traffic::Dynamic => return String::new(),
    };
    "█".repeat(filled) + &"░".repeat(BAR - filled)
}

fn share(traffic: &Traffic) -> String {
    match traffic {
        Traffic::Live { share } => Percent(*share).to_string(),
        Traffic::Diverted { .. } => "all".to_owned(),
        Traffic::Staged | Traffic::Dynamic => String::new(),
    }
}

fn recipes(experiment: &Experiment) -> String {
    match &experiment.traffic {
        Traffic::Diverted { recipe } => format!("→ {}", experiment.recipe_name(recipe)),
        Traffic::Dynamic => "only running the container would tell who has it".to_owned(),
        Traffic::Live { .. } | Traffic::Staged => describe_recipes(&experiment.recipes),
    }
}

/// What a publish would do: every key with its sizes, the headers, every invalidation.
pub(crate) fn plan(plan: &Plan) -> Vec<String> {
    let settings = &plan.settings;
    let mut lines: Vec<String> = plan
        .objects()
        .map(|object| {
            let address = s3_uri(&settings.target.bucket, &object.key);
            let (size, compressed) = (object.size, object.compressed_size());
            format!("would upload {address}: {size}, {compressed} compressed")
        })
        .collect();
    lines.push("each with".to_owned());
    lines.push(format!("  Content-Type: {}", Object::CONTENT_TYPE));
    lines.push(format!("  Content-Encoding: {}", Object::CONTENT_ENCODING));
    lines.push(format!("  Cache-Control: {}", settings.cache_control));
    lines.extend(settings.acl.as_ref().map(|acl| format!("  ACL: {acl}")));
    let mut metadata: Vec<_> = settings.build.metadata().into_iter().collect();
    metadata.sort_unstable();
    let metadata = metadata.into_iter();
    lines.extend(metadata.map(|(name, value)| format!("  x-amz-meta-{name}: {value}")));
    for distribution in &settings.distributions {
        lines.push(format!("would invalidate in {distribution}:"));
        let paths = plan
            .objects()
            .map(|object| format!("  {}", object.cdn_path));
        lines.extend(paths);
    }
    let total = plan
        .objects()
        .map(|object| object.compressed_size().0)
        .sum();
    lines.push(format!("{} in all", ByteSize(total)));
    lines
}

/// A heading, and a row for each change.
pub(crate) fn changes(changes: &Changes) -> (String, Vec<Row>) {
    let mut heading = format!("changes to the live container ({}):", changes.against);
    if changes.is_nothing() {
        heading.push_str(if changes.is_same {
            " none"
        } else if changes.scripts_compared {
            " none to experiments, shared code or headers"
        } else {
            " another file; its experiments are not compared, as `VALIDATE` is `false`"
        });
    }
    let cells: Vec<Vec<String>> = changes
        .list
        .iter()
        .map(|change| {
            let word = format!("{} {}", mark(change.kind), word(change.kind));
            let (subject, name, detail) = (&change.subject, &change.name, &change.detail);
            match change.kind {
                ChangeKind::Header => vec![word, format!("{subject}: {detail}")],
                _ if subject.is_empty() => vec![word, detail.clone()],
                _ => vec![word, subject.clone(), name.clone(), detail.clone()],
            }
        })
        .collect();
    let styles = changes.list.iter().map(|change| match change.kind {
        ChangeKind::Starts | ChangeKind::Resumes => Style::Good,
        ChangeKind::Stops | ChangeKind::NotComparable => Style::Bad,
        ChangeKind::Size => Style::Plain,
        _ => Style::Notable,
    });
    (heading, rows(&cells, styles))
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Starts => "starts",
        ChangeKind::Ramps => "ramps",
        ChangeKind::Diverts => "diverts",
        ChangeKind::Resumes => "resumes",
        ChangeKind::Stops => "stops",
        ChangeKind::Changes => "changes",
        ChangeKind::Renamed => "renamed",
        ChangeKind::Staged => "staged",
        ChangeKind::RemovedWhileStaged => "removed",
        ChangeKind::SharedCode => "shared code",
        ChangeKind::Header => "header",
        ChangeKind::Size => "size",
        ChangeKind::NotComparable => "not comparable",
    }
}

fn mark(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Starts | ChangeKind::Staged => '+',
        ChangeKind::Stops | ChangeKind::RemovedWhileStaged => '-',
        ChangeKind::Ramps => '↗',
        ChangeKind::Diverts => '→',
        ChangeKind::Resumes => '←',
        ChangeKind::NotComparable => '!',
        ChangeKind::Size => ' ',
        ChangeKind::Changes | ChangeKind::Renamed | ChangeKind::SharedCode | ChangeKind::Header => {
            '~'
        }
    }
}

/// All that changes, in one line: `w3 starts, w1 ramps 10% → 50%`. `None` if nothing does.
pub(crate) fn summary(changes: &Changes) -> Option<String> {
    let changes = changes
        .list
        .iter()
        .filter(|change| change.kind != ChangeKind::Size);
    let changes: Vec<String> = changes
        .map(|change| match change.kind {
            ChangeKind::Ramps => format!("{} ramps {}", change.subject, change.detail),
            ChangeKind::Header => format!("{} changes", change.subject),
            ChangeKind::SharedCode => "the shared code changes".to_owned(),
            ChangeKind::NotComparable => "what was served before could not be compared".to_owned(),
            kind => format!("{} {}", change.subject, word(kind)),
        })
        .collect();
    let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
    (!changes.is_empty()).then(|| first_ten(&changes))
}

fn rows(cells: &[Vec<String>], styles: impl Iterator<Item = Style>) -> Vec<Row> {
    columns(cells)
        .into_iter()
        .zip(cells)
        .zip(styles)
        .map(|((text, cells), style)| Row {
            style,
            styled_bytes: cells[0].len(),
            text,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::container::gzip::Gzip;
    use crate::container::served::ServedContainer;
    use crate::mojito::script;
    use crate::settings::cache_control::CacheControl;
    use crate::settings::names::{ContainerName, Prefix, Variant};

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
        let changes = Changes::between(&served, Some(&script), &object, &CacheControl::default());
        let (_, rows) = super::changes(&changes);
        let rows = rows.into_iter().map(|row| row.text);
        rows.filter(|row| !row.starts_with("  size")).collect()
    }

    fn object(text: &str) -> Object {
        let prefix = Prefix::literal("js");
        let name = ContainerName::parse("mojito").unwrap();
        let body = Gzip::new().compress(text.as_bytes(), None);
        let size = ByteSize(text.len() as u64);
        Object::new(&name, Variant::Minified, &prefix, &prefix, size, body)
    }

    fn served(text: &str) -> ServedContainer {
        let cache_control = CacheControl::default();
        let body = Bytes::from(Gzip::new().compress(text.as_bytes(), None));
        ServedContainer::new(
            "s3://acme/js/mojito.js",
            Object::headers(&cache_control),
            body,
            ServedContainer::limit(ByteSize(0)),
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
            "- removed  w1  Hero  removed; no visitor had it",
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
            ["~ shared code  the library or the shared code changed"]
        );
        let new = new.replace("2.7.1", "2.8.0");
        assert_eq!(between(&old, &new), ["~ shared code  Mojito 2.7.1 → 2.8.0"]);
    }

    #[test]
    fn what_cannot_be_compared_is_said_to_be() {
        let new = container("");
        assert_eq!(
            between("Mojito=(", &new),
            ["! not comparable  the live file is not a valid script: Expected `)` but found `EOF`"]
        );
        assert_eq!(
            between("<html>", &new),
            ["! not comparable  the live file is a page, not a script"]
        );
    }

    #[test]
    fn headers_and_bytes_are_compared() {
        let new = container("");
        let object = object(&new);
        let headers = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")];
        let served = ServedContainer::new(
            "s3://acme/js/mojito.js",
            headers,
            object.body.clone(),
            ServedContainer::limit(ByteSize(0)),
        );
        let changes = Changes::between(&served, None, &object, &CacheControl::default());
        let (heading, rows) = super::changes(&changes);
        assert_eq!(
            heading,
            "changes to the live container (s3://acme/js/mojito.js):"
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
                format!("  size    {size} compressed, identical"),
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
        let changes = Changes::between(
            &served(&old),
            Some(&script),
            &object,
            &CacheControl::default(),
        );
        assert_eq!(
            summary(&changes).as_deref(),
            Some("w3 starts, w1 ramps 10% → 50%, w2 stops")
        );
        assert!(!changes.is_nothing());
        let same = Changes::between(
            &served(&new),
            Some(&script),
            &object,
            &CacheControl::default(),
        );
        assert_eq!(summary(&same), None);
        assert!(same.is_nothing());
    }
}
