//! Requests to S3: uploads an object, with a checksum and optional preconditions, looks at what is stored, shows whether S3
//! can be reached, and creates the multipart uploads of `check`.

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::operation::create_multipart_upload::CreateMultipartUploadOutput;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_sdk_s3::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::Instant;

use super::attempts::Attempts;
use super::config::OPERATION_TIMEOUT;
use super::error::{describe_response, AwsError};
use super::unconfirmed::Unconfirmed;
use super::versions::NULL_VERSION;
use crate::common::printable::sanitize;
use crate::container::object::Object;
use crate::settings::names::{s3_uri, ObjectKey};
use crate::settings::rollback_to::is_version_id;
use crate::settings::Settings;

/// The action that reading an object needs.
pub(crate) const GET_OBJECT: &str = "s3:GetObject";

/// The action that an upload needs.
pub(crate) const PUT_OBJECT: &str = "s3:PutObject";

/// What must hold when S3 writes the object.
#[derive(Debug)]
pub(crate) enum Precondition {
    None,
    /// The key has no object.
    Absent,
    /// The object still has this `ETag`.
    Unchanged(String),
}

/// What S3 says of an object that it has stored.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Stored {
    /// The version, by which the object can be had back. `None` where the bucket keeps no versions.
    pub(crate) version_id: Option<String>,
}

impl Stored {
    /// By the header `x-amz-version-id`. Where versioning is suspended, it is `null`, as the next upload replaces the object.
    pub(crate) fn new(version_id: Option<&str>) -> Self {
        let is_id = |id: &&str| is_version_id(id) && *id != NULL_VERSION;
        Self {
            version_id: version_id.filter(is_id).map(str::to_owned),
        }
    }
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
    response.map_err(|error| AwsError::new(GET_OBJECT, s3_uri(bucket, key), &error))
}

/// What S3 says of an object. Without `s3:ListBucket`, an object that does not exist is denied.
pub(crate) async fn head_object(
    client: &Client,
    settings: &Settings,
    key: &ObjectKey,
    deadline: Instant,
) -> Result<HeadObjectOutput, AwsError> {
    let bucket = &settings.target.bucket;
    let attempts = Attempts::read(GET_OBJECT, s3_uri(bucket, key), |_, _| Ok(()));
    let request = client.head_object().bucket(bucket.as_str());
    let request = request.key(key.as_str()).customize();
    let request = request.interceptor(attempts.clone()).send();
    attempts.send(deadline, request).await
}

/// Uploads an object until the deadline. S3 stores it only if it matches the SHA-256 that is sent with it, and returns that.
pub(crate) async fn put_object(
    client: &Client,
    settings: &Settings,
    caller_reference: &str,
    object: &Object,
    precondition: &Precondition,
    deadline: Instant,
) -> Result<Stored, AwsError> {
    let request = client
        .put_object()
        .bucket(settings.target.bucket.as_str())
        .key(object.key.as_str())
        .set_acl(settings.acl.clone())
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .checksum_sha256(&object.checksum)
        .body(ByteStream::from(object.body.clone()));
    let request = match &object.restored {
        None => request
            .content_type(Object::CONTENT_TYPE)
            .content_encoding(Object::CONTENT_ENCODING)
            .cache_control(settings.cache_control.as_str())
            .set_metadata(Some(settings.stored_metadata())),
        Some(restored) => {
            let stored = restored.stored.clone();
            request
                .set_content_type(stored.content_type)
                .set_content_encoding(stored.content_encoding)
                .set_cache_control(stored.cache_control)
                .set_content_disposition(stored.content_disposition)
                .set_content_language(stored.content_language)
                .set_metadata(Some(stored.metadata))
        }
    };
    let request = request.metadata(Object::CALLER_REFERENCE, caller_reference);
    let request = match precondition {
        Precondition::None => request,
        Precondition::Absent => request.if_none_match("*"),
        Precondition::Unchanged(etag) => request.if_match(etag),
    };
    let address = s3_uri(&settings.target.bucket, &object.key);
    let sent = object.clone();
    let confirm = move |response: &HttpResponse, output: &_| confirm(&sent, response, output);
    let attempts = Attempts::write(PUT_OBJECT, address, confirm);
    let request = request.customize().interceptor(attempts.clone());
    let response = attempts.send(deadline, request.send()).await?;
    Ok(Stored::new(response.version_id()))
}

