//! Tables for the log: a container's experiments, and what a publish changes.

use std::fmt::Write as _;

use super::console::{Row, Style};
use crate::common::byte_size::ByteSize;
use crate::common::layout::{columns, cut, first_ten};
use crate::container::changes::{Change, ChangeKind, Changes};
use crate::container::consequences::{Consequence, ConsequenceKind};
use crate::container::object::Object;
use crate::mojito::experiment::{describe_recipes, BuildInfo, Experiment, Percent, Traffic};
use crate::mojito::script::Script;
use crate::publish::plan::Plan;
use crate::settings::names::{s3_uri, ContainerName};
use crate::settings::pipeline::short;

/// The width of the bar that shows a share.
const BAR: usize = 10;

/// How many rows the tables of all containers have together. The result has all.
const MAX_ROWS: usize = 40;
/// How many rows each table may have, however many containers there are.
const MIN_ROWS: usize = 4;
/// How wide the last cell of a row may be, such as one that names all recipes.
const MAX_LAST_CELL: usize = 160;
/// Above this many containers, the log has counts instead of a line for each.
pub(crate) const MAX_LISTED: usize = 10;

/// A heading, and a row for each of the first experiments: the ones with most visitors first.
pub(crate) fn experiments(
    name: &ContainerName,
    script: &Script,
    containers: usize,
) -> (String, Vec<Row>) {
    let mut experiments: Vec<&Experiment> = script.experiments.iter().collect();
    let order = |experiment: &Experiment| appearance(&experiment.traffic).0;
    experiments.sort_by(|one, other| order(one).total_cmp(&order(other)));
    let listed = &experiments[..experiments.len().min(max_rows(containers))];
    let shares = listed.iter().map(|it| share(&it.traffic).0.len());
    let widest = shares.max().unwrap_or_default();
    let row = |experiment: &&Experiment| {
        let (share, bar) = share(&experiment.traffic);
        vec![
            appearance(&experiment.traffic).1.to_owned(),
            bar,
            format!("{share:>widest$}"),
            experiment.id.clone(),
            experiment.name.clone(),
            recipes(experiment),
        ]
    };
    let cells: Vec<Vec<String>> = listed.iter().map(row).collect();
    let styles = listed.iter().map(|it| appearance(&it.traffic).2);
    let unlisted = experiments.len() - listed.len();
    let mut heading = format!("container {name}: {}", counted(script, &experiments));
    if let Some(built) = script.build_info.as_ref().and_then(built) {
        let _ = write!(heading, "\n{built}");
    }
    (heading, rows(cells, styles, unlisted))
}

/// How many rows a table has, one of so many.
fn max_rows(tables: usize) -> usize {
    (MAX_ROWS / tables.clamp(1, MAX_LISTED)).max(MIN_ROWS)
}

/// `built 2026-11-24 05:00 UTC from commit 1f2e3d4 with Mojito 2.7.1`. `None` if nothing of it is known.
fn built(info: &BuildInfo) -> Option<String> {
    let commit = info.commit.as_deref().map(short);
    let mojito = info.mojito_version.as_ref();
    let parts = [
        info.built_at(),
        commit.map(|commit| format!("from commit {commit}")),
        mojito.map(|version| format!("with Mojito {version}")),
    ];
    let known: Vec<String> = parts.into_iter().flatten().collect();
    (!known.is_empty()).then(|| format!("built {}", known.join(" ")))
}

/// `2 live, 1 staged`, and how many cannot be read, which may hide others.
fn counted(script: &Script, experiments: &[&Experiment]) -> String {
    let state = |experiment: &Experiment| appearance(&experiment.traffic).1;
    let alike = experiments.chunk_by(|one, other| state(one) == state(other));
    let counts = alike.map(|alike| format!("{} {}", alike.len(), state(alike[0])));
    let unreadable = Some(script.unreadable).filter(|number| *number > 0);
    let unreadable = unreadable.map(|number| format!("{number} unreadable"));
    let counts: Vec<String> = counts.chain(unreadable).collect();
    match &counts[..] {
        [] if script.defines_add_test => "no experiments".to_owned(),
        [] => "no experiments found".to_owned(),
        counts => counts.join(", "),
    }
}

/// The place in the order, the word and the style of an experiment with this traffic.
fn appearance(traffic: &Traffic) -> (f64, &'static str, Style) {
    match traffic {
        Traffic::Live { share } => (1.0 - share, "live", Style::Good),
        Traffic::Diverted { .. } => (2.0, "diverted", Style::Notable),
        Traffic::Dynamic => (3.0, "computed", Style::Notable),
        Traffic::Staged => (4.0, "staged", Style::Plain),
        Traffic::Broken { .. } => (5.0, "broken", Style::Bad),
    }
}

