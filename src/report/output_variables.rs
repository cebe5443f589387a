//! Output variables: lines that Bitbucket reads from a file when the step ends, for the scripts and conditions of later steps.
//!
//! Bitbucket shares those that the step lists in `output-variables`, and prints their values in the later steps' logs.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::result_json::RunResult;
use crate::common::bounded_file::{self, FileError};
use crate::container::changes::{Change, ChangeKind};

/// The most bytes of a list. A condition looks for one experiment or none.
const MAX_LIST: usize = 1_000;

/// Appends the lines to the file. On failure, why.
pub(super) fn append(path: &Path, result: &RunResult) -> Result<(), String> {
    append_lines(path, &lines(result)).map_err(|error| match error {
        FileError::Io(error) => error.to_string(),
        error => format!("it {error}"),
    })
}

fn append_lines(path: &Path, lines: &str) -> Result<(), FileError> {
    let mut file = bounded_file::open_to_append(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let separator = if last == *b"\n" { "" } else { "\n" };
    // In one write, as others may append at the same time.
    file.write_all(format!("{separator}{lines}").as_bytes())?;
    Ok(())
}

fn lines(result: &RunResult) -> String {
    let is_changed = result.replaced().any(|it| it.may_change_something);
    let changes = || {
        let replaced = result.replaced();
        replaced.flat_map(|it| it.changes.unwrap_or_default())
    };
    format!(
        "MOJITO_PUBLISH_EXIT={}\nMOJITO_PUBLISH_CHANGED={is_changed}\nMOJITO_PUBLISH_STARTS={}\nMOJITO_PUBLISH_STOPS={}\n",
        result.exit_code,
        ids(changes(), ChangeKind::Starts),
        ids(changes(), ChangeKind::Stops),
    )
}

/// The ids of the experiments with such a change, separated by commas. A shell may use them without quotes.
fn ids<'a>(changes: impl Iterator<Item = &'a Change>, kind: ChangeKind) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut list = String::new();
    for change in changes.filter(|it| it.kind == kind) {
        let id = change.subject.replace(|c| !is_plain(c), "_");
        if list.len() + id.len() >= MAX_LIST {
            break;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&id);
    }
    list
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::thread;

    use super::*;

    #[test]
    fn lines_are_appended_to_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("variables");
        for (before, after) in [
            (None, "A=1\n"),
            (Some(""), "A=1\n"),
            (Some("B=2\n"), "B=2\nA=1\n"),
            (Some("B=2"), "B=2\nA=1\n"),
            (Some("\n"), "\nA=1\n"),
        ] {
            let _ = fs::remove_file(path);
            if let Some(before) = before {
                fs::write(path, before).unwrap();
            }
            append_lines(path, "A=1\n").unwrap();
            assert_eq!(fs::read_to_string(path).unwrap(), after, "{before:?}");
        }
    }

    #[test]
    fn what_many_append_at_the_same_time_is_all_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("variables");
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| append_lines(path, "A=1\nB=2\n").unwrap());
            }
        });
        assert_eq!(fs::read_to_string(path).unwrap(), "A=1\nB=2\n".repeat(50));
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [victim, link, pipe] = ["victim", "link", "pipe"].map(|name| folder.path().join(name));
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, &link).unwrap();
        assert!(Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success());
        let error = |path: &Path| append_lines(path, "A=1\n").unwrap_err().to_string();
        assert_eq!(error(&link), "is a link, which is not followed here");
        for path in [&pipe, Path::new("/dev/null"), Path::new("/dev/full")] {
            assert_eq!(error(path), "is not a file", "{path:?}");
        }
        assert!(error(folder.path()).contains("directory"));
        assert!(error(&folder.path().join("absent/variables")).contains("No such file"));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
        assert!(!folder.path().join("absent").exists());
    }

    #[test]
    fn an_id_cannot_add_a_line_nor_a_list_go_on_forever() {
        let change = |id: &str| Change {
            kind: ChangeKind::Starts,
            subject: id.to_owned(),
            name: String::new(),
            detail: String::new(),
            causes: Vec::new(),
            is_live: true,
        };
        let list = |changes: &[Change]| ids(changes.iter(), ChangeKind::Starts);
        let hostile = ["w1", "a\nPATH=/tmp", "$(id)", "a,b", "ä'\"`\\"].map(change);
        assert_eq!(list(&hostile), "w1,a_PATH__tmp,__id_,a_b,_____");
        assert_eq!(ids(hostile.iter(), ChangeKind::Stops), "");
        let many: Vec<Change> = (0..4_000)
            .map(|number| change(&format!("w{number}")))
            .collect();
        let list = list(&many);
        assert!(list.len() <= MAX_LIST && list.ends_with(|c: char| c.is_ascii_digit()));
    }
}
