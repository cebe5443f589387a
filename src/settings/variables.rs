//! The environment variables of the process, with Bitbucket's conventions resolved.
//!
//! Bitbucket passes `NAME: $UNDEFINED` as an empty string, and a list as `NAME_COUNT`, `NAME_0`, `NAME_1` and so on. Both
//! are handled here, so that neither the rest of the program nor AWS's SDK sees an empty variable, or the blanks that were
//! copied along with a value.

use std::collections::{BTreeMap, HashSet};
use std::env;
use std::ffi::OsStr;

use serde::de::value::Error as NoValue;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::problems::InvalidSetting;

/// The variables that are set and not empty, without the blanks at their ends.
#[derive(Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Takes the variables of the process, and tidies those that other code reads from its environment.
    ///
    /// AWS's SDK, its TLS and its proxy support read the environment themselves, and take an empty `AWS_PROFILE` for a
    /// profile without a name. This must be called before any thread is started.
    pub(crate) fn of_process() -> Self {
        let mut variables = BTreeMap::new();
        for (name, value) in env::vars_os() {
            // A value that is not UTF-8 is kept in a readable form, so that the error message can show it.
            let text = value.to_string_lossy();
            let trimmed = text.trim();
            if (trimmed.is_empty() || trimmed.len() < text.len()) && is_read_by_others(&name) {
                if trimmed.is_empty() {
                    env::remove_var(&name);
                } else {
                    env::set_var(&name, trimmed);
                }
            }
            if let (false, Ok(name)) = (trimmed.is_empty(), name.into_string()) {
                variables.insert(name, trimmed.to_owned());
            }
        }
        Self(variables)
    }

    /// The names of the variables that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes out the variables for which `extract` has a result.
    pub(super) fn take<T>(
        &mut self,
        extract: impl Fn(&str, &str) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let mut taken = BTreeMap::new();
        self.0.retain(|name, value| match extract(name, value) {
            Some(extracted) => taken.insert(name.clone(), extracted).is_some(),
            None => true,
        });
        taken
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
        let invalid = |problem| Err(InvalidSetting::new(name, problem));
        let count_name = format!("{name}_COUNT");
        // This goes through the variables that exist, not through the indices: the count may be absurdly large.
        let elements = self.0.iter();
        let elements = elements.filter_map(|(key, value)| Some((element_of(name, key)?, value)));
        let mut elements: Vec<(usize, &String)> = elements.collect();
        elements.sort_unstable_by_key(|(index, _)| *index);
        let plain = self.0.get(name);
        let Some(count) = self.0.get(&count_name) else {
            return match (plain, elements.last()) {
                (None, None) => Ok(Vec::new()),
                (Some(plain), _) => match several(plain) {
                    Some(values) => Err(InvalidSetting::value(name, plain, &array_form(name, &values))),
                    None => Ok(vec![plain.clone()]),
                },
                (None, Some((last, _))) => invalid(format!(
                    "has elements (`{name}_{last}`), but no length: set `{count_name}` to their number"
                )),
            };
        };
        if plain.is_some() {
            return invalid(format!(
                "is set both as a single value and as a list (`{count_name}`); set only one of them"
            ));
        }
        // The value is not shown, as it may be a secret in the wrong place.
        let Ok(count) = count.parse::<usize>() else {
            return invalid(format!(
                "has a length (`{count_name}`) that is not a number"
            ));
        };
        if let Some((last, _)) = elements.last().filter(|(last, _)| *last >= count) {
            return invalid(format!(
                "has an element `{name}_{last}`, but its length (`{count_name}`) is {count}; elements count from 0"
            ));
        }
        let mut seen = HashSet::new();
        elements.retain(|(_, value)| seen.insert(*value));
        Ok(elements
            .into_iter()
            .map(|(_, value)| value.clone())
            .collect())
    }
}

/// The settings that are lists.
pub(super) const LISTS: [&str; 2] = ["CONTAINER_NAME", "DISTRIBUTION_ID"];

/// The index of the element of a list that a variable is.
pub(super) fn element_of(list: &str, name: &str) -> Option<usize> {
    name.strip_prefix(list)?.strip_prefix('_')?.parse().ok()
}

/// The values of a list in another form than Bitbucket's: with commas or blanks between them, as JSON or as YAML.
fn several(text: &str) -> Option<Vec<&str>> {
    let is_between = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
    if !text.starts_with('[') && !text.contains(is_between) {
        return None;
    }
    let values = text.split(is_between);
    let values = values.map(|value| value.trim_matches(['[', ']', '"', '\'']));
    let values: Vec<&str> = values.filter(|it| !matches!(*it, "" | "-")).collect();
    Some(values).filter(|values| !values.is_empty())
}

