//! The sources of experiments in a Mojito repository: `lib/waves/*/config.yml` and the files beside it.
//!
//! Nothing here is needed to publish. So whatever cannot be read, is too large or takes too long has no place, and no error.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use super::config_yml::ConfigYml;
use super::script::{self, MAX_TOGETHER, SEPARATOR};
use super::words::{words_of_css, SourceWord, WordChanges};
use crate::common::bounded_file::{self, Links};
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize;

const FOLDER: &str = "lib/waves";
const CONFIG: &str = "config.yml";
/// With this file, Mojito builds a container without experiments.
const NUKE_LOCK: &str = "nuke.lock";

/// Far more than any repository has.
const MAX_WAVES: usize = 5_000;
/// Real ones have less than 4 kB.
const MAX_CONFIG: ByteSize = ByteSize(100_000);
/// Of code or CSS. No container may be larger than twice that.
const MAX_SOURCE: ByteSize = ByteSize(1_000_000);
/// All files that are read, of each kind.
const MAX_TOTAL: ByteSize = ByteSize(10_000_000);
/// For all reading and parsing of each kind of file.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A place in the repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// Relative to the working directory, with `/`: `lib/waves/w1/config.yml`.
    pub(crate) path: String,
    /// From 1. `None` stands for the whole file.
    pub(crate) line: Option<u32>,
}

impl std::fmt::Display for Place {
    /// `lib/waves/w1/1.js:7`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// The experiments of a repository, by id.
#[derive(Debug)]
pub(crate) struct Waves {
    root: PathBuf,
    /// Until when their sources are read.
    deadline: Instant,
    /// `None` if several folders have an experiment with this id.
    by_id: HashMap<String, Option<Wave>>,
    is_nuked: bool,
}

/// The sources of an experiment.
#[derive(Debug)]
pub(crate) struct Wave {
    /// Its name in `lib/waves`, which may differ from the experiment's id.
    folder: String,
    pub(crate) config: ConfigYml,
}

impl Wave {
    pub(crate) fn place(&self, line: Option<u32>) -> Place {
        let path = format!("{FOLDER}/{}/{CONFIG}", self.folder);
        Place { path, line }
    }

    /// The text of a property of the experiment.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.config.properties.get(name)?.text.as_deref()
    }

    /// The place of a property of the experiment, or the whole file.
    pub(crate) fn property(&self, name: &str) -> Place {
        let property = self.config.properties.get(name);
        self.place(property.and_then(|it| it.line))
    }

    /// The path of a file that the property of a recipe, or of the experiment itself, names.
    pub(crate) fn source(&self, recipe: Option<&str>, name: &str) -> Option<String> {
        let properties = match recipe {
            Some(id) => &self.config.recipes.get(id)?.properties,
            None => &self.config.properties,
        };
        let file = properties.get(name)?.text.as_deref()?;
        let mut parts = Path::new(file).components();
        // Mojito joins the paths, so that it may be anywhere.
        let is_inside = !file.is_empty() && parts.all(|it| matches!(it, Component::Normal(_)));
        (is_inside && is_plain(file)).then(|| format!("{FOLDER}/{}/{file}", self.folder))
    }
}

impl Waves {
    /// Reads the configuration of all experiments in the repository at `root`. What is not read by the deadline is missing.
    pub(crate) fn read(root: &Path, deadline: Instant) -> Self {
        let files = folders(root).into_iter().map(|folder| {
            let path = format!("{FOLDER}/{folder}/{CONFIG}");
            (folder, path)
        });
        let (folders, paths): (Vec<String>, Vec<String>) = files.unzip();
        let texts = texts(root, paths.iter().map(String::as_str), MAX_CONFIG, deadline);
        let configs = in_batches(&texts, deadline, script::read_configs);
        let mut by_id = HashMap::new();
        for (folder, config) in folders.into_iter().zip(configs) {
            let Some(config) = config else { continue };
            let Some(id) = config
                .properties
                .get("id")
                .and_then(|it| it.text.as_deref())
            else {
                continue;
            };
            let id = sanitize(id);
            let is_inactive = |wave: &Wave| wave.text("state") == Some("inactive");
            let wave = Wave { folder, config };
            match by_id.remove(&id) {
                None => by_id.insert(id, Some(wave)),
                // Mojito ignores experiments that are not active.
                Some(Some(other)) if is_inactive(&wave) && !is_inactive(&other) => {
                    by_id.insert(id, Some(other))
                }
                Some(Some(other)) if is_inactive(&other) && !is_inactive(&wave) => {
                    by_id.insert(id, Some(wave))
                }
                Some(_) => by_id.insert(id, None),
            };
        }
        Self {
            root: root.to_owned(),
            deadline,
            by_id,
            is_nuked: root.join(NUKE_LOCK).exists(),
        }
    }

    /// The experiment with this id, if that is certain.
    pub(crate) fn get(&self, id: &str) -> Option<&Wave> {
        let wave = self.by_id.get(id).filter(|_| !self.is_nuked);
        wave?.as_ref()
    }

