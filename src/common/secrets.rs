//! The secrets of the run, and their redaction from everything that is printed or stored.
//!
//! The program never prints secrets on purpose, but a response, an error or a misplaced setting may quote them: as they are, in
//! another encoding, or broken over lines.

use std::borrow::Cow;
use std::iter::once;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use base64::engine::Engine;
use memchr::memmem::Finder;

/// Shorter values are not secrets, and redacting them would garble ordinary words.
const MIN_LENGTH: usize = 8;
/// How many encodings in one another are decoded, such as HTML in JSON in a URL.
const MAX_ENCODINGS: usize = 4;
/// What is printed in place of a secret.
const REDACTED: &str = "***";

/// What to search for: each secret as it is, and within base64.
static NEEDLES: RwLock<Vec<Finder<'static>>> = RwLock::new(Vec::new());

/// Registers secrets. Must be called as soon as they are known, before anything else is done with them.
pub(crate) fn register<T: AsRef<str>>(secrets: impl IntoIterator<Item = T>) {
    let mut needles = NEEDLES.write().unwrap_or_else(PoisonError::into_inner);
    for secret in secrets {
        let secret = secret.as_ref().trim();
        if secret.len() < MIN_LENGTH {
            continue;
        }
        // Line breaks are ignored when encoded text is searched.
        let unbroken: String = secret.split_whitespace().collect();
        for needle in in_base64(secret).chain([secret.to_owned(), unbroken]) {
            let is_known = needles.iter().any(|it| it.needle() == needle.as_bytes());
            if !is_known && needle.len() >= MIN_LENGTH {
                needles.push(Finder::new(&needle).into_owned());
            }
        }
    }
}

/// How base64 of any text shows a secret that is in it: one way for each place of its first byte in a group of three, without
/// the characters at its ends, which depend on what is next to it.
fn in_base64(secret: &str) -> impl Iterator<Item = String> + '_ {
    (0..3).flat_map(move |place| {
        let bytes: Vec<u8> = std::iter::repeat_n(0, place)
            .chain(secret.bytes())
            .collect();
        let (start, end) = ((place * 8).div_ceil(6), bytes.len() * 8 / 6);
        [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD].map(|it| it.encode(&bytes)[start..end].to_owned())
    })
}

/// Replaces the secrets in a text.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    replace(text, |_| REDACTED.to_owned())
}

/// Replaces each character of the secrets in a text, so that every other character and line stays in its place.
pub(crate) fn mask(text: &str) -> Cow<'_, str> {
    let mask = |byte| {
        if matches!(byte, b'\n' | b'\r') {
            byte.into()
        } else {
            '*'
        }
    };
    replace(text, |secret| secret.bytes().map(mask).collect())
}

fn replace(text: &str, by: impl Fn(&str) -> String) -> Cow<'_, str> {
    let found = find(text);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut rest = 0;
    let mut replaced = String::new();
    for secret in found {
        replaced.push_str(&text[rest..secret.start]);
        replaced += &by(&text[secret.clone()]);
        rest = secret.end;
    }
    Cow::Owned(replaced + &text[rest..])
}

/// Where secrets are, in order. Those that overlap are one place.
fn find(text: &str) -> Vec<Range<usize>> {
    let needles = NEEDLES.read().unwrap_or_else(PoisonError::into_inner);
    let shortest = needles.iter().map(|needle| needle.needle().len()).min();
    if shortest.is_none_or(|shortest| text.len() < shortest) {
        return Vec::new();
    }
    let mut found = search(text.as_bytes(), &needles);
    // The text decoded once, decoded twice, and so on.
    let mut layers: Vec<Vec<u8>> = Vec::new();
    while layers.len() < MAX_ENCODINGS {
        let layer = layers.last().map_or(text.as_bytes(), Vec::as_slice);
        let mut decoded = Vec::with_capacity(layer.len());
        let mut at = 0;
        while at < layer.len() {
            at += decode(&layer[at..], &mut decoded);
        }
        if decoded == layer {
            break;
        }
        let mut of_layer = search(&decoded, &needles);
        for layer in layers
            .iter()
            .rev()
            .map(Vec::as_slice)
            .chain(once(text.as_bytes()))
        {
            of_layer = origins(layer, &of_layer);
        }
        found.extend(of_layer);
        layers.push(decoded);
    }
    for place in &mut found {
        place.start = text.floor_char_boundary(place.start);
        place.end = text.ceil_char_boundary(place.end);
    }
    merged(found)
}

