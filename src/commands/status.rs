//! `mojito-publish status`: shows what visitors get now and since when, what S3 has, and the versions before it.
//!
//! It is the first question at night, so whatever cannot be read costs a line and not the run. Nothing is written or invalidated.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{select, Either};

use super::error::Error;
use super::loaded;
use super::signals::Signals;
use crate::aws::config;
use crate::aws::credentials::ConnectError;
use crate::aws::gate::Gate;
use crate::aws::https::Https;
use crate::aws::iam_policy::Permissions;
use crate::aws::{self, Aws};
use crate::exit::Exit;
use crate::publish::cdn::Cdn;
use crate::publish::live::Live;
use crate::publish::live_reader::Reader;
use crate::report::console::Console;
use crate::report::result_json::ErrorResult;
use crate::report::status_json::StatusResult;
use crate::report::{progress, status as report};
use crate::settings::aws::CredentialSource;
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// After a signal, how long the log may remain unread.
const READER_GRACE: Duration = Duration::from_millis(100);

/// Shows what is live in the environment of the settings, with `--json` also for another program.
pub(crate) async fn status(flags: Flags, raw: &Raw, gate: &Gate, console: &Console) -> Exit {
    let json = flags.json;
    let result = look(flags, raw, gate, console).await;
    result.unwrap_or_else(|error| {
        let exit = error.report(console);
        print(json, exit, &StatusResult::early(error.result()), console)
    })
}

async fn look(flags: Flags, raw: &Raw, gate: &Gate, console: &Console) -> Result<Exit, Error> {
    let json = flags.json;
    let signals = Signals::new().map_err(Error::Start)?;
    let settings = loaded::settings(flags, raw, console).await?;
    console.info(&format!(
        "status of {} ({})",
        settings.environment, settings.environment_reason
    ));
    let work = Box::pin(look_at_all(&settings, json, gate, console));
    let stopped = pin!(signals.received());
    let signal = match select(stopped, work).await {
        Either::Left((signal, _)) => signal,
        Either::Right((exit, _)) => return exit,
    };
    let message = format!("stopped by {signal}; nothing was changed");
    console.failure(&message);
    let result = StatusResult::early(ErrorResult::new("stopped", message));
    let exit = print(json, Exit::NotPublished, &result, console);
    console.drain(READER_GRACE);
    Ok(exit)
}

async fn look_at_all(
    settings: &Settings,
    json: bool,
    gate: &Gate,
    console: &Console,
) -> Result<Exit, Error> {
    let https = Https::new(&settings.aws, gate);
    let cdn = Cdn::start(&https, settings);
    let config = config::load(settings, https.client()).await;
    let config = config.map_err(|problem| Error::Settings(vec![problem]))?;
    let permissions = Permissions::of_status(settings);
    let aws = match aws::connect(settings, config, Some(&permissions)).await {
        Ok(aws) => Ok(aws),
        Err(error) if cdn.is_some() => Err(not_connected(settings, &error, console)),
        Err(error) => return Err(error.into()),
    };
    if let Ok(Aws { credentials, .. }) = &aws {
        progress::identified(credentials, None, console);
    }
    let reader = Reader::new(settings, cdn.as_ref(), aws.as_ref().map_err(Clone::clone));
    let all = reader.all().await;
    report::status(settings, &all, reader.failure.get(), console);
    let exit = if all.iter().all(Live::is_seen) {
        Exit::Published
    } else {
        Exit::NotPublished
    };
    let credentials = aws.as_ref().ok().map(|aws| &aws.credentials);
    let result = StatusResult::new(settings, credentials, &all, reader.failure.get());
    Ok(print(json, exit, &result, console))
}

/// Why S3 is not requested. The CDN may still show what visitors get.
fn not_connected(settings: &Settings, error: &ConnectError, console: &Console) -> String {
    let reason = match (&settings.aws.credentials, error) {
        (CredentialSource::None, _) => "there are no credentials",
        (_, ConnectError::NoCredentials(reason, _)) => {
            &format!("there are no usable credentials: {reason}")
        }
        (_, ConnectError::Aws { .. }) => {
            console.warning(&error.to_string());
            "the credentials were refused"
        }
    };
    format!("S3 was not requested, as {reason}")
}

fn print(json: bool, exit: Exit, result: &StatusResult, console: &Console) -> Exit {
    if !json {
        return exit;
    }
    match Console::json(&result.finish(exit, console)) {
        Ok(()) => exit,
        Err(error) => {
            console.failure(&format!(
                "the JSON could not be written to standard output: {error}"
            ));
            Exit::InternalError
        }
    }
}
