//! Finds the line of the sources that a line of a container comes from.

use std::path::Path;
use std::time::{Duration, Instant};

use super::files::{folders, is_plain, texts, FOLDER, MAX_SOURCE, MAX_WAVES};
use super::Place;
use crate::common::bounded_file;

/// For all reading and parsing of each kind of file.
const TIMEOUT: Duration = Duration::from_secs(3);

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
                .filter(|it| it.strip_suffix(".js").is_some() && is_plain(it));
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

#[cfg(test)]
mod tests {
    use super::super::files::repository;
    use super::*;

    #[test]
    fn a_line_is_found_if_it_is_there_once() {
        let root = repository(&[
            ("lib/mojito.js", "var library;\n"),
            ("lib/shared-code.js", "shared(1);\r\n});\n"),
            ("lib/waves/w1/config.yml", "twice();\n"),
            (
                "lib/waves/w1/1.js",
                "function treatment(test) {\n  once();\n  twice();\n}",
            ),
            ("lib/waves/w2/1.js", "function other() {\n  twice();\n}"),
            ("lib/waves/w2/1.css", "once();\n"),
        ]);
        let sources = SourceLines::read(root.path());
        let place = |line| sources.find(line).map(|it| it.to_string());
        let first = Some("lib/waves/w1/1.js:1".to_owned());
        assert_eq!(place("\t\tonce();"), Some("lib/waves/w1/1.js:2".to_owned()));
        assert_eq!(
            place("            \"js\": function treatment(test) {"),
            first
        );
        assert_eq!(place("shared(1);"), Some("lib/shared-code.js:1".to_owned()));
        assert_eq!(place("var library;"), Some("lib/mojito.js:1".to_owned()));
        for line in ["twice();", "});", "}", "", "nowhere();", "\"js\": once();"] {
            assert_eq!(place(line), None, "{line}");
        }
    }
}
