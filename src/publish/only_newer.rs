//! `ONLY_NEWER`: an older pipeline that finishes later does not overwrite a newer container.
//!
//! The build number that is stored with an object is compared before the upload, and the upload is conditional on the
//! object being the one that was looked at, so a race between two pipelines is lost by one of them, not by the site.

use std::time::Duration;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::Client;

use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::s3::{self, Precondition, CALLER_REFERENCE};
use crate::container::object::Object;
use crate::settings::names::s3_uri;
use crate::settings::Settings;

/// How often an upload that lost a race looks again. Each time another pipeline must have published in between.
const MAX_RACES: usize = 10;

/// How long S3 gets for another upload that it is still working on (409), which may be this one's attempt before.
const CONFLICT_DELAY: Duration = Duration::from_secs(1);

/// Uploads an object unless a newer build's is there.
///
/// An upload that lost its answer is tried again by the SDK, and then meets itself: it is done, if what is stored is of this
/// run. A fault says of any of the uploads that it may have been done.
pub(crate) async fn put_if_newer(
    client: &Client,
    settings: &Settings,
    caller_reference: &str,
    object: &Object,
) -> Result<(), AwsError> {
    let mut outcome_unknown = false;
    let put = async {
        let mut absent = 0;
        let mut round = 1;
        loop {
            let live = head_unless_newer(client, settings, object).await?;
            let run = live
                .as_ref()
                .and_then(|live| live.metadata()?.get(CALLER_REFERENCE));
            if run.is_some_and(|run| run == caller_reference) {
                return Ok(());
            }
            absent += usize::from(live.is_none());
            let precondition = Precondition::of(live.as_ref());
            let put = s3::put_object(client, settings, caller_reference, object, &precondition);
            let Err(error) = put.await else {
                return Ok(());
            };
            outcome_unknown |= error.outcome_unknown;
            match error.kind {
                // It exists, and looking at it was answered twice as if it did not: so S3 answers without the permission.
                AwsErrorKind::Changed if absent == 2 && error.status == Some(412) => {
                    return Err(AwsError::refused(
                        "s3:GetObject",
                        error.resource,
                        "the object exists, but its build number may not be read".to_owned(),
                        "`ONLY_NEWER` needs `s3:GetObject` on the key: give it to the credentials, or leave `ONLY_NEWER` off",
                    ));
                }
                AwsErrorKind::Changed if round < MAX_RACES => {
                    round += 1;
                    if error.status == Some(409) {
                        tokio::time::sleep(CONFLICT_DELAY).await;
                    }
                }
                _ => return Err(error),
            }
        }
    };
    let result = put.await;
    result.map_err(|error| AwsError {
        outcome_unknown,
        ..error
    })
}

/// Looks at what is stored: `None` where S3 answers as if nothing were, a fault where it is a newer build's.
pub(crate) async fn head_unless_newer(
    client: &Client,
    settings: &Settings,
    object: &Object,
) -> Result<Option<HeadObjectOutput>, AwsError> {
    let address = s3_uri(&settings.target.bucket, &object.key);
    let answer = client
        .head_object()
        .bucket(settings.target.bucket.as_str())
        .key(object.key.as_str())
        .send()
        .await;
    let live = match answer {
        Ok(live) => live,
        Err(error) => {
            let error = AwsError::new("s3:GetObject", address, &error);
            return match error.kind {
                // Without `s3:ListBucket`, S3 answers 403 for a missing key as well.
                AwsErrorKind::AccessDenied | AwsErrorKind::NoSuchKey => Ok(None),
                // The answer to a HEAD has no code; the upload's will have one.
                _ if error.code.is_none() && matches!(error.status, Some(300..500)) => Ok(None),
                _ => Err(error),
            };
        }
    };
    let stored = live
        .metadata()
        .and_then(|metadata| metadata.get("build-number")?.parse::<u64>().ok());
    let own = settings.build.number();
    if let (Some(stored), Some(own)) = (stored, own) {
        if stored > own && !settings.build.is_rerun {
            return Err(AwsError::refused(
                "s3:PutObject",
                address,
                format!("build {stored} is live, which is newer than this build {own}"),
                "nothing, if the newer build is wanted; to go back to this one, run its step again in Bitbucket (a re-run is not held back)",
            ));
        }
    }
    Ok(Some(live))
}
