//! Collects the problems with the settings, so that all of them are reported at once.

use std::borrow::Cow;
use std::str::FromStr;

use http::Uri;
use thiserror::Error;

use crate::common::printable::{sanitize, sanitize_message};
use crate::common::secrets;

/// A setting that is missing or invalid. Secrets are never shown in it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{setting}` {problem}")]
pub(crate) struct InvalidSetting {
    setting: Cow<'static, str>,
    problem: String,
}

impl InvalidSetting {
    pub(crate) fn new(setting: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            problem: sanitize_message(&problem.into()),
        }
    }

    /// A problem of several lines, such as one with an excerpt of a file.
    pub(crate) fn lines(setting: &'static str, problem: &str) -> Self {
        let lines: Vec<String> = problem.lines().map(sanitize_message).collect();
        Self {
            setting: setting.into(),
            problem: lines.join("\n"),
        }
    }

    /// A value that is not what is expected.
    pub(crate) fn value(setting: &'static str, value: &str, expected: &str) -> Self {
        Self::new(
            setting,
            format!(
                "is `{}`, expected {expected}",
                sanitize(&secrets::redact(value).escape_debug().to_string())
            ),
        )
    }
}

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Problems {
    problems: Vec<InvalidSetting>,
}

impl Problems {
    pub(crate) fn into_problems(self) -> Vec<InvalidSetting> {
        self.problems
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn push(&mut self, setting: &'static str, problem: impl Into<String>) {
        self.problems.push(InvalidSetting::new(setting, problem));
    }

    /// The value of a result; an error is added to the problems.
    pub(crate) fn ok<T>(&mut self, result: Result<T, InvalidSetting>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// Parses a value. The parser's error is what it expects.
    pub(crate) fn parse<T>(
        &mut self,
        setting: &'static str,
        value: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        self.ok(parse(value).map_err(|expected| InvalidSetting::value(setting, value, expected)))
    }

    /// Parses a value if it is set.
    pub(crate) fn optional<T>(
        &mut self,
        setting: &'static str,
        value: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        value.and_then(|value| self.parse(setting, value, parse))
    }

    pub(crate) fn boolean(
        &mut self,
        setting: &'static str,
        value: Option<&str>,
        default: bool,
    ) -> bool {
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
        setting: &'static str,
        value: Option<&str>,
        check: impl FnOnce(&Uri) -> Result<(), &'static str>,
    ) -> Option<Uri> {
        if value.is_some_and(|url| url.contains('@')) {
            self.push(
                setting,
                "is a URL with a user name or password, expected one without",
            );
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
