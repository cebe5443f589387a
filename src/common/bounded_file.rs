//! Reads files up to a size limit, since a path may lead to a disk image, a pipe or `/dev/zero`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use thiserror::Error;

use super::byte_size::ByteSize;

/// Why a file was not read. The message is a predicate, to follow the file's name.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is not a file")]
    NoFile,
    #[error("is larger than {0}")]
    TooLarge(ByteSize),
}

impl FileError {
    /// Whether the file does not exist.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a file of at most `limit`.
pub(crate) fn read(path: &Path, limit: ByteSize) -> Result<Vec<u8>, FileError> {
    let metadata = fs::metadata(path)?;
    // Checked before opening, since opening a pipe blocks until it has a writer.
    if !metadata.is_file() {
        return Err(FileError::NoFile);
    }
    if metadata.len() > limit.0 {
        return Err(FileError::TooLarge(limit));
    }
    // The read is limited too, as the file may grow meanwhile.
    let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    File::open(path)?
        .take(limit.0 + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > limit.0 {
        return Err(FileError::TooLarge(limit));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, ByteSize(5)).unwrap(), b"12345");
        let error = |path: &str, limit| {
            let error = read(&folder.path().join(path), ByteSize(limit)).unwrap_err();
            (error.is_absent(), error.to_string())
        };
        let too_large = (false, "is larger than 4 bytes".to_owned());
        assert_eq!(error("file", 4), too_large);
        assert_eq!(error(".", 4), (false, "is not a file".to_owned()));
        assert_eq!(error("/dev/zero", 4), (false, "is not a file".to_owned()));
        assert!(error("nothing", 4).0);
    }
}
