//! Reads the files of a repository that experiments come from, up to limits and without following links.

use std::path::Path;
use std::time::Instant;

use crate::common::bounded_file::{self, Links};
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize;
use crate::mojito::script::SEPARATOR;

pub(super) const FOLDER: &str = "lib/waves";

/// Far more than any repository has.
pub(super) const MAX_WAVES: usize = 5_000;
/// Of code or CSS. No container may be larger than twice that.
pub(super) const MAX_SOURCE: ByteSize = ByteSize(1_000_000);
/// All files that are read, of each kind.
const MAX_TOTAL: ByteSize = ByteSize(10_000_000);

/// The folders of experiments.
pub(super) fn folders(root: &Path) -> Vec<String> {
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

/// Whether a path is safe to print as it is, since a sanitized one leads nowhere.
pub(super) fn is_plain(path: &str) -> bool {
    sanitize(path) == path
}

/// The texts of files. `None` for what cannot be read, or not in time.
pub(super) fn texts<'a>(
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

/// A repository with these files.
#[cfg(test)]
pub(super) fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    root
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_is_read_than_the_limit_of_all_files() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("1.js"), "x".repeat(900_000)).unwrap();
        let deadline = Instant::now() + Duration::from_hours(1);
        let read = texts(root.path(), ["1.js"; 20].into_iter(), MAX_SOURCE, deadline);
        assert_eq!(read.iter().flatten().count(), 11);
    }
}