/// All occurrences, also those that overlap.
fn search(text: &[u8], needles: &[Finder<'static>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for needle in needles {
        let mut from = 0;
        while let Some(at) = needle.find(&text[from..]) {
            found.push(from + at..from + at + needle.needle().len());
            from += at + 1;
        }
    }
    merged(found)
}

fn merged(mut places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    places.sort_unstable_by_key(|place| place.start);
    places.dedup_by(|next, place| {
        let overlaps = next.start < place.end;
        if overlaps {
            place.end = place.end.max(next.end);
        }
        overlaps
    });
    places
}

/// Which parts of an encoded text these places in the decoded one come from.
fn origins(encoded: &[u8], places: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut origins: Vec<Range<usize>> = Vec::with_capacity(places.len());
    let (mut at, mut decoded, mut is_open) = (0, Vec::new(), false);
    while let Some(place) = places.get(origins.len() - usize::from(is_open)) {
        let length = decode(&encoded[at..], &mut decoded);
        if !is_open && decoded.len() > place.start {
            origins.push(at..at);
            is_open = true;
        }
        at += length;
        if is_open && decoded.len() >= place.end {
            origins.last_mut().expect("one is open").end = at;
            is_open = false;
        }
    }
    origins
}

/// Decodes what is at the start of a text that is not empty: an escape of a URL, of JSON or of HTML, or else a byte. Blanks and
/// line breaks are nothing. Returns how long it is.
fn decode(text: &[u8], decoded: &mut Vec<u8>) -> usize {
    let escape = match text[0] {
        b' ' | b'\t' | b'\r' | b'\n' => return 1,
        // A URL has each byte of a character by itself.
        b'%' => match hex(text, 1, 3).and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) => {
                decoded.push(byte);
                return 3;
            }
            None => None,
        },
        b'\\' => backslash(text),
        b'&' => entity(text),
        _ => None,
    };
    if let Some((code, length)) = escape {
        if let Some(character) = char::from_u32(code) {
            decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return length;
        }
    }
    decoded.push(text[0]);
    1
}

/// JSON's and JavaScript's escapes: the code of the character, and the length.
fn backslash(text: &[u8]) -> Option<(u32, usize)> {
    match text.get(1)? {
        b'u' if text.get(2) == Some(&b'{') => {
            let end = text.iter().take(10).position(|byte| *byte == b'}')?;
            Some((hex(text, 3, end)?, end + 1))
        }
        b'u' => Some((hex(text, 2, 6)?, 6)),
        b'x' => Some((hex(text, 2, 4)?, 4)),
        b'n' | b'r' | b't' => Some((' '.into(), 2)),
        escaped if escaped.is_ascii_punctuation() => Some(((*escaped).into(), 2)),
        _ => None,
    }
}

/// HTML's and XML's references: the code of the character, and the length.
fn entity(text: &[u8]) -> Option<(u32, usize)> {
    let end = text.iter().take(12).position(|byte| *byte == b';')?;
    let code = match &text[1..end] {
        [b'#', b'x' | b'X', ..] => hex(text, 3, end)?,
        [b'#', ..] => number(text, 2, end, 10)?,
        b"amp" => '&'.into(),
        b"lt" => '<'.into(),
        b"gt" => '>'.into(),
        b"quot" => '"'.into(),
        b"apos" => '\''.into(),
        b"sol" => '/'.into(),
        b"plus" => '+'.into(),
        b"equals" => '='.into(),
        b"lowbar" => '_'.into(),
        b"period" => '.'.into(),
        _ => return None,
    };
    Some((code, end + 1))
}

fn hex(text: &[u8], start: usize, end: usize) -> Option<u32> {
    number(text, start, end, 16)
}

