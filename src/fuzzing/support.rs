//! Shared by the invariants: valid settings, and what may be printed.

use crate::common::printable::is_unsafe_in_log;
use crate::common::secrets;
use crate::mojito::config_js::ConfigJs;
use crate::report::console::Row;
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// The value of every secret, which must never be printed.
pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";
/// The variables that hold a secret.
pub(super) const SECRETS: [&str; 3] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "BITBUCKET_STEP_OIDC_TOKEN",
];
/// Valid settings.
pub(super) const VALID: [(&str, &str); 9] = [
    ("ENVIRONMENT", "development"),
    ("CONTAINER_NAME", "mojito"),
    ("S3_BUCKET", "acme"),
    ("AWS_DEFAULT_REGION", "ap-southeast-2"),
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
    ("DISTRIBUTION_ID", "E1A2B3C4D5E6F7"),
    ("BITBUCKET_BUILD_NUMBER", "57"),
    ("BITBUCKET_STEP_OIDC_TOKEN", SECRET),
];
/// Printed text is readable, of limited length and without secrets. `quoted` is the length of input that it may quote.
pub(super) fn assert_printable(text: &str, quoted: usize) {
    let text = secrets::redact(text);
    assert!(!text.contains(SECRET), "a secret is printed: {text}");
    let unsafe_char = text.chars().find(|c| is_unsafe_in_log(*c) && *c != '\n');
    assert_eq!(unsafe_char, None, "in {text:?}");
    let length = text.chars().count();
    assert!(length <= 20_000 + 10 * quoted, "{length} characters");
}

/// A heading and its rows.
pub(super) fn assert_table((heading, rows): (String, Vec<Row>), quoted: usize) {
    assert_printable(&heading, 0);
    for row in rows {
        assert_printable(&row.text, quoted);
    }
}

/// The valid settings and another, parsed.
pub(super) fn valid_settings(other: Option<(&'static str, &'static str)>) -> Settings {
    let raw: Raw = VALID.into_iter().chain(other).collect();
    secrets::register([SECRET.to_owned()]);
    Settings::new(Flags::default(), &raw, ConfigJs::default(), None)
        .expect("the settings are valid")
}
