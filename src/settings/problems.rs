//! Collects the problems with the settings, so that all of them are reported at once.

use std::str::FromStr;

use http::Uri;
use thiserror::Error;

use crate::common::printable::{sanitize, sanitize_message};
use crate::common::secrets;

/// What is wrong with a URL that has a password, which is not shown.
pub(crate) const WITHOUT_PASSWORD: &str =
    "is a URL with a user name or password, expected one without";

/// A setting that is missing or invalid. Secrets are never shown in it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{setting}` {problem}")]
pub(crate) struct InvalidSetting {
    setting: String,
    problem: String,
}

impl InvalidSetting {
    pub(crate) fn new(setting: &str, problem: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            problem: sanitize_message(&problem.into()),
        }
    }

    /// Whether the problem is this setting's.
    pub(crate) fn is_of(&self, setting: &str) -> bool {
        self.setting == setting
    }

    /// A problem of several lines, such as one with an excerpt of a file.
    pub(crate) fn lines(setting: &str, problem: &str) -> Self {
        let lines: Vec<String> = problem.lines().map(sanitize_message).collect();
        Self {
            setting: setting.into(),
            problem: lines.join("\n"),
        }
    }

    /// A value that is not what is expected.
    pub(crate) fn value(setting: &str, value: &str, expected: &str) -> Self {
        let escaped: String = secrets::redact(value).chars().map(escape).collect();
        let value = sanitize(&escaped);
        Self::new(setting, format!("is `{value}`, expected {expected}"))
    }
}

/// What cannot be seen is escaped; quotes are shown as they were given.
fn escape(c: char) -> String {
    if matches!(c, '"' | '\'') {
        return c.to_string();
    }
    c.escape_debug().to_string()
}

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Problems(pub(super) Vec<InvalidSetting>);

impl Problems {
    pub(crate) fn push(&mut self, setting: &str, problem: impl Into<String>) {
        self.0.push(InvalidSetting::new(setting, problem));
    }

    /// The value of a result; an error is added to the problems.
    pub(crate) fn ok<T>(&mut self, result: Result<T, InvalidSetting>) -> Option<T> {
        result.map_err(|problem| self.0.push(problem)).ok()
    }

    /// Parses a value. The parser's error is what it expects.
    pub(crate) fn parse<T, E: AsRef<str>>(
        &mut self,
        setting: &str,
        value: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let invalid = |expected: E| InvalidSetting::value(setting, value, expected.as_ref());
        self.ok(parse(value).map_err(invalid))
    }

    /// Parses a value if it is set.
    pub(crate) fn optional<T>(
        &mut self,
        setting: &str,
        value: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        value.and_then(|value| self.parse(setting, value, parse))
    }

    pub(crate) fn boolean(&mut self, setting: &str, value: Option<&str>, default: bool) -> bool {
        let parse = |value: &str| match value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("`true` or `false`"),
        };
        self.optional(setting, value, parse).unwrap_or(default)
    }

    /// A URL. One with a password is refused without being shown.
    pub(crate) fn url(
        &mut self,
        setting: &str,
        value: Option<&str>,
        check: impl FnOnce(&Uri) -> Result<(), &'static str>,
    ) -> Option<Uri> {
        if value.is_some_and(|url| url.contains('@')) {
            self.push(setting, WITHOUT_PASSWORD);
            return None;
        }
        self.optional(setting, value, |url| {
            let uri = Uri::from_str(url)
                .ok()
                .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")))
                .filter(|uri| uri.host().is_some_and(|host| !host.is_empty()))
                .ok_or("a URL that starts with `https://` or `http://`")?;
            check(&uri)?;
            Ok(uri)
        })
    }
}
