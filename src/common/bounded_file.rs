//! Reads files up to a size limit and within a time limit, since a path may lead to a disk image, a pipe, `/dev/zero`,
//! `/proc/kmsg`, or a file system that hangs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::byte_size::ByteSize;

/// How long the program waits for all the files that it reads together.
const TIMEOUT: Duration = Duration::from_mins(1);

/// How much of `TIMEOUT` is left.
static LEFT: Mutex<Duration> = Mutex::new(TIMEOUT);

/// The thread that reads needs little more than its buffer, which is on the heap.
const STACK_SIZE: usize = 128 * 1024;

/// Why a file was not read. The message is a predicate, to follow the file's name.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is not a file")]
    NoFile,
    #[error("is a link, which is not followed here")]
    Link,
    #[error("is larger than {0}")]
    TooLarge(ByteSize),
    #[error("could not be read within {} s", TIMEOUT.as_secs())]
    TimedOut,
}

impl FileError {
    /// Whether the file does not exist.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Whether a link at the end of a path leads to the file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Links {
    Follow,
    Refuse,
}

/// Reads a file of at most `limit`.
pub(crate) fn read(path: &Path, limit: ByteSize) -> Result<Vec<u8>, FileError> {
    read_with(path, limit, Links::Follow)
}

/// The same, with a decision about links.
pub(crate) fn read_with(path: &Path, limit: ByteSize, links: Links) -> Result<Vec<u8>, FileError> {
    let path = path.to_owned();
    in_time(&LEFT, move || read_to_end(&path, limit, links))
}

/// The names of the folders and of the files in a folder, sorted, without links. At most `max` entries are looked at.
pub(crate) fn entries(path: &Path, max: usize) -> Result<(Vec<String>, Vec<String>), FileError> {
    let path = path.to_owned();
    in_time(&LEFT, move || {
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(path)?.take(max) {
            let entry = entry?;
            let kind = entry.file_type()?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if kind.is_dir() {
                folders.push(name);
            } else if kind.is_file() {
                files.push(name);
            }
        }
        folders.sort();
        files.sort();
        Ok((folders, files))
    })
}

/// Reads on a thread of its own. If time runs out, that thread is abandoned, as nothing can interrupt it.
fn in_time<T: Send + 'static>(
    left: &Mutex<Duration>,
    read: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let left = || left.lock().unwrap_or_else(PoisonError::into_inner);
    let (timeout, started) = (*left(), Instant::now());
    let (sender, receiver) = sync_channel(1);
    thread::Builder::new()
        .stack_size(STACK_SIZE)
        .spawn(move || sender.send(read()))?;
    let result = receiver.recv_timeout(timeout);
    let mut left = left();
    *left = left.saturating_sub(started.elapsed());
    result.unwrap_or(Err(FileError::TimedOut))
}

/// Opens a file to append to it, and to read what it ends with. It is made if it does not exist. A link is not followed.
pub(crate) fn open_to_append(path: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    let file = open(
        options.read(true).append(true).create(true),
        path,
        Links::Refuse,
    )?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(FileError::NoFile)
    }
}

fn read_to_end(path: &Path, limit: ByteSize, links: Links) -> Result<Vec<u8>, FileError> {
    let file = open(OpenOptions::new().read(true), path, links)?;
    read_opened(file, limit).map_err(|error| match error {
        FileError::Io(error) if error.kind() == io::ErrorKind::WouldBlock => FileError::NoFile,
        error => error,
    })
}

fn open(options: &mut OpenOptions, path: &Path, links: Links) -> Result<File, FileError> {
    // Without waiting for the writer of a pipe, or for what `/proc/kmsg` has yet to say.
    let flags = match links {
        Links::Follow => libc::O_NONBLOCK,
        Links::Refuse => libc::O_NONBLOCK | libc::O_NOFOLLOW,
    };
    let opened = options.custom_flags(flags).open(path);
    opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) if matches!(links, Links::Refuse) => FileError::Link,
        // A socket, or a device that is not there.
        Some(libc::ENXIO) => FileError::NoFile,
        _ => FileError::Io(error),
    })
}

fn read_opened(file: File, limit: ByteSize) -> Result<Vec<u8>, FileError> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::NoFile);
    }
    if metadata.len() > limit.0 {
        return Err(FileError::TooLarge(limit));
    }
    // The read is limited too, as the file may grow meanwhile.
    let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    file.take(limit.0 + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit.0 {
        return Err(FileError::TooLarge(limit));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::sync::mpsc::channel;

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
        let mut mkfifo = Command::new("mkfifo");
        let made = mkfifo.arg(folder.path().join("pipe")).status().unwrap();
        assert!(made.success());
        let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        for path in [".", "/dev/zero", "pipe", "socket"] {
            assert_eq!(error(path, 4), (false, "is not a file".to_owned()));
        }
        assert!(error("nothing", 4).0);
    }

    #[test]
    fn a_file_of_the_kernel_that_never_ends_is_not_waited_for() {
        // Only the administrator may open it, and a container not even as such.
        let path = Path::new("/proc/kmsg");
        let expected = match File::open(path) {
            Ok(_) => "is not a file".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        let error = read(path, ByteSize(100_000_000)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_link_is_followed_only_where_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "1").unwrap();
        symlink(&file, &link).unwrap();
        let limit = ByteSize(9);
        assert_eq!(read(&link, limit).unwrap(), b"1");
        assert_eq!(read_with(&file, limit, Links::Refuse).unwrap(), b"1");
        let error = read_with(&link, limit, Links::Refuse).unwrap_err();
        assert_eq!(error.to_string(), "is a link, which is not followed here");
    }

    #[test]
    fn a_read_that_never_ends_is_abandoned_when_no_time_is_left() {
        let (sender, receiver) = channel::<()>();
        let left = Mutex::new(Duration::ZERO);
        let hangs = move || Ok(receiver.recv().is_ok());
        let error = in_time(&left, hangs).unwrap_err();
        assert_eq!(error.to_string(), "could not be read within 60 s");
        drop(sender);
        let left = Mutex::new(Duration::MAX);
        assert!(in_time(&left, || Ok(true)).unwrap());
        assert!(*left.lock().unwrap() < Duration::MAX);
    }
}