    /// The lines of changes in source files that are certain.
    pub(crate) fn changed_lines(&self, changes: &[SourceChange]) -> Vec<Option<u32>> {
        let deadline = self.deadline;
        let paths = changes.iter().map(|it| &*it.path);
        let texts = texts(&self.root, paths, MAX_SOURCE, deadline);
        let scripts = texts.iter().zip(changes);
        let scripts = scripts.map(|(text, change)| text.clone().filter(|_| !change.is_css));
        let scripts: Vec<Option<String>> = scripts.collect();
        let scripts = in_batches(&scripts, deadline, script::read_sources);
        let sources = texts.iter().zip(scripts).zip(changes);
        let line = |((text, script), change): (
            (&Option<String>, Option<Vec<SourceWord>>),
            &SourceChange,
        )| {
            let css = text.as_deref().filter(|_| change.is_css);
            change
                .words
                .first_line(&script.or_else(|| css.map(words_of_css))?)
        };
        sources.map(line).collect()
    }
}

/// A change in a source file.
pub(crate) struct SourceChange<'a> {
    pub(crate) path: String,
    pub(crate) is_css: bool,
    pub(crate) words: &'a WordChanges,
}

/// The code of a repository that its container is built from.
pub(crate) struct SourceLines(Vec<(String, String)>);

impl SourceLines {
    /// Reads the library, the shared code, and all scripts beside `config.yml`.
    pub(crate) fn read(root: &Path) -> Self {
        let deadline = Instant::now() + TIMEOUT;
        let mut paths = vec!["lib/mojito.js".to_owned(), "lib/shared-code.js".to_owned()];
        for folder in folders(root) {
            let path = format!("{FOLDER}/{folder}");
            let (_, files) =
                bounded_file::entries(&root.join(&path), MAX_WAVES).unwrap_or_default();
            let scripts = files
                .iter()
                .filter(|it| it.ends_with(".js") && is_plain(it));
            paths.extend(scripts.map(|file| format!("{path}/{file}")));
            if Instant::now() > deadline {
                break;
            }
        }
        let texts = texts(root, paths.iter().map(String::as_str), MAX_SOURCE, deadline);
        let read = paths.into_iter().zip(texts);
        Self(
            read.filter_map(|(path, text)| Some((path, text?)))
                .collect(),
        )
    }

    /// The place of a line of a container, if it is there exactly once. Mojito's build copies the lines as they are, but for
    /// what it writes before the first of a file.
    pub(crate) fn find(&self, line: &str) -> Option<Place> {
        let line = line.trim();
        let after_name = line.strip_prefix('"').and_then(|it| it.split_once("\": "));
        let value = after_name.map_or(line, |(_, value)| value);
        // What has no words is also in what the build writes.
        value.contains(char::is_alphabetic).then_some(())?;
        let places = self.0.iter().flat_map(|(path, text)| {
            let lines = text.split('\n').zip(1..);
            let same = lines
                .filter(|(it, number)| it.trim() == line || (*number == 1 && it.trim() == value));
            same.map(move |(_, number)| (path, number))
        });
        let mut places = places.take(2);
        match (places.next(), places.next()) {
            (Some((path, line)), None) => Some(Place {
                path: path.clone(),
                line: Some(line),
            }),
            _ => None,
        }
    }
}

/// The folders of experiments.
fn folders(root: &Path) -> Vec<String> {
    // A link leads to what is not in this repository, or is elsewhere in it.
    let is_folder = |path: &str| {
        root.join(path)
            .symlink_metadata()
            .is_ok_and(|it| it.is_dir())
    };
    if !is_folder("lib") || !is_folder(FOLDER) {
        return Vec::new();
    }
    let (mut folders, _) = bounded_file::entries(&root.join(FOLDER), MAX_WAVES).unwrap_or_default();
    folders.retain(|it| is_plain(it));
    folders
}

/// Whether a path is safe to print, which one that is sanitized would lead nowhere.
fn is_plain(path: &str) -> bool {
    sanitize(path) == path
}

/// The texts of files. `None` for what cannot be read, or not in time.
fn texts<'a>(
    root: &Path,
    paths: impl Iterator<Item = &'a str>,
    max: ByteSize,
    deadline: Instant,
) -> Vec<Option<String>> {
    let mut left = MAX_TOTAL.0;
    let read = |path: &str| {
        (Instant::now() < deadline).then_some(())?;
        let max = ByteSize(max.0.min(left));
        let content = bounded_file::read_with(&root.join(path), max, Links::Refuse).ok()?;
        left -= content.len() as u64;
        let text = String::from_utf8(content).ok()?;
        (!text.contains(SEPARATOR)).then_some(text)
    };
    paths.map(read).collect()
}

/// Parses texts, as many together as may be.
fn in_batches<T>(
    texts: &[Option<String>],
    deadline: Instant,
    parse: fn(&[&str], Duration) -> Vec<Option<T>>,
) -> Vec<Option<T>> {
    let mut parsed: Vec<Option<T>> = texts.iter().map(|_| None).collect();
    let present = |at: &usize| texts[*at].is_some();
    let mut rest: Vec<usize> = (0..texts.len()).filter(present).collect();
    while !rest.is_empty() {
        let mut size = 0;
        let fits = |at: &&usize| {
            size += texts[**at].as_ref().map_or(0, String::len) + SEPARATOR.len();
            size as u64 <= MAX_TOGETHER.0
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let batch: Vec<usize> = rest.drain(..count).collect();
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let together: Vec<&str> = batch
            .iter()
            .filter_map(|at| texts[*at].as_deref())
            .collect();
        for (at, read) in batch.into_iter().zip(parse(&together, left)) {
            parsed[at] = read;
        }
    }
    parsed
}
