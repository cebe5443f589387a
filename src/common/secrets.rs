//! Redacts the run's secrets from everything that is printed or stored.
//!
//! The program never prints secrets on purpose, but an AWS message or a misplaced setting may quote them.

use std::borrow::Cow;
use std::sync::OnceLock;

/// Shorter values are not secrets, and redacting them would garble ordinary words.
const MIN_LENGTH: usize = 8;

static SECRETS: OnceLock<Vec<String>> = OnceLock::new();

/// Registers the secrets. Must be called before anything is printed.
pub(crate) fn register(secrets: impl IntoIterator<Item = String>) {
    let secrets = secrets.into_iter().map(|secret| secret.trim().to_owned());
    let secrets = secrets.filter(|secret| secret.len() >= MIN_LENGTH);
    let _ = SECRETS.set(secrets.collect());
}

/// Replaces the secrets in a text.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for secret in SECRETS.get().into_iter().flatten() {
        if text.contains(secret) {
            text = Cow::Owned(text.replace(secret, "***"));
        }
    }
    text
}
