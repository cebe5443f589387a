//! A file that cannot be published, and the place in the sources that its syntax error comes from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::common::bounded_file;
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize_message;
use crate::mojito::script;
use crate::mojito::waves::source_lines::SourceLines;
use crate::mojito::waves::Place;
use crate::settings::names::Variant;
use crate::settings::Settings;

/// How many errors are looked for. The log shows no more.
const MAX_ERRORS: usize = 30;
/// Of the readable variant. No larger script is parsed.
const MAX_PRETTY: ByteSize = ByteSize(2_000_000);
/// For parsing it, which is a help only.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A file that cannot be published.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{}` {problem}{}", sanitize_message(&.path.display().to_string()), from_source(.place.as_ref()))]
pub(crate) struct InvalidFile {
    pub(crate) path: PathBuf,
    pub(crate) problem: String,
    /// The line of a syntax error.
    pub(crate) line: Option<String>,
    /// Where that line is in the sources.
    pub(crate) place: Option<Place>,
}

fn from_source(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| format!("\nthis comes from `{place}`"))
}

/// Adds the places that are certain. `root` is the repository's.
pub(super) fn add_places(files: &mut [InvalidFile], settings: &Settings, root: &Path) {
    let errors = files.iter_mut().filter(|file| file.line.is_some());
    let mut errors = errors.take(MAX_ERRORS).peekable();
    if errors.peek().is_none() {
        return;
    }
    let sources = SourceLines::read(root);
    for file in errors {
        let place = file.line.as_ref().and_then(|line| sources.find(line));
        file.place = place.or_else(|| sources.find(&line_of_pretty(file, settings)?));
    }
}

/// The line of the error in the readable variant, as minified code has no lines.
fn line_of_pretty(file: &InvalidFile, settings: &Settings) -> Option<String> {
    let names = settings.target.containers.iter();
    let mut names = names.filter(|name| file.path.ends_with(Variant::Minified.file_name(name)));
    let pretty = file
        .path
        .with_file_name(Variant::Pretty.file_name(names.next()?));
    let text = String::from_utf8(bounded_file::read(&pretty, MAX_PRETTY).ok()?).ok()?;
    let error = script::read_within(&text, TIMEOUT).err()?;
    error.line(&text).map(str::to_owned)
}
