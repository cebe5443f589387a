//! What holds for each upload, conditional or not: until when it must have ended, and how a lost outcome is found out.

use std::time::Duration;

use tokio::time::Instant;

use super::compare::may_read_s3;
use super::publisher::Publisher;
use crate::aws::config::OPERATION_TIMEOUT;
use crate::aws::error::AwsError;
use crate::aws::s3::{self, Stored, PUT_OBJECT};
use crate::container::object::Object;
use crate::settings::names::s3_uri;
use crate::settings::Settings;

/// Until when all uploads of a run end. The last one starts so early that it has `UPLOAD_TIMEOUT`.
pub(crate) const UPLOADS_TIMEOUT: Duration = Duration::from_mins(20);

/// Until when an upload ends, with all its attempts and the lookup of what became of them.
pub(super) const UPLOAD_TIMEOUT: Duration = OPERATION_TIMEOUT;

/// The part of it that is left for the lookup.
pub(super) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// The error of an upload for which no time was left.
pub(super) fn too_late(settings: &Settings, object: &Object) -> AwsError {
    let minutes = UPLOADS_TIMEOUT.as_secs() / 60;
    AwsError::refused(
        PUT_OBJECT,
        s3_uri(&settings.target.bucket, &object.key),
        format!("not started, as the {minutes} min for all uploads of a run were over"),
        "re-run, or publish fewer containers in one run",
    )
}

/// The object of this run, if S3 has it, as far as the credentials show that.
pub(super) async fn stored(
    publisher: &Publisher<'_>,
    object: &Object,
    deadline: Instant,
) -> Option<Stored> {
    let settings = publisher.settings();
    if !may_read_s3(settings) {
        return None;
    }
    let stored = s3::head_object(&publisher.aws.s3, settings, &object.key, deadline).await;
    let stored = stored.ok()?;
    let reference = stored.metadata()?.get(Object::CALLER_REFERENCE);
    let is_own = reference == Some(&publisher.run.caller_reference);
    is_own.then(|| Stored::new(stored.version_id()))
}
