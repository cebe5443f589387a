//! Resolves the credentials of a run: a role session, static keys, or AWS's default credential provider chain.

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

/// The EC2 instance metadata service responds in a millisecond or does not exist. CI must not wait for it.
const INSTANCE_METADATA_TIMEOUT: Duration = Duration::from_millis(250);

/// Why the run has no credentials.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("no credentials found: {0}\nwhat to do: {1}")]
    NoCredentials(String, &'static str),
    #[error("{0}\nwhat to do: {remedy}", remedy = .0.remedy())]
    Aws(Box<AwsError>),
}

impl From<AwsError> for ConnectError {
    fn from(error: AwsError) -> Self {
        Self::Aws(Box::new(error))
    }
}

/// Resolves the credentials, and says for the log where they came from.
///
/// `limit` becomes the session policy if a role is assumed.
pub(crate) async fn resolve(
    config: &SdkConfig,
    settings: &Settings,
    limit: Option<&Permissions>,
) -> Result<(Credentials, String), ConnectError> {
    Ok(match &settings.aws.credentials {
        CredentialSource::Oidc { role, token } => {
            let session = oidc::assume_role(config, role, token, &settings.build, limit).await?;
            (session, format!("role {role}, assumed with OpenID Connect"))
        }
        CredentialSource::Keys(keys) => (keys.clone(), format!("access key {}", key_suffix(keys))),
        CredentialSource::DefaultChain { profile } => {
            let resolved = from_default_chain(profile.as_deref(), config).await?;
            let source = profile.as_ref().map_or_else(
                || "default credential provider chain".to_owned(),
                |profile| format!("profile `{profile}`"),
            );
            let source = format!("{source}, access key {}", key_suffix(&resolved));
            (resolved, source)
        }
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
    // The SDK sets no timeout for `credential_process`.
    let resolved = tokio::time::timeout(OPERATION_TIMEOUT, chain.provide_credentials()).await;
    let timed_out = CredentialsError::provider_timed_out(OPERATION_TIMEOUT);
    resolved
        .unwrap_or(Err(timed_out))
        .map_err(|error| no_credentials(&error, profile))
}

fn no_credentials(error: &CredentialsError, profile: Option<&str>) -> ConnectError {
    let reason = match error {
        CredentialsError::CredentialsNotLoaded(_) => "checked `AWS_ACCESS_KEY_ID`, the AWS profile and its SSO session, web identity, container role and instance role".to_owned(),
        _ => causes(error),
    };
    let profile = profile.map(|profile| format!(" (`AWS_PROFILE` is `{profile}`)"));
    let reason = reason + &profile.unwrap_or_default();
    let remedy = "in CI, set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_OIDC_ROLE_ARN` (variables of other \
                      deployment environments are empty here); locally, set `AWS_PROFILE` or run `aws sso login`";
    ConnectError::NoCredentials(reason, remedy)
}

/// The end of the access key ID, enough to tell keys apart. Anything that is not an ID, such as a secret pasted in its
/// place, is not shown at all.
fn key_suffix(credentials: &Credentials) -> String {
    let id = credentials.access_key_id();
    let is_of_id = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if id.len() >= 16 && id.bytes().all(is_of_id) {
        format!("ending in `{}`", &id[id.len() - 4..])
    } else {
        "with an invalid id".to_owned()
    }
}