/// The share of the visitors, as text and as a bar. Both are empty if there is none to show.
fn share(traffic: &Traffic) -> (String, String) {
    let (share, text) = match traffic {
        Traffic::Live { share } => (*share, Percent(*share).to_string()),
        Traffic::Diverted { .. } => (1.0, "all".to_owned()),
        Traffic::Staged | Traffic::Dynamic | Traffic::Broken { .. } => return Default::default(),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "from 0 to 10"
    )]
    let filled = (share * BAR as f64).round() as usize;
    // The bar is empty only at 0%, and full only at 100%.
    let filled = filled.clamp(usize::from(share > 0.0), BAR - usize::from(share < 1.0));
    (text, "█".repeat(filled) + &"░".repeat(BAR - filled))
}

fn recipes(experiment: &Experiment) -> String {
    match &experiment.traffic {
        Traffic::Diverted { recipe } => format!("→ {}", experiment.recipe_name(recipe)),
        Traffic::Dynamic => "only running the container would show who has it".to_owned(),
        Traffic::Broken { reason } => format!("does not run: {reason}"),
        Traffic::Live { .. } | Traffic::Staged => describe_recipes(&experiment.recipes),
    }
}

/// What a publish would do: keys with their sizes, the headers and the invalidations.
pub(crate) fn plan(plan: &Plan) -> Vec<String> {
    let settings = &plan.settings;
    let upload = |object: &Object| {
        let address = s3_uri(&settings.target.bucket, &object.key);
        let (size, compressed) = (object.size, object.compressed_size());
        format!("would upload {address}: {size}, {compressed} compressed")
    };
    let uploads = plan.objects().map(upload);
    let mut lines = first_lines(uploads, "(N more files)");
    lines.push("each with".to_owned());
    lines.push(format!("  Content-Type: {}", Object::CONTENT_TYPE));
    lines.push(format!("  Content-Encoding: {}", Object::CONTENT_ENCODING));
    lines.push(format!("  Cache-Control: {}", settings.cache_control));
    lines.extend(settings.acl.as_ref().map(|acl| format!("  ACL: {acl}")));
    let mut metadata: Vec<_> = settings.stored_metadata().into_iter().collect();
    metadata.sort_unstable();
    lines.extend(
        metadata
            .into_iter()
            .map(|(name, value)| format!("  x-amz-meta-{name}: {value}")),
    );
    let (first, others) = match settings.distributions.split_at_checked(MAX_LISTED) {
        Some((first, others)) => (first, others.len()),
        None => (&settings.distributions[..], 0),
    };
    for distribution in first {
        lines.push(format!("would invalidate in {distribution}:"));
        let objects = plan.objects();
        let paths = objects.map(|object| settings.invalidated(&object.cdn_path));
        let paths = first_lines(paths, "(N more paths)").into_iter();
        lines.extend(paths.map(|path| format!("  {path}")));
    }
    if others > 0 {
        lines.push(format!("and the same in {others} more distributions"));
    }
    let sizes = plan.objects().map(|object| object.compressed_size().0);
    let total = sizes.sum();
    lines.push(format!("{} in all", ByteSize(total)));
    lines
}

/// The first of many lines, up to twice `MAX_LISTED`, as a container has two files. `more` is the line for the others; its `N`
/// stands for their number.
fn first_lines(lines: impl Iterator<Item = impl ToString>, more: &str) -> Vec<String> {
    let mut lines = lines.fuse();
    let first = lines.by_ref().take(2 * MAX_LISTED);
    let mut first: Vec<String> = first.map(|line| line.to_string()).collect();
    let others = lines.count();
    if others > 0 {
        first.push(more.replacen('N', &others.to_string(), 1));
    }
    first
}