fn number(text: &[u8], start: usize, end: usize, radix: u32) -> Option<u32> {
    let digits = text.get(start..end)?;
    // The standard library accepts a sign too.
    let digits = digits
        .iter()
        .all(u8::is_ascii_alphanumeric)
        .then_some(digits)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY=unit/tests";

    /// `SECRET` with each character replaced.
    fn encoded(by: impl Fn(char) -> String) -> String {
        SECRET.chars().map(by).collect()
    }

    #[track_caller]
    fn case(text: &str, expected: &str) {
        register([SECRET]);
        assert_eq!(redact(text), expected);
        assert_eq!(mask(text).len(), text.len());
    }

    #[test]
    fn a_secret_is_found_in_every_encoding() {
        let some = |it: char| !it.is_ascii_alphanumeric();
        let percent = |it: char| format!("%{:02X}", u32::from(it));
        for form in [
            SECRET.to_owned(),
            encoded(percent),
            encoded(percent).to_lowercase(),
            encoded(|it| if some(it) { percent(it) } else { it.into() }),
            encoded(percent).replace('%', "%25"),
            encoded(percent).replace('%', "%2525"),
            encoded(|it| format!("\\u{:04x}", u32::from(it))),
            encoded(|it| format!("\\u{{{:x}}}", u32::from(it))),
            encoded(|it| format!("\\x{:02X}", u32::from(it))),
            SECRET.replace('/', "\\/"),
            SECRET.replace('/', "\\\\\\/"),
            SECRET.replace('/', "\\u002F").replace('=', "&#61;"),
            encoded(|it| format!("&#{};", u32::from(it))),
            encoded(|it| format!("&#x{:x};", u32::from(it))),
            encoded(|it| format!("&amp;#X{:04X};", u32::from(it))),
            SECRET.replace('/', "&sol;").replace('+', "&plus;"),
            SECRET.replace("K7", "K7\n  "),
            encoded(|it| format!("{it} ")).trim_end().to_owned(),
        ] {
            case(&form, "***");
            case(
                &format!("ü <a> {form}</a>\n{form} 5 %"),
                "ü <a> ***</a>\n*** 5 %",
            );
        }
    }

    #[test]
    fn a_secret_is_found_in_base64() {
        for text in [
            SECRET.to_owned(),
            format!("a:{SECRET}"),
            format!("ab:{SECRET}:c"),
            format!("{SECRET}ä"),
        ] {
            for base64 in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                register([SECRET]);
                for form in [
                    &base64,
                    &base64.replace('/', "\\/"),
                    &base64.replace('+', "%2b"),
                ] {
                    let redacted = redact(form).into_owned();
                    assert!(
                        redacted.contains("***") && redacted.len() < 20,
                        "{redacted}"
                    );
                }
            }
        }
    }

    #[test]
    fn of_secrets_that_overlap_nothing_remains() {
        register([
            "one-of-two-secrets",
            "two-secrets-and-more",
            "secrets-and-more-of-it",
            "of-two-secrets-a",
        ]);
        case("a one-of-two-secrets-and-more-of-it b", "a *** b");
        case("one-of-two-secretsone-of-two-secrets", "******");
        register(["abcabcabcabc"]);
        case("abcabcabcabcabcabc: abcabcabc", "***: abcabcabc");
    }

    #[test]
    fn a_masked_secret_leaves_everything_in_its_place() {
        let escaped = SECRET.replace('/', "\\u002f\r\n");
        register([SECRET]);
        let masked = mask(&escaped).into_owned();
        assert_eq!(masked.lines().count(), 3);
        assert!(masked.chars().all(|it| "*\r\n".contains(it)), "{masked}");
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "",
            "%",
            "%2",
            "100%",
            "\\",
            "\\u12",
            "&",
            "&;",
            "&#;",
            "&#x110000;",
            "&#-1;",
            "%ff%+1",
            "ü%c3",
        ] {
            case(text, text);
        }
        register(["short"]);
        case("a short text", "a short text");
    }

    proptest::proptest! {
        #![proptest_config(crate::common::testing::cases(2_000))]

        /// Whatever surrounds a secret, and in whatever encodings it is, nothing panics and nothing of it stays.
        #[test]
        fn a_secret_is_found_in_any_text(
            before in "[%&#x;\\\\u0-9a-f ü\n]{0,8}",
            after in "[%&#x;\\\\u0-9a-f ü\n]{0,8}",
            forms in proptest::collection::vec(0..6, SECRET.len()),
        ) {
            let mut forms = forms.into_iter();
            let secret = encoded(|it| it.to_string());
            let secret: String = secret.chars().map(|it| match forms.next() {
                Some(0) => format!("%{:02x}", u32::from(it)),
                Some(1) => format!("\\u{:04X}", u32::from(it)),
                Some(2) => format!("&#{};", u32::from(it)),
                Some(3) => format!("&#x{:x};", u32::from(it)),
                _ => it.to_string(),
            }).collect();
            register([SECRET]);
            let text = format!("{before}|{secret}|{after}");
            let redacted = redact(&text).into_owned();
            proptest::prop_assert!(redacted.contains("***"), "{}", redacted);
            proptest::prop_assert!(redacted.len() <= text.len() - secret.len() + 3, "{}", redacted);
        }
    }
}
