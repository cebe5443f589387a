//! What is checked of a store that is not AWS's, at a custom endpoint, as it may lack what a publish relies on.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use tokio::time::{timeout, Instant};

use super::compare::{may_read_s3, READ_TIMEOUT};
use super::event::Event;
use super::publisher::Publisher;
use super::run::Run;
use super::state::{Mismatch, Verification};
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::s3::{self, Precondition, Stored};
use crate::common::printable::sanitize;
use crate::container::object::Object;
use crate::settings::names::s3_uri;

/// Whether it is still unknown if the store supports preconditions.
pub(super) fn is_unexplored(publisher: &Publisher<'_>) -> bool {
    let is_custom = publisher.settings().aws.custom_s3_endpoint;
    is_custom && publisher.run.state().conditional_writes.is_none()
}

/// Uploads an object on a condition that cannot hold. A store that supports preconditions refuses it. One that ignores them has
/// the object then, as it would have from the upload that comes next, so this does no harm.
pub(super) async fn put_impossible(
    publisher: &Publisher<'_>,
    object: &Object,
    deadline: Instant,
) -> Result<Stored, AwsError> {
    let (settings, run) = (publisher.settings(), publisher.run);
    let impossible = Precondition::Unchanged("\"none\"".to_owned());
    let client = &publisher.aws.s3;
    let reference = &run.caller_reference;
    let put = s3::put_object(client, settings, reference, object, &impossible, deadline).await;
    match &put {
        Ok(_) => {
            run.state().conditional_writes = Some(false);
            publisher.emit(&Event::NoConditionalWrites);
        }
        Err(error) if matches!(error.kind, AwsErrorKind::Changed | AwsErrorKind::NoSuchKey) => {
            run.state().conditional_writes = Some(true);
        }
        // The upload itself reports it better.
        Err(_) => {}
    }
    put
}

/// Checks the headers that the store keeps with a container that was published, where the credentials may read it.
///
/// One container shows it for all. Nothing waits for it but the end of the run, and not for long.
pub(super) async fn check_headers(publisher: &Publisher<'_>) {
    let (settings, run) = (publisher.settings(), publisher.run);
    let scripts = run.published_scripts();
    let may_read = settings.aws.custom_s3_endpoint && may_read_s3(settings);
    let (true, Some(object)) = (may_read, scripts.first()) else {
        return;
    };
    let read = s3::get_first_byte(&publisher.aws.s3, settings, &object.key);
    let Ok(Ok(stored)) = timeout(READ_TIMEOUT, read).await else {
        return;
    };
    if !is_of(object, run, &stored) {
        return;
    }
    if let Some(phrase) = difference(&stored, &object.headers(&settings.cache_control)) {
        let uri = s3_uri(&settings.target.bucket, &object.key);
        let mismatch = Mismatch {
            phrase,
            answered: true,
        };
        run.set_verification(&uri, Verification::Failed(mismatch));
    }
}

/// Whether this is what the run stored. A store may drop the metadata as well, and then has an object of this size.
fn is_of(object: &Object, run: &Run, stored: &GetObjectOutput) -> bool {
    let metadata = stored.metadata();
    if let Some(reference) = metadata.and_then(|metadata| metadata.get(Object::CALLER_REFERENCE)) {
        return *reference == run.caller_reference;
    }
    let range = stored.content_range().unwrap_or_default();
    range.ends_with(&format!("/{}", object.compressed_size().0))
}

/// The first header that was not kept.
fn difference(stored: &GetObjectOutput, sent: &[(&str, &str)]) -> Option<String> {
    let headers = [
        ("Content-Encoding", stored.content_encoding()),
        ("Content-Type", stored.content_type()),
        ("Cache-Control", stored.cache_control()),
    ];
    let (name, kept, sent) = headers.into_iter().find_map(|(name, kept)| {
        let mut sent = sent.iter();
        let (_, sent) = sent.find(|(it, _)| name.eq_ignore_ascii_case(it))?;
        (kept != Some(*sent)).then_some((name, kept, *sent))
    })?;
    let kept = kept.map_or("drops".to_owned(), |it| {
        format!("returns `{}` as", sanitize(it))
    });
    Some(format!(
        "the store {kept} its {name}, which was sent as `{sent}`"
    ))
}
