//! `ONLY_NEWER`: an older pipeline that finishes later does not overwrite a newer container.
//!
//! The build number that is stored with an object is compared before the upload. The upload is conditional on the object not
//! having changed since, so that the newer of two pipelines wins a race.

use std::time::Duration;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::Client;
use tokio::time::{sleep, Instant};

use super::custom_store;
use super::publisher::Publisher;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::s3::{self, Precondition};
use crate::container::object::Object;
use crate::settings::Settings;

/// How often an upload that loses races is attempted. For each, another pipeline must have published in between.
const MAX_RACES: usize = 10;

/// The delay after a conflict (409): S3 is still processing another upload, which may be this one's previous attempt.
const CONFLICT_DELAY: Duration = Duration::from_secs(1);

/// Why an object was not replaced.
#[derive(Debug)]
pub(crate) enum NotReplaced {
    /// This newer build's is live.
    Superseded(u64),
    Failed(AwsError),
}

impl From<AwsError> for NotReplaced {
    fn from(error: AwsError) -> Self {
        Self::Failed(error)
    }
}

/// Uploads an object unless a newer build's is there.
///
/// If a response is lost, the SDK retries and finds the object of its own first attempt: it is uploaded if what is stored is of
/// this run. If the outcome of any attempt is unknown, it is unknown in the error.
pub(crate) async fn put_if_newer(
    publisher: &Publisher<'_>,
    object: &Object,
    deadline: Instant,
) -> Result<(), NotReplaced> {
    let (client, settings) = (&publisher.aws.s3, publisher.settings());
    let caller_reference = &publisher.run.caller_reference;
    let (mut outcome_unknown, mut absent, mut races) = (false, 0, 0);
    let put = async {
        loop {
            let live = head_unless_newer(client, settings, object, deadline).await?;
            let metadata = live.as_ref().and_then(HeadObjectOutput::metadata);
            let run = metadata.and_then(|metadata| metadata.get(Object::CALLER_REFERENCE));
            if run.is_some_and(|run| run == caller_reference) {
                return Ok(());
            }
            if custom_store::is_unexplored(publisher) {
                match custom_store::put_impossible(publisher, object, deadline).await {
                    Ok(()) => return Ok(()),
                    Err(error) => outcome_unknown |= error.outcome_unknown,
                }
            }
            absent += usize::from(live.is_none());
            let precondition = Precondition::of(live.as_ref());
            let put = s3::put_object(
                client,
                settings,
                caller_reference,
                object,
                &precondition,
                deadline,
            );
            let Err(error) = put.await else {
                return Ok(());
            };
            outcome_unknown |= error.outcome_unknown;
            races += 1;
            match error.kind {
                // It exists, but HEAD has twice responded as if it did not, as S3 does without the permission.
                AwsErrorKind::Changed if absent == 2 && error.status == Some(412) => {
                    return Err(NotReplaced::Failed(AwsError {
                        kind: AwsErrorKind::AccessDenied,
                        ..AwsError::unexpected(
                            "s3:GetObject",
                            error.resource,
                            "the object exists, but its build number may not be read",
                        )
                    }));
                }
                AwsErrorKind::Changed
                    if races < MAX_RACES && Instant::now() + CONFLICT_DELAY < deadline =>
                {
                    if error.status == Some(409) {
                        sleep(CONFLICT_DELAY).await;
                    }
                }
                _ => return Err(NotReplaced::Failed(error)),
            }
        }
    };
    let result: Result<(), NotReplaced> = put.await;
    result.map_err(|problem| match problem {
        NotReplaced::Failed(error) => NotReplaced::Failed(AwsError {
            outcome_unknown,
            ..error
        }),
        superseded @ NotReplaced::Superseded(_) => superseded,
    })
}

/// The stored object's metadata, or `None` if S3 responds as if there were none. Fails if a newer build's is stored.
pub(crate) async fn head_unless_newer(
    client: &Client,
    settings: &Settings,
    object: &Object,
    deadline: Instant,
) -> Result<Option<HeadObjectOutput>, NotReplaced> {
    let live = match s3::head_object(client, settings, &object.key, deadline).await {
        Ok(live) => live,
        Err(error) => {
            return match error.kind {
                // Without `s3:ListBucket`, S3 responds 403 for a missing key as well.
                AwsErrorKind::AccessDenied | AwsErrorKind::NoSuchKey => Ok(None),
                // A response to HEAD has no code; the upload's will have one.
                _ if error.code.is_none() && matches!(error.status, Some(300..500)) => Ok(None),
                _ => Err(error.into()),
            };
        }
    };
    let metadata = live.metadata();
    let stored = metadata.and_then(|metadata| metadata.get("build-number")?.parse::<u64>().ok());
    let own = settings.build.number();
    if let (Some(stored), Some(own)) = (stored, own) {
        if stored > own && !settings.build.is_rerun {
            return Err(NotReplaced::Superseded(stored));
        }
    }
    Ok(Some(live))
}
