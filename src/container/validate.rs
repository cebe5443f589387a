//! `VALIDATE`: whether a file is a sound Mojito container, and what is odd about one that is.
//!
//! What is refused would break every page that loads it. What is odd may be meant, and is a warning.

use std::collections::HashSet;
use std::path::Path;

use crate::mojito::excerpt::excerpt;
use crate::mojito::experiment::{Experiment, Recipe, Traffic, UNKNOWN_ID};
use crate::mojito::script::{self, Script, SyntaxError, SyntaxErrorKind};
use crate::settings::names::ContainerName;
use crate::settings::pipeline::Build;

const HOW_TO_PUBLISH: &str = "to publish it all the same, set `VALIDATE` to `false`";

/// Reads the script of a container, or says why it must not be published.
pub(crate) fn validate(path: &Path, text: &str, name: &ContainerName) -> Result<Script, String> {
    let script = script::read(text).map_err(|error| invalid_regex(path, text, &error))?;
    if !script.is_mojito {
        return Err(format!(
            "neither defines `Mojito` nor asks for it, so it is no Mojito container: check `CONTAINER_NAME`; {HOW_TO_PUBLISH}"
        ));
    }
    let built_as = script
        .build_info
        .as_ref()
        .and_then(|info| info.container.as_deref());
    match built_as {
        Some(built_as) if built_as != name.as_str() => Err(format!(
            "was built as the container `{built_as}` (`Mojito.buildInfo`): set `containerName` of `config.js` to `{name}` and build \
             it again, or check `CONTAINER_NAME`; {HOW_TO_PUBLISH}"
        )),
        _ => Ok(script),
    }
}

/// What a text is that is no sound script: the likeliest story, and the place.
fn invalid_regex(path: &Path, text: &str, error: &SyntaxError) -> String {
    let SyntaxError {
        message,
        place,
        kind,
    } = error;
    if *kind == SyntaxErrorKind::Unchecked {
        return format!("cannot be checked: {message}; {HOW_TO_PUBLISH}");
    }
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let is_page = start.starts_with('<')
        && start[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '!' | '?'))
        && !start.starts_with("<!--");
    if is_page {
        return format!(
            "is HTML or XML and not a script: look at what `npm run build` wrote; {HOW_TO_PUBLISH}"
        );
    }
    let shown = excerpt(path, text, place.clone());
    let line_start = text[..text.floor_char_boundary(place.start)]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let line = &text[line_start..];
    let explanation = if ["<<<<<<< ", ">>>>>>> "]
        .iter()
        .any(|marker| line.starts_with(marker))
    {
        "has a merge conflict, which must be resolved"
    } else if *kind == SyntaxErrorKind::Module {
        "is a module (`import` or `export`), and pages load it as a script"
    } else if place.start >= text.trim_end().len() || message.starts_with("Unterminated") {
        "is not whole; it is cut off, or something in it is never closed"
    } else {
        "is no sound script"
    };
    format!("{explanation}: {message}\n{shown}\nlook at what was built into it, and build it again; {HOW_TO_PUBLISH}")
}

/// What is odd about the container whose forms these are, `NAME.js` last.
pub(crate) fn warnings(name: &ContainerName, scripts: &[Script], build: &Build) -> Vec<String> {
    let [others @ .., script] = scripts else {
        return Vec::new();
    };
    let mut odd = Vec::new();
    let built_from = script
        .build_info
        .as_ref()
        .and_then(|info| info.commit.as_deref());
    if let (Some(built_from), Some(commit)) = (built_from, build.commit.as_deref()) {
        if !is_same_commit(built_from, commit) {
            odd.push(format!(
                "{name} was built from commit {built_from}, and this pipeline runs for {commit}: check that `dist` is of this pipeline's build"
            ));
        }
    }
    if script.experiments.is_empty() && script.unreadable == 0 {
        odd.push(format!(
            "{name} has no experiments; that is right if they were taken away on purpose (`nuke.lock`)"
        ));
    }
    if script.unreadable != 0 {
        let count = script.unreadable;
        let calls = if count == 1 {
            "1 call"
        } else {
            &format!("{count} calls")
        };
        odd.push(format!(
            "{name} has {calls} of `Mojito.addTest` with something that only running it would tell; what is added there is not listed"
        ));
    }
    let mut ids = HashSet::new();
    for experiment in &script.experiments {
        for problem in &experiment.problems {
            odd.push(format!("experiment {} {problem}", experiment.id));
        }
        if experiment.id != UNKNOWN_ID && !ids.insert(&experiment.id) {
            odd.push(format!(
                "experiment {} is there twice: visitors get both",
                experiment.id
            ));
        }
    }
    if others.iter().any(|other| !is_same_build(other, script)) {
        odd.push(format!(
            "{name}.js and {name}.pretty.js are not of the same build: build them again"
        ));
    }
    odd
}