/// What is expected in place of a list in another form.
fn array_form(name: &str, values: &[&str]) -> String {
    const SHOWN: usize = 3;
    let (mut variables, mut array) = (format!("{name}_COUNT={}", values.len()), Vec::new());
    for (index, value) in values.iter().enumerate().take(SHOWN) {
        variables.extend([format!(" {name}_{index}={value}")]);
        array.push(format!("'{value}'"));
    }
    if values.len() > SHOWN {
        variables.push_str(" ...");
        array.push("...".to_owned());
    }
    let array = array.join(", ");
    format!("a list as `{variables}`, in a pipe `{name}: [{array}]`")
}

/// The names of the variables that a struct reads.
pub(super) fn names_of<T: DeserializeOwned>() -> Vec<String> {
    let mut fields: &[&str] = &[];
    // It notes the fields and fails, as there is nothing to read.
    let _ = T::deserialize(FieldNames(&mut fields));
    fields
        .iter()
        .map(|name| name.to_ascii_uppercase())
        .collect()
}

/// Learns the fields of a struct.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = NoValue;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoValue> {
        Err(NoValue::custom("there is no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NoValue> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

/// Whether AWS's SDK, its TLS or its proxy support may read a variable. Removing a variable takes time in proportion to
/// their number, so removing every empty one of a hundred thousand would take minutes.
fn is_read_by_others(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    // Such a name cannot be removed or set.
    if name.contains('=') {
        return false;
    }
    name == "HOME"
        || name.starts_with("AWS_")
        || name.starts_with("SSL_CERT_")
        || name.ends_with("_PROXY")
}

#[cfg(any(test, fuzzing))]
impl<'a> FromIterator<(&'a str, &'a str)> for Variables {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(variables: T) -> Self {
        let trimmed = variables
            .into_iter()
            .map(|(name, value)| (name, value.trim()));
        let set = trimmed.filter(|(_, value)| !value.is_empty());
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
             NAME_COUNT=0                                 |
             NAME_COUNT=3 NAME_0=a NAME_1= NAME_2=c       | a c
             NAME_COUNT=3 NAME_0=b NAME_1=a NAME_2=b      | b a
             NAME_COUNT=12 NAME_10=b NAME_11=c NAME_2=a   | a b c
             NAME_COUNT=18446744073709551615 NAME_7=a     | a
             NAME=\u{a0}a\t                                | a
             NAME_COUNT=2 NAME_0=\u{a0}a NAME_1=\t         | a
             NAME_COUNT=                                  |
             NAME=a NAME_COUNT=1 NAME_0=b | `NAME` is set both as a single value and as a list (`NAME_COUNT`); set only one of them
             NAME_COUNT=two               | `NAME` has a length (`NAME_COUNT`) that is not a number
             NAME_0=a NAME_1=b            | `NAME` has elements (`NAME_1`), but no length: set `NAME_COUNT` to their number
             NAME_COUNT=1 NAME_0=a NAME_1=b | `NAME` has an element `NAME_1`, but its length (`NAME_COUNT`) is 1; elements count from 0",
        ) {
            let named = variables.split(' ').filter_map(|it| it.split_once('='));
            let list = named.collect::<Variables>().list("NAME");
            let list = list.map_or_else(|error| error.to_string(), |list| list.join(" "));
            assert_eq!(list, expected, "{variables}");
        }
    }

    #[test]
    fn a_list_in_another_form_is_refused_with_the_right_one() {
        for value in [
            "a b",
            "a,b",
            "a, b",
            "a;b",
            "[\"a\", \"b\"]",
            "['a','b']",
            "- a\n- b",
            "a\nb",
        ] {
            let variables = Variables::from_iter([("NAME", value)]);
            let problem = variables.list("NAME").unwrap_err().to_string();
            let form = "a list as `NAME_COUNT=2 NAME_0=a NAME_1=b`, in a pipe `NAME: ['a', 'b']`";
            assert!(problem.ends_with(form), "{problem}");
        }
        let one = Variables::from_iter([("NAME", "[\"a\"]")]).list("NAME");
        let one = one.unwrap_err().to_string();
        assert!(
            one.ends_with("`NAME_COUNT=1 NAME_0=a`, in a pipe `NAME: ['a']`"),
            "{one}"
        );
        for value in ["a", "it's", "größe", "a]"] {
            let list = Variables::from_iter([("NAME", value)]).list("NAME");
            assert_eq!(list.unwrap(), [value]);
        }
    }
}
