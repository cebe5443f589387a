//! The connection to AWS: the clients of its services, with the credentials of the run.

pub(crate) mod attempts;
pub(crate) mod cloudfront;
pub(crate) mod config;
pub(crate) mod credentials;
pub(crate) mod debug_log;
pub(crate) mod error;
pub(crate) mod error_kind;
pub(crate) mod https;
pub(crate) mod iam_policy;
pub(crate) mod oidc;
pub(crate) mod preconnect;
pub(crate) mod response_limit;
pub(crate) mod s3;
pub(crate) mod sts;
pub(crate) mod trust_policy;

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::Credentials;

use self::config::{s3_config, too_many_requests};
use self::credentials::{ConnectError, Resolved};
use self::debug_log::LogRequests;
use self::iam_policy::Permissions;
use crate::settings::Settings;

/// The clients of the services that a publish needs.
pub(crate) struct Aws {
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) cloudfront: aws_sdk_cloudfront::Client,
    /// What the clients of other services are made from.
    pub(crate) config: SdkConfig,
    /// Whose credentials these are: a phrase for the log.
    pub(crate) credentials: String,
}

/// Resolves the credentials, once for the whole run, and makes the clients.
///
/// `limit` is what a session of a role is limited to.
pub(crate) async fn connect(
    settings: &Settings,
    config: SdkConfig,
    limit: Option<&Permissions>,
) -> Result<Aws, ConnectError> {
    let Resolved {
        credentials,
        phrase,
    } = credentials::resolve(&config, settings, limit).await?;
    Ok(Aws::new(config, settings, credentials, phrase))
}

impl Aws {
    /// `credentials` says whose they are that were resolved.
    pub(crate) fn new(
        config: SdkConfig,
        settings: &Settings,
        resolved: Credentials,
        credentials: String,
    ) -> Self {
        let config = config
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(resolved))
            .build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(
                s3_config(&config, &settings.aws)
                    .interceptor(LogRequests)
                    .retry_classifier(too_many_requests())
                    .build(),
            ),
            cloudfront: aws_sdk_cloudfront::Client::from_conf(
                aws_sdk_cloudfront::config::Builder::from(&config)
                    .interceptor(LogRequests)
                    .retry_classifier(too_many_requests())
                    .build(),
            ),
            config,
            credentials,
        }
    }
}
