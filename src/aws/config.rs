//! Configuration shared by all AWS clients: region, endpoints, timeouts and retries.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::ServiceConfigKey;

use crate::settings::aws::AwsSettings;
use crate::settings::problems::{InvalidSetting, WITHOUT_PASSWORD};
use crate::settings::Settings;

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Covers one attempt from the start of the request to the last byte of the response, including the largest upload.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// Covers one operation with all its attempts.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_mins(1);
const MAX_ATTEMPTS: u32 = 5;

/// Services that may have an endpoint of their own in a profile, by AWS's names for them.
const SERVICES: [&str; 5] = ["S3", "CloudFront", "STS", "SSO", "SSO OIDC"];

/// Loads the shared configuration, without credentials. Fails if an endpoint in it has a password, as in the variables.
pub(crate) async fn load(
    settings: &Settings,
    client: SharedHttpClient,
) -> Result<SdkConfig, InvalidSetting> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        // The timeouts above cover stalls. This would also wake the process ten times a second.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .region(Region::new(settings.target.region.clone()))
        .no_credentials()
        .load()
        .await;
    if endpoints(&config).any(|url| url.contains('@')) {
        let problem = format!("of the AWS profile {WITHOUT_PASSWORD}");
        return Err(InvalidSetting::new("endpoint_url", problem));
    }
    Ok(config)
}

fn endpoints(config: &SdkConfig) -> impl Iterator<Item = String> + '_ {
    let of_service = |service| {
        let key = ServiceConfigKey::builder().service_id(service);
        let key = key.env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
        config.service_config()?.load_config(key.ok()?)
    };
    let of_all = config.endpoint_url().map(str::to_owned);
    of_all
        .into_iter()
        .chain(SERVICES.into_iter().filter_map(of_service))
}

/// The region of the AWS profile, if it has one. Reads files only.
pub(crate) async fn profile_region() -> Option<String> {
    use aws_config::meta::region::ProvideRegion;
    let region = aws_config::profile::ProfileFileRegionProvider::new()
        .region()
        .await?;
    Some(region.to_string())
}

/// The S3 configuration. Custom endpoints get path-style addressing.
pub(crate) fn s3_config(config: &SdkConfig, settings: &AwsSettings) -> aws_sdk_s3::config::Builder {
    // A profile may set an endpoint too.
    let is_custom = settings.custom_s3_endpoint || config.endpoint_url().is_some();
    aws_sdk_s3::config::Builder::from(config).force_path_style(is_custom)
}

/// Retries what proxies and CDNs answer for a moment, which the SDK retries only if AWS's error code comes with it.
pub(crate) fn gateway_statuses() -> HttpStatusCodeClassifier {
    HttpStatusCodeClassifier::new_from_codes([408, 429, 520, 521, 522, 523, 524].as_slice())
}
