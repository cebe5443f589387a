//! AWS service clients, which all use the credentials resolved at the start of the run.

pub(crate) mod attempts;
pub(crate) mod cloudfront;
pub(crate) mod config;
pub(crate) mod credential_check;
mod credential_requests;
pub(crate) mod credentials;
pub(crate) mod debug_log;
mod default_chain;
pub(crate) mod error;
pub(crate) mod error_kind;
pub(crate) mod gate;
pub(crate) mod https;
pub(crate) mod iam_policy;
pub(crate) mod oidc;
mod oidc_refused;
pub(crate) mod preconnect;
pub(crate) mod response_limit;
pub(crate) mod s3;
pub(crate) mod sts;
pub(crate) mod trust_policy;
mod unconfirmed;
mod unknown_host;
pub(crate) mod versions;

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::Credentials;

use self::config::{gateway_statuses, s3_config};
use self::credentials::{ConnectError, CredentialOrigin};
use self::iam_policy::Permissions;
use crate::settings::Settings;

/// The clients that a publish needs.
pub(crate) struct Aws {
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) cloudfront: aws_sdk_cloudfront::Client,
    /// Shared configuration for clients of other services.
    pub(crate) config: SdkConfig,
    pub(crate) credentials: CredentialOrigin,
}

/// Resolves the credentials once for the whole run and builds the clients.
///
/// `limit` becomes the session policy if a role is assumed.
pub(crate) async fn connect(
    settings: &Settings,
    config: SdkConfig,
    limit: Option<&Permissions>,
) -> Result<Aws, ConnectError> {
    let credentials = credentials::resolve(&config, settings, limit).await?;
    Ok(Aws::new(config, settings, credentials))
}

impl Aws {
    pub(crate) fn new(config: SdkConfig, settings: &Settings, credentials: Credentials) -> Self {
        let origin = CredentialOrigin::new(settings, &credentials);
        let config = config
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let s3 = s3_config(&config, &settings.aws);
        let s3 = s3.retry_classifier(gateway_statuses()).build();
        let cloudfront = aws_sdk_cloudfront::config::Builder::from(&config);
        let cloudfront = cloudfront.retry_classifier(gateway_statuses()).build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            cloudfront: aws_sdk_cloudfront::Client::from_conf(cloudfront),
            config,
            credentials: origin,
        }
    }
}
