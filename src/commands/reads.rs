//! What a publish with these settings reads from AWS, tried for `check`: nothing is changed by that.

use std::future::Future;

use tokio::time::Instant;

use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::{cloudfront, s3, Aws};
use crate::settings::names::{s3_uri, DistributionId, ObjectKey};
use crate::settings::Settings;

/// An invalidation that no distribution has, as CloudFront's ids start with `I`.
const NO_INVALIDATION: &str = "MOJITOPUBLISHCHECK";

/// Something that a publish reads because of a setting.
pub(super) struct Read {
    /// What can or cannot be done, after `can`.
    pub(super) what: String,
    pub(super) setting: &'static str,
    pub(super) access: ReadAccess,
}

pub(super) enum ReadAccess {
    Allowed,
    Denied(AwsError),
    /// Why it is not known.
    Unknown(String),
    Failed(AwsError),
}

/// Tries all that the settings need, until the deadline.
pub(super) async fn try_all(aws: &Aws, settings: &Settings, deadline: Instant) -> Vec<Read> {
    let mut reads = Vec::new();
    if settings.only_newer {
        for key in settings.keys() {
            reads.push(Read {
                what: format!("read {}", s3_uri(&settings.target.bucket, &key)),
                setting: "ONLY_NEWER",
                access: in_time(deadline, object(aws, settings, &key)).await,
            });
        }
    }
    if settings.wait {
        for distribution in &settings.distributions {
            reads.push(Read {
                what: format!("read the invalidations of {distribution}"),
                setting: "WAIT",
                access: in_time(deadline, invalidation(aws, distribution, deadline)).await,
            });
        }
    }
    reads
}

async fn in_time(deadline: Instant, read: impl Future<Output = ReadAccess>) -> ReadAccess {
    if Instant::now() < deadline {
        return read.await;
    }
    ReadAccess::Unknown("there was no time left to try it".to_owned())
}

async fn object(aws: &Aws, settings: &Settings, key: &ObjectKey) -> ReadAccess {
    let Err(error) = s3::get_first_byte(&aws.s3, settings, key).await else {
        return ReadAccess::Allowed;
    };
    match error.kind {
        AwsErrorKind::NoSuchKey => ReadAccess::Allowed,
        // Of an object that does not exist, S3 says only to those who may list the bucket that it does not. Its message names
        // what was missing, of which the other is allowed.
        AwsErrorKind::AccessDenied if error.message.contains("s3:ListBucket") => {
            ReadAccess::Allowed
        }
        AwsErrorKind::AccessDenied if error.message.contains("s3:GetObject") => {
            ReadAccess::Denied(error)
        }
        AwsErrorKind::AccessDenied => ReadAccess::Unknown(
            "S3 denies it, as it does where nothing is published yet".to_owned(),
        ),
        _ => ReadAccess::Failed(error),
    }
}

async fn invalidation(aws: &Aws, distribution: &DistributionId, deadline: Instant) -> ReadAccess {
    let looked =
        cloudfront::is_completed(&aws.cloudfront, distribution, NO_INVALIDATION, deadline).await;
    let Err(error) = looked else {
        return ReadAccess::Allowed;
    };
    if error.code.as_deref() == Some("NoSuchInvalidation") {
        return ReadAccess::Allowed;
    }
    match error.kind {
        AwsErrorKind::AccessDenied | AwsErrorKind::DeniedElsewhere(_) => ReadAccess::Denied(error),
        _ => ReadAccess::Failed(error),
    }
}
