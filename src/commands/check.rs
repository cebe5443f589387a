//! `mojito-publish check`: shows whose the credentials are and proves what they can and cannot write.
//!
//! Creating a multipart upload needs the same permission as an upload, but creates no visible object, and whoever created it
//! may abort it. So the permission for each key is tested for real, and nothing is changed. `leftovers.rs` knows of uploads that
//! were not aborted.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{select, Either};
use tokio::time::{timeout, timeout_at, Instant};

use super::check_report::report;
use super::error::Error;
use super::leftovers::Leftovers;
use super::loaded;
use super::probe::{self, Access, Probe};
use super::reads::{self, ReadAccess, Reads};
use super::signals::Signals;
use crate::aws::config::{self, OPERATION_TIMEOUT};
use crate::aws::credentials::{ConnectError, CredentialOrigin};
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::gate::Gate;
use crate::aws::https::Https;
use crate::aws::s3::{self, PUT_OBJECT};
use crate::aws::sts::{self, Identity};
use crate::aws::{self, Aws};
use crate::exit::Exit;
use crate::report::check_json::{CheckResult, KeyResult, ReadResult};
use crate::report::console::{Console, READER_PATIENCE};
use crate::report::progress;
use crate::report::result_json::ErrorResult;
use crate::settings::names::{s3_uri, ObjectKey};
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// Until when all keys are tried. The last one starts so early that it has the time for all attempts.
const TRIES_TIMEOUT: Duration = Duration::from_mins(20);

/// After a signal, how long the request in flight may take, so that no multipart upload is left behind.
const REQUEST_GRACE: Duration = Duration::from_millis(800);
/// After that, how long the log may remain unread.
const READER_GRACE: Duration = Duration::from_millis(100);

/// What was checked so far.
#[derive(Default)]
struct Checked {
    settings: Option<Settings>,
    credentials: Option<CredentialOrigin>,
    identity: Option<Identity>,
    probes: Vec<Probe>,
    /// Of the first probes.
    accesses: Vec<Access>,
    reads: Reads,
    stopped_by: Option<&'static str>,
}

/// Checks what the credentials can write in the environment of the settings.
pub(crate) async fn check(flags: Flags, raw: &Raw, gate: &Gate, console: &Console) -> Exit {
    let mut checked = Checked::default();
    let json = flags.json;
    let result = try_all(flags, raw, gate, console, &mut checked).await;
    let exit = match &result {
        Ok(exit) => *exit,
        Err(error) => error.report(console),
    };
    if json {
        let error = result.as_ref().err().map(Error::result);
        let patience = match checked.stopped_by {
            Some(_) => READER_GRACE,
            None => READER_PATIENCE,
        };
        checked.result(exit, error).print(patience, console);
    }
    exit
}

async fn try_all(
    flags: Flags,
    raw: &Raw,
    gate: &Gate,
    console: &Console,
    checked: &mut Checked,
) -> Result<Exit, Error> {
    let signals = Signals::new().map_err(Error::Start)?;
    let mut stopped = pin!(signals.received());
    let Checked {
        settings,
        credentials,
        identity,
        probes,
        accesses,
        reads,
        stopped_by: stopped_by_signal,
    } = checked;
    let settings = &*settings.insert(loaded::settings(flags, raw, console).await?);
    console.info(&format!(
        "checking what the credentials can do in {} ({})",
        settings.environment, settings.environment_reason
    ));
    let connecting = Box::pin(connect(settings, gate, credentials, identity, console));
    let aws = match select(stopped.as_mut(), connecting).await {
        Either::Left((signal, _)) => {
            *stopped_by_signal = Some(signal);
            return Ok(stopped_by(signal, console));
        }
        Either::Right((aws, _)) => aws?,
    };
    *probes = probe::probes(settings);
    let mut leftovers = Leftovers::default();
    let mut stop = None;
    let deadline = Instant::now() + TRIES_TIMEOUT - OPERATION_TIMEOUT;
    for probe in &*probes {
        if Instant::now() > deadline {
            accesses.push(Access::Inconclusive(too_late(settings, &probe.key)));
            continue;
        }
        let trying = Box::pin(try_key(&aws, settings, &probe.key, &mut leftovers));
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
        let _ = timeout_at(deadline, leftovers.abort(&aws, settings)).await;
        leftovers.report(settings, console);
        *stopped_by_signal = Some(signal);
        return Ok(stopped_by(signal, console));
    }
    let reading = Box::pin(reads::try_all(&aws, settings, deadline));
    match select(stopped.as_mut(), reading).await {
        Either::Left((signal, _)) => {
            leftovers.report(settings, console);
            *stopped_by_signal = Some(signal);
            return Ok(stopped_by(signal, console));
        }
        Either::Right((all, _)) => *reads = all,
    }
    // Those whose abort has failed once.
    let abort = Box::pin(timeout(OPERATION_TIMEOUT, leftovers.abort(&aws, settings)));
    let _ = select(stopped, abort).await;
    leftovers.report(settings, console);
    Ok(report(settings, probes, accesses, reads, console))
}

