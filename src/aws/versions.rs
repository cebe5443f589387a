//! The versions that S3 keeps of an object: lists those of exactly one key, and reads one of them.

use std::time::SystemTime;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::EncodingType;
use aws_sdk_s3::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use tokio::time::{timeout_at, Instant};

use super::attempts::Attempts;
use super::config::ATTEMPT_TIMEOUT;
use super::error::{describe_response, AwsError};
use super::error_kind::AwsErrorKind;
use super::unconfirmed::Unconfirmed;
use crate::common::causes::causes;
use crate::container::object::content_etag;
use crate::container::stored::Stored;
use crate::settings::names::{s3_uri, ObjectKey};
use crate::settings::Settings;

/// The action that a listing needs, on the bucket.
pub(crate) const LIST_VERSIONS: &str = "s3:ListBucketVersions";

/// The action that reading a version needs.
pub(crate) const GET_VERSION: &str = "s3:GetObjectVersion";

/// The version of an object that was stored while the bucket's versioning was off or suspended. The next one replaces it.
pub(crate) const NULL_VERSION: &str = "null";

/// S3 returns as many versions in a response at most.
const PAGE: i32 = 1_000;

/// How often a version is read whose content breaks off. The SDK does not retry that.
const MAX_READS: usize = 3;

/// A version of an object, or the mark that it was deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Version {
    pub(crate) id: String,
    /// In quotes, as S3 compares it. `None` for a delete marker.
    pub(crate) etag: Option<String>,
    pub(crate) is_live: bool,
    /// Whether it only marks that the object was deleted.
    pub(crate) is_delete_marker: bool,
    pub(crate) modified: Option<SystemTime>,
    /// In bytes, as it is stored. `None` for a delete marker.
    pub(crate) size: Option<u64>,
}

/// The versions of a key, newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions {
    pub(crate) list: Vec<Version>,
    /// Whether S3 has older ones, which were not listed.
    pub(crate) has_more: bool,
}

/// Lists the newest versions of a key, `max` or some more, or all if there are fewer.
///
/// S3 only selects by the beginning of a key, and lists in the order of the keys. So the key itself comes first, and others that
/// begin with it are skipped.
pub(crate) async fn list(
    client: &Client,
    settings: &Settings,
    key: &ObjectKey,
    max: usize,
    deadline: Instant,
) -> Result<Versions, AwsError> {
    let bucket = &settings.target.bucket;
    let mut versions = Versions::default();
    let mut next: Option<(String, String)> = None;
    loop {
        let attempts = Attempts::read(LIST_VERSIONS, s3_uri(bucket, key), confirm_listing);
        let (key_marker, id_marker) = next.take().unzip();
        let request = client
            .list_object_versions()
            .bucket(bucket.as_str())
            .prefix(key.as_str())
            // Other keys may have characters that XML has not.
            .encoding_type(EncodingType::Url)
            .max_keys(max.try_into().map_or(PAGE, |max: i32| max.min(PAGE)))
            .set_key_marker(key_marker)
            .set_version_id_marker(id_marker);
        let request = request.customize().interceptor(attempts.clone());
        let page = attempts.send(deadline, request.send()).await?;
        versions.list.extend(versions_of(key, &page));
        let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
        let next_key = page.next_key_marker();
        let is_of_key = next_key.is_some_and(|it| is_key(key, it, is_encoded));
        let id = page.next_version_id_marker().filter(|it| !it.is_empty());
        versions.has_more = page.is_truncated() == Some(true) && is_of_key && id.is_some();
        if !versions.has_more || versions.list.len() >= max {
            return Ok(versions);
        }
        next = id.map(|id| (key.as_str().to_owned(), id.to_owned()));
    }
}

/// The SDK reads a document that breaks off as far as it goes, which would hide versions.
fn confirm_listing(
    response: &HttpResponse,
    _: &ListObjectVersionsOutput,
) -> Result<(), Unconfirmed> {
    let body = response.body().bytes().unwrap_or_default();
    if body.trim_ascii_end().ends_with(b"ListVersionsResult>") {
        return Ok(());
    }
    Err(Unconfirmed::NotAws(describe_response(body)))
}

