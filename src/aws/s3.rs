//! Requests to S3: uploads an object, with a checksum and optional preconditions, and shows whether S3 can be reached.

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_sdk_s3::Client;

use super::attempts::Attempts;
use super::error::AwsError;
use crate::container::object::Object;
use crate::settings::names::{s3_uri, ObjectKey};
use crate::settings::Settings;

/// What must hold when S3 writes the object.
#[derive(Debug)]
pub(crate) enum Precondition {
    None,
    /// The key has no object.
    Absent,
    /// The object still has this `ETag`.
    Unchanged(String),
}

/// The headers of what a key holds, with its first byte. Unlike HEAD's, an error has a code.
pub(crate) async fn get_first_byte(
    client: &Client,
    settings: &Settings,
    key: &ObjectKey,
) -> Result<GetObjectOutput, AwsError> {
    let bucket = &settings.target.bucket;
    let request = client.get_object().bucket(bucket.as_str());
    let request = request.key(key.as_str()).range("bytes=0-0").customize();
    // Again once only, as somebody waits for no more than to know.
    let twice = RetryConfig::standard().with_max_attempts(2);
    let twice = aws_sdk_s3::config::Builder::new().retry_config(twice);
    let response = request.config_override(twice).send().await;
    response.map_err(|error| AwsError::new("s3:GetObject", s3_uri(bucket, key), &error))
}

/// Uploads an object. S3 stores it only if it matches the SHA-256 that is sent with it.
pub(crate) async fn put_object(
    client: &Client,
    settings: &Settings,
    caller_reference: &str,
    object: &Object,
    precondition: &Precondition,
) -> Result<(), AwsError> {
    let request = client
        .put_object()
        .bucket(settings.target.bucket.as_str())
        .key(object.key.as_str())
        .content_type(Object::CONTENT_TYPE)
        .content_encoding(Object::CONTENT_ENCODING)
        .cache_control(settings.cache_control.as_str())
        .set_acl(settings.acl.clone())
        .set_metadata(Some(settings.build.metadata()))
        .metadata(Object::CALLER_REFERENCE, caller_reference)
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .body(ByteStream::from(object.body.clone()));
    let request = match precondition {
        Precondition::None => request,
        Precondition::Absent => request.if_none_match("*"),
        Precondition::Unchanged(etag) => request.if_match(etag),
    };
    let attempts = Attempts::default();
    let request = request.customize().interceptor(attempts.clone());
    let address = s3_uri(&settings.target.bucket, &object.key);
    request.send().await.map_err(|error| AwsError {
        outcome_unknown: attempts.outcome_unknown(),
        ..AwsError::new("s3:PutObject", address, &error)
    })?;
    Ok(())
}
