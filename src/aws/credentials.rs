//! Whose credentials a run has: a role's session, static keys, or what AWS's default credential provider chain finds.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::{imds, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::Credentials;
use thiserror::Error;

use super::config::OPERATION_TIMEOUT;
use super::error::{causes, AwsError};
use super::iam_policy::Permissions;
use super::oidc;
use crate::settings::aws::CredentialSource;
use crate::settings::Settings;

/// The metadata service of an EC2 instance answers in a millisecond or is not there; CI must not wait for it.
const INSTANCE_METADATA_TIMEOUT: Duration = Duration::from_millis(250);

/// Why there are no credentials to go on with.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("no credentials were found: {0}\nwhat to do: {1}")]
    NoCredentials(String, String),
    #[error("{0}\nwhat to do: {remedy}", remedy = .0.remedy())]
    Aws(Box<AwsError>),
}

impl ConnectError {
    /// The first sentence.
    pub(crate) fn summary(&self) -> String {
        self.to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    }
}

impl From<AwsError> for ConnectError {
    fn from(error: AwsError) -> Self {
        Self::Aws(Box::new(error))
    }
}

/// Credentials, and whose they are: a phrase for the log.
pub(crate) struct Resolved {
    pub(crate) credentials: Credentials,
    pub(crate) phrase: String,
}

/// Resolves the credentials. `limit` is what a session of a role is limited to.
pub(crate) async fn resolve(
    config: &SdkConfig,
    settings: &Settings,
    limit: Option<&Permissions>,
) -> Result<Resolved, ConnectError> {
    let (credentials, phrase) = match &settings.aws.credentials {
        CredentialSource::Oidc { role, token } => {
            let session = oidc::assume_role(config, role, token, &settings.build, limit).await?;
            (session, format!("role {role}, assumed by OpenID Connect"))
        }
        CredentialSource::Keys(keys) => (keys.clone(), format!("access key {}", key_suffix(keys))),
        CredentialSource::DefaultChain { profile } => {
            let resolved = from_default_chain(profile.as_deref(), config).await?;
            let source = profile.as_ref().map_or_else(
                || "AWS's default chain".to_owned(),
                |profile| format!("profile `{profile}`"),
            );
            let phrase = format!("{source}, access key {}", key_suffix(&resolved));
            (resolved, phrase)
        }
    };
    Ok(Resolved {
        credentials,
        phrase,
    })
}

async fn from_default_chain(
    profile: Option<&str>,
    config: &SdkConfig,
) -> Result<Credentials, ConnectError> {
    let mut provider_config =
        ProviderConfig::without_region().with_region(config.region().cloned());
    if let Some(client) = config.http_client() {
        provider_config = provider_config.with_http_client(client);
    }
    if let Some(timeouts) = config.timeout_config() {
        provider_config = provider_config.with_timeout_config(timeouts.clone());
    }
    let metadata = imds::Client::builder()
        .configure(&provider_config)
        .connect_timeout(INSTANCE_METADATA_TIMEOUT)
        .read_timeout(INSTANCE_METADATA_TIMEOUT)
        .max_attempts(1)
        .build();
    let mut chain = DefaultCredentialsChain::builder()
        .configure(provider_config)
        .imds_client(metadata);
    chain.set_region(config.region().cloned());
    if let Some(profile) = profile {
        chain = chain.profile_name(profile);
    }
    let chain = chain.build().await;
    let resolved = tokio::time::timeout(OPERATION_TIMEOUT, chain.provide_credentials()).await;
    let resolved = resolved.unwrap_or_else(|_| {
        // A process that prints credentials has no limit of its own.
        Err(CredentialsError::provider_timed_out(OPERATION_TIMEOUT))
    });
    resolved.map_err(|error| {
        let found = match &error {
            CredentialsError::CredentialsNotLoaded(_) => {
                "looked for `AWS_ACCESS_KEY_ID`, the AWS profile and its SSO session, a web identity, a container's role \
                 and an instance's role"
                    .to_owned()
            }
            _ => causes(&error),
        };
        let found = match profile {
            Some(profile) => format!("{found} (`AWS_PROFILE` is `{profile}`)"),
            None => found,
        };
        let remedy = "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` or `AWS_OIDC_ROLE_ARN` in CI (a variable of another \
                      deployment environment is empty here); by hand, set `AWS_PROFILE` or sign in with `aws sso login`";
        ConnectError::NoCredentials(found, remedy.to_owned())
    })
}

/// The end of the key's id, which tells keys apart and helps nobody else. What is no id, such as a secret in its place, is
/// not shown at all.
fn key_suffix(credentials: &Credentials) -> String {
    let id = credentials.access_key_id();
    let is_id = id.len() >= 16
        && id
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9'));
    if is_id {
        format!("ending in `{}`", &id[id.len() - 4..])
    } else {
        "of a form that AWS does not have".to_owned()
    }
}
