//! `mojito-publish check`: shows whose the credentials are and proves what they can and cannot write.
//!
//! Creating a multipart upload needs the same permission as an upload, but creates no visible object, and whoever created it
//! may abort it. So the permission for each key is tested for real, and nothing is changed. `leftovers.rs` knows of uploads that
//! were not aborted.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{select, Either};
use tokio::time::{timeout, timeout_at, Instant};

use super::error::Error;
use super::leftovers::Leftovers;
use super::loaded;
use super::probe::{probes, Probe};
use super::rollback_check;
use super::signals::Signals;
use crate::aws::config::{self, OPERATION_TIMEOUT};
use crate::aws::credentials::ConnectError;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::gate::Gate;
use crate::aws::https::Https;
use crate::aws::iam_policy::Permissions;
use crate::aws::s3::{self, PUT_OBJECT};
use crate::aws::sts;
use crate::aws::{self, Aws};
use crate::exit::Exit;
use crate::report::console::Console;
use crate::report::progress;
use crate::settings::names::{s3_uri, ObjectKey};
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// Until when all keys are tried. The last one starts so early that it has the time for all attempts.
const TRIES_TIMEOUT: Duration = Duration::from_mins(20);

/// After a signal, how long the request in flight may take, so that no multipart upload is left behind.
const REQUEST_GRACE: Duration = Duration::from_millis(800);
/// After that, how long the log may remain unread.
const READER_GRACE: Duration = Duration::from_millis(100);

/// Whether a key can be written.
enum Access {
    Allowed,
    Denied(AwsError),
    /// It could not be found out.
    Inconclusive(AwsError),
}

/// Checks what the credentials can write in the environment of the settings.
pub(crate) async fn check(flags: Flags, raw: &Raw, gate: &Gate, console: &Console) -> Exit {
    let result = try_all(flags, raw, gate, console).await;
    result.unwrap_or_else(|error| error.report(console))
}

async fn try_all(flags: Flags, raw: &Raw, gate: &Gate, console: &Console) -> Result<Exit, Error> {
    let signals = Signals::new().map_err(Error::Start)?;
    let mut stopped = pin!(signals.received());
    let settings = loaded::settings(flags, raw, console).await?;
    console.info(&format!(
        "checking what the credentials can do in {} ({})",
        settings.environment, settings.environment_reason
    ));
    let connecting = Box::pin(connect(&settings, gate, console));
    let aws = match select(stopped.as_mut(), connecting).await {
        Either::Left((signal, _)) => return Ok(stopped_by(signal, console)),
        Either::Right((aws, _)) => aws?,
    };
    let probes = probes(&settings);
    let mut accesses = Vec::with_capacity(probes.len());
    let mut leftovers = Leftovers::default();
    let mut stop = None;
    let deadline = Instant::now() + TRIES_TIMEOUT - OPERATION_TIMEOUT;
    for probe in &probes {
        if Instant::now() > deadline {
            accesses.push(Access::Inconclusive(too_late(&settings, &probe.key)));
            continue;
        }
        let trying = Box::pin(try_key(&aws, &settings, &probe.key, &mut leftovers));
        match select(stopped.as_mut(), trying).await {
            Either::Left((signal, trying)) => {
                let deadline = Instant::now() + REQUEST_GRACE;
                stop = Some((signal, deadline));
                // The request in flight may finish, so that its upload can be aborted.
                let _ = timeout_at(deadline, trying).await;
                break;
            }
            Either::Right((access, _)) => accesses.push(access),
        };
    }
    if let Some((signal, deadline)) = stop {
        let _ = timeout_at(deadline, leftovers.abort(&aws, &settings)).await;
        leftovers.report(&settings, console);
        return Ok(stopped_by(signal, console));
    }
    // Those whose abort has failed once.
    let abort = Box::pin(timeout(OPERATION_TIMEOUT, leftovers.abort(&aws, &settings)));
    let _ = select(stopped, abort).await;
    leftovers.report(&settings, console);
    let may_roll_back =
        settings.rollback.is_none() || rollback_check::try_all(&aws, &settings, console).await;
    Ok(match report(&settings, &probes, &accesses, console) {
        Exit::Published if !may_roll_back => {
            console.failure("permissions for a rollback are missing, or could not be checked");
            Exit::NotPublished
        }
        exit => exit,
    })
}

