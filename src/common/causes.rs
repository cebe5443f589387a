//! The causes of an error, which libraries wrap several times.

use std::error::Error as StdError;
use std::iter::successors;

use super::printable::sanitize_message;

/// The error and its sources.
pub(crate) fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// The error's source chain as text, without the repetition that wrapping causes.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for error in chain(error) {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    sanitize_message(&parts.join(": "))
}