/// Whether one is the other or its beginning.
fn is_same_commit(one: &str, other: &str) -> bool {
    let length = one.len().min(other.len());
    length > 0 && one.as_bytes()[..length].eq_ignore_ascii_case(&other.as_bytes()[..length])
}

fn is_same_build(one: &Script, other: &Script) -> bool {
    fn shown(it: &Experiment) -> (&str, &str, &Traffic, &[Recipe]) {
        (&it.id, &it.name, &it.traffic, &it.recipes)
    }
    one.build_info == other.build_info
        && one
            .experiments
            .iter()
            .map(shown)
            .eq(other.experiments.iter().map(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        script::read(text).unwrap()
    }

    /// What is odd about a container of this script in the build of commit 1f2e3d4c5b6a.
    fn odd(scripts: &[&str]) -> Vec<String> {
        let name = ContainerName::parse("mojito").unwrap();
        let build = Build {
            commit: Some("1f2e3d4c5b6a".to_owned()),
            ..Build::default()
        };
        let scripts: Vec<Script> = scripts.iter().map(|text| script(text)).collect();
        warnings(&name, &scripts, &build)
    }

    #[test]
    fn what_may_be_meant_is_a_warning() {
        #[track_caller]
        fn case(text: &str, expected: &[&str]) {
            assert_eq!(odd(&[text]), expected, "{text}");
        }
        let sound = "Mojito.addTest({id:'w1',recipes:{0:{},1:{}}});";
        case(sound, &[]);
        case(
            &format!("{sound}Mojito.buildInfo={{commitHash:'1F2E3D4'}}"),
            &[],
        );
        case(
            &format!("{sound}Mojito.buildInfo={{commitHash:'abc1234'}}"),
            &["mojito was built from commit abc1234, and this pipeline runs for 1f2e3d4c5b6a: check that `dist` is of this pipeline's build"],
        );
        case(
            "Mojito={}",
            &["mojito has no experiments; that is right if they were taken away on purpose (`nuke.lock`)"],
        );
        case(
            "Mojito.addTest(a)",
            &["mojito has 1 call of `Mojito.addTest` with something that only running it would tell; what is added there is not listed"],
        );
        case(
            &sound.repeat(2),
            &["experiment w1 is there twice: visitors get both"],
        );
        case(
            "Mojito.addTest({id:'w1'})",
            &["experiment w1 has fewer than 2 recipes: Mojito stops at it, and no experiment after it runs"],
        );
    }

    #[test]
    fn the_story_of_a_fault_is_the_likely_one() {
        #[track_caller]
        fn case(text: &str, explanation: &str) {
            let name = ContainerName::parse("mojito").unwrap();
            let told = validate(Path::new("mojito.js"), text, &name).unwrap_err();
            assert!(told.starts_with(explanation), "{told}");
        }
        case("Mojito=f(", "is not whole; it is cut off");
        case("Mojito='a", "is not whole; it is cut off");
        case("Mojito=f())}", "is no sound script: ");
        case("<!-- a\nMojito=)", "is no sound script: ");
        case("<!DOCTYPE html>", "is HTML or XML");
        case("<?xml?>", "is HTML or XML");
        case("Mojito=1\n<<<<<<< HEAD\n", "has a merge conflict");
        case("Mojito=`\n<<<<<<< HEAD\n`;)", "is no sound script: ");
        case("Mojito=1;import 'a'", "is a module");
        case(
            &"(".repeat(20_000),
            "cannot be checked: more than 10000 brackets",
        );
        let escape = validate(
            Path::new("mojito.js"),
            "Mojito=\u{1b}[31m",
            &ContainerName::parse("mojito").unwrap(),
        );
        assert!(!escape.unwrap_err().contains('\u{1b}'));
    }

    #[test]
    fn two_forms_of_different_builds_are_a_warning() {
        let (one, other) = (
            "Mojito.addTest({id:'w1',recipes:{0:{},1:{}}})",
            "Mojito.addTest({id:'w2',recipes:{0:{},1:{}}})",
        );
        assert!(odd(&[one, one]).is_empty());
        assert_eq!(
            odd(&[one, other]),
            ["mojito.js and mojito.pretty.js are not of the same build: build them again"]
        );
    }
}