/// A heading, and a row for each of the first changes. `name` is the container's, if there are several.
pub(crate) fn changes(
    name: Option<&str>,
    changes: &Changes,
    containers: usize,
) -> (String, Vec<Row>) {
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    let mut heading = format!("changes to the live container{name} ({}):", changes.live);
    if changes.is_nothing() {
        heading.push_str(if changes.is_same {
            " none"
        } else if changes.scripts_compared {
            " none to experiments, shared code or headers"
        } else {
            " another file; its experiments are not compared, as `VALIDATE` is `false`"
        });
    }
    let row = |change: &Change| {
        let (mark, word, _) = appearance_of_change(change.kind);
        let word = format!("{mark} {word}");
        let (subject, name, detail) = (&change.subject, &change.name, &change.detail);
        match change.kind {
            ChangeKind::Header => vec![word, format!("{subject}: {detail}")],
            _ if subject.is_empty() => vec![word, detail.clone()],
            _ => vec![word, subject.clone(), name.clone(), detail.clone()],
        }
    };
    let listed = &changes.list[..changes.list.len().min(max_rows(containers))];
    let unlisted = changes.list.len() - listed.len();
    let kinds = listed.iter().map(|change| change.kind);
    let styles = kinds.map(|it| appearance_of_change(it).2);
    (
        heading,
        rows(listed.iter().map(row).collect(), styles, unlisted),
    )
}

/// A heading, and a row for each consequence, unless the log has it as a warning.
pub(crate) fn consequences(name: Option<&str>, changes: &Changes) -> Option<(String, Vec<Row>)> {
    let of = name.map_or_else(String::new, |name| format!(" of {name}"));
    let consequences = changes.consequences.iter();
    let consequences = consequences.filter(|it| it.kind != ConsequenceKind::Weights);
    let row = |consequence: &Consequence| Row {
        style: Style::Plain,
        styled_bytes: 0,
        text: consequence.sentence.clone(),
    };
    let rows: Vec<Row> = consequences.map(row).collect();
    (!rows.is_empty()).then(|| (format!("what this means for visitors{of}:"), rows))
}

/// The word for a change.
pub(super) fn word(kind: ChangeKind) -> &'static str {
    appearance_of_change(kind).1
}

/// The mark, the word and the style of a change.
fn appearance_of_change(kind: ChangeKind) -> (char, &'static str, Style) {
    match kind {
        ChangeKind::Starts => ('+', "starts", Style::Good),
        ChangeKind::Ramps => ('↗', "ramps", Style::Notable),
        ChangeKind::Diverts => ('→', "diverts", Style::Notable),
        ChangeKind::Resumes => ('←', "resumes", Style::Good),
        ChangeKind::Stops => ('-', "stops", Style::Bad),
        ChangeKind::Breaks => ('-', "breaks", Style::Bad),
        ChangeKind::Changes => ('~', "changes", Style::Notable),
        ChangeKind::Renamed => ('~', "renamed", Style::Notable),
        ChangeKind::Staged => ('+', "staged", Style::Notable),
        ChangeKind::RemovedWhileStaged => ('-', "removed", Style::Notable),
        ChangeKind::SharedCode => ('~', "shared code", Style::Notable),
        ChangeKind::Header => ('~', "header", Style::Notable),
        ChangeKind::Size => (' ', "size", Style::Plain),
        ChangeKind::NotComparable => ('!', "not comparable", Style::Bad),
    }
}

/// A change for a reviewer, who sees the experiment beside it: `10% → 50% of new visitors`.
pub(super) fn change_in_words(kind: ChangeKind, detail: &str) -> String {
    match kind {
        ChangeKind::Ramps => format!("{detail} of new visitors"),
        ChangeKind::Changes => format!("changes {detail}"),
        ChangeKind::RemovedWhileStaged => detail.to_owned(),
        kind => format!("{} ({detail})", appearance_of_change(kind).1),
    }
}

/// A change in a line of its own: `ramps w1 Big button: 10% → 50%`.
pub(super) fn change(change: &Change) -> String {
    let (_, word, _) = appearance_of_change(change.kind);
    let mut words = vec![word, &change.subject, &change.name];
    words.retain(|word| !word.is_empty());
    format!("{}: {}", words.join(" "), change.detail)
}

/// All changes in one line: `w3 starts, w1 ramps 10% → 50%`. `None` without changes.
pub(crate) fn summary(changes: &Changes) -> Option<String> {
    let changes = changes.list.iter();
    let changes: Vec<String> = changes
        .filter(|change| change.kind != ChangeKind::Size)
        .map(|change| match change.kind {
            ChangeKind::Ramps => format!("{} ramps {}", change.subject, change.detail),
            ChangeKind::Header => format!("{} changes", change.subject),
            ChangeKind::SharedCode => "the shared code changes".to_owned(),
            ChangeKind::NotComparable => "what was served before could not be compared".to_owned(),
            kind => format!("{} {}", change.subject, appearance_of_change(kind).1),
        })
        .collect();
    let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
    (!changes.is_empty()).then(|| first_ten(&changes))
}

