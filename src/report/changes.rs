//! What a publish changes for visitors, in words: as a table, in a line for each, and all in one line.

use super::console::{Row, Style};
use super::tables::{max_rows, rows};
use crate::common::layout::first_ten;
use crate::container::changes::{Change, ChangeKind, Changes};
use crate::container::consequences::{Consequence, ConsequenceKind};

/// A heading, and a row for each of the first changes. `name` is the container's, if there are several.
pub(crate) fn table(
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
        let (mark, word, _) = appearance(change.kind);
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
    let styles = kinds.map(|it| appearance(it).2);
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
    appearance(kind).1
}

/// The mark, the word and the style of a change.
fn appearance(kind: ChangeKind) -> (char, &'static str, Style) {
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
pub(super) fn for_reviewer(kind: ChangeKind, detail: &str) -> String {
    match kind {
        ChangeKind::Ramps => format!("{detail} of new visitors"),
        ChangeKind::Changes => format!("changes {detail}"),
        ChangeKind::RemovedWhileStaged => detail.to_owned(),
        kind => format!("{} ({detail})", appearance(kind).1),
    }
}

/// A change in a line of its own: `ramps w1 Big button: 10% → 50%`.
pub(super) fn in_a_line(change: &Change) -> String {
    let (_, word, _) = appearance(change.kind);
    let mut words = vec![word, &change.subject, &change.name];
    words.retain(|word| !word.is_empty());
    format!("{}: {}", words.join(" "), change.detail)
}

/// All changes in one line: `w3 starts, w1 ramps 10% → 50%`. `None` without changes.
pub(crate) fn summary(changes: &Changes) -> Option<String> {
    let changes = changes.list.iter();
    let changes: Vec<String> = changes
        .filter(|change| !change.is_size())
        .map(|change| match change.kind {
            ChangeKind::Ramps => format!("{} ramps {}", change.subject, change.detail),
            ChangeKind::Header => format!("{} changes", change.subject),
            ChangeKind::SharedCode => "the shared code changes".to_owned(),
            ChangeKind::NotComparable => "what was served before could not be compared".to_owned(),
            kind => format!("{} {}", change.subject, appearance(kind).1),
        })
        .collect();
    (!changes.is_empty()).then(|| first_ten(&changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::byte_size::ByteSize;
    use crate::container::object::Container;
    use crate::container::served::ServedContainer;
    use crate::report::tables::experiments;
    use crate::settings::cache_control::CacheControl;

    fn container(experiments: &str) -> String {
        format!("window.Mojito||(Mojito=function(){{}}(),Mojito.buildInfo={{mojitoVersion:'2.7.1'}}{experiments})")
    }

    fn add(properties: &str) -> String {
        format!(",Mojito.addTest({{{properties},recipes:{{0:{{name:'Control'}},1:{{name:'Blue',js:function(e){{e.a()}}}}}},trigger(e){{e.b()}}}})")
    }

    const URL: &str = "https://cdn.example/js/mojito.js";

    /// The rows of the table.
    fn table(changes: &Changes) -> Vec<String> {
        let (_, rows) = super::table(None, changes, 1);
        rows.into_iter().map(|row| row.text).collect()
    }

    #[track_caller]
    fn between(old: &str, new: &str, expected: &[&str]) {
        let mut rows = table(&Changes::of_texts(old, new));
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
        case(
            half,
            broken,
            "- stops  w1  Hero  50% → does not run: Mojito throws here",
        );
        case(broken, half, "+ starts  w1  Hero  does not run → 50%");
        case(
            staged,
            broken,
            "- breaks  w1  Hero  staged → does not run: Mojito throws here",
        );
        case(broken, staged, "+ staged  w1  Hero  does not run → staged");
        case(
            None,
            broken,
            "- breaks  w1  Hero  new; does not run: Mojito throws here",
        );
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
        let object = &Container::of_text("mojito", &container("")).objects[0];
        let (body, limit) = (object.body.clone(), ByteSize(9_999));
        let headers = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")];
        let served = ServedContainer::new(URL, headers, body, limit);
        let cache_control = CacheControl::default();
        let changes = Changes::between(&served, None, object, &cache_control);
        let heading = format!("changes to the live container ({URL}):");
        assert_eq!(super::table(None, &changes, 1).0, heading);
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
            let (mark, word, _) = appearance(kind);
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
        let summary = |old: &str| super::summary(&Changes::of_texts(old, &new));
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
        let container = Container::of_text("mojito", &new);
        let script = container.script.as_ref().unwrap();
        let changes = Changes::of_container(&old, &container);
        for (containers, listed) in [(1, 40), (4, 10), (3_000, 4)] {
            let more = 4_000 - listed;
            let (_, rows) = experiments(&container.name, script, containers);
            assert_eq!(rows.len(), listed + 1);
            assert_eq!(rows[listed].text, format!("({more} more)"));
            let (_, rows) = super::table(None, &changes, containers);
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
        let rows = table(&Changes::of_texts(&container(&add("id:'w1'")), &new));
        assert!(rows.iter().all(|row| row.len() < 300), "{rows:?}");
    }
}
