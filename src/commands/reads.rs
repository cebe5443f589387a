//! What a publish with these settings reads from AWS, and with `--rollback` a rollback, tried for `check`: nothing is changed by that.

use std::future::Future;

use tokio::time::Instant;

use crate::aws::cloudfront::{self, GET_INVALIDATION};
use crate::aws::config::OPERATION_TIMEOUT;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::s3::{self, GET_OBJECT};
use crate::aws::versions::{self, Version, GET_VERSION, LIST_VERSIONS, NULL_VERSION};
use crate::aws::Aws;
use crate::settings::names::{s3_uri, DistributionId, ObjectKey};
use crate::settings::Settings;

/// An invalidation that no distribution has, as CloudFront's ids start with `I`.
const NO_INVALIDATION: &str = "MOJITOPUBLISHCHECK";

/// The flag that a rollback's reads are for.
pub(super) const ROLLBACK: &str = "--rollback";

/// What was tried.
#[derive(Default)]
pub(super) struct Reads {
    pub(super) list: Vec<Read>,
    /// Whether the newest version of a key replaced the one before it, as the bucket's versioning is off, or was then.
    pub(super) keeps_no_versions: bool,
}

/// Something that is read because of a setting, or for a rollback.
pub(super) struct Read {
    pub(super) action: &'static str,
    /// An S3 URI, or the ID of a distribution.
    pub(super) resource: String,
    /// The setting or the flag.
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

impl Read {
    /// What can or cannot be done, after `can`.
    pub(super) fn what(&self) -> String {
        let resource = &self.resource;
        let what = match self.action {
            LIST_VERSIONS => format!("list the versions of {resource}"),
            GET_VERSION => format!("read the versions of {resource}"),
            GET_INVALIDATION => format!("read the invalidations of {resource}"),
            _ => format!("read {resource}"),
        };
        format!("{what} (`{}`)", self.setting)
    }
}

/// Tries all that is needed, until the deadline.
pub(super) async fn try_all(aws: &Aws, settings: &Settings, deadline: Instant) -> Reads {
    let mut reads = Reads::default();
    for key in settings.keys() {
        let resource = s3_uri(&settings.target.bucket, &key);
        let read = |action, setting, access| Read {
            action,
            resource: resource.clone(),
            setting,
            access,
        };
        let setting = match (settings.only_newer, &settings.rollback) {
            (true, _) => "ONLY_NEWER",
            (false, Some(_)) => ROLLBACK,
            (false, None) => continue,
        };
        let live = in_time(deadline, object(aws, settings, &key)).await;
        reads.list.push(read(GET_OBJECT, setting, live));
        if settings.rollback.is_some() {
            let (listing, newest) = newest_version(aws, settings, &key, deadline).await;
            let reading = match &newest {
                Some(newest) => in_time(deadline, version(aws, settings, &key, &newest.id)).await,
                None => ReadAccess::Unknown("none is known".to_owned()),
            };
            reads.keeps_no_versions |= newest.is_some_and(|it| it.id == NULL_VERSION);
            reads.list.push(read(LIST_VERSIONS, ROLLBACK, listing));
            reads.list.push(read(GET_VERSION, ROLLBACK, reading));
        }
    }
    if settings.wait {
        for distribution in &settings.distributions {
            reads.list.push(Read {
                action: GET_INVALIDATION,
                resource: distribution.to_string(),
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
        _ => failed(error),
    }
}

/// Whether the versions of a key can be listed, and the newest that is no delete marker.
async fn newest_version(
    aws: &Aws,
    settings: &Settings,
    key: &ObjectKey,
    deadline: Instant,
) -> (ReadAccess, Option<Version>) {
    let end = deadline.min(Instant::now() + OPERATION_TIMEOUT);
    match versions::list(&aws.s3, settings, key, 1, end).await {
        Ok(listed) => {
            let mut objects = listed.list.into_iter();
            let newest = objects.find(|it| !it.is_delete_marker);
            (ReadAccess::Allowed, newest)
        }
        Err(error) => (failed(error), None),
    }
}

async fn version(aws: &Aws, settings: &Settings, key: &ObjectKey, id: &str) -> ReadAccess {
    let deadline = Instant::now() + OPERATION_TIMEOUT;
    let read = versions::head(&aws.s3, settings, key, id, deadline).await;
    read.map_or_else(failed, |_| ReadAccess::Allowed)
}

async fn invalidation(aws: &Aws, distribution: &DistributionId, deadline: Instant) -> ReadAccess {
    let looked =
        cloudfront::is_completed(&aws.cloudfront, distribution, NO_INVALIDATION, deadline).await;
    match looked {
        Err(error) if error.code.as_deref() != Some("NoSuchInvalidation") => failed(error),
        _ => ReadAccess::Allowed,
    }
}

fn failed(error: AwsError) -> ReadAccess {
    match error.kind {
        AwsErrorKind::AccessDenied | AwsErrorKind::DeniedElsewhere(_) | AwsErrorKind::Kms => {
            ReadAccess::Denied(error)
        }
        _ => ReadAccess::Failed(error),
    }
}
