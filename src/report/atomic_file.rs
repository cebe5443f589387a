//! Replaces a file in a folder that others write to as well.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Writes a temporary file and renames it, so that a reader never finds half of it, and that neither a link nor a pipe in its
/// place is opened. The old file's mode is kept.
///
/// The temporary file has a random name and must not exist: process IDs are the same in every container.
pub(super) fn replace(directory: &Path, file: &str, content: &str) -> io::Result<()> {
    let path = directory.join(file);
    let temporary = directory.join(format!(".{file}.{:032x}.tmp", fastrand::u128(..)));
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)?;
    let written = opened
        .write_all(content.as_bytes())
        .and_then(|()| match fs::symlink_metadata(&path) {
            Ok(old) if old.is_file() => opened.set_permissions(old.permissions()),
            _ => Ok(()),
        })
        .and_then(|()| fs::rename(&temporary, &path));
    written.inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{symlink, PermissionsExt};
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_in_the_place_of_the_file_is_replaced_and_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let [victim, link, pipe] = ["victim", "link", "pipe"].map(|name| folder.path().join(name));
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, &link).unwrap();
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for path in [&link, &pipe] {
            let name = path.file_name().unwrap().to_str().unwrap();
            replace(folder.path(), name, "new").unwrap();
            assert!(fs::symlink_metadata(path).unwrap().is_file());
            assert_eq!(fs::read_to_string(path).unwrap(), "new");
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_that_was_planted_under_the_name_of_the_process_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "kept").unwrap();
        let planted = folder.path().join(format!("a.{}.tmp", std::process::id()));
        symlink(&victim, &planted).unwrap();
        replace(folder.path(), "a", "new").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
        assert!(planted.is_symlink());
        let file = folder.path().join("a");
        assert_eq!(fs::read_to_string(file).unwrap(), "new");
    }

    #[test]
    fn the_mode_of_the_old_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace(folder.path(), "a", "new").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }

    #[test]
    fn nothing_is_left_of_a_file_that_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        assert!(replace(folder.path(), "a", "new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
