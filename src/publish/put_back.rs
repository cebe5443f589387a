//! Stores an earlier version again, unless somebody else has replaced what was live when it was chosen.

use tokio::time::{sleep, Instant};

use super::only_newer::{is_lost_race, CONFLICT_DELAY};
use super::publisher::Publisher;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::s3::{self, Precondition, Stored};
use crate::aws::versions::stored_of_head;
use crate::container::object::Object;
use crate::container::stored::Restored;
use crate::settings::names::s3_uri;

/// How often an upload that meets a conflict (409) is attempted: S3 is still processing another one.
const MAX_CONFLICTS: usize = 5;

/// Uploads an object on the condition that what it replaces is still live.
pub(super) async fn put(
    publisher: &Publisher<'_>,
    object: &Object,
    restored: &Restored,
    deadline: Instant,
) -> Result<Stored, AwsError> {
    let (client, settings) = (&publisher.aws.s3, publisher.settings());
    let reference = &publisher.run.caller_reference;
    let precondition = match &restored.live_etag {
        Some(etag) => Precondition::Unchanged(etag.clone()),
        None => Precondition::Absent,
    };
    let (mut conflicts, mut outcome_unknown) = (0, false);
    let error = loop {
        let put = s3::put_object(client, settings, reference, object, &precondition, deadline);
        let error = match put.await {
            Ok(stored) => return Ok(stored),
            Err(error) => error,
        };
        outcome_unknown |= error.outcome_unknown;
        conflicts += 1;
        let is_conflict = error.status == Some(409) && is_lost_race(&error);
        if !is_conflict || conflicts == MAX_CONFLICTS || Instant::now() + CONFLICT_DELAY > deadline
        {
            break error;
        }
        sleep(CONFLICT_DELAY).await;
    };
    let error = AwsError {
        outcome_unknown,
        ..error
    };
    if outcome_unknown || !is_lost_race(&error) {
        return Err(error);
    }
    if restored.live_etag.is_none() && restored.replaces.is_none() && error.status == Some(412) {
        // It was responded to as if it were not there, as S3 does without the permission.
        return Err(AwsError {
            kind: AwsErrorKind::AccessDenied,
            ..AwsError::unexpected(
                "s3:GetObject",
                error.resource,
                "the object exists, but may not be read, so what would be replaced is not known",
            )
        });
    }
    let live = s3::head_object(client, settings, &object.key, deadline).await;
    let live = live.ok().map(|live| stored_of_head(&live));
    let what = live.and_then(|live| live.label());
    let what = what.map_or_else(String::new, |what| format!("; now {what} is live"));
    let uri = s3_uri(&settings.target.bucket, &object.key);
    Err(AwsError {
        message: format!(
            "{uri} was replaced by somebody else after its versions were listed{what}"
        ),
        ..error
    })
}
