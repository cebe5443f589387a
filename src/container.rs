//! Reads the built containers and refuses what would break the pages that load them.
//!
//! All of it happens before the first request, and everything that is wrong is reported in one go.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::byte_size::ByteSize;
use crate::error::Unfit;
use crate::gzip::Gzip;
use crate::object::{Bundle, Container, Object};
use crate::settings::Settings;

/// CloudFront compresses, and pages can bear, nothing larger. Real containers have some hundred kilobytes.
const LARGEST_FILE: ByteSize = ByteSize(10_000_000);

/// Reads, checks and compresses every file that is to be published.
pub(crate) fn read(settings: &Settings) -> Result<Vec<Container>, Vec<Unfit>> {
    let bundles = settings.bundles();
    let mut gzip = Gzip::new();
    let mut unfit = Vec::new();
    let mut containers = Vec::with_capacity(settings.target.containers.len());
    for name in &settings.target.containers {
        let mut objects = Vec::with_capacity(bundles.len());
        for &bundle in bundles {
            let path = settings.local_path.join(bundle.file_name(name));
            let result = read_file(&path).and_then(|content| {
                check(&content, settings.validate)?;
                let body = gzip.compress(&content);
                let object = Object::new(
                    name,
                    bundle,
                    &settings.target.prefix,
                    &settings.target.cdn_prefix,
                    ByteSize(content.len() as u64),
                    body,
                );
                check_budget(&object, settings.max_size)?;
                Ok(object)
            });
            match result {
                Ok(object) => objects.push(object),
                Err(mut problem) => {
                    if bundle == Bundle::Pretty && problem.starts_with("does not exist") {
                        problem.push_str(", or set `PRETTY` to `false` to publish without it");
                    }
                    unfit.push(Unfit { path, problem });
                }
            }
        }
        containers.push(Container {
            name: name.clone(),
            objects: objects.into(),
        });
    }
    if unfit.is_empty() {
        Ok(containers)
    } else {
        Err(unfit)
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "does not exist: run `npm run build` first, and in CI pass `dist/**` on as an artifact of the build step; \
                                check `CONTAINER_NAME` and `LOCAL_PATH`"
            .to_owned(),
        _ => unreadable(error),
    })?;
    // Before it is opened: a pipe would wait for its writer.
    if !metadata.is_file() {
        return Err("is not a file; check `CONTAINER_NAME` and `LOCAL_PATH`".to_owned());
    }
    let file = File::open(path).map_err(unreadable)?;
    // The limit is also that of the read, as the file may grow meanwhile.
    let mut content = Vec::with_capacity(
        usize::try_from(metadata.len().min(LARGEST_FILE.0)).unwrap_or_default() + 1,
    );
    file.take(LARGEST_FILE.0 + 1)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    if content.len() as u64 > LARGEST_FILE.0 {
        return Err(format!(
            "is larger than {LARGEST_FILE}, which no page can bear; check what was built into it"
        ));
    }
    Ok(content)
}

fn check(content: &[u8], validate: bool) -> Result<(), String> {
    if content.starts_with(&[0x1f, 0x8b]) {
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
    if validate {
        check_mojito(text)?;
    }
    Ok(())
}

/// Refuses what is plainly no Mojito container: a page saved under the script's name, a merge left unfinished, another script.
fn check_mojito(text: &str) -> Result<(), String> {
    const HOW_TO_PUBLISH: &str = "to publish it all the same, set `VALIDATE` to `false`";
    if text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('<')
    {
        return Err(format!(
            "is HTML or XML and not a script: look at what `npm run build` wrote; {HOW_TO_PUBLISH}"
        ));
    }
    let conflict = text
        .lines()
        .position(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "));
    if let Some(line) = conflict {
        return Err(format!(
            "has a merge conflict in line {}: resolve it and build again; {HOW_TO_PUBLISH}",
            line + 1
        ));
    }
    if !text.contains("Mojito") {
        return Err(format!("never mentions `Mojito`, so it is no Mojito container: check `CONTAINER_NAME`; {HOW_TO_PUBLISH}"));
    }
    Ok(())
}

fn check_budget(object: &Object, max_size: Option<ByteSize>) -> Result<(), String> {
    match max_size {
        Some(max) if object.bundle == Bundle::Minified && object.compressed_size() > max => Err(format!(
            "has {} compressed, and `MAX_SIZE` allows {max}: stop or shrink experiments, or raise `MAX_SIZE`",
            object.compressed_size()
        )),
        _ => Ok(()),
    }
}
