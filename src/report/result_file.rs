//! Stores the result in the two folders that Bitbucket provides: the pipe's own, and one that all pipes share.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::console::Console;
use super::result_json::RunResult;
use crate::common::bounded_file;
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize_json;
use crate::common::secrets;
use crate::settings::pipeline::Build;

/// The file in `BITBUCKET_PIPE_STORAGE_DIR`.
const OWN_FILE: &str = "mojito-publish.json";
/// The file of Atlassian's toolkit in `BITBUCKET_PIPE_SHARED_STORAGE_DIR`: one JSON object for all pipes.
const SHARED_FILE: &str = "_shared_variables.json";
/// Other pipes write some lines each. The file is parsed as a whole, which takes several times its size in memory.
const MAX_SHARED_FILE: ByteSize = ByteSize(1_000_000);
/// The key in the shared object.
const SHARED_KEY: &str = "mojito_publish";

/// Writes the files. If a folder cannot be written, it is a warning.
pub(crate) fn write(build: &Build, result: RunResult, console: &Console) {
    if build.storage_dir.is_none() && build.shared_storage_dir.is_none() {
        return;
    }
    let result = result.finish(console);
    let mut result = serde_json::to_value(&result).expect("it has only text, numbers and lists");
    sanitize_json(&mut result);
    let result = &result;
    let (own, shared) = (&build.storage_dir, &build.shared_storage_dir);
    let own = own.as_ref().map(|it| write_own(it, result));
    let shared = shared.as_ref().map(|it| write_shared(it, result));
    for warning in [own, shared].into_iter().flatten().filter_map(Result::err) {
        console.warning(&warning);
    }
}

fn write_own(directory: &Path, result: &Value) -> Result<(), String> {
    replace(directory, OWN_FILE, result).map_err(|error| {
        format!(
            "the result is not in `BITBUCKET_PIPE_STORAGE_DIR` ({}): {error}",
            directory.display()
        )
    })
}

/// Adds the result to the object that other pipes also write to. If the file holds something else, it is left as it is.
fn write_shared(directory: &Path, result: &Value) -> Result<(), String> {
    let path = directory.join(SHARED_FILE);
    let not_shared =
        |problem: String| format!("the result is not in `{}`: {problem}", path.display());
    let mut shared: Map<String, Value> = match bounded_file::read(&path, MAX_SHARED_FILE) {
        Ok(content) if content.trim_ascii().is_empty() => Map::new(),
        Ok(content) => serde_json::from_slice(&content)
            .map_err(|error| not_shared(format!("it does not hold one JSON object: {error}")))?,
        Err(error) if error.is_absent() => Map::new(),
        Err(error) => return Err(not_shared(format!("it {error}"))),
    };
    shared.insert(SHARED_KEY.to_owned(), result.clone());
    replace(directory, SHARED_FILE, &Value::Object(shared))
        .map_err(|error| not_shared(error.to_string()))
}

/// Writes a temporary file and renames it, so that a reader never finds half of it. The old file's mode is kept.
fn replace(directory: &Path, file: &str, content: &Value) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let path = directory.join(file);
    let temporary = directory.join(format!("{file}.{}.tmp", std::process::id()));
    let written = fs::write(&temporary, secrets::redact(&content.to_string()).as_bytes())
        .and_then(|()| match fs::metadata(&path) {
            Ok(old) => fs::set_permissions(&temporary, old.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| fs::rename(&temporary, &path));
    written.inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}
