//! The `Cache-Control` header of what is published, and how long a CDN may serve the old container because of it.

use super::names::{text_newtypes, valid_text};

/// Mojito's own value: browsers and the CDN revalidate after five minutes.
const DEFAULT: &str = "public, max-age=300, s-maxage=300, must-revalidate";

/// S3 allows 2 KB for the names and values of an object's system metadata, which also has its type and encoding.
const MAX_LENGTH: usize = 1_900;

text_newtypes! {
    /// A value of the `Cache-Control` header.
    CacheControl;
}

impl CacheControl {
    /// On failure, what is expected.
    pub(crate) fn parse(value: &str) -> Result<Self, &'static str> {
        let value = value.trim();
        let directives = value.split(',').all(|directive| {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim().to_ascii_lowercase();
            let seconds = matches!(name.as_str(), "max-age" | "s-maxage");
            !name.is_empty()
                && !name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                && (!seconds || argument.trim().parse::<u32>().is_ok())
        });
        let is_valid = directives && !value.contains(|c| !matches!(c, ' '..='~'));
        if value.len() > MAX_LENGTH {
            return Err("at most 1,900 characters, as S3 allows 2 KB for the headers of an object");
        }
        valid_text(is_valid, value, "directives such as `public, max-age=300`").map(Self)
    }

    /// How long a CDN caches an object with this header, in seconds. `None` if the header has no such directive.
    pub(crate) fn shared_max_age(&self) -> Option<u32> {
        seconds(&self.0, "s-maxage").or_else(|| seconds(&self.0, "max-age"))
    }
}

/// How long any cache, a browser's or a CDN's, may serve a response with this header, in seconds. `None` if it does not say.
pub(crate) fn longest_age(header: &str) -> Option<u32> {
    let [shared, own, stale] =
        ["s-maxage", "max-age", "stale-while-revalidate"].map(|name| seconds(header, name));
    Some(shared.max(own)?.saturating_add(stale.unwrap_or_default()))
}

/// The argument of a directive.
fn seconds(header: &str, wanted: &str) -> Option<u32> {
    header.split(',').find_map(|directive| {
        let (name, argument) = directive.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| argument.trim().parse().ok())?
    })
}

impl Default for CacheControl {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_checked() {
        let valid = "no-store|private, no-cache=\"set-cookie\"|max-age=0";
        for value in valid.split('|').chain([DEFAULT]) {
            assert_eq!(CacheControl::parse(value).unwrap().as_str(), value);
        }
        let invalid = "300 seconds|max-age|max-age=5m|Max-Age=5m|public,,max-age=1|max-age=-1|no-störe|a\nb: c";
        for value in invalid.split('|') {
            assert!(CacheControl::parse(value).is_err(), "{value}");
        }
        let of_length = |length: usize| format!("max-age=1,{}", "a".repeat(length - 10));
        assert!(CacheControl::parse(&of_length(MAX_LENGTH)).is_ok());
        let too_long = CacheControl::parse(&of_length(MAX_LENGTH + 1)).unwrap_err();
        assert!(too_long.starts_with("at most 1,900 characters"));
    }

    #[test]
    fn a_cdn_prefers_s_maxage() {
        for (value, seconds) in [
            (DEFAULT, Some(300)),
            ("max-age=60", Some(60)),
            ("max-age=60, s-maxage=10", Some(10)),
            ("no-store", None),
        ] {
            let value = CacheControl::parse(value).unwrap();
            assert_eq!(value.shared_max_age(), seconds);
        }
    }

    #[test]
    fn the_longest_of_all_caches_counts() {
        for (header, seconds) in [
            (DEFAULT, Some(300)),
            ("Max-Age=900, s-maxage = 60", Some(900)),
            ("max-age=60, stale-while-revalidate=30", Some(90)),
            ("max-age=x, no-cache=\"a\"", None),
        ] {
            assert_eq!(longest_age(header), seconds, "{header}");
        }
    }
}
