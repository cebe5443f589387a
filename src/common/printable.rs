//! Text from elsewhere, such as a container's or an answer's, without what would disturb a log.
//!
//! A log is read by people and shown by terminals: an escape would colour or erase what stands around it, a mark of
//! direction would turn it, and a text without end would bury it.

use std::iter::once;

use super::secrets;

/// Characters of a container's text that are shown.
const MAX_TEXT: usize = 200;
/// Characters of a sentence that are shown. AWS's longest, which quote ARNs and name policies, have some hundred.
pub(crate) const MAX_MESSAGE: usize = 2_000;

/// A name or a value in a container or among the settings, or a header of what is served.
pub(crate) fn sanitize(text: &str) -> String {
    truncate(text, MAX_TEXT)
}

/// What AWS says, or whatever answers in its place, or what quotes something that may have any length.
pub(crate) fn sanitize_message(text: &str) -> String {
    truncate(text, MAX_MESSAGE)
}

fn truncate(text: &str, longest: usize) -> String {
    // It may quote a secret, of which no half may be left where it is cut.
    let text = &secrets::redact(text);
    let end = text.char_indices().nth(longest).map(|(at, _)| at);
    let shown = text[..end.unwrap_or(text.len())].chars().map(|c| {
        if is_unsafe_in_log(c) {
            '\u{fffd}'
        } else {
            c
        }
    });
    match end {
        Some(_) => shown.chain(once('…')).collect(),
        None => shown.collect(),
    }
}

/// Whether a character does more to a line than to stand in it.
pub(crate) fn is_unsafe_in_log(c: char) -> bool {
    c.is_control()
        // The ends of lines and paragraphs, and what turns the direction of writing.
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_cannot_disturb_a_log() {
        #[track_caller]
        fn case(text: &str, expected: &str) {
            assert_eq!(sanitize(text), expected);
            assert_eq!(sanitize_message(text), expected);
        }
        case("a\u{1b}[31m\nb\u{9b}", "a\u{fffd}[31m\u{fffd}b\u{fffd}");
        case("\u{2028}\r\t", "\u{fffd}\u{fffd}\u{fffd}");
        // What turns the direction of writing, so that one name reads like another.
        for mark in [
            '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
            '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
        ] {
            case(&format!("a{mark}b"), "a\u{fffd}b");
        }
        case("Größere Schaltfläche 大 👍", "Größere Schaltfläche 大 👍");
    }

    #[test]
    fn it_has_an_end() {
        for character in ["a", "ö", "👍"] {
            let longest = character.repeat(MAX_TEXT);
            assert_eq!(sanitize(&longest), longest);
            assert_eq!(
                sanitize(&format!("{longest}{character}")),
                format!("{longest}…")
            );
            assert_eq!(sanitize(&longest.repeat(9)), format!("{longest}…"));
            let answer = sanitize_message(&character.repeat(200 * MAX_MESSAGE));
            assert_eq!(answer.chars().count(), MAX_MESSAGE + 1);
        }
    }
}
