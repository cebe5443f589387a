//! A size in bytes, parsed from `MAX_SIZE` and displayed in the log.

use std::fmt::{self, Display, Formatter};

/// A number of bytes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ByteSize(pub(crate) u64);

impl ByteSize {
    /// Parses a number with a unit: `30 kB` (1,000), `30 KiB` (1,024), `1.5 MB`, `30000`. The error says what is expected.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a size above zero such as `30 kB`, `28 KiB`, `0.1 MB` or `30000`";
        let text = text.trim();
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic());
        let (number, unit) = text.split_at(unit_at.unwrap_or(text.len()));
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "kib" => 1024.0,
            "m" | "mb" => 1e6,
            "mib" => 1024.0 * 1024.0,
            _ => return Err(EXPECTED),
        };
        let number = number.trim();
        let is_decimal = !number.contains(|c: char| !c.is_ascii_digit() && c != '.');
        let number = number.parse::<f64>().ok().filter(|_| is_decimal);
        let bytes = number.ok_or(EXPECTED)? * factor;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and the cast saturates"
        )]
        let bytes = bytes.round() as u64;
        (bytes > 0).then_some(Self(bytes)).ok_or(EXPECTED)
    }
}

impl Display for ByteSize {
    /// Whole bytes with thousands separators, which are easy to compare: `12,034 bytes`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&with_separators(self.0))?;
        f.write_str(if self.0 == 1 { " byte" } else { " bytes" })
    }
}

/// A number as `12,034`.
pub(crate) fn with_separators(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_with_units() {
        for (text, bytes) in [
            ("30 kB", 30_000),
            ("30KB", 30_000),
            ("28 KiB", 28_672),
            ("1.5 MB", 1_500_000),
            ("700", 700),
            (" 1 MiB ", 1_048_576),
        ] {
            assert_eq!(ByteSize::parse(text), Ok(ByteSize(bytes)), "{text}");
        }
        for text in "|kB|-1 kB|0|1 GBP|1e3|1..2 kB|30 kB please|inf".split('|') {
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_displayed_in_whole_bytes() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1,000 bytes"),
            (1_234_567, "1,234,567 bytes"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}
