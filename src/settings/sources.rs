//! Mojito's `config.js` as a source of settings whose variable is not set.
//!
//! A problem with the file matters only if one of its values is needed. What a publish does without is taken where the file
//! plainly has it: a value that only running the file would show is refused, but not that it might have one.

use super::environment::Environment;
use super::problems::{InvalidSetting, Problems};
use super::raw::Raw;
use super::source::Source;
use crate::mojito::config_js::{self, ConfigJs, Unknown};

/// The variables, and what stands in for them.
pub(super) struct Sources<'a> {
    pub(super) raw: &'a Raw,
    pub(super) environment: Option<Environment>,
    pub(super) config: ConfigJs,
    /// What is probably a mistake in the file.
    pub(super) warnings: Vec<String>,
    /// The variables to set where `config.js` cannot be read.
    unknown: Vec<&'static str>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(raw: &'a Raw, environment: Option<Environment>, config: ConfigJs) -> Self {
        Self {
            raw,
            environment,
            config,
            warnings: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// The key of the environment, if that is known: production's or development's.
    pub(super) fn key(
        &self,
        production: &'static str,
        development: &'static str,
    ) -> Option<Source> {
        Some(Source::ConfigJs(match self.environment? {
            Environment::Production => production,
            Environment::Development => development,
        }))
    }

    /// A value of `config.js` that is needed, as `variable` is not set. If it is invalid or missing, that is added to the
    /// problems.
    pub(super) fn get(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        variable: &'static str,
        missing: &str,
    ) -> Option<String> {
        match self.config.get(key) {
            Ok(Some(value)) => {
                let value = value.to_owned();
                self.warn_of_repetition(key);
                return Some(value);
            }
            Ok(None) => problems.0.push(InvalidSetting::lines(variable, missing)),
            Err(Unknown::File) => self.unknown.push(variable),
            Err(Unknown::Value(problem)) => problems.0.push(unknown_value(key, variable, &problem)),
        }
        None
    }

    /// The values of `config.js` that are optional, if it has any. If one is invalid, that is added to the problems.
    pub(super) fn optional(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        variable: &'static str,
        list: bool,
    ) -> Vec<String> {
        if !self.config.has(key) {
            return Vec::new();
        }
        let values = if list {
            self.config.list(key)
        } else {
            let value = self.config.get(key);
            value.map(|value| value.map(str::to_owned).into_iter().collect())
        };
        match values {
            Ok(values) => {
                self.warn_of_repetition(key);
                values
            }
            Err(Unknown::File) => Vec::new(),
            Err(Unknown::Value(problem)) => {
                problems.0.push(unknown_value(key, variable, &problem));
                Vec::new()
            }
        }
    }

    /// Warns if only running the file would show whether it has a key that matters.
    pub(super) fn warn_of_unknown(&mut self, key: &'static str, variable: &str) {
        let (setting, problem) = match self.config.get(key) {
            Ok(_) => return,
            Err(_) if self.config.has(key) => return,
            Err(Unknown::Value(problem)) => (Source::ConfigJs(key).to_string(), problem),
            Err(Unknown::File) => {
                let problem = self.config.problem().unwrap_or_default();
                (config_js::FILE.to_owned(), problem.to_owned())
            }
        };
        let problem = format!("{problem}\nif it has a `{key}`, set `{variable}`");
        let warning = InvalidSetting::lines(&setting, &problem);
        self.warnings.push(warning.to_string());
    }

    fn warn_of_repetition(&mut self, key: &'static str) {
        if let Some(place) = self.config.repeated(key) {
            let problem =
                format!("is there more than once; the last one counts, as in Node\n{place}");
            let warning = InvalidSetting::lines(&Source::ConfigJs(key).to_string(), &problem);
            self.warnings.push(warning.to_string());
        }
    }

    /// Adds the problem with the whole of `config.js`, once for all values that were needed. Returns the warnings.
    pub(super) fn report(self, problems: &mut Problems) -> Vec<String> {
        if let (Some(problem), false) = (self.config.problem(), self.unknown.is_empty()) {
            let variables = and(&self.unknown);
            let problem = format!("{problem}\nfix it, or set {variables}");
            let invalid = InvalidSetting::lines(config_js::FILE, &problem);
            problems.0.push(invalid);
        }
        self.warnings
    }
}

fn unknown_value(key: &'static str, variable: &str, problem: &str) -> InvalidSetting {
    let problem = format!("{problem}\nwrite it as a plain string, or set `{variable}`");
    InvalidSetting::lines(&Source::ConfigJs(key).to_string(), &problem)
}

/// Names in a sentence: `` `A`, `B` and `C` ``.
fn and(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match &names[..] {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}
