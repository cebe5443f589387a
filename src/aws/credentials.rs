//! Resolves the credentials of a run: a role session, static keys, or AWS's default credential provider chain.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::{imds, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials};
use aws_credential_types::Credentials;
use serde::Serialize;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::config::OPERATION_TIMEOUT;
use super::error::AwsError;
use super::iam_policy::Permissions;
use super::oidc;
use crate::common::causes::causes;
use crate::settings::aws::CredentialSource;
use crate::settings::Settings;

/// The EC2 instance metadata service responds in a millisecond or does not exist. CI must not wait for it.
const INSTANCE_METADATA_TIMEOUT: Duration = Duration::from_millis(250);

/// Where the credentials of a run come from. Displayed, it is a phrase without a secret.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CredentialOrigin {
    source: CredentialKind,
    role: Option<String>,
    profile: Option<String>,
    /// Enough to tell access keys apart. `None` if it is not the ID of one.
    access_key_id_ends_with: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum CredentialKind {
    Role,
    AccessKey,
    Profile,
    DefaultChain,
}

impl CredentialOrigin {
    pub(super) fn new(settings: &Settings, credentials: &Credentials) -> Self {
        let key = end_of_key_id(credentials);
        let (source, role, profile, key) = match &settings.aws.credentials {
            CredentialSource::Oidc { role, .. } => {
                (CredentialKind::Role, Some(role.to_string()), None, None)
            }
            CredentialSource::Keys(_) => (CredentialKind::AccessKey, None, None, key),
            CredentialSource::DefaultChain { profile: None } | CredentialSource::None => {
                (CredentialKind::DefaultChain, None, None, key)
            }
            CredentialSource::DefaultChain { profile } => {
                (CredentialKind::Profile, None, profile.clone(), key)
            }
        };
        Self {
            source,
            role,
            profile,
            access_key_id_ends_with: key,
        }
    }
}

impl Display for CredentialOrigin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.role, &self.profile) {
            (Some(role), _) => return write!(f, "role {role}, assumed with OpenID Connect"),
            (None, Some(profile)) => write!(f, "profile `{profile}`, ")?,
            (None, None) if matches!(self.source, CredentialKind::DefaultChain) => {
                f.write_str("default credential provider chain, ")?;
            }
            (None, None) => {}
        }
        match &self.access_key_id_ends_with {
            Some(end) => write!(f, "access key ending in `{end}`"),
            None => f.write_str("access key with an invalid id"),
        }
    }
}

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

/// Resolves the credentials.
///
/// `limit` becomes the session policy if a role is assumed.
pub(crate) async fn resolve(
    config: &SdkConfig,
    settings: &Settings,
    limit: Option<&Permissions>,
) -> Result<Credentials, ConnectError> {
    Ok(match &settings.aws.credentials {
        CredentialSource::Oidc { role, token } => {
            oidc::assume_role(config, role, token, &settings.build, limit).await?
        }
        CredentialSource::Keys(keys) => keys.clone(),
        CredentialSource::DefaultChain { profile } => {
            from_default_chain(profile.as_deref(), config).await?
        }
        CredentialSource::None => {
            let reason = "in CI, only credentials that a variable names are used";
            return Err(ConnectError::NoCredentials(reason.to_owned(), REMEDY));
        }
    })
}

async fn from_default_chain(
    profile: Option<&str>,
    config: &SdkConfig,
) -> Result<Credentials, ConnectError> {
    let (config, profile_name) = (config.clone(), profile.map(str::to_owned));
    let runtime = Handle::current();
    // On another thread, as the SDK reads files without yielding: if one hangs, no time limit of this thread would be heard.
    let resolved = spawn_blocking(move || runtime.block_on(resolve_chain(profile_name, &config)));
    // The SDK sets no timeout for `credential_process`.
    let resolved = timeout(OPERATION_TIMEOUT, resolved).await;
    let resolved = resolved.map(|it| it.expect("a panic ends the process"));
    let timed_out = CredentialsError::provider_timed_out(OPERATION_TIMEOUT);
    resolved
        .unwrap_or(Err(timed_out))
        .map_err(|error| no_credentials(&error, profile))
}

async fn resolve_chain(profile: Option<String>, config: &SdkConfig) -> provider::Result {
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
        chain = chain.profile_name(&profile);
    }
    chain.build().await.provide_credentials().await
}

fn no_credentials(error: &CredentialsError, profile: Option<&str>) -> ConnectError {
    if let (CredentialsError::CredentialsNotLoaded(_), Some(profile)) = (error, profile) {
        let reason =
            format!("the AWS profile `{profile}` (`AWS_PROFILE`) does not exist or has none");
        let remedy = "check the profile's name, and `~/.aws/config` and `~/.aws/credentials`";
        return ConnectError::NoCredentials(reason, remedy);
    }
    let reason = match error {
        CredentialsError::CredentialsNotLoaded(_) => "checked `AWS_ACCESS_KEY_ID`, the AWS profile and its SSO session, web identity, container role and instance role".to_owned(),
        _ => causes(error),
    };
    let profile = profile.map(|profile| format!(" (`AWS_PROFILE` is `{profile}`)"));
    let reason = reason + &profile.unwrap_or_default();
    ConnectError::NoCredentials(reason, REMEDY)
}

const REMEDY: &str = "locally, set `AWS_PROFILE` or run `aws sso login`;\n\
                      in CI, set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_OIDC_ROLE_ARN`";

/// The end of the access key ID. Anything that is not an ID, such as a secret pasted in its place, is not shown at all.
fn end_of_key_id(credentials: &Credentials) -> Option<String> {
    let id = credentials.access_key_id();
    let is_of_id = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let is_id = id.len() >= 16 && id.bytes().all(is_of_id);
    is_id.then(|| id[id.len() - 4..].to_owned())
}
