//! Finds the place in the sources that a syntax error of a container comes from.

use std::path::Path;
use std::time::Duration;

use super::{InvalidFile, MAX_FILE};
use crate::common::bounded_file;
use crate::mojito::script;
use crate::mojito::waves::SourceLines;
use crate::settings::names::Variant;
use crate::settings::Settings;

/// How many errors are looked for. The log shows no more.
const MAX_ERRORS: usize = 30;
/// For the readable variant, which is a help only.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Adds the places that are certain. `root` is the repository's.
pub(super) fn find(files: &mut [InvalidFile], settings: &Settings, root: &Path) {
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
    let text = String::from_utf8(bounded_file::read(&pretty, MAX_FILE).ok()?).ok()?;
    let error = script::read_within(&text, TIMEOUT).err()?;
    error.line(&text).map(str::to_owned)
}
