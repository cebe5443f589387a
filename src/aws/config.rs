//! What all clients of AWS have in common: region, endpoints, time limits and retries.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::settings::aws::AwsSettings;
use crate::settings::Settings;

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the request's start to the answer's last byte, so it includes the upload of the largest file.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// One operation with all its attempts.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_mins(1);
const MAX_ATTEMPTS: u32 = 5;

/// All that clients have in common but the credentials.
pub(crate) async fn load(settings: &Settings, client: SharedHttpClient) -> SdkConfig {
    loader(client)
        .region(Region::new(settings.target.region.clone()))
        .no_credentials()
        .load()
        .await
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
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        // The limits above end what stalls. This would wake the process ten times a second to look whether it does.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// How S3 is addressed.
pub(crate) fn s3_config(config: &SdkConfig, settings: &AwsSettings) -> aws_sdk_s3::config::Builder {
    // A profile may name an endpoint too.
    let own_endpoint = settings.custom_s3_endpoint || config.endpoint_url().is_some();
    aws_sdk_s3::config::Builder::from(config).force_path_style(own_endpoint)
}

/// HTTP 429, which the SDK itself does not try again unless the code is one that it knows.
pub(crate) fn too_many_requests() -> HttpStatusCodeClassifier {
    HttpStatusCodeClassifier::new_from_codes([429].as_slice())
}
