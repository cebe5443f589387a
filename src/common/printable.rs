//! Sanitizes untrusted text, such as from a container or a response, for the log.
//!
//! In a terminal, escape sequences could recolour or erase other lines, direction marks could reorder text, and endless text
//! could bury the rest.

use super::secrets;

/// The most characters of a name or value.
const MAX_TEXT: usize = 200;
/// The most characters of a message. AWS's longest, which quote ARNs and policies, have a few hundred.
pub(crate) const MAX_MESSAGE: usize = 2_000;

/// Sanitizes a name or value, such as from a container, a setting or a header.
pub(crate) fn sanitize(text: &str) -> String {
    truncate(text, MAX_TEXT)
}

/// Sanitizes a message, such as from AWS or one that quotes text of any length.
pub(crate) fn sanitize_message(text: &str) -> String {
    truncate(text, MAX_MESSAGE)
}

fn truncate(text: &str, max: usize) -> String {
    // Redact first, so that truncation cannot leave part of a secret.
    let text = &secrets::redact(text);
    let end = text.char_indices().nth(max).map(|(at, _)| at);
    let shown = text[..end.unwrap_or(text.len())].replace(is_unsafe_in_log, "\u{fffd}");
    shown + end.map_or("", |_| "…")
}

/// Whether a character can affect the text around it.
pub(crate) fn is_unsafe_in_log(c: char) -> bool {
    c.is_control()
        // Line and paragraph separators, and direction marks.
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        #[track_caller]
        fn case(text: &str, expected: &str) {
            assert_eq!(sanitize(text), expected);
            assert_eq!(sanitize_message(text), expected);
        }
        case("a\u{1b}[31m\nb\u{9b}", "a\u{fffd}[31m\u{fffd}b\u{fffd}");
        case("\u{2028}\r\t", "\u{fffd}\u{fffd}\u{fffd}");
        // Direction marks can make one name read like another.
        let other_marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
        for mark in ('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .chain(other_marks)
        {
            case(&format!("a{mark}b"), "a\u{fffd}b");
        }
        case("Größere Schaltfläche 大 👍", "Größere Schaltfläche 大 👍");
    }

    #[test]
    fn long_text_is_truncated() {
        for character in ["a", "ö", "👍"] {
            let longest = character.repeat(MAX_TEXT);
            assert_eq!(sanitize(&longest), longest);
            let truncated = format!("{longest}…");
            assert_eq!(sanitize(&format!("{longest}{character}")), truncated);
            assert_eq!(sanitize(&longest.repeat(9)), truncated);
            let answer = sanitize_message(&character.repeat(200 * MAX_MESSAGE));
            assert_eq!(answer.chars().count(), MAX_MESSAGE + 1);
        }
    }
}