/// Creates a multipart upload. Returns its ID, and whether another attempt may have created one as well.
pub(crate) async fn create_multipart_upload(
    client: &Client,
    settings: &Settings,
    key: &ObjectKey,
) -> (Result<String, AwsError>, bool) {
    let bucket = &settings.target.bucket;
    let confirm = |response: &HttpResponse, output: &CreateMultipartUploadOutput| {
        let body = response.body().bytes().unwrap_or_default();
        let id = output.upload_id().filter(|id| !id.is_empty());
        let not_aws = || Unconfirmed::NotAws(describe_response(body));
        id.map(drop).ok_or_else(not_aws)
    };
    let attempts = Attempts::write(PUT_OBJECT, s3_uri(bucket, key), confirm);
    let request = client.create_multipart_upload().bucket(bucket.as_str());
    let request = request.key(key.as_str()).set_acl(settings.acl.clone());
    let request = request.customize().interceptor(attempts.clone()).send();
    match attempts
        .send(Instant::now() + OPERATION_TIMEOUT, request)
        .await
    {
        Ok(created) => (
            Ok(created.upload_id.unwrap_or_default()),
            attempts.repeated_unknown_outcome(),
        ),
        Err(error) => {
            let outcome_unknown = error.outcome_unknown;
            (Err(error), outcome_unknown)
        }
    }
}

/// Whether a success is S3's own. A store that sends no checksum may still have an `ETag` that only the content determines.
fn confirm(
    object: &Object,
    response: &HttpResponse,
    output: &PutObjectOutput,
) -> Result<(), Unconfirmed> {
    let body = response.body().bytes().unwrap_or_default();
    // S3's has no body, whatever its headers are.
    if response.status().as_u16() != 200 || !body.is_empty() {
        return Err(Unconfirmed::NotAws(describe_response(body)));
    }
    match output.checksum_sha256() {
        Some(checksum) if checksum == object.checksum => Ok(()),
        Some(other) => Err(Unconfirmed::NotAws(format!(
            "the response has the checksum `{}`, the upload `{}`",
            sanitize(other),
            object.checksum
        ))),
        None if output.e_tag() == Some(&object.content_etag()) => Ok(()),
        None => Err(Unconfirmed::Unproven),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::byte_size::ByteSize;
    use crate::settings::names::{ContainerName, Prefix, Variant};

    #[test]
    fn a_version_has_an_id_where_the_bucket_keeps_versions() {
        for (header, id) in [
            (Some("3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY"), true),
            (Some("null"), false),
            (Some(""), false),
            (Some("a b"), false),
            (Some(&*"a".repeat(2_000)), false),
            (None, false),
        ] {
            let expected = header.filter(|_| id);
            assert_eq!(Stored::new(header).version_id.as_deref(), expected);
        }
    }

    #[test]
    fn an_upload_is_confirmed_by_its_checksum_or_its_md5_in_a_200() {
        let (name, prefix) = (ContainerName::parse("mojito").unwrap(), Prefix::literal(""));
        let (size, body) = (ByteSize(3), b"abc".to_vec());
        let object = Object::new(&name, Variant::Minified, &prefix, &prefix, size, body);
        let case = |status: u16, checksum: Option<&str>, etag: Option<&str>, body: &'static str| {
            let response = HttpResponse::new(status.try_into().unwrap(), body.into());
            let output = PutObjectOutput::builder().set_e_tag(etag.map(str::to_owned));
            let output = output.set_checksum_sha256(checksum.map(str::to_owned));
            match confirm(&object, &response, &output.build()) {
                Ok(()) => "confirmed".to_owned(),
                Err(Unconfirmed::Unproven) => "unproven".to_owned(),
                Err(Unconfirmed::NotAws(what)) => what,
            }
        };
        let checksum = Some("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        let md5 = Some("\"900150983cd24fb0d6963f7d28e17f72\"");
        assert_eq!(case(200, checksum, None, ""), "confirmed");
        assert_eq!(case(200, checksum, Some("\"other\""), ""), "confirmed");
        assert_eq!(case(200, None, md5, ""), "confirmed");
        assert_eq!(case(200, None, None, ""), "unproven");
        // With a customer managed key, the ETag is 32 digits of something else.
        let other_md5 = Some("\"d41d8cd98f00b204e9800998ecf8427e\"");
        assert_eq!(case(200, None, other_md5, ""), "unproven");
        let other = case(200, Some("x=\n"), md5, "");
        assert!(other.contains("the checksum `x="), "{other}");
        let page = "the response did not come from AWS: <html>";
        assert_eq!(case(200, None, None, "<html>"), page);
        // Of a server that returns the headers that it gets.
        assert_eq!(case(200, checksum, md5, "<html>"), page);
        assert_eq!(case(202, checksum, md5, ""), "the response is empty");
        assert_eq!(case(206, checksum, md5, "<html>"), page);
    }
}
