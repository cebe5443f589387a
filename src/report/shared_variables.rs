//! `_shared_variables.json` of Atlassian's toolkit for pipes: one JSON object that all pipes of a step read and write.
//!
//! What other pipes have stored there is kept to the byte, with their credentials, long numbers and layout: only the text of
//! this program's key is replaced.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::Deserializer;

use super::atomic_file;
use crate::common::bounded_file::{self, Links};
use crate::common::byte_size::ByteSize;

/// The file in `BITBUCKET_PIPE_SHARED_STORAGE_DIR`.
pub(super) const FILE: &str = "_shared_variables.json";
/// Other pipes write some lines each. A result of 3,000 containers has 2 MB.
const MAX_FILE: ByteSize = ByteSize(10_000_000);
/// How long to wait for other runs that write the file at the same time. Each takes some milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Stores a value, which is JSON, under a key. If the file holds something else, it is left as it is. On failure, why.
pub(super) fn set(directory: &Path, key: &str, value: &str) -> Result<(), String> {
    fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    let _lock = lock(directory, LOCK_TIMEOUT)?;
    set_locked(directory, key, value)
}

fn set_locked(directory: &Path, key: &str, value: &str) -> Result<(), String> {
    // A link may lead to a file that is not meant for all pipes, and its content would be copied.
    let text = match bounded_file::read_with(&directory.join(FILE), MAX_FILE, Links::Refuse) {
        Ok(content) => {
            String::from_utf8(content).map_err(|_| "it is not UTF-8; remove it".to_owned())?
        }
        Err(error) if error.is_absent() => String::new(),
        Err(error) => return Err(format!("it {error}; remove it")),
    };
    let text = with_value(&text, key, value)
        .map_err(|error| format!("it does not hold one JSON object: {error}"))?;
    if text.len() as u64 > MAX_FILE.0 {
        return Err(format!("it would be larger than {MAX_FILE}"));
    }
    atomic_file::replace(directory, FILE, &text).map_err(|error| error.to_string())
}

/// Locks the folder for the runs of this program that share it. Dropping the file unlocks it.
fn lock(directory: &Path, timeout: Duration) -> Result<File, String> {
    let folder = File::open(directory).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + timeout;
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            // Some network file systems have no locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(folder)
            }
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "another program has kept the folder locked for {} s",
                    timeout.as_secs()
                ))
            }
            Err(TryLockError::Error(error)) => return Err(error.to_string()),
        }
    }
}

/// The text of a JSON object with a value under a key, which is replaced or added at the end.
fn with_value(text: &str, key: &str, value: &str) -> Result<String, serde_json::Error> {
    let key_text = serde_json::to_string(key)?;
    if text.trim_ascii().is_empty() {
        return Ok(format!("{{{key_text}: {value}}}"));
    }
    let mut deserializer = Deserializer::from_str(text);
    let members = deserializer.deserialize_map(FindKey { text, key })?;
    deserializer.end()?;
    if let Some(span) = members.of_key {
        return Ok([&text[..span.start], value, &text[span.end..]].concat());
    }
    let end = text.rfind('}').expect("it is an object");
    let (members_text, rest) = text.split_at(text[..end].trim_ascii_end().len());
    let separator = if members.is_empty { "" } else { ", " };
    Ok(format!(
        "{members_text}{separator}{key_text}: {value}{rest}"
    ))
}

/// Finds the value of a key among the members of an object.
struct FindKey<'a> {
    text: &'a str,
    key: &'a str,
}

struct Members {
    is_empty: bool,
    /// Where the value is in the text. Of several values of a key, the last one counts, as in every reader.
    of_key: Option<Range<usize>>,
}

impl<'de> Visitor<'de> for FindKey<'_> {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members {
            is_empty: true,
            of_key: None,
        };
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            members.is_empty = false;
            // A key may be written with escapes.
            if serde_json::from_str::<String>(key.get()).is_ok_and(|key| key == self.key) {
                let start = value.get().as_ptr().addr() - self.text.as_ptr().addr();
                members.of_key = Some(start..start + value.get().len());
            }
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::{json, Value};

    use super::*;

    #[test]
    fn all_but_the_own_value_is_kept_to_the_byte() {
        #[track_caller]
        fn case(before: &str, after: &str) {
            assert_eq!(with_value(before, "own", "7").unwrap(), after);
        }
        case("", r#"{"own": 7}"#);
        case(" \n", r#"{"own": 7}"#);
        case("{}", r#"{"own": 7}"#);
        case("{ }\n", "{\"own\": 7 }\n");
        case(r#"{"own":{"a":[1]}}"#, r#"{"own":7}"#);
        case(r#"{"a": 1}"#, r#"{"a": 1, "own": 7}"#);
        case("{\n  \"a\": 1\n}\n", "{\n  \"a\": 1, \"own\": 7\n}\n");
        let others =
            r#"{"a": 12345678901234567890123456789.000, "a": 1E+2 ,"\u0062":"\ud800 \/ }","#;
        case(
            &format!(r#"{others} "own" : "x" , "z":{{"own":1}} }}"#),
            &format!(r#"{others} "own" : 7 , "z":{{"own":1}} }}"#),
        );
        case(r#"{"\u006fwn":1}"#, r#"{"\u006fwn":7}"#);
        case(r#"{"own":1,"own":2}"#, r#"{"own":1,"own":7}"#);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in ["[]", "7", "{", "{}{}", "{\"a\":}", "null", "{\"a\":1,}"] {
            assert!(with_value(text, "own", "7").is_err(), "{text}");
        }
    }

    #[test]
    fn what_many_pipes_store_at_the_same_time_is_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let set_own = |number: usize| {
            let key = format!("pipe_{number}");
            // A machine under load may take longer than one run waits.
            let _lock = lock(path, Duration::from_mins(10)).unwrap();
            set_locked(path, &key, &number.to_string()).unwrap();
        };
        std::thread::scope(|scope| {
            for number in 0..150 {
                scope.spawn(move || set_own(number));
            }
        });
        let stored: Value = serde_json::from_slice(&fs::read(path.join(FILE)).unwrap()).unwrap();
        for number in 0..150 {
            assert_eq!(stored[format!("pipe_{number}")], json!(number));
        }
        assert_eq!(fs::read_dir(path).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_another_program_has_locked_is_a_problem_and_not_a_wait() {
        let folder = tempfile::tempdir().unwrap();
        let _locked = lock(folder.path(), Duration::ZERO).unwrap();
        let problem = lock(folder.path(), Duration::ZERO).unwrap_err();
        assert_eq!(
            problem,
            "another program has kept the folder locked for 0 s"
        );
    }

    #[test]
    fn the_target_of_a_link_is_neither_read_nor_written() {
        let folder = tempfile::tempdir().unwrap();
        let [target, link] = ["target", FILE].map(|name| folder.path().join(name));
        fs::write(&target, r#"{"secret": 1}"#).unwrap();
        symlink(&target, &link).unwrap();
        let problem = set(folder.path(), "own", "7").unwrap_err();
        assert_eq!(
            problem,
            "it is a link, which is not followed here; remove it"
        );
        assert_eq!(fs::read_to_string(&target).unwrap(), r#"{"secret": 1}"#);
        assert!(link.is_symlink());
    }
}
