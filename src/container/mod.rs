//! Reads, validates and compresses the built containers, and refuses files that would break the pages that load them.
//!
//! This happens before the first request, and reports all problems at once.

pub(crate) mod changes;
pub(crate) mod consequences;
pub(crate) mod gzip;
mod invalid_file;
pub(crate) mod object;
pub(crate) mod served;
pub(crate) mod stored;
pub(crate) mod validate;

use std::collections::BTreeMap;
use std::iter;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::gzip::Gzip;
pub(crate) use self::invalid_file::InvalidFile;
use self::object::{Container, Object};
use self::validate::Problem;
use crate::common::bounded_file::{self, FileError};
use crate::common::byte_size::ByteSize;
use crate::common::layout::columns;
use crate::mojito::experiment::{Experiment, Percent};
use crate::mojito::script::Script;
use crate::settings::names::{ContainerName, Variant};
use crate::settings::Settings;

/// CloudFront compresses nothing larger, and no page should load it. Real containers are a few hundred kilobytes.
pub(crate) const MAX_FILE: ByteSize = ByteSize(10_000_000);
/// Containers read concurrently. Each is held in memory several times, decompressed and compressed. Parsing has a limit of its own.
pub(crate) const MAX_READERS: usize = 2;
/// Until when the last file is begun. Real ones take milliseconds each, and a script may take `script`'s limit.
const READING_TIMEOUT: Duration = Duration::from_mins(2);
/// Experiments listed when a container exceeds `MAX_SIZE`.
const MAX_EXPERIMENTS: usize = 5;

/// Reads, checks and compresses every file that is to be published.
pub(crate) fn read(settings: &Settings) -> Result<Vec<Container>, Vec<InvalidFile>> {
    read_until(Instant::now() + READING_TIMEOUT, settings)
}

fn read_until(deadline: Instant, settings: &Settings) -> Result<Vec<Container>, Vec<InvalidFile>> {
    let read = |gzip: &mut Gzip, name: &_| read_container(name, deadline, settings, gzip);
    let containers = map_in_parallel(&settings.target.containers, read);
    all(containers).map_err(|invalid| {
        let mut invalid = invalid.concat();
        invalid_file::add_places(&mut invalid, settings, Path::new("."));
        invalid
    })
}

/// All values, or all problems.
fn all<T, E>(results: impl IntoIterator<Item = Result<T, E>>) -> Result<Vec<T>, Vec<E>> {
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(values)
    } else {
        Err(problems)
    }
}

/// Maps the items on up to `MAX_READERS` threads. The results keep the order of the items.
fn map_in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&mut Gzip, &T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut gzip = Gzip::new();
        let take = || {
            let number = next.fetch_add(1, Ordering::Relaxed);
            Some((number, work(&mut gzip, items.get(number)?)))
        };
        iter::from_fn(take).collect::<BTreeMap<usize, R>>()
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let readers = processors.min(MAX_READERS).min(items.len());
    let done = thread::scope(|scope| {
        let others: Vec<_> = (1..readers).map(|_| scope.spawn(worker)).collect();
        let mut done = worker();
        for other in others {
            done.extend(other.join().expect("a panic ends the process"));
        }
        done
    });
    done.into_values().collect()
}

fn read_container(
    name: &ContainerName,
    deadline: Instant,
    settings: &Settings,
    gzip: &mut Gzip,
) -> Result<Container, Vec<InvalidFile>> {
    let files = all(settings.variants().iter().map(|&variant| {
        let path = settings.local_path.join(variant.file_name(name));
        let read = in_time(deadline)
            .and_then(|()| read_file(&path, variant))
            .map_err(Problem::from)
            .and_then(|content| prepare(&content, &path, name, variant, settings, gzip));
        read.map_err(|Problem { text, line }| InvalidFile {
            path,
            problem: text,
            line,
            place: None,
        })
    }))?;
    let (objects, scripts): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    let mut scripts: Vec<Script> = scripts.into_iter().flatten().collect();
    Ok(Container {
        name: name.clone(),
        objects: objects.into(),
        warnings: validate::warnings(name, &scripts, &settings.build),
        script: scripts.pop(),
    })
}

fn in_time(deadline: Instant) -> Result<(), String> {
    let minutes = READING_TIMEOUT.as_secs() / 60;
    let problem = || {
        format!(
            "was not read, as the {minutes} min for all files of a run were over\n\
             publish fewer containers in one run"
        )
    };
    (Instant::now() < deadline)
        .then_some(())
        .ok_or_else(problem)
}

