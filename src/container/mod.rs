//! Reads the built containers and refuses what would break the pages that load them.
//!
//! All of it happens before the first request, and everything that is wrong is reported in one go.

pub(crate) mod changes;
pub(crate) mod gzip;
pub(crate) mod object;
pub(crate) mod served;
pub(crate) mod validate;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use thiserror::Error;

use self::gzip::Gzip;
use self::object::{Container, Object};
use crate::common::bounded_file::{self, FileError};
use crate::common::byte_size::ByteSize;
use crate::common::layout::columns;
use crate::common::printable::sanitize_message;
use crate::mojito::experiment::{Experiment, Percent};
use crate::mojito::script::Script;
use crate::settings::names::{ContainerName, Variant};
use crate::settings::Settings;

/// CloudFront compresses, and pages can bear, nothing larger. Real containers have some hundred kilobytes.
pub(crate) const MAX_FILE: ByteSize = ByteSize(10_000_000);
/// Containers that are read at the same time. Each may take hundreds of megabytes, and a step of Bitbucket has 1 GB for them.
pub(crate) const MAX_READERS: usize = 2;
/// Experiments that a refusal for the size lists.
const MAX_EXPERIMENTS: usize = 5;

/// A file of a container that is not fit to be published.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{}` {problem}", shown(.path))]
pub(crate) struct InvalidFile {
    pub(crate) path: PathBuf,
    pub(crate) problem: String,
}

fn shown(path: &Path) -> String {
    sanitize_message(&path.display().to_string())
}

/// Reads, checks and compresses every file that is to be published.
pub(crate) fn read(settings: &Settings) -> Result<Vec<Container>, Vec<InvalidFile>> {
    let names = &settings.target.containers;
    let mut containers = Vec::with_capacity(names.len());
    let mut unfit = Vec::new();
    for result in on_some_processors(names, |gzip, name| read_container(name, settings, gzip)) {
        match result {
            Ok(container) => containers.push(container),
            Err(problems) => unfit.extend(problems),
        }
    }
    if unfit.is_empty() {
        Ok(containers)
    } else {
        Err(unfit)
    }
}

