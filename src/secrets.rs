//! The secrets of a run, which are cut out of everything that is printed or stored.
//!
//! No part of the program prints them by itself. But AWS's messages, or a setting that was given the wrong value, may quote
//! them.

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::raw::{RawBuild, RawSettings};
use crate::variables::Variables;

/// Shorter values are no secrets, and would be cut out of ordinary words.
const SHORTEST: usize = 8;

static SECRETS: OnceLock<Vec<String>> = OnceLock::new();

/// Learns the secrets from the variables, before anything is printed.
pub(crate) fn learn(variables: &Variables) {
    let settings: RawSettings = variables.read().unwrap_or_default();
    let build: RawBuild = variables.read().unwrap_or_default();
    let secrets = [
        settings.aws_secret_access_key,
        settings.aws_session_token,
        build.bitbucket_step_oidc_token,
    ];
    let secrets = secrets
        .into_iter()
        .flatten()
        .map(|secret| secret.trim().to_owned());
    let _ = SECRETS.set(secrets.filter(|secret| secret.len() >= SHORTEST).collect());
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