/// The versions and delete markers of a key on a page, newest first. The SDK has them in two lists, each in S3's order.
fn versions_of(key: &ObjectKey, page: &ListObjectVersionsOutput) -> Vec<Version> {
    // A store may ignore that they are to be encoded.
    let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
    let versions = page.versions().iter();
    let versions = versions.filter(|it| it.key().is_some_and(|it| is_key(key, it, is_encoded)));
    let mut versions = versions
        .filter_map(|it| {
            Some(Version {
                id: it.version_id()?.to_owned(),
                etag: it.e_tag().map(str::to_owned),
                is_live: it.is_latest() == Some(true),
                is_delete_marker: false,
                modified: time(it.last_modified()),
                size: it.size().and_then(|size| size.try_into().ok()),
            })
        })
        .peekable();
    let markers = page.delete_markers().iter();
    let markers = markers.filter(|it| it.key().is_some_and(|it| is_key(key, it, is_encoded)));
    let markers = markers.filter_map(|it| {
        Some(Version {
            id: it.version_id()?.to_owned(),
            etag: None,
            is_live: it.is_latest() == Some(true),
            is_delete_marker: true,
            modified: time(it.last_modified()),
            size: None,
        })
    });
    let mut merged = Vec::new();
    for marker in markers {
        let is_newer =
            |it: &Version| !marker.is_live && (it.is_live || it.modified >= marker.modified);
        while let Some(version) = versions.next_if(is_newer) {
            merged.push(version);
        }
        merged.push(marker);
    }
    merged.extend(versions);
    merged
}

/// Whether a key, perhaps URL-encoded, is this one.
fn is_key(key: &ObjectKey, other: &str, is_encoded: bool) -> bool {
    if !is_encoded {
        return key.as_str() == other;
    }
    let encoded = other.replace('+', " ");
    percent_decode_str(&encoded).eq(key.as_str().bytes())
}

fn time(time: Option<&DateTime>) -> Option<SystemTime> {
    SystemTime::try_from(*time?).ok()
}

/// What S3 says of a version, without its content.
pub(crate) async fn head(
    client: &Client,
    settings: &Settings,
    key: &ObjectKey,
    id: &str,
    deadline: Instant,
) -> Result<HeadObjectOutput, AwsError> {
    let bucket = &settings.target.bucket;
    let requested = id.to_owned();
    let confirm = move |response: &HttpResponse, output: &HeadObjectOutput| {
        let version = (Some(requested.as_str()), output.version_id());
        confirm(response, output.e_tag(), version)
    };
    let attempts = Attempts::read(GET_VERSION, s3_uri(bucket, key), confirm);
    let request = client.head_object().bucket(bucket.as_str());
    let request = request.key(key.as_str()).version_id(id).customize();
    let request = request.interceptor(attempts.clone()).send();
    attempts.send(deadline, request).await
}

/// Reads a version: what S3 says of it, and its content. `response_limit` bounds how much is read.
pub(crate) async fn get(
    client: &Client,
    settings: &Settings,
    key: &ObjectKey,
    id: &str,
    deadline: Instant,
) -> Result<(GetObjectOutput, Bytes), AwsError> {
    read(client, settings, key, Some(id), deadline).await
}

/// Reads the live version, whichever it is.
pub(crate) async fn get_live(
    client: &Client,
    settings: &Settings,
    key: &ObjectKey,
    deadline: Instant,
) -> Result<(GetObjectOutput, Bytes), AwsError> {
    read(client, settings, key, None, deadline).await
}

async fn read(
    client: &Client,
    settings: &Settings,
    key: &ObjectKey,
    id: Option<&str>,
    deadline: Instant,
) -> Result<(GetObjectOutput, Bytes), AwsError> {
    let bucket = &settings.target.bucket;
    let action = if id.is_some() {
        GET_VERSION
    } else {
        "s3:GetObject"
    };
    let mut reads = 0;
    loop {
        reads += 1;
        let requested = id.map(str::to_owned);
        let confirm = move |response: &HttpResponse, output: &GetObjectOutput| {
            let version = (requested.as_deref(), output.version_id());
            confirm(response, output.e_tag(), version)
        };
        let attempts = Attempts::read(action, s3_uri(bucket, key), confirm);
        let request = client.get_object().bucket(bucket.as_str());
        let request = request
            .key(key.as_str())
            .set_version_id(id.map(str::to_owned));
        let request = request.customize();
        let request = request.interceptor(attempts.clone()).send();
        let mut output = attempts.send(deadline, request).await?;
        let body = std::mem::take(&mut output.body);
        let end = deadline.min(Instant::now() + ATTEMPT_TIMEOUT);
        let problem = match timeout_at(end, body.collect()).await {
            Ok(Ok(content)) => {
                let content = content.into_bytes();
                if is_whole(&output, &content) {
                    return Ok((output, content));
                }
                "the content is not the one of its `ETag`".to_owned()
            }
            Ok(Err(error)) => format!("the response broke off: {}", causes(&error)),
            Err(_) => "the response did not end in time".to_owned(),
        };
        if reads == MAX_READS || Instant::now() >= deadline {
            return Err(AwsError {
                kind: AwsErrorKind::Unreachable,
                ..AwsError::unexpected(action, s3_uri(bucket, key), problem)
            });
        }
    }
}

