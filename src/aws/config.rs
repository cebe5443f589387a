//! Configuration shared by all AWS clients: region, endpoints, timeouts and retries.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::settings::aws::AwsSettings;
use crate::settings::Settings;

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Covers one attempt from the start of the request to the last byte of the response, including the largest upload.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// Covers one operation with all its attempts.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_mins(1);
const MAX_ATTEMPTS: u32 = 5;

/// Loads the shared configuration, without credentials.
pub(crate) async fn load(settings: &Settings, client: SharedHttpClient) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(client)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        // The timeouts above cover stalls. This would also wake the process ten times a second.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .region(Region::new(settings.target.region.clone()))
        .no_credentials()
        .load()
        .await
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