/// The rows, and one that counts those that are not listed.
fn rows(
    mut cells: Vec<Vec<String>>,
    styles: impl Iterator<Item = Style>,
    unlisted: usize,
) -> Vec<Row> {
    for last in cells.iter_mut().filter_map(|row| row.last_mut()) {
        *last = cut(last, MAX_LAST_CELL);
    }
    let row = |((text, cells), style): ((String, &Vec<String>), Style)| Row {
        style,
        styled_bytes: cells[0].len(),
        text,
    };
    let rows = columns(&cells).into_iter().zip(&cells).zip(styles).map(row);
    let more = (unlisted > 0).then(|| Row {
        style: Style::Plain,
        styled_bytes: 0,
        text: format!("({unlisted} more)"),
    });
    rows.chain(more).collect()
}

#[cfg(test)]
mod tests {
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
        format!(",Mojito.addTest({{{properties},recipes:{{0:{{name:'Control'}},1:{{name:'Blue',js:function(e){{e.a()}}}}}},trigger(e){{e.b()}}}})")
    }

    const URL: &str = "s3://acme/js/mojito.js";

    fn changes_between(old: &str, new: &str) -> Changes {
        let cache_control = CacheControl::default();
        let headers = Object::built_headers(&cache_control);
        let served = ServedContainer::new(URL, headers, object(old).body, ByteSize(9_999_999));
        let script = script::read(new).unwrap();
        Changes::between(&served, Some(&script), &object(new), &cache_control)
    }

    fn object(text: &str) -> Object {
        let prefix = Prefix::literal("js");
        let name = ContainerName::parse("mojito").unwrap();
        let body = Gzip::new().compress(text.as_bytes(), None);
        let size = ByteSize(text.len() as u64);
        Object::new(&name, Variant::Minified, &prefix, &prefix, size, body)
    }

    /// The rows of the table.
    fn table(changes: &Changes) -> Vec<String> {
        let (_, rows) = super::changes(None, changes, 1);
        rows.into_iter().map(|row| row.text).collect()
    }

    #[track_caller]
    fn between(old: &str, new: &str, expected: &[&str]) {
        let mut rows = table(&changes_between(old, new));
        rows.retain(|row| !row.starts_with("  size"));
        assert_eq!(rows, expected);
    }

    #[test]
    fn each_change_of_traffic_has_its_word() {
        #[track_caller]
        fn case(old: Option<&str>, new: Option<&str>, expected: &str) {
            let with = |properties: Option<&str>| {
                let added = properties.map(|it| add(&format!("id:'w1',name:'Hero',{it}")));
                container(&added.unwrap_or_default())
            };
            between(&with(old), &with(new), &[expected]);
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
        let removed = "- stops  w1  Hero  all get `Blue` → removed";
        case(diverted, None, removed);
        case(None, staged, "+ staged  w1  Hero  new; no visitor has it");
        let removed = "- removed  w1  Hero  removed; no visitor had it";
        case(staged, None, removed);
        let broken = Some("state:'live',sampleRate:50");
        case(half, broken, "- stops  w1  Hero  50% → does not run");
        case(broken, half, "+ starts  w1  Hero  does not run → 50%");
        case(staged, broken, "- breaks  w1  Hero  staged → does not run");
        case(broken, staged, "+ staged  w1  Hero  does not run → staged");
        case(None, broken, "- breaks  w1  Hero  new; does not run");
        case(broken, None, removed);
    }

    #[test]
    fn other_code_recipes_and_names_are_changes() {
        let properties = "id:'w1',name:'Hero',state:'live'";
        let old = container(&add(properties));
        let new = old.replace("e.a()", "e.c()");
        between(&old, &new, &["~ changes  w1  Hero  js of `Blue`"]);
        let new = old.replace("e.b()", "e.c()");
        let new = new.replace("'Blue',", "'Blue',css:'a{}',");
        between(&old, &new, &["~ changes  w1  Hero  trigger, css of `Blue`"]);
        let new = old.replace("'Blue'", "'Red'").replace("'Hero'", "'Footer'");
        let recipes = "~ changes  w1  Footer  recipes Control / Blue → Control / Red";
        between(&old, &new, &[recipes, "~ renamed  w1  Footer  was Hero"]);
        let new = old.replace("(e)", "(t)").replace("{e.", "{t.");
        between(&old, &new, &[]);
    }

    #[test]
    fn the_shared_code_is_compared_separately_from_the_experiments() {
        let old = container(&add("id:'w1'"));
        let new = old.replace("function(){}()", "function(){return 1}()");
        let changed = "~ shared code  the library or the shared code changed";
        between(&old, &new, &[changed]);
        let new = new.replace("2.7.1", "2.8.0");
        between(&old, &new, &["~ shared code  Mojito 2.7.1 → 2.8.0"]);
    }

    #[test]
    fn content_that_cannot_be_compared_has_its_reason() {
        let invalid =
            "! not comparable  the live file is not a valid script: Expected `)` but found `EOF`";
        between("Mojito=(", &container(""), &[invalid]);
        let page = "! not comparable  the live file is a page, not a script";
        between("<html>", &container(""), &[page]);
    }

    #[test]
    fn headers_and_bytes_are_compared() {
        let object = object(&container(""));
        let (body, limit) = (object.body.clone(), ByteSize(9_999));
        let headers = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")];
        let served = ServedContainer::new(URL, headers, body, limit);
        let cache_control = CacheControl::default();
        let changes = Changes::between(&served, None, &object, &cache_control);
        let heading = format!("changes to the live container ({URL}):");
        assert_eq!(super::changes(None, &changes, 1).0, heading);
        let size = object.compressed_size();
        let expected = [
            "~ header  content-type: text/plain → application/javascript; charset=utf-8",
            &format!("~ header  cache-control: none → {cache_control}"),
            &format!("  size    {size} compressed, identical"),
        ];
        assert_eq!(table(&changes), expected);
    }

    #[test]
    fn the_readme_explains_each_mark_and_word() {
        use ChangeKind::{
            Changes, Diverts, Header, NotComparable, Ramps, RemovedWhileStaged, Renamed, Resumes,
            SharedCode, Staged, Starts, Stops,
        };
        let readme = include_str!("../../README.md");
        for kind in [
            Changes,
            Diverts,
            Header,
            NotComparable,
            Ramps,
            RemovedWhileStaged,
            Renamed,
            Resumes,
            SharedCode,
            Staged,
            Starts,
            Stops,
        ] {
            let (mark, word, _) = appearance_of_change(kind);
            let term = format!("`{mark} {word}`");
            let mut rows = readme.lines().filter(|line| line.starts_with("| `"));
            assert!(rows.any(|row| row.contains(&term)), "{term}");
        }
    }

    #[test]
    fn the_summary_names_the_experiments_that_change() {
        let with = |one, other| container(&(add(one) + &add(other)));
        let old = with("id:'w1',state:'live',sampleRate:.1", "id:'w2',state:'live'");
        let new = with("id:'w1',state:'live',sampleRate:.5", "id:'w3',state:'live'");
        let summary = |old: &str| super::summary(&changes_between(old, &new));
        let expected = "w3 starts, w1 ramps 10% → 50%, w2 stops";
        assert_eq!(summary(&old).as_deref(), Some(expected));
        assert_eq!(summary(&new), None);
    }

    #[test]
    fn of_many_experiments_the_first_are_listed_and_the_others_counted() {
        let many = |state: &str| -> String {
            let added = |number| add(&format!("id:'w{number}',state:'{state}',sampleRate:.5"));
            (0..4_000).map(added).collect()
        };
        let (old, new) = (container(&many("staging")), container(&many("live")));
        for (containers, listed) in [(1, 40), (4, 10), (3_000, 4)] {
            let more = 4_000 - listed;
            let script = script::read(&new).unwrap();
            let name = ContainerName::parse("mojito").unwrap();
            let (_, rows) = experiments(&name, &script, containers);
            assert_eq!(rows.len(), listed + 1);
            assert_eq!(rows[listed].text, format!("({more} more)"));
            let changes = changes_between(&old, &new);
            let (_, rows) = super::changes(None, &changes, containers);
            assert!(
                rows[0].text.starts_with("+ starts  w0 "),
                "{}",
                rows[0].text
            );
            // The size is a change, too.
            assert_eq!(rows[listed].text, format!("({} more)", more + 1));
            assert_eq!(changes.list.len(), 4_001);
        }
    }

    #[test]
    fn a_cell_is_cut_however_many_recipes_it_names() {
        let recipe = |number| format!("{number}:{{name:'{}'}}", "x".repeat(100));
        let recipes: Vec<String> = (0..500).map(recipe).collect();
        let recipes = recipes.join(",");
        let new = container(&format!(
            ",Mojito.addTest({{id:'w1',recipes:{{{recipes}}}}})"
        ));
        let rows = table(&changes_between(&container(&add("id:'w1'")), &new));
        assert!(rows.iter().all(|row| row.len() < 300), "{rows:?}");
    }
}
