//! The `Cache-Control` header of what is published, and how long a CDN may serve the old container because of it.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

/// Mojito's own value: browsers and the CDN revalidate after five minutes.
const DEFAULT: &str = "public, max-age=300, s-maxage=300, must-revalidate";

/// A value of the `Cache-Control` header.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct CacheControl(String);

impl CacheControl {
    /// On failure, what is expected.
    pub(crate) fn parse(value: &str) -> Result<Self, &'static str> {
        let value = value.trim();
        let directives = value.split(',').all(|directive| {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim().to_ascii_lowercase();
            let seconds = matches!(name.as_str(), "max-age" | "s-maxage");
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && (!seconds || argument.trim().parse::<u32>().is_ok())
        });
        if directives && value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            Ok(Self(value.to_owned()))
        } else {
            Err("directives such as `public, max-age=300`")
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// How long a CDN caches an object with this header, in seconds. `None` if the header has no such directive.
    pub(crate) fn shared_max_age(&self) -> Option<u32> {
        let seconds = |wanted: &str| {
            self.0.split(',').find_map(|directive| {
                let (name, argument) = directive.split_once('=')?;
                name.trim()
                    .eq_ignore_ascii_case(wanted)
                    .then(|| argument.trim().parse().ok())?
            })
        };
        seconds("s-maxage").or_else(|| seconds("max-age"))
    }
}

impl Default for CacheControl {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl Display for CacheControl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_checked() {
        for value in [
            DEFAULT,
            "no-store",
            "private, no-cache=\"set-cookie\"",
            "max-age=0",
        ] {
            assert_eq!(CacheControl::parse(value).unwrap().as_str(), value);
        }
        for value in [
            "300 seconds",
            "max-age",
            "max-age=5m",
            "Max-Age=5m",
            "public,,max-age=1",
            "max-age=-1",
            "no-störe",
            "a\nb: c",
        ] {
            assert!(CacheControl::parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_cdn_prefers_s_maxage() {
        for (value, seconds) in [
            (DEFAULT, Some(300)),
            ("max-age=60", Some(60)),
            ("max-age=60, s-maxage=10", Some(10)),
            ("no-store", None),
        ] {
            assert_eq!(
                CacheControl::parse(value).unwrap().shared_max_age(),
                seconds
            );
        }
    }
}
