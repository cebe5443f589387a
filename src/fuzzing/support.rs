//! What the functions that must hold have in common: settings to start from, and what may be printed.

use crate::common::printable::is_unsafe_in_log;
use crate::common::secrets;
use crate::mojito::config_js::ConfigJs;
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// A value of each secret, which nothing that is printed may hold.
pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";
/// The variables that hold a secret.
pub(super) const SECRETS: [&str; 3] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "BITBUCKET_STEP_OIDC_TOKEN",
];
/// Settings with which nothing is wrong.
pub(super) const SOUND: [(&str, &str); 9] = [
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
/// Characters that a message has at most, beyond what it quotes of what was given.
pub(super) const MAX_MESSAGE: usize = 20_000;

/// What is printed is readable, has an end, and holds no secret. `quoted` is how much may be quoted in it.
pub(super) fn assert_told(text: &str, quoted: usize) {
    let text = secrets::redact(text);
    assert!(!text.contains(SECRET), "a secret is told: {text}");
    let disturbing = text.chars().find(|c| is_unsafe_in_log(*c) && *c != '\n');
    assert_eq!(disturbing, None, "in {text:?}");
    let length = text.chars().count();
    assert!(length <= MAX_MESSAGE + 10 * quoted, "{length} characters");
}

/// What this needs of settings that nothing is wrong with.
pub(super) fn sound_settings() -> Settings {
    let raw: Raw = SOUND.into_iter().collect();
    secrets::register([SECRET.to_owned()]);
    Settings::new(Flags::default(), &raw, ConfigJs::default(), None)
        .expect("the settings are sound")
}
