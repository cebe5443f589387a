//! The result of `check --json`. It has the shape that `docs/check.schema.json` describes, however the check ended.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::console::Console;
use super::result_json::ErrorResult;
use crate::aws::credentials::CredentialOrigin;
use crate::aws::error::AwsError;
use crate::aws::sts::Identity;
use crate::exit::Exit;
use crate::settings::environment::Environment;
use crate::settings::names::{BucketName, DistributionId, ObjectKey};
use crate::settings::Settings;

/// The version of the shape. It rises with each change that may break a reader.
const SCHEMA: u32 = 1;

/// How a check ended. What is unknown because it ended early is null or empty.
#[derive(Default, Serialize)]
pub(crate) struct CheckResult<'a> {
    schema: u32,
    version: &'static str,
    exit_code: u8,
    stopped_by: Option<&'static str>,
    error: Option<ErrorResult<'a>>,
    warnings: Vec<String>,
    environment: Option<Environment>,
    environment_reason: Option<&'a str>,
    bucket: Option<&'a BucketName>,
    region: Option<&'a str>,
    credentials: Option<&'a CredentialOrigin>,
    identity: Option<&'a Identity>,
    keys: Vec<KeyResult<'a>>,
    reads: Vec<ReadResult<'a>>,
    /// What a publish invalidates, which cannot be checked without doing it.
    distributions_not_checked: &'a [DistributionId],
}

/// A key that was tried.
#[derive(Serialize)]
pub(crate) struct KeyResult<'a> {
    key: &'a ObjectKey,
    expected: &'static str,
    /// Why it must not be writable.
    reason: Option<&'static str>,
    /// What was found out.
    access: &'static str,
    error: Option<ErrorResult<'a>>,
}

/// Something else that a publish or a rollback needs, and that was tried.
#[derive(Serialize)]
pub(crate) struct ReadResult<'a> {
    pub(crate) action: &'static str,
    pub(crate) resource: &'a str,
    /// The setting or the flag.
    pub(crate) needed_by: &'static str,
    /// A word of the schema.
    pub(crate) access: &'static str,
    /// Why it is not known, if no request failed.
    pub(crate) reason: Option<&'a str>,
    pub(crate) error: Option<ErrorResult<'a>>,
}

impl<'a> KeyResult<'a> {
    /// `reason` is why the key must not be writable, and `access` a word of the schema.
    pub(crate) fn new(
        key: &'a ObjectKey,
        reason: Option<&'static str>,
        access: &'static str,
        error: Option<&'a AwsError>,
    ) -> Self {
        Self {
            key,
            expected: if reason.is_some() {
                "denied"
            } else {
                "allowed"
            },
            reason,
            access,
            error: error.map(ErrorResult::of_aws),
        }
    }
}

impl<'a> CheckResult<'a> {
    pub(crate) fn new(
        exit: Exit,
        error: Option<ErrorResult<'a>>,
        stopped_by: Option<&'static str>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            exit_code: exit.code(),
            stopped_by,
            error,
            ..Self::default()
        }
    }

    /// With what was tried, by whom.
    pub(crate) fn with(
        self,
        settings: &'a Settings,
        credentials: Option<&'a CredentialOrigin>,
        identity: Option<&'a Identity>,
        keys: Vec<KeyResult<'a>>,
        reads: Vec<ReadResult<'a>>,
    ) -> Self {
        Self {
            environment: Some(settings.environment),
            environment_reason: Some(&settings.environment_reason),
            bucket: Some(&settings.target.bucket),
            region: Some(&settings.target.region),
            credentials,
            identity,
            keys,
            reads,
            distributions_not_checked: &settings.distributions,
            ..self
        }
    }

    /// Prints it, with the warnings of the log.
    pub(crate) fn print(mut self, patience: Duration, console: &Console) {
        self.warnings = console.warnings();
        let result: Value =
            serde_json::to_value(&self).expect("it has only text, numbers and lists");
        console.result(&result, patience);
    }
}
