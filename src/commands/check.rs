//! `mojito-publish check`: shows who the credentials are and proves what they can and cannot write.
//!
//! A multipart upload that is created needs the same permission as an upload, but makes no object that anybody can see, and
//! whoever created it may abort it. So each key is tried for real, and nothing is changed.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures_util::future::{select, Either};

use super::error::Error;
use super::probe::{probes, Probe};
use super::signals::Signals;
use crate::aws::config;
use crate::aws::credentials::ConnectError;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::iam_policy::Permissions;
use crate::aws::sts;
use crate::aws::{self, Aws};
use crate::exit::Exit;
use crate::report::console::Console;
use crate::settings::names::{s3_uri, ObjectKey};
use crate::settings::Settings;

/// After a signal, how long the request that is on its way may take, so that nothing stays behind.
const REQUEST_GRACE: Duration = Duration::from_millis(900);

/// What trying a key has shown.
enum Access {
    Allowed,
    Denied(AwsError),
    /// The key could not be tried.
    Unknown(AwsError),
}

/// Tries every key and says how it went.
pub(crate) async fn check(
    settings: &Settings,
    client: SharedHttpClient,
    signals: Signals,
    console: &Console,
) -> Result<Exit, Error> {
    let probes = probes(settings);
    let stopped = Cell::new(false);
    let has_tried = Cell::new(false);
    let mut trying = pin!(async {
        let aws = aws::connect(settings, config::load(settings, client).await, None).await?;
        console.info(&format!("credentials: {}", aws.credentials));
        let identity = sts::of_caller(&aws.config)
            .await
            .map_err(ConnectError::from)?;
        console.info(&format!(
            "identity: {} in account {}",
            identity.arn, identity.account_id
        ));
        let mut accesses = Vec::with_capacity(probes.len());
        for probe in &probes {
            if stopped.get() {
                break;
            }
            has_tried.set(true);
            accesses.push(try_key(&aws, settings, &probe.key, console).await);
        }
        Ok::<_, Error>(accesses)
    });
    match select(trying.as_mut(), pin!(signals.received())).await {
        Either::Left((accesses, _)) => Ok(report(settings, &probes, &accesses?, console)),
        Either::Right((signal, _)) => {
            stopped.set(true);
            // The request that is on its way is let finish, so that its upload can be aborted.
            let left =
                if has_tried.get() && tokio::time::timeout(REQUEST_GRACE, trying).await.is_err() {
                    "; the request on its way may leave an unfinished multipart upload behind"
                } else {
                    ""
                };
            console.failure(&format!("stopped by {signal}; nothing was changed{left}"));
            Ok(Exit::NotPublished)
        }
    }
}

/// Creates a multipart upload and aborts it.
async fn try_key(aws: &Aws, settings: &Settings, key: &ObjectKey, console: &Console) -> Access {
    let bucket = settings.target.bucket.as_str();
    let address = s3_uri(&settings.target.bucket, key);
    let created = aws
        .s3
        .create_multipart_upload()
        .bucket(bucket)
        .key(key.as_str())
        .set_acl(settings.acl.clone())
        .send()
        .await;
    let created = match created {
        Ok(created) => created,
        Err(error) => {
            let error = AwsError::new("s3:PutObject", address, &error);
            return match error.kind {
                AwsErrorKind::AccessDenied => Access::Denied(error),
                _ => Access::Unknown(error),
            };
        }
    };
    let id = created.upload_id().unwrap_or_default();
    let aborted = aws
        .s3
        .abort_multipart_upload()
        .bucket(bucket)
        .key(key.as_str())
        .upload_id(id)
        .send()
        .await;
    if let Err(error) = aborted {
        let error = AwsError::new("s3:AbortMultipartUpload", address, &error);
        console.warning(&format!(
            "the multipart upload {id} that was created to try the key is still there, unseen by visitors\n{error}\n\
             remove it with `aws s3api abort-multipart-upload --bucket {bucket} --key {key} --upload-id {id}`"
        ));
    }
    Access::Allowed
}

fn report(settings: &Settings, probes: &[Probe], accesses: &[Access], console: &Console) -> Exit {
    let permissions = Permissions::of(settings);
    let (mut too_little, mut too_much, mut unknown) = (0, 0, 0);
    for (probe, access) in probes.iter().zip(accesses) {
        let address = s3_uri(&settings.target.bucket, &probe.key);
        match (access, probe.expect_denied) {
            (Access::Allowed, None) => console.success(&format!("may write {address}")),
            (Access::Denied(_), Some(reason)) => {
                console.success(&format!("may not write {address} ({reason})"));
            }
            (Access::Denied(error), None) => {
                too_little += 1;
                let statement = permissions.statement_for_objects(&[&probe.key]).pretty();
                console.failure(&format!("too little: may not write {address}\n{error}\nthe statement that is missing:\n{statement}"));
            }
            (Access::Allowed, Some(reason)) => {
                too_much += 1;
                console.failure(&format!("too much: may write {address} ({reason})"));
            }
            (Access::Unknown(error), _) => {
                unknown += 1;
                console.failure(&format!(
                    "could not try {address}: {error}\nwhat to do: {}",
                    error.remedy()
                ));
            }
        }
    }
    for distribution in &settings.distributions {
        console.info(&format!(
            "unknown: cloudfront:CreateInvalidation on {distribution} cannot be tried without doing it"
        ));
    }
    if unknown > 0 {
        console.failure("not all of it could be tried");
    } else if too_little > 0 && too_much > 0 {
        console.failure(&format!(
            "too little and too much is allowed\nthese may be the credentials of {}; what {} needs is printed by `mojito-publish policy`",
            settings.environment.other(),
            settings.environment
        ));
    } else if too_little > 0 {
        console.failure("too little is allowed: a publish would fail; give the user or role the statement above");
    } else if too_much > 0 {
        console.failure("too much is allowed: whoever gets hold of these credentials can write there; give the user or role what `mojito-publish policy` prints, and nothing else");
    } else {
        console.success(&format!(
            "these credentials may write what {} needs, and nothing else that was tried",
            settings.environment
        ));
        return Exit::Published;
    }
    Exit::NotPublished
}
