//! The environment variables of the process, with Bitbucket's conventions resolved.
//!
//! Bitbucket passes `NAME: $UNDEFINED` as an empty string, and a list as `NAME_COUNT`, `NAME_0`, `NAME_1` and so on. Both
//! are handled here, so that neither the rest of the program nor AWS's SDK sees an empty variable.

use std::collections::{BTreeMap, HashSet};
use std::env;
use std::ffi::OsStr;

use serde::de::DeserializeOwned;

use super::problems::InvalidSetting;

/// The variables that are set and not empty.
#[derive(Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Takes the variables of the process, and removes empty ones that other code would read from its environment.
    ///
    /// AWS's SDK, its TLS and its proxy support read the environment themselves, and take an empty `AWS_PROFILE` for a
    /// profile without a name. This must be called before any thread is started.
    pub(crate) fn of_process() -> Self {
        let mut variables = BTreeMap::new();
        for (name, value) in env::vars_os() {
            if value.is_empty() {
                if is_read_by_others(&name) {
                    env::remove_var(&name);
                }
            } else if let Ok(name) = name.into_string() {
                // A value that is not UTF-8 is kept in a readable form, so that the error message can show it.
                variables.insert(name, value.to_string_lossy().into_owned());
            }
        }
        Self(variables)
    }

    /// Reads a struct of optional text. Its fields are the names of variables in lower case.
    ///
    /// Variables with lower-case letters are skipped, as envy folds case and `debug` is not `DEBUG`.
    pub(super) fn read<T: DeserializeOwned>(&self) -> T {
        let is_upper = |name: &str| !name.contains(|c: char| c.is_ascii_lowercase());
        let variables = self.0.iter().filter(|(name, _)| is_upper(name));
        envy::from_iter(variables.map(|(name, value)| (name.clone(), value.clone())))
            .expect("every variable is optional text")
    }

    /// Reads a list: Bitbucket's array form, or one plain value. Empty elements are skipped, and repeated ones count once.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, InvalidSetting> {
        let invalid = |problem| InvalidSetting::new(name, problem);
        let count_name = format!("{name}_COUNT");
        let plain = self.0.get(name);
        let Some(count) = self.0.get(&count_name) else {
            return Ok(plain.into_iter().cloned().collect());
        };
        if plain.is_some() {
            return Err(invalid(format!(
                "is set both as a single value and as a list (`{count_name}`); set only one of them"
            )));
        }
        // The value is not shown: secrets are not known yet when this is read.
        let count: usize = count.parse().map_err(|_| {
            invalid(format!(
                "has a length (`{count_name}`) that is not a number"
            ))
        })?;
        // This goes through the variables that exist, not through the indices: the count may be absurdly large.
        let mut elements: Vec<(usize, &String)> = self
            .0
            .iter()
            .filter_map(|(key, value)| {
                let index = key.strip_prefix(name)?.strip_prefix('_')?.parse().ok()?;
                (index < count).then_some((index, value))
            })
            .collect();
        elements.sort_unstable_by_key(|(index, _)| *index);
        let mut seen = HashSet::new();
        elements.retain(|(_, value)| seen.insert(*value));
        Ok(elements
            .into_iter()
            .map(|(_, value)| value.clone())
            .collect())
    }
}

/// Whether AWS's SDK, its TLS or its proxy support may read a variable. Removing a variable takes time in proportion to
/// their number, so removing every empty one of a hundred thousand would take minutes.
fn is_read_by_others(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    name == "HOME"
        || name.starts_with("AWS_")
        || name.starts_with("SSL_CERT_")
        || name.ends_with("_PROXY")
}

#[cfg(any(test, fuzzing))]
impl<'a> FromIterator<(&'a str, &'a str)> for Variables {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(variables: T) -> Self {
        let set = variables.into_iter().filter(|(_, value)| !value.is_empty());
        let owned = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(owned.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    #[test]
    fn a_list_is_one_value_or_bitbuckets_array() {
        for [variables, expected] in rows(
            "                                             |
             NAME=a                                       | a
             NAME_COUNT=2 NAME_0=a NAME_1=b               | a b
             NAME_COUNT=0 NAME_0=a                        |
             NAME_COUNT=3 NAME_0=a NAME_1= NAME_2=c       | a c
             NAME_COUNT=3 NAME_0=b NAME_1=a NAME_2=b      | b a
             NAME_COUNT=12 NAME_10=b NAME_11=c NAME_2=a   | a b c
             NAME_COUNT=18446744073709551615 NAME_7=a     | a
             NAME_COUNT=                                  |
             NAME=a NAME_COUNT=1 NAME_0=b | `NAME` is set both as a single value and as a list (`NAME_COUNT`); set only one of them
             NAME_COUNT=two               | `NAME` has a length (`NAME_COUNT`) that is not a number",
        ) {
            let named = variables.split(' ').filter_map(|it| it.split_once('='));
            let list = named.collect::<Variables>().list("NAME");
            let list = list.map_or_else(|error| error.to_string(), |list| list.join(" "));
            assert_eq!(list, expected, "{variables}");
        }
    }
}
