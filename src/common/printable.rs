//! Sanitizes untrusted text, such as from a container or a response, for the log.
//!
//! In a terminal, escape sequences could recolour or erase other lines, direction marks could reorder text, and endless text
//! could bury the rest.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::secrets;

/// The most characters of a name or value.
const MAX_TEXT: usize = 200;
/// Stands for a character that must not be printed.
const REPLACEMENT: &str = "\u{fffd}";
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
    let shown = text[..end.unwrap_or(text.len())].replace(is_unsafe_in_log, REPLACEMENT);
    shown + end.map_or("", |_| "…")
}

/// Sanitizes a whole message of this program, of which only the line breaks are certain to be its own.
pub(crate) fn sanitize_lines(text: &str) -> Cow<'_, str> {
    let is_unsafe = |c| c != '\n' && is_unsafe_in_log(c);
    let text = secrets::redact(text);
    if text.contains(is_unsafe) {
        text.replace(is_unsafe, REPLACEMENT).into()
    } else {
        text
    }
}

/// Sanitizes every text in JSON, so that a secret in it cannot break its syntax.
pub(crate) fn sanitize_json(value: &mut Value) {
    match value {
        Value::String(text) => *text = sanitize_lines(text).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(sanitize_json),
        Value::Object(fields) => fields.values_mut().for_each(sanitize_json),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a character can affect the text around it, or is invisible.
pub(crate) fn is_unsafe_in_log(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Line and paragraph separators, and interlinear annotations.
            '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}'
            // Unicode's Default_Ignorable_Code_Point: direction marks, joiners and other characters of no width. Variation
            // selectors, which choose between two shapes of the character before them, are harmless.
            | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Text from elsewhere, such as the name of a tag. Git accepts control characters and direction marks in it.
///
/// Displayed or serialized, it is sanitized; what is stored or compared is the exact text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct UntrustedText(String);

impl UntrustedText {
    /// The text as it is, which must not be printed.
    pub(crate) fn exact(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for UntrustedText {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl Display for UntrustedText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&sanitize(&self.0))
    }
}

impl Serialize for UntrustedText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let legible = "Größere Schaltfläche 大 👍 ❤\u{fe0f}";
        case(legible, legible);
        // Joiners within one emoji are replaced as well, so it is shown as its parts.
        case("👩\u{200d}💻", "👩\u{fffd}💻");
    }

    #[test]
    fn invisible_characters_are_replaced() {
        let invisible = "\u{ad}\u{200b}\u{200c}\u{200d}\u{2060}\u{2064}\u{206f}\u{3164}\u{feff}\u{fff9}\u{e0041}";
        for character in invisible.chars() {
            assert_eq!(sanitize(&format!("a{character}b")), "a\u{fffd}b");
        }
    }

    #[test]
    fn a_message_keeps_its_line_breaks() {
        assert_eq!(sanitize_lines("a\n  b\r\u{9b}c"), "a\n  b\u{fffd}\u{fffd}c");
        let mut json = json!({"a": ["b\u{202e}\nc", 5, null]});
        sanitize_json(&mut json);
        assert_eq!(json, json!({"a": ["b\u{fffd}\nc", 5, null]}));
    }

    #[test]
    fn a_secret_does_not_break_json() {
        secrets::register(["\",\"key\":\"", "1234567890"]);
        let mut json = json!({"a": "b", "key": "in 1234567890", "size": 1_234_567_890});
        sanitize_json(&mut json);
        assert_eq!(
            json,
            json!({"a": "b", "key": "in ***", "size": 1_234_567_890})
        );
    }

    #[test]
    fn untrusted_text_is_shown_sanitized_and_kept_exact() {
        let text = UntrustedText::from("a\n✔ published\u{202e}");
        assert_eq!(text.to_string(), "a\u{fffd}✔ published\u{fffd}");
        assert_eq!(json!(text), json!(text.to_string()));
        assert_eq!(text.exact(), "a\n✔ published\u{202e}");
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
