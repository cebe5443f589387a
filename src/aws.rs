//! The connection to AWS: client, region, endpoints, time limits, retries and credentials, as every AWS tool has them.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{imds, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_credential_types::Credentials;
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use thiserror::Error;

use crate::aws_settings::{AwsSettings, CredentialSource};
use crate::fault::{causes, Fault};
use crate::identity;
use crate::log::LogRequests;
use crate::oidc;
use crate::scope::Scope;
use crate::settings::Settings;

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the request's start to the answer's last byte, so it includes the upload of the largest file.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// One operation with all its attempts.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(1);
const ATTEMPTS: u32 = 5;
/// For an answer that is nice to have and that nothing depends on.
const LONGEST_QUESTION: Duration = Duration::from_secs(3);
/// The metadata service of an EC2 instance answers in a millisecond or is not there; CI must not wait for it.
const INSTANCE_METADATA_TIMEOUT: Duration = Duration::from_millis(250);

/// The clients of the services that a publish needs.
pub(crate) struct Aws {
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) cloudfront: aws_sdk_cloudfront::Client,
    /// What the clients of other services are made from.
    pub(crate) config: SdkConfig,
    /// Whose credentials these are: a phrase for the log.
    pub(crate) credentials: String,
}

/// Why there are no credentials to go on with.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("no credentials were found: {0}\nwhat to do: {1}")]
    NoCredentials(String, String),
    #[error("{0}\nwhat to do: {remedy}", remedy = .0.remedy())]
    Aws(Box<Fault>),
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

impl From<Fault> for ConnectError {
    fn from(fault: Fault) -> Self {
        Self::Aws(Box::new(fault))
    }
}

/// All that clients have in common but the credentials.
pub(crate) async fn config(settings: &Settings, client: SharedHttpClient) -> SdkConfig {
    loader(client)
        .region(Region::new(settings.target.region.clone()))
        .no_credentials()
        .load()
        .await
}

/// Resolves the credentials, once for the whole run, and makes the clients.
///
/// `limit` is what a session of a role is limited to.
pub(crate) async fn connect(
    settings: &Settings,
    config: SdkConfig,
    limit: Option<&Scope>,
) -> Result<Aws, ConnectError> {
    let (resolved, credentials) = match &settings.aws.credentials {
        CredentialSource::Oidc { role, token } => {
            let resolved = oidc::assume_role(&config, role, token, &settings.build, limit).await?;
            (resolved, format!("role {role}, assumed by OpenID Connect"))
        }
        CredentialSource::Keys(keys) => (keys.clone(), format!("access key {}", ending(keys))),
        CredentialSource::DefaultChain { profile } => {
            let resolved = of_default_chain(profile.as_deref(), &config).await?;
            let source = profile.as_ref().map_or_else(
                || "AWS's default chain".to_owned(),
                |profile| format!("profile `{profile}`"),
            );
            let phrase = format!("{source}, access key {}", ending(&resolved));
            (resolved, phrase)
        }
    };
    Ok(Aws::new(config, settings, resolved, credentials))
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

/// The account of whoever the credentials belong to, if there are any and STS answers soon.
pub(crate) async fn account_of_caller(
    settings: &Settings,
    client: SharedHttpClient,
) -> Option<String> {
    let ask = async {
        let config = config(settings, client).await;
        let aws = connect(settings, config, None).await.ok()?;
        identity::of_caller(&aws.config).await.ok()
    };
    let answer = tokio::time::timeout(LONGEST_QUESTION, ask).await.ok()??;
    Some(answer.account_id)
}

/// The region that the AWS profile names, if any. Reads files only.
pub(crate) async fn profile_region() -> Option<String> {
    use aws_config::meta::region::ProvideRegion;
    let region = aws_config::profile::ProfileFileRegionProvider::new()
        .region()
        .await?;
    Some(region.to_string())
}

fn loader(client: SharedHttpClient) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(client)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        // The limits above end what stalls. This would wake the process ten times a second to look whether it does.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// How S3 is addressed.
pub(crate) fn s3_config(config: &SdkConfig, settings: &AwsSettings) -> aws_sdk_s3::config::Builder {
    // A profile may name an endpoint too.
    let own_endpoint = settings.own_s3_endpoint || config.endpoint_url().is_some();
    aws_sdk_s3::config::Builder::from(config).force_path_style(own_endpoint)
}

/// HTTP 429, which the SDK itself does not try again unless the code is one that it knows.
pub(crate) fn too_many_requests() -> HttpStatusCodeClassifier {
    HttpStatusCodeClassifier::new_from_codes([429].as_slice())
}

async fn of_default_chain(
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
fn ending(credentials: &Credentials) -> String {
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
