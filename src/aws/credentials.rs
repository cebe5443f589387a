//! Resolves the credentials of a run: a role session, static keys, or AWS's default credential provider chain.

use std::fmt::{self, Display, Formatter};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use serde::Serialize;
use thiserror::Error;

use super::credential_check::{check, NoCredentials, REMEDY};
use super::default_chain;
use super::error::AwsError;
use super::iam_policy::Permissions;
use super::{oidc, oidc_refused};
use crate::common::printable::UntrustedText;
use crate::settings::aws::CredentialSource;
use crate::settings::Settings;

/// Where the credentials of a run come from. Displayed, it is a phrase without a secret.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CredentialOrigin {
    source: CredentialKind,
    role: Option<String>,
    profile: Option<UntrustedText>,
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
                let profile = profile.clone().map(UntrustedText::from);
                (CredentialKind::Profile, None, profile, key)
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
    #[error("no usable credentials: {0}\nwhat to do: {1}")]
    NoCredentials(String, &'static str),
    #[error("{error}\nwhat to do: {remedy}")]
    Aws {
        error: Box<AwsError>,
        remedy: String,
    },
}

impl ConnectError {
    fn with_remedy(error: AwsError, remedy: String) -> Self {
        let error = Box::new(error);
        Self::Aws { error, remedy }
    }
}

impl From<AwsError> for ConnectError {
    fn from(error: AwsError) -> Self {
        let remedy = error.remedy();
        Self::with_remedy(error, remedy)
    }
}

impl From<NoCredentials> for ConnectError {
    fn from(NoCredentials { reason, remedy }: NoCredentials) -> Self {
        Self::NoCredentials(reason, remedy)
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
    let (credentials, source) = match &settings.aws.credentials {
        CredentialSource::Oidc { role, token } => {
            let session = oidc::assume_role(config, role, token, &settings.build, limit).await;
            let refused = |error| {
                let remedy = oidc_refused::remedy(&error, role, token);
                ConnectError::with_remedy(error, remedy)
            };
            (session.map_err(refused)?, format!("STS, for role {role},"))
        }
        CredentialSource::Keys(keys) => (keys.clone(), "the variables".to_owned()),
        CredentialSource::DefaultChain { profile } => {
            default_chain::resolve(profile.as_deref(), config).await?
        }
        CredentialSource::None => {
            let reason = "in CI, only credentials that a variable names are used";
            return Err(ConnectError::NoCredentials(reason.to_owned(), REMEDY));
        }
    };
    check(&credentials, &source)?;
    Ok(credentials)
}

/// The end of the access key ID. Anything that is not an ID, such as a secret pasted in its place, is not shown at all.
fn end_of_key_id(credentials: &Credentials) -> Option<String> {
    let id = credentials.access_key_id();
    let is_of_id = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let is_id = id.len() >= 16 && id.bytes().all(is_of_id);
    is_id.then(|| id[id.len() - 4..].to_owned())
}
