//! The sources of experiments in a Mojito repository: `lib/waves/*/config.yml` and the files beside it.
//!
//! Nothing here is needed to publish. So whatever cannot be read, is too large or takes too long has no place, and no error.

mod files;
pub(crate) mod source_lines;

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use self::files::{folders, is_plain, texts, FOLDER, MAX_SOURCE};
use super::config_yml::ConfigYml;
use super::script::{self, MAX_TOGETHER, SEPARATOR};
use super::words::{words_of_css, SourceWord, WordChanges};
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize;

const CONFIG: &str = "config.yml";
/// With this file, Mojito builds a container without experiments.
const NUKE_LOCK: &str = "nuke.lock";

/// Real ones have less than 4 kB.
const MAX_CONFIG: ByteSize = ByteSize(100_000);
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
    /// Without any experiment.
    pub(crate) fn none() -> Self {
        Self {
            root: PathBuf::new(),
            deadline: Instant::now(),
            by_id: HashMap::new(),
            is_nuked: false,
        }
    }

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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::files::repository;
    use super::*;
    use crate::mojito::config_yml::Property;

    fn state_of(waves: &Waves, id: &str) -> Option<String> {
        Some(waves.get(id)?.property("state").to_string())
    }

    fn read(root: &Path) -> Waves {
        Waves::read(root, Instant::now() + Duration::from_hours(1))
    }

    #[test]
    fn experiments_are_found_by_id_whatever_the_name_of_their_folder() {
        let root = repository(&[
            ("lib/waves/first/config.yml", "id: w1\nstate: live\n"),
            ("lib/waves/second/config.yml", "\nstate: live\nid: 2\n"),
            ("lib/waves/twice/config.yml", "id: w3\nstate: live\n"),
            ("lib/waves/twice too/config.yml", "id: w3\nstate: staging\n"),
            ("lib/waves/old/config.yml", "id: w1\nstate: inactive\n"),
            ("lib/waves/noid/config.yml", "state: live\n"),
            ("lib/waves/folder/below/config.yml", "id: w5\nstate: live\n"),
        ]);
        let waves = read(root.path());
        let expected = "lib/waves/first/config.yml:2";
        assert_eq!(state_of(&waves, "w1").as_deref(), Some(expected));
        let expected = "lib/waves/second/config.yml:2";
        assert_eq!(state_of(&waves, "2").as_deref(), Some(expected));
        for unknown in ["w3", "w5", "", "?"] {
            assert_eq!(state_of(&waves, unknown), None, "{unknown}");
        }
        fs::write(root.path().join("nuke.lock"), "").unwrap();
        assert_eq!(state_of(&read(root.path()), "w1"), None);
    }

    #[test]
    fn what_cannot_be_read_has_no_place_and_hides_nothing_else() {
        let good = "id: w1\nstate: live\n";
        let huge = format!("id: w2\nstate: live\n#{}", "x".repeat(100_000));
        let nul = "id: w3\nstate: live\n#\0";
        let root = repository(&[
            ("lib/waves/a/config.yml", "id: [w0\n"),
            ("lib/waves/b/config.yml", &huge),
            ("lib/waves/c/config.yml", nul),
            ("lib/waves/d\n/config.yml", "id: w4\n"),
            ("lib/waves/e/config.yml/file", ""),
            ("lib/waves/z/config.yml", good),
            ("outside/config.yml", "id: w5\n"),
            ("lib/waves/file", ""),
        ]);
        let in_waves = |path: &str| root.path().join("lib/waves").join(path);
        fs::create_dir(in_waves("f")).unwrap();
        symlink("/dev/zero", in_waves("f/config.yml")).unwrap();
        symlink("../../outside", in_waves("g")).unwrap();
        fs::create_dir(in_waves("h")).unwrap();
        fs::write(in_waves("h/config.yml"), b"id: w6\nname: \xff\n").unwrap();
        let waves = read(root.path());
        assert_eq!(waves.by_id.len(), 1, "{waves:?}");
        assert!(state_of(&waves, "w1").is_some());
        let linked = repository(&[("elsewhere/waves/a/config.yml", good)]);
        symlink("elsewhere", linked.path().join("lib")).unwrap();
        assert!(read(linked.path()).by_id.is_empty());
        assert!(read(Path::new("/nowhere")).by_id.is_empty());
    }

    #[test]
    fn many_experiments_are_read_in_batches_until_time_is_over() {
        let root = tempfile::tempdir().unwrap();
        // Together, they are larger than what is parsed at once.
        let comment = "x".repeat(60_000);
        for number in 0..40 {
            let folder = root.path().join(format!("lib/waves/{number}"));
            fs::create_dir_all(&folder).unwrap();
            let config = format!("id: w{number}\nstate: live\n#{comment}\n");
            fs::write(folder.join("config.yml"), config).unwrap();
        }
        let now = Instant::now();
        let waves = Waves::read(root.path(), now + Duration::from_hours(1));
        assert_eq!(waves.by_id.len(), 40);
        assert!(Waves::read(root.path(), now).by_id.is_empty());
    }

    #[test]
    fn sources_are_only_those_inside_the_experiments_folder() {
        let names = [
            "1.js",
            "a/1.js",
            "../w2/1.js",
            "/etc/passwd",
            "a/../../b.js",
            "",
            "./1.js",
            "a\u{7}",
        ];
        let inside = names.map(|name| {
            let config = ConfigYml {
                properties: [(
                    "js".to_owned(),
                    Property {
                        text: Some(name.to_owned()),
                        line: None,
                    },
                )]
                .into(),
                ..ConfigYml::default()
            };
            let wave = Wave {
                folder: "w1".to_owned(),
                config,
            };
            wave.source(None, "js").is_some()
        });
        assert_eq!(
            inside,
            [true, true, false, false, false, false, false, false]
        );
    }
}