async fn connect(settings: &Settings, gate: &Gate, console: &Console) -> Result<Aws, Error> {
    let https = Https::new(&settings.aws, gate);
    let config = config::load(settings, https.client()).await;
    let config = config.map_err(|problem| Error::Settings(vec![problem]))?;
    let aws = aws::connect(settings, config, None).await?;
    if !settings.aws.can_call_sts {
        progress::identified(&aws.credentials, None, console);
        console.info(
            "not checked: whose they are, as AWS's STS does not know the users of the store at `AWS_ENDPOINT_URL_S3`",
        );
        return Ok(aws);
    }
    let identity = sts::caller_identity(&aws.config).await;
    progress::identified(&aws.credentials, identity.as_ref().ok(), console);
    identity.map_err(ConnectError::from)?;
    Ok(aws)
}

fn stopped_by(signal: &str, console: &Console) -> Exit {
    console.failure(&format!("stopped by {signal}; nothing was changed"));
    console.drain(READER_GRACE);
    Exit::NotPublished
}

/// Creates a multipart upload and aborts it.
async fn try_key(
    aws: &Aws,
    settings: &Settings,
    key: &ObjectKey,
    leftovers: &mut Leftovers,
) -> Access {
    leftovers.creating(key);
    let (created, may_be_more) = s3::create_multipart_upload(&aws.s3, settings, key).await;
    leftovers.created(created.as_deref().ok(), may_be_more);
    match created {
        Ok(_) => {
            leftovers.abort_last(aws, settings).await;
            Access::Allowed
        }
        Err(error) if is_denial(&error) => Access::Denied(error),
        Err(error) => Access::Inconclusive(error),
    }
}

/// The error of a key for which no time was left.
fn too_late(settings: &Settings, key: &ObjectKey) -> AwsError {
    let minutes = TRIES_TIMEOUT.as_secs() / 60;
    AwsError::refused(
        PUT_OBJECT,
        s3_uri(&settings.target.bucket, key),
        format!("not tried, as the {minutes} min for all keys were over"),
        "re-run, or check fewer containers at a time",
    )
}

/// Whether S3 itself denies the request, by whatever policy.
fn is_denial(error: &AwsError) -> bool {
    let denied = matches!(
        error.kind,
        AwsErrorKind::AccessDenied | AwsErrorKind::DeniedElsewhere(_) | AwsErrorKind::Kms
    );
    denied && error.code.is_some()
}

fn report(settings: &Settings, probes: &[Probe], accesses: &[Access], console: &Console) -> Exit {
    let permissions = Permissions::of(settings);
    let (mut missing, mut excess, mut inconclusive) = (false, false, false);
    let mut statement = None;
    for (probe, access) in probes.iter().zip(accesses) {
        let address = s3_uri(&settings.target.bucket, &probe.key);
        match (access, probe.expect_denied) {
            (Access::Allowed, None) => console.success(&format!("can write {address}")),
            (Access::Denied(_), Some(reason)) => {
                console.success(&format!("cannot write {address} ({reason})"));
            }
            (Access::Denied(error), None) => {
                missing = true;
                let remedy = match permissions.missing_statement(error) {
                    // One for all keys, at the end.
                    Some(of_all) => {
                        statement = Some(of_all.pretty());
                        String::new()
                    }
                    None => format!("\nwhat to do: {}", error.remedy()),
                };
                console.failure(&format!(
                    "missing permission: cannot write {address}\n{error}{remedy}"
                ));
            }
            (Access::Allowed, Some(reason)) => {
                excess = true;
                console.failure(&format!(
                    "excess permission: can write {address} ({reason})"
                ));
            }
            (Access::Inconclusive(error), _) => {
                inconclusive = true;
                let remedy = error.remedy();
                console.failure(&format!(
                    "could not check {address}: {error}\nwhat to do: {remedy}"
                ));
            }
        }
    }
    for distribution in &settings.distributions {
        console.info(&format!(
            "not checked: cloudfront:CreateInvalidation on {distribution}, as checking it would invalidate"
        ));
    }
    let (own, other) = (settings.environment, settings.environment.other());
    let policy = format!("`mojito-publish policy{}`", own.flag());
    let failure = match (inconclusive, missing, excess) {
        (false, false, false) => {
            console.success(&format!(
                "these credentials can write what {own} needs, and nothing else that was checked"
            ));
            return Exit::Published;
        }
        (true, _, _) => "not everything could be checked",
        (_, true, true) => &format!(
            "permissions are missing, and others are in excess\n\
             these may be the credentials of {other}; {policy} prints what {own} needs"
        ),
        (_, true, _) => match &statement {
            Some(statement) => &format!(
                "permissions are missing, and a publish would fail: is the bucket's name right?\n\
                 if so, add this statement to the user or role:\n{statement}"
            ),
            None => "permissions are missing, and a publish would fail",
        },
        (_, false, true) => &format!(
            "permissions are in excess: whoever gets hold of these credentials can write there\n\
             give the user or role what {policy} prints, and nothing else"
        ),
    };
    console.failure(failure);
    Exit::NotPublished
}