/// Whether the content is the one of an `ETag` that is its MD5, as far as it is one: not of parts, nor of an encryption by a
/// key of the customer.
fn is_whole(output: &GetObjectOutput, content: &Bytes) -> bool {
    use aws_sdk_s3::types::ServerSideEncryption;
    let encryption = output.server_side_encryption();
    let is_md5 = encryption.is_none_or(|it| *it == ServerSideEncryption::Aes256)
        && output.sse_customer_algorithm().is_none();
    let etag = output.e_tag().unwrap_or_default().trim_matches('"');
    let has_form = etag.len() == 32 && etag.bytes().all(|it| it.is_ascii_hexdigit());
    !(is_md5 && has_form)
        || content_etag(content)
            .trim_matches('"')
            .eq_ignore_ascii_case(etag)
}

/// A success of S3 has the object's `ETag`, and the version that was requested, unless that is from before versioning.
fn confirm(
    response: &HttpResponse,
    etag: Option<&str>,
    (requested, version): (Option<&str>, Option<&str>),
) -> Result<(), Unconfirmed> {
    let is_version = requested.is_none_or(|id| match version {
        Some(version) => version == id,
        None => id == NULL_VERSION,
    });
    if is_version && etag.is_some_and(|etag| !etag.is_empty()) {
        return Ok(());
    }
    let body = response.body().bytes().unwrap_or_default();
    Err(Unconfirmed::NotAws(describe_response(body)))
}

/// What a response to HEAD says of a version.
pub(crate) fn stored_of_head(head: &HeadObjectOutput) -> Stored {
    let text = |value: Option<&str>| value.map(str::to_owned);
    Stored {
        content_type: text(head.content_type()),
        content_encoding: text(head.content_encoding()),
        cache_control: text(head.cache_control()),
        content_disposition: text(head.content_disposition()),
        content_language: text(head.content_language()),
        metadata: head.metadata().cloned().unwrap_or_default(),
    }
}

/// The same of a response to GET.
pub(crate) fn stored_of_get(get: &GetObjectOutput) -> Stored {
    let text = |value: Option<&str>| value.map(str::to_owned);
    Stored {
        content_type: text(get.content_type()),
        content_encoding: text(get.content_encoding()),
        cache_control: text(get.cache_control()),
        content_disposition: text(get.content_disposition()),
        content_language: text(get.content_language()),
        metadata: get.metadata().cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{DeleteMarkerEntry, ObjectVersion};

    use super::*;
    use crate::settings::names::Prefix;

    fn version(key: &str, id: &str, second: i64, is_latest: bool) -> ObjectVersion {
        let version = ObjectVersion::builder().key(key).version_id(id);
        let version = version.last_modified(DateTime::from_secs(second));
        version.is_latest(is_latest).e_tag("\"1\"").build()
    }

    fn marker(key: &str, id: &str, second: i64, is_latest: bool) -> DeleteMarkerEntry {
        let marker = DeleteMarkerEntry::builder().key(key).version_id(id);
        let marker = marker.last_modified(DateTime::from_secs(second));
        marker.is_latest(is_latest).build()
    }

    #[test]
    fn versions_and_delete_markers_of_one_key_are_in_the_order_of_their_time() {
        let key = ObjectKey::new(&Prefix::literal("js"), "mojito+a b.js");
        let encoded = "js/mojito%2Ba+b.js";
        let page = ListObjectVersionsOutput::builder()
            .encoding_type(EncodingType::Url)
            .versions(version(encoded, "d", 40, false))
            .versions(version(encoded, "b", 20, false))
            .versions(version(encoded, "a", 10, false))
            .versions(version("js/mojito%2Ba+b.json", "x", 90, true))
            // In the same second as the version that it hides.
            .delete_markers(marker(encoded, "e", 40, true))
            .delete_markers(marker(encoded, "c", 30, false))
            .delete_markers(marker("js/mojito%2Ba+b.js.map", "y", 90, true))
            .build();
        let versions = versions_of(&key, &page);
        let ids: Vec<&str> = versions.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["e", "d", "c", "b", "a"]);
        assert!(versions[0].is_live && versions[0].is_delete_marker);
    }

    #[test]
    fn a_key_that_is_not_encoded_is_taken_as_it_is() {
        let key = ObjectKey::new(&Prefix::literal("js"), "a+b.js");
        assert!(is_key(&key, "js/a+b.js", false) && is_key(&key, "js/a%2Bb.js", true));
        assert!(!is_key(&key, "js/a%2Bb.js", false) && !is_key(&key, "js/a+b.js", true));
    }
}