/// Turns the content of a file into an object, and parses it if `VALIDATE` is on.
pub(crate) fn prepare(
    content: &[u8],
    path: &Path,
    name: &ContainerName,
    variant: Variant,
    settings: &Settings,
    gzip: &mut Gzip,
) -> Result<(Object, Option<Script>), Problem> {
    let text = check_text(content)?;
    let validate = || validate::validate(path, text, name);
    let script = settings.validate.then(validate).transpose()?;
    let body = gzip.compress(content, build_stamp(settings).as_deref());
    let object = Object::new(
        name,
        variant,
        &settings.target.prefix,
        &settings.target.cdn_prefix,
        ByteSize(content.len() as u64),
        body,
    );
    check_budget(&object, script.as_ref(), settings.max_size)?;
    Ok((object, script))
}

/// A comment for the gzip header, so that objects of different runs differ even if their scripts are equal.
///
/// S3's `If-Match` compares content only. Without the comment, a run could not see that others have replaced what it looked at
/// with the same script, and an older build could replace a newer one unnoticed.
fn build_stamp(settings: &Settings) -> Option<String> {
    settings.only_newer.then(|| settings.build.stamp())?
}

fn read_file(path: &Path, variant: Variant) -> Result<Vec<u8>, String> {
    bounded_file::read(path, MAX_FILE).map_err(|error| match error {
        error if error.is_absent() => {
            let alternative = match variant {
                Variant::Pretty => ", or set `PRETTY` to `false` to publish without it",
                Variant::Minified => "",
            };
            format!(
                "does not exist\n\
                 run `npm run build` first; in CI, make `dist/**` an artifact of the build step\n\
                 check `CONTAINER_NAME` and `LOCAL_PATH`{alternative}"
            )
        }
        FileError::Io(_) | FileError::Link | FileError::TimedOut => error.to_string(),
        FileError::NoFile => format!("{error}; check `CONTAINER_NAME` and `LOCAL_PATH`"),
        FileError::TooLarge(_) => {
            format!("{error}, too large for any page: check what was built into it")
        }
    })
}

fn check_text(content: &[u8]) -> Result<&str, String> {
    if gzip::is_compressed(content) {
        return Err(
            "is already compressed: publish the output of `npm run build` as it is; mojito-publish compresses it"
                .to_owned(),
        );
    }
    let text = std::str::from_utf8(content).map_err(|error| {
        let valid = String::from_utf8_lossy(&content[..error.valid_up_to()]);
        let line = 1 + valid.matches('\n').count();
        format!("is not UTF-8 (line {line}): save its sources as UTF-8 and rebuild")
    })?;
    if text.trim().is_empty() {
        return Err("is empty: re-run `npm run build` and check its output".to_owned());
    }
    Ok(text)
}

/// Refuses a `NAME.js` larger than `MAX_SIZE`, and lists its largest experiments.
fn check_budget(
    object: &Object,
    script: Option<&Script>,
    max_size: Option<ByteSize>,
) -> Result<(), String> {
    let size = object.compressed_size();
    match max_size {
        Some(max) if size > max && object.variant == Variant::Minified => Err(format!(
            "is {size} compressed, but `MAX_SIZE` allows {max}: stop or shrink experiments, or raise `MAX_SIZE`{}",
            largest_experiments(script, object)
        )),
        _ => Ok(()),
    }
}

fn largest_experiments(script: Option<&Script>, object: &Object) -> String {
    let experiments = script.map(|script| script.experiments.iter());
    let mut experiments: Vec<&Experiment> = experiments.into_iter().flatten().collect();
    if experiments.is_empty() {
        return String::new();
    }
    experiments.sort_by_key(|experiment| std::cmp::Reverse(experiment.size));
    let row = |experiment: &&Experiment| {
        let share = Percent::of_bytes(experiment.size, object.size.0);
        vec![
            experiment.id.clone(),
            experiment.name.clone(),
            experiment.describe_traffic(),
            ByteSize(experiment.size).to_string(),
            format!("{share} of the file"),
        ]
    };
    let rows: Vec<_> = experiments.iter().take(MAX_EXPERIMENTS).map(row).collect();
    let rows = columns(&rows).join("\n  ");
    format!("\nlargest experiments, before compression:\n  {rows}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mojito::config_js::ConfigJs;
    use crate::settings::raw::Raw;
    use crate::settings::Flags;

    #[test]
    fn no_file_is_begun_when_the_time_for_all_is_over() {
        let raw: Raw = [
            ("ENVIRONMENT", "production"),
            ("CONTAINER_NAME", "mojito"),
            (
                "LOCAL_PATH",
                concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/sample"),
            ),
            ("VALIDATE", "false"),
            ("S3_BUCKET", "acme"),
            ("AWS_DEFAULT_REGION", "ap-southeast-2"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]
        .into_iter()
        .collect();
        let settings = Settings::new(Flags::default(), &raw, ConfigJs::default(), None).unwrap();
        assert_eq!(read(&settings).map(|all| all.len()), Ok(1));
        let over = Instant::now();
        let invalid = read_until(over, &settings).unwrap_err();
        assert!(invalid[0].problem.contains("the 2 min for all files"));
    }
}