/// Does something to each of many, and returns what comes of it in their order.
fn on_some_processors<T: Sync, R: Send>(
    many: &[T],
    work: impl Fn(&mut Gzip, &T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut gzip = Gzip::new();
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(one) = many.get(number) else {
                return done;
            };
            done.push((number, work(&mut gzip, one)));
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let readers = processors.min(MAX_READERS).min(many.len());
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..readers).map(|_| scope.spawn(worker)).collect();
        let mut done = worker();
        for other in others {
            done.extend(other.join().expect("a panic ends the process"));
        }
        done
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

fn read_container(
    name: &ContainerName,
    settings: &Settings,
    gzip: &mut Gzip,
) -> Result<Container, Vec<InvalidFile>> {
    let mut objects = Vec::with_capacity(settings.variants().len());
    let mut scripts = Vec::with_capacity(settings.variants().len());
    let mut unfit = Vec::new();
    for &bundle in settings.variants() {
        let path = settings.local_path.join(bundle.file_name(name));
        let read = read_file(&path)
            .and_then(|content| variant_of(&content, &path, name, bundle, settings, gzip));
        match read {
            Ok((object, script)) => {
                objects.push(object);
                scripts.extend(script);
            }
            Err(mut problem) => {
                if bundle == Variant::Pretty && problem.starts_with("does not exist") {
                    problem.push_str(", or set `PRETTY` to `false` to publish without it");
                }
                unfit.push(InvalidFile { path, problem });
            }
        }
    }
    if !unfit.is_empty() {
        return Err(unfit);
    }
    Ok(Container {
        name: name.clone(),
        objects: objects.into(),
        warnings: validate::warnings(name, &scripts, &settings.build),
        script: scripts.pop(),
    })
}

/// What is published of the content of a file.
pub(crate) fn variant_of(
    content: &[u8],
    path: &Path,
    name: &ContainerName,
    bundle: Variant,
    settings: &Settings,
    gzip: &mut Gzip,
) -> Result<(Object, Option<Script>), String> {
    let text = check_text(content)?;
    let script = if settings.validate {
        Some(validate::validate(path, text, name)?)
    } else {
        None
    };
    let build_stamp = build_stamp(settings);
    let body = gzip.compress(content, build_stamp.as_deref());
    let object = Object::new(
        name,
        bundle,
        &settings.target.prefix,
        &settings.target.cdn_prefix,
        ByteSize(content.len() as u64),
        body,
    );
    check_budget(&object, script.as_ref(), settings.max_size)?;
    Ok((object, script))
}

/// What makes the objects of two builds differ even where their scripts are the same: a comment in gzip's header.
///
/// S3's `If-Match` compares contents only. Without it, an older build of the same script could take the place of a newer
/// one unnoticed, and the build number that is stored would go back.
fn build_stamp(settings: &Settings) -> Option<String> {
    let number = settings.only_newer.then(|| settings.build.number())??;
    Some(format!("build {number}"))
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    bounded_file::read(path, MAX_FILE).map_err(|error| match error {
        error if error.is_absent() => "does not exist: run `npm run build` first, and in CI pass `dist/**` on as an artifact of the build step; \
                                         check `CONTAINER_NAME` and `LOCAL_PATH`"
            .to_owned(),
        FileError::Io(_) => error.to_string(),
        FileError::NoFile => format!("{error}; check `CONTAINER_NAME` and `LOCAL_PATH`"),
        FileError::TooLarge(_) => format!("{error}, which no page can bear; check what was built into it"),
    })
}

fn check_text(content: &[u8]) -> Result<&str, String> {
    if gzip::is_compressed(content) {
        return Err(
            "is compressed already: publish it as `npm run build` made it, it is compressed here"
                .to_owned(),
        );
    }
    let text = std::str::from_utf8(content).map_err(|error| {
        let valid = String::from_utf8_lossy(&content[..error.valid_up_to()]);
        let line = 1 + valid.matches('\n').count();
        format!("is not UTF-8 (line {line}): save its sources as UTF-8 and build it again")
    })?;
    if text.trim().is_empty() {
        return Err("is empty: run `npm run build` again and look at its output".to_owned());
    }
    Ok(text)
}

/// Refuses a `NAME.js` that is over `MAX_SIZE`, and says which experiments weigh most.
fn check_budget(
    object: &Object,
    script: Option<&Script>,
    max_size: Option<ByteSize>,
) -> Result<(), String> {
    let Some(max) = max_size.filter(|max| object.compressed_size() > *max) else {
        return Ok(());
    };
    if object.variant != Variant::Minified {
        return Ok(());
    }
    let mut problem = format!(
        "has {} compressed, and `MAX_SIZE` allows {max}: stop or shrink experiments, or raise `MAX_SIZE`",
        object.compressed_size()
    );
    let mut experiments: Vec<&Experiment> = script
        .map(|script| script.experiments.iter().collect())
        .unwrap_or_default();
    if !experiments.is_empty() {
        experiments.sort_by_key(|experiment| std::cmp::Reverse(experiment.size));
        let rows: Vec<_> = experiments
            .iter()
            .take(MAX_EXPERIMENTS)
            .map(|experiment| {
                let share = Percent::of_bytes(experiment.size, object.size.0);
                vec![
                    experiment.id.clone(),
                    experiment.name.clone(),
                    experiment.traffic_shown(),
                    ByteSize(experiment.size).to_string(),
                    format!("{share} of the file"),
                ]
            })
            .collect();
        problem.push_str("\nthe experiments that weigh most, before compression:");
        for row in columns(&rows) {
            problem.push_str("\n  ");
            problem.push_str(&row);
        }
    }
    Err(problem)
}
