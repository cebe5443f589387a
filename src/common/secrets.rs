//! The secrets of a run, which are cut out of everything that is printed or stored.
//!
//! No part of the program prints them by itself. But AWS's messages, or a setting that was given the wrong value, may quote
//! them.

use std::borrow::Cow;
use std::sync::OnceLock;

/// Shorter values are no secrets, and would be cut out of ordinary words.
const MIN_LENGTH: usize = 8;

static SECRETS: OnceLock<Vec<String>> = OnceLock::new();

/// Registers the secrets, before anything is printed.
pub(crate) fn register(secrets: impl IntoIterator<Item = String>) {
    let secrets = secrets.into_iter().map(|secret| secret.trim().to_owned());
    let _ = SECRETS.set(
        secrets
            .filter(|secret| secret.len() >= MIN_LENGTH)
            .collect(),
    );
}

/// The text without them.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for secret in SECRETS.get().into_iter().flatten() {
        if text.contains(secret) {
            text = Cow::Owned(text.replace(secret, "***"));
        }
    }
    text
}
