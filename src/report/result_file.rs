//! Stores the result where Bitbucket provides for it: in the pipe's own folder, in one that all pipes share, and as variables for
//! later steps.

use std::fs;
use std::path::Path;

use super::atomic_file;
use super::console::{Console, READER_PATIENCE};
use super::result_json::RunResult;
use super::{markdown, output_variables, shared_variables};
use crate::common::printable::sanitize_json;
use crate::settings::pipeline::Build;

/// The file in `BITBUCKET_PIPE_STORAGE_DIR`.
const OWN_FILE: &str = "mojito-publish.json";
/// The key in the shared object.
const SHARED_KEY: &str = "mojito_publish";

/// Writes the files, and with `print` to standard output. What cannot be written is a warning.
pub(crate) fn write(build: &Build, result: RunResult, print: bool, console: &Console) {
    let variables = build.variables_path.as_ref();
    if let Some(Err(problem)) = variables.map(|path| output_variables::append(path, &result)) {
        console.warning(&format!(
            "the output variables are not in `BITBUCKET_PIPELINES_VARIABLES_PATH`: {problem}"
        ));
    }
    if build.storage_dir.is_none() && build.shared_storage_dir.is_none() && !print {
        return;
    }
    let mut result = result.finish(console);
    result.summary = markdown::summary(&result);
    let mut result = serde_json::to_value(&result).expect("it has only text, numbers and lists");
    sanitize_json(&mut result);
    if print {
        console.result(&result, READER_PATIENCE);
    }
    let result = &result.to_string();
    let (own, shared) = (&build.storage_dir, &build.shared_storage_dir);
    let own = own.as_ref().map(|it| write_own(it, result));
    let shared = shared.as_ref().map(|it| write_shared(it, result));
    for warning in [own, shared].into_iter().flatten().filter_map(Result::err) {
        console.warning(&warning);
    }
}

fn write_own(directory: &Path, result: &str) -> Result<(), String> {
    let written = fs::create_dir_all(directory)
        .and_then(|()| atomic_file::replace(directory, OWN_FILE, result));
    written.map_err(|error| {
        format!(
            "the result is not in `BITBUCKET_PIPE_STORAGE_DIR` ({}): {error}",
            directory.display()
        )
    })
}

fn write_shared(directory: &Path, result: &str) -> Result<(), String> {
    let path = directory.join(shared_variables::FILE);
    shared_variables::set(directory, SHARED_KEY, result)
        .map_err(|problem| format!("the result is not in `{}`: {problem}", path.display()))
}
