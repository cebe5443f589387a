//! The rule of the house: a file uses its own folder and those before it, and no two files use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files of `src/`, in the order of the work.
const ORDER: [&str; 14] = [
    "exit",
    "common",
    "mojito",
    "settings",
    "container",
    "aws",
    "bitbucket",
    "publish",
    "report",
    "cli",
    "commands",
    "fuzzing",
    "lib",
    "main",
];

/// A module's path, such as `aws::s3`, with the modules that its file uses and where.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn no_import_runs_up_and_no_two_files_use_each_other() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.len() > 60, "{} files were found", sources.len());
    let uses: Uses = sources
        .iter()
        .map(|(module, source)| (module.clone(), uses(module, source, &sources)))
        .collect();
    let mut wrong = Vec::new();
    for (module, used) in &uses {
        for (other, line) in used {
            if place(other) > place(module) {
                wrong.push(format!(
                    "`{module}` uses `{other}`, which comes later: {line}"
                ));
            }
        }
    }
    wrong.extend(circle(&uses).map(|circle| format!("a circle: {}", circle.join(" → "))));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn place(module: &str) -> usize {
    let folder = module.split("::").next().unwrap_or_default();
    let place = ORDER.iter().position(|it| *it == folder);
    place.unwrap_or_else(|| panic!("`{folder}` has no place in the order"))
}

/// The source of each module, without comments.
fn sources(src: &Path) -> BTreeMap<String, String> {
    let mut files: Vec<PathBuf> = vec![src.to_owned()];
    let mut sources = BTreeMap::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let module = path.strip_prefix(src).unwrap().with_extension("");
        let module = module.to_str().unwrap().replace('/', "::");
        let module = module.strip_suffix("::mod").unwrap_or(&module).to_owned();
        let source = fs::read_to_string(path).unwrap();
        let lines = source.lines().map(|line| line.split("//").next().unwrap());
        sources.insert(module, lines.collect::<Vec<_>>().join("\n"));
    }
    sources
}

/// The other modules that a file names, by `crate::`, `super::`, `self::` or, of its own children, by their name alone.
fn uses(
    module: &str,
    source: &str,
    sources: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let is_root = matches!(module, "lib" | "main");
    let own: Vec<&str> = if is_root {
        vec![]
    } else {
        module.split("::").collect()
    };
    let mut used = BTreeMap::new();
    let children = sources.keys().filter_map(|other| {
        let child = if is_root {
            Some(other.as_str())
        } else {
            other.strip_prefix(module)?.strip_prefix("::")
        };
        child.filter(|child| !child.contains("::"))
    });
    let children: Vec<&str> = children.collect();
    for (at, _) in source.match_indices("::") {
        let before = &source[..at];
        let start = before
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |start| start + 1);
        if before[..start].ends_with("::") {
            continue;
        }
        let line = before.rfind('\n').map_or(0, |start| start + 1);
        let last_block = before.rfind("\nmod ").map_or("", |block| &before[block..]);
        let inline = last_block
            .lines()
            .nth(1)
            .is_some_and(|line| line.ends_with('{'));
        let base: Vec<&str> = match &before[start..] {
            "crate" => vec![],
            // In an inline module, such as the unit tests, it is the file itself.
            "super" if inline => own.clone(),
            "super" => own[..own.len().saturating_sub(1)].to_vec(),
            "self" => own.clone(),
            child if children.contains(&child) => [&own[..], &[child]].concat(),
            _ => continue,
        };
        let shown = source[line..].lines().next().unwrap_or_default().trim();
        for path in paths(&source[at + 2..]) {
            let path = [base.clone(), path].concat();
            let other = (0..=path.len())
                .rev()
                .map(|length| path[..length].join("::"))
                .find(|path| sources.contains_key(path));
            if let Some(other) = other.filter(|other| other != module) {
                used.entry(other).or_insert_with(|| shown.to_owned());
            }
        }
    }
    used
}

/// The paths that a text begins with: `a::b`, or each of `{a::b, c::{d, E}}`.
fn paths(text: &str) -> Vec<Vec<&str>> {
    if let Some(group) = text.strip_prefix('{') {
        return group_items(group).into_iter().flat_map(paths).collect();
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    match rest.strip_prefix("::") {
        Some(rest) => paths(rest)
            .into_iter()
            .map(|path| [vec![name], path].concat())
            .collect(),
        None => vec![vec![name]],
    }
}

/// The items of a group up to the brace that closes it.
fn group_items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                items.push(group[start..at].trim());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

/// Modules that use each other in a circle, if there are any.
fn circle(uses: &Uses) -> Option<Vec<String>> {
    fn visit(
        module: &str,
        uses: &Uses,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        if let Some(start) = path.iter().position(|it| it == module) {
            path.drain(..start);
            path.push(module.to_owned());
            return true;
        }
        if !done.insert(module.to_owned()) {
            return false;
        }
        path.push(module.to_owned());
        let found = uses[module]
            .keys()
            .any(|other| visit(other, uses, path, done));
        if !found {
            path.pop();
        }
        found
    }
    let (mut path, mut done) = (Vec::new(), BTreeSet::new());
    let found = uses
        .keys()
        .any(|module| visit(module, uses, &mut path, &mut done));
    found.then_some(path)
}
