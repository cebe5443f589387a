//! Collects what is wrong with the settings, so that all of it is reported in one go.

use std::str::FromStr;

use http::Uri;
use thiserror::Error;

use crate::common::printable::{sanitize, sanitize_message};
use crate::common::secrets;

/// One setting that is wrong. Secrets are never shown in it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{setting}` {problem}")]
pub(crate) struct InvalidSetting {
    setting: &'static str,
    problem: String,
}

impl InvalidSetting {
    pub(crate) fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self {
            setting,
            problem: sanitize_message(&problem.into()),
        }
    }

    /// A problem of several lines, such as one that shows a place in a file.
    pub(crate) fn lines(setting: &'static str, problem: &str) -> Self {
        let lines: Vec<String> = problem.lines().map(sanitize_message).collect();
        Self {
            setting,
            problem: lines.join("\n"),
        }
    }

    /// A value that is not one of those expected.
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

/// The problems that were found so far.
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

    /// Takes the value out of a result, or the problem in.
    pub(crate) fn ok<T>(&mut self, result: Result<T, InvalidSetting>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// Parses a value; the parser says what it expects.
    pub(crate) fn parse<T>(
        &mut self,
        setting: &'static str,
        value: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        self.ok(parse(value).map_err(|expected| InvalidSetting::value(setting, value, expected)))
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
        value
            .and_then(|value| self.parse(setting, value, parse))
            .unwrap_or(default)
    }

    /// An address, which is not shown where it holds a password.
    pub(crate) fn web_address(
        &mut self,
        setting: &'static str,
        url: &str,
        check: impl FnOnce(&Uri) -> Result<(), &'static str>,
    ) -> Option<Uri> {
        if url.contains('@') {
            self.push(
                setting,
                "is an address with a user name or password, expected one without",
            );
            return None;
        }
        self.parse(setting, url, |url| {
            let uri = Uri::from_str(url)
                .ok()
                .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")))
                .filter(|uri| uri.host().is_some_and(|host| !host.is_empty()))
                .ok_or("an address that starts with `https://` or `http://`")?;
            check(&uri)?;
            Ok(uri)
        })
    }
}
