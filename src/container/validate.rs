//! `VALIDATE`: checks that a file is a valid Mojito container.
//!
//! A file that would break every page that loads it is an error. What looks wrong but may be intended is a warning.

use std::collections::HashSet;
use std::path::Path;

use crate::common::layout::cut;
use crate::mojito::excerpt::excerpt;
use crate::mojito::experiment::{Experiment, Recipe, Traffic, UNKNOWN_ID};
use crate::mojito::script::{self, Script, SyntaxError, SyntaxErrorKind};
use crate::settings::names::ContainerName;
use crate::settings::pipeline::Build;

/// Far longer than a line of a source. Those of minified files have hundreds of thousands of characters.
const MAX_LINE: usize = 2_000;

const HOW_TO_PUBLISH: &str = "\nto publish it anyway, set `VALIDATE` to `false`";

/// Why a file cannot be published.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// A predicate, to follow the file's name.
    pub(crate) text: String,
    /// The line of a syntax error.
    pub(crate) line: Option<String>,
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self { text, line: None }
    }
}

/// Parses the script of a container. The error says why it must not be published.
pub(crate) fn validate(path: &Path, text: &str, name: &ContainerName) -> Result<Script, Problem> {
    let script = script::read(text).map_err(|error| Problem {
        text: explain(path, text, &error),
        line: error.line(text).map(|line| cut(line, MAX_LINE)),
    })?;
    if !script.is_mojito {
        let text = format!(
            "is not a Mojito container, as it neither defines `Mojito` nor uses it\ncheck `CONTAINER_NAME`{HOW_TO_PUBLISH}"
        );
        return Err(text.into());
    }
    let info = script.build_info.as_ref();
    match info.and_then(|info| info.container.as_deref()) {
        Some(built_as) if built_as != name.as_str() => Err(format!(
            "was built as container `{built_as}` (`Mojito.buildInfo`)\n\
             set `containerName` in `config.js` to `{name}` and rebuild, or check `CONTAINER_NAME`{HOW_TO_PUBLISH}"
        )
        .into()),
        _ => Ok(script),
    }
}

/// Explains a syntax error by its likeliest cause, and shows the place.
fn explain(path: &Path, text: &str, error: &SyntaxError) -> String {
    let (message, place) = (&error.message, &error.place);
    if error.kind == SyntaxErrorKind::Unchecked {
        return format!("cannot be checked: {message}{HOW_TO_PUBLISH}");
    }
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let is_page = start.starts_with('<')
        && start[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '!' | '?'))
        && !start.starts_with("<!--");
    if is_page {
        return format!(
            "is HTML or XML, not a script\ncheck the output of `npm run build`{HOW_TO_PUBLISH}"
        );
    }
    let shown = excerpt(path, text, place.clone());
    let line = error.line(text).unwrap_or_default();
    let explanation = if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
        "has an unresolved merge conflict"
    } else if error.kind == SyntaxErrorKind::Module {
        "is a module (`import` or `export`), but pages load it as a script"
    } else if place.start >= text.trim_end().len() || message.starts_with("Unterminated") {
        "is truncated, or has an unclosed bracket, string or comment"
    } else {
        "is not a valid script"
    };
    format!("{explanation}: {message}\n{shown}\ncheck its sources and rebuild{HOW_TO_PUBLISH}")
}

/// Warnings about a container. `scripts` are its variants, `NAME.js` last.
pub(crate) fn warnings(name: &ContainerName, scripts: &[Script], build: &Build) -> Vec<String> {
    let [others @ .., script] = scripts else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    warnings.extend(other_commit(name, script, build));
    warnings.extend(not_read(name, script));
    if script.is_unguarded {
        warnings.push(format!(
            "{name} uses `Mojito`, but neither defines it nor tests for it: it throws where a page has no other container"
        ));
    }
    warnings.extend(experiment_warnings(&script.experiments));
    if others.iter().any(|other| !is_same_build(other, script)) {
        warnings.push(format!(
            "{name}.js and {name}.pretty.js are from different builds: rebuild"
        ));
    }
    warnings
}

/// A warning about experiments that cannot be read, or that are not there.
fn not_read(name: &ContainerName, script: &Script) -> Option<String> {
    Some(match script.unreadable {
        0 if !script.experiments.is_empty() => return None,
        0 if script.defines_add_test => {
            format!("{name} has no experiments; this is fine if they were removed on purpose (`nuke.lock`)")
        }
        0 => format!("{name} has no experiments, and no `addTest`, which Mojito's library has: check whether it is obfuscated"),
        1 => format!("{name} uses `addTest` in a way that cannot be read; experiments that this adds are not listed"),
        count => format!("{name} uses `addTest` in {count} ways that cannot be read; experiments that these add are not listed"),
    })
}

/// A warning if the script was not built from the pipeline's commit.
fn other_commit(name: &ContainerName, script: &Script, build: &Build) -> Option<String> {
    let built_from = script.build_info.as_ref()?.commit.as_deref()?;
    let commit = build.commit.as_ref()?;
    (!is_same_commit(built_from, commit.exact())).then(|| {
        format!(
            "{name} was built from commit {built_from}, but this pipeline runs for {commit}: check that `dist` comes from this \
             pipeline's build"
        )
    })
}

