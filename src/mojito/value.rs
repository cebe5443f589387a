//! A value that is written out in a script, and what JavaScript makes of it where Mojito compares or adds it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use crate::common::printable::sanitize;

/// A value that does not depend on anything else in the script.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(f64),
    Boolean(bool),
    Null,
    Undefined,
    /// An array, an object or a regular expression, by the text that JavaScript converts it to.
    Object(String),
    Function,
}

/// Properties by name. `None` if the value is computed.
pub(crate) type Properties = BTreeMap<&'static str, Option<Value>>;

impl Value {
    pub(crate) fn is_nullish(&self) -> bool {
        matches!(self, Self::Null | Self::Undefined)
    }

    /// Whether a condition takes it for true.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Boolean(boolean) => *boolean,
            Self::Null | Self::Undefined => false,
            Self::Object(_) | Self::Function => true,
        }
    }

    /// The number that a comparison takes it for.
    pub(crate) fn to_number(&self) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) | Self::Object(text) => number_of(text),
            Self::Boolean(boolean) => f64::from(u8::from(*boolean)),
            Self::Null => 0.0,
            Self::Undefined | Self::Function => f64::NAN,
        }
    }

    /// The text that it is appended as.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Text(text) | Self::Object(text) => text.clone(),
            Self::Number(number) => text_of(*number),
            Self::Boolean(boolean) => boolean.to_string(),
            Self::Null => "null".to_owned(),
            Self::Undefined => "undefined".to_owned(),
            Self::Function => "function".to_owned(),
        }
    }
}

/// The text that JavaScript makes of a number.
fn text_of(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if size.is_infinite() {
        number.to_string().replace("inf", "Infinity")
    } else if size >= 1e21 {
        format!("{number:e}").replace('e', "e+")
    } else if size < 1e-6 {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

/// The number that JavaScript reads in a text.
fn number_of(text: &str) -> f64 {
    let is_blank = |c: char| c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}');
    let text = text.trim_matches(is_blank);
    if text.is_empty() {
        return 0.0;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = text.to_ascii_lowercase().strip_prefix(prefix) {
            let digits = digits.chars().map(|digit| digit.to_digit(radix));
            let add = |sum: f64, digit: u32| sum * f64::from(radix) + f64::from(digit);
            let sum = digits
                .collect::<Option<Vec<_>>>()
                .filter(|it| !it.is_empty());
            return sum.map_or(f64::NAN, |digits| digits.into_iter().fold(0.0, add));
        }
    }
    // Rust reads the same decimals, but also words such as `inf`.
    match text.trim_start_matches(['+', '-']) {
        "Infinity" => text.replace("Infinity", "inf").parse(),
        unsigned if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse(),
        _ => return f64::NAN,
    }
    .unwrap_or(f64::NAN)
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Object(text) => write!(f, "`{}`", sanitize(text)),
            Self::Function => write!(f, "that is a function"),
            _ => write!(f, "{}", self.to_text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    #[test]
    fn numbers_are_the_texts_that_javascript_makes_of_them() {
        let numbers = [
            -0.0,
            0.5,
            -1e-6,
            1e-7,
            1e20,
            1.5e21,
            f64::NAN,
            f64::NEG_INFINITY,
        ];
        let texts = numbers.map(|number| Value::Number(number).to_text());
        let expected = "0 0.5 -0.000001 1e-7 100000000000000000000 1.5e+21 NaN -Infinity";
        assert_eq!(texts.join(" "), expected);
    }

    #[test]
    fn texts_are_the_numbers_that_javascript_reads_in_them() {
        for [text, expected] in rows(
            ".5       | 0.5
             5.       | 5
             +1e-1    | 0.1
             -2       | -2
             0x1F     | 31
             0B11     | 3
             0o7      | 7
                      | 0
             Infinity | inf
             -Infinity| -inf
             inf      | NaN
             nan      | NaN
             infinity | NaN
             -0x1     | NaN
             0x       | NaN
             1_0      | NaN
             50%      | NaN
             +-1      | NaN
             .        | NaN",
        ) {
            assert_eq!(number_of(text).to_string(), expected, "{text}");
        }
        assert!(number_of("\u{feff}\n1\t").to_string() == "1" && number_of("\u{85}1").is_nan());
    }
}