/// Notes whose credentials these are as soon as that is known.
async fn connect(
    settings: &Settings,
    gate: &Gate,
    credentials: &mut Option<CredentialOrigin>,
    identity: &mut Option<Identity>,
    console: &Console,
) -> Result<Aws, Error> {
    let https = Https::new(&settings.aws, gate);
    let config = config::load(settings, https.client()).await;
    let config = config.map_err(|problem| Error::Settings(vec![problem]))?;
    let aws = aws::connect(settings, config, None).await?;
    *credentials = Some(aws.credentials.clone());
    if !settings.aws.can_call_sts {
        progress::identified(&aws.credentials, None, console);
        console.info(
            "not checked: whose they are, as AWS's STS does not know the users of the store at `AWS_ENDPOINT_URL_S3`",
        );
        return Ok(aws);
    }
    let found = sts::caller_identity(&aws.config).await;
    progress::identified(&aws.credentials, found.as_ref().ok(), console);
    *identity = Some(found.map_err(ConnectError::from)?);
    Ok(aws)
}

fn stopped_by(signal: &str, console: &Console) -> Exit {
    console.failure(&format!("stopped by {signal}; nothing was changed"));
    console.drain(READER_GRACE);
    Exit::NotPublished
}

impl Checked {
    fn result<'a>(&'a self, exit: Exit, error: Option<ErrorResult<'a>>) -> CheckResult<'a> {
        let result = CheckResult::new(exit, error, self.stopped_by);
        let Some(settings) = &self.settings else {
            return result;
        };
        let keys = self.probes.iter().enumerate().map(|(number, probe)| {
            let (access, error) = match self.accesses.get(number) {
                None => ("not_tried", None),
                Some(Access::Allowed) => ("allowed", None),
                Some(Access::Denied(error)) => ("denied", Some(error)),
                Some(Access::Inconclusive(error)) => ("unknown", Some(error)),
            };
            KeyResult::new(&probe.key, probe.expect_denied, access, error)
        });
        let reads = self.reads.list.iter().map(|read| {
            let (access, reason, error) = match &read.access {
                ReadAccess::Allowed => ("allowed", None, None),
                ReadAccess::Denied(error) => ("denied", None, Some(error)),
                ReadAccess::Unknown(reason) => ("unknown", Some(reason.as_str()), None),
                ReadAccess::Failed(error) => ("unknown", None, Some(error)),
            };
            ReadResult {
                action: read.action,
                resource: &read.resource,
                needed_by: read.setting,
                access,
                reason,
                error: error.map(ErrorResult::of_aws),
            }
        });
        let (credentials, identity) = (self.credentials.as_ref(), self.identity.as_ref());
        let (keys, reads) = (keys.collect(), reads.collect());
        result.with(settings, credentials, identity, keys, reads)
    }
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