fn experiment_warnings(experiments: &[Experiment]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut ids = HashSet::new();
    for Experiment { id, problems, .. } in experiments {
        warnings.extend(
            problems
                .iter()
                .map(|problem| format!("experiment {id} {}", problem.text)),
        );
        if id != UNKNOWN_ID && !ids.insert(id) {
            warnings.push(format!(
                "experiment {id} is added twice: where both are live, the first to activate decides for both; give each its own `id`"
            ));
        }
    }
    warnings
}

/// Whether one hash is a prefix of the other.
fn is_same_commit(one: &str, other: &str) -> bool {
    let length = one.len().min(other.len());
    length > 0 && one.as_bytes()[..length].eq_ignore_ascii_case(&other.as_bytes()[..length])
}

fn is_same_build(one: &Script, other: &Script) -> bool {
    fn listed(script: &Script) -> impl Iterator<Item = (&str, &str, &Traffic, &[Recipe])> {
        let experiments = script.experiments.iter();
        experiments.map(|it| (&*it.id, &*it.name, &it.traffic, &*it.recipes))
    }
    one.build_info == other.build_info && listed(one).eq(listed(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    /// The warnings about a container with these scripts, in a pipeline for commit 1f2e3d4c5b6a.
    fn warnings_of(scripts: &[&str]) -> Vec<String> {
        let name = ContainerName::parse("mojito").unwrap();
        let build = Build {
            commit: Some("1f2e3d4c5b6a".into()),
            ..Build::default()
        };
        let scripts = scripts.iter().map(|text| script::read(text).unwrap());
        warnings(&name, &scripts.collect::<Vec<_>>(), &build)
    }

    #[test]
    fn what_may_be_intended_is_a_warning() {
        for [text, expected] in rows(
            "VALID |
             VALID Mojito.buildInfo={commitHash:'1F2E3D4'} |
             VALID Mojito.buildInfo={commitHash:'abc1234'} | mojito was built from commit abc1234, but this pipeline runs for 1f2e3d4c5b6a: check that `dist` comes from this pipeline's build
             Mojito={addTest(){}}      | mojito has no experiments; this is fine if they were removed on purpose (`nuke.lock`)
             Mojito={}                 | mojito has no experiments, and no `addTest`, which Mojito's library has: check whether it is obfuscated
             GUARD.addTest(a)          | mojito uses `addTest` in a way that cannot be read; experiments that this adds are not listed
             GUARD;a.addTest(b);c=Mojito.addTest | mojito uses `addTest` in 2 ways that cannot be read; experiments that these add are not listed
             VALID VALID               | experiment w1 is added twice: where both are live, the first to activate decides for both; give each its own `id`
             Mojito.addTest({id:'w1',recipes:{0:{},1:{}},trigger(){}}) | mojito uses `Mojito`, but neither defines it nor tests for it: it throws where a page has no other container
             GUARD.addTest({id:'w1'}) | experiment w1 has no recipes: Mojito throws here, so it does not run; give it at least 2",
        ) {
            let text = text.replace("VALID", "GUARD.addTest({id:'w1',recipes:{0:{},1:{}},trigger(){}});");
            let text = text.replace("GUARD", "window.Mojito&&Mojito");
            assert_eq!(warnings_of(&[&text]).join(" | "), expected, "{text}");
        }
    }

    #[test]
    fn a_syntax_error_is_explained_by_its_likeliest_cause() {
        #[track_caller]
        fn case(text: &str, explanation: &str) {
            let name = ContainerName::parse("mojito").unwrap();
            let error = validate(Path::new("mojito.js"), text, &name)
                .unwrap_err()
                .text;
            assert!(error.starts_with(explanation), "{error}");
            assert!(!error.contains('\u{1b}'), "{error}");
        }
        case("Mojito=f(", "is truncated");
        case("Mojito='a", "is truncated");
        case("Mojito=f())}", "is not a valid script: ");
        case("Mojito=\u{1b}[31m", "is not a valid script: ");
        case("<!-- a\nMojito=)", "is not a valid script: ");
        case("<!DOCTYPE html>", "is HTML or XML");
        case("<?xml?>", "is HTML or XML");
        case("Mojito=1\n<<<<<<< HEAD\n", "has an unresolved merge");
        case("Mojito=`\n<<<<<<< HEAD\n`;)", "is not a valid script: ");
        case("Mojito=1;import 'a'", "is a module");
    }

    #[test]
    fn variants_from_different_builds_are_a_warning() {
        let one = "(Mojito=f()).addTest({id:'w1',recipes:{0:{},1:{}},trigger(){}})";
        let other = one.replace("w1", "w2");
        let expected = "mojito.js and mojito.pretty.js are from different builds: rebuild";
        let pretty = "Mojito = f();\nMojito.addTest({id:'w1',recipes:{0:{},1:{}},trigger(){}});";
        assert!(warnings_of(&[pretty, one]).is_empty());
        assert_eq!(warnings_of(&[one, &other]), [expected]);
    }
}
