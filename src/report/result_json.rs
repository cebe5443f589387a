//! The result as JSON, in the folders that Bitbucket gives a pipe: one of its own, and one that pipes share.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{json, Map, Value};

use super::console::Console;
use crate::common::bounded_file;
use crate::common::byte_size::ByteSize;
use crate::common::secrets;
use crate::container::changes::Changes;
use crate::container::object::Container;
use crate::exit::Exit;
use crate::publish::compare::NotCompared;
use crate::publish::plan::Plan;
use crate::publish::run::{ContainerState, Invalidation, Run, RunState, Upload};
use crate::settings::names::Variant;
use crate::settings::pipeline::Build;

/// The file in `BITBUCKET_PIPE_STORAGE_DIR`.
const OWN_FILE: &str = "mojito-publish.json";
/// The file of Atlassian's toolkit in `BITBUCKET_PIPE_SHARED_STORAGE_DIR`: one JSON object for all pipes.
const SHARED_FILE: &str = "_shared_variables.json";
/// Other pipes write some lines each. It is parsed as a whole, which takes several times its size.
const MAX_SHARED_FILE: ByteSize = ByteSize(1_000_000);
/// The key in the shared object.
const SHARED_KEY: &str = "mojito_publish";

/// Writes the files. A folder that cannot be written is a warning.
pub(crate) fn write(build: &Build, result: &Value, console: &Console) {
    let own = build
        .storage_dir
        .as_ref()
        .map(|directory| write_own(directory, result));
    let shared = build
        .shared_storage_dir
        .as_ref()
        .map(|directory| write_shared(directory, result));
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

/// Adds the result to the object that other pipes also write to. One that is not an object is left as it is.
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

/// Writes a file beside and renames it, so that a reader never finds half of it. The mode of the old one is kept.
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

/// The result of a run that ended with nothing to record, as `exit` says.
pub(crate) fn of_end(name: &str, exit: Exit) -> Value {
    json!({"version": env!("CARGO_PKG_VERSION"), "exit": name, "exit_code": exit.code()})
}

/// The result of a run that ended before there was anything to record.
pub(crate) fn of_error(exit: Exit, message: &str) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "exit": exit,
        "exit_code": exit.code(),
        "error": message,
    })
}

/// The result of a dry run.
pub(crate) fn of_dry_run(plan: &Plan, changes: &[Result<Changes, NotCompared>]) -> Value {
    let containers = plan.containers.iter().zip(changes);
    let containers: Vec<Value> = containers
        .map(|(container, changes)| of_container(container, Some(changes)))
        .collect();
    let mut result = of_end("dry_run", Exit::Published);
    result["containers"] = json!(containers);
    result
}

/// What a container holds and what it changes. `changes` is null where that is not known.
fn of_container(container: &Container, changes: Option<&Result<Changes, NotCompared>>) -> Value {
    let script = container.script.as_ref();
    json!({
        "name": container.name,
        "build_info": script.and_then(|script| script.build_info.as_ref()),
        "experiments": script.map(|script| &script.experiments),
        "changes": changes.and_then(|changes| changes.as_ref().ok()),
        "changes_unknown": changes.and_then(|changes| changes.as_ref().err()).map(ToString::to_string),
    })
}

/// The result of a run.
pub(crate) fn of_record(run: &Run, state: &RunState, exit: Exit) -> Value {
    let settings = &run.plan.settings;
    let containers: Vec<Value> = run
        .plan
        .containers
        .iter()
        .map(|container| {
            let objects: Vec<Value> = container
                .objects
                .iter()
                .map(|object| {
                    let (upload, error) = match state.uploads.get(&object.key) {
                        Some(Upload::Uploaded) => ("done", None),
                        Some(Upload::InFlight) => ("unknown", None),
                        Some(Upload::Failed(error)) => ("failed", Some(error)),
                        Some(Upload::Pending) | None => ("not_started", None),
                    };
                    json!({
                        "key": object.key,
                        "pretty": object.bundle == Variant::Pretty,
                        "path": object.cdn_path,
                        "size": object.size.0,
                        "compressed_size": object.compressed_size().0,
                        "upload": upload,
                        "fault": error,
                    })
                })
                .collect();
            let published = match state.container(container) {
                ContainerState::Published => Some(true),
                ContainerState::NotPublished => Some(false),
                ContainerState::Unknown => None,
            };
            let mut result = of_container(container, state.changes.get(&container.name));
            result["published"] = json!(published);
            result["objects"] = json!(objects);
            result
        })
        .collect();
    let invalidations: Vec<Value> = state
        .invalidations
        .iter()
        .map(|(distribution, invalidation)| {
            let (status, ids, error) = match invalidation {
                Invalidation::Pending => ("not_started", &[][..], None),
                Invalidation::InFlight => ("unknown", &[][..], None),
                Invalidation::InProgress(ids) => ("in_progress", &ids[..], None),
                Invalidation::Completed(ids) => ("completed", &ids[..], None),
                Invalidation::Failed(error) => ("failed", &[][..], Some(error)),
            };
            json!({"distribution_id": distribution, "status": status, "ids": ids, "fault": error})
        })
        .collect();
    let live: Vec<Value> = state
        .verifications
        .iter()
        .map(|(url, verification)| {
            let problem = verification.problem();
            json!({"url": url, "is_new": problem.is_none(), "problem": problem})
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "exit": exit,
        "exit_code": exit.code(),
        "environment": settings.environment,
        "environment_reason": settings.environment_reason,
        "build": settings.build,
        "bucket": settings.target.bucket,
        "region": settings.target.region,
        "credentials": state.credentials,
        "identity": state.identity,
        "containers": containers,
        "invalidations": invalidations,
        "live": live,
        "seconds": run.started.elapsed().as_secs_f64(),
    })
}
