//! The names of all settings, from the files that list them. Unit tests hold these files to what the program reads, so
//! that no test needs a list of its own that a new setting would have to be added to.

use super::harness::Case;

const PIPE_YML: &str = include_str!("../../pipe.yml");
const README: &str = include_str!("../../README.md");

/// The settings of `pipe.yml`.
pub(crate) fn names() -> Vec<&'static str> {
    let lines = PIPE_YML.lines();
    let names: Vec<_> = lines
        .filter_map(|line| line.strip_prefix("  - name: "))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    names
}

/// The variables of every AWS tool, from the README's table.
pub(crate) fn names_of_aws() -> Vec<&'static str> {
    let (_, table) = README
        .split_once("| Variable | Meaning |")
        .expect("it is in the README");
    let rows = table.lines().skip(2).map_while(|row| row.split('|').nth(1));
    let names: Vec<_> = rows
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    assert!(names.contains(&"AWS_PROFILE"), "{names:?}");
    names
}

/// For each setting, a case in which it has this invalid value, and how the refusal must name it.
pub(crate) fn each_set_to(value: &str) -> impl Iterator<Item = (Case, String)> + '_ {
    let names = names().into_iter().chain(names_of_aws());
    // These are AWS's alone, and may have any value.
    let is_validated = |name: &&str| {
        !matches!(
            *name,
            "AWS_PROFILE" | "AWS_WEB_IDENTITY_TOKEN_FILE" | "NO_PROXY"
        ) && !name.starts_with("AWS_CONTAINER_")
    };
    let names = names.filter(is_validated);
    names.map(move |name| {
        let case = Case::production().env(name, value);
        match name {
            "AWS_REGION" => (case.unset("AWS_DEFAULT_REGION"), format!("`{name}` ")),
            // Any path is valid, but nothing is there.
            "LOCAL_PATH" => (case, format!("`{name}`")),
            _ => (case, format!("`{name}` ")),
        }
    })
}
