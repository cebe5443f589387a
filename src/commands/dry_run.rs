//! `--dry-run`: shows the plan, and what it would change, and ends as the publish would, as far as that can be known.
//!
//! It reads what is published now, if the credentials allow it, and writes nothing.

use aws_config::SdkConfig;
use tokio::time::{timeout, Instant};

use super::ending::Ending;
use super::error::Error;
use crate::aws::config::OPERATION_TIMEOUT;
use crate::aws::credentials::ConnectError;
use crate::aws::error::AwsError;
use crate::aws::iam_policy::Permissions;
use crate::aws::{self, s3, Aws};
use crate::common::layout::first_ten;
use crate::container::changes::Changes;
use crate::container::object::Container;
use crate::exit::Exit;
use crate::publish::cdn::{self, Cdn};
use crate::publish::compare::{already_reported, Comparison, NotCompared, READ_TIMEOUT};
use crate::publish::one_upload::UPLOADS_TIMEOUT;
use crate::publish::only_newer::{self, NotReplaced};
use crate::publish::plan::Plan;
use crate::publish::race::Found;
use crate::publish::state::{ContainerState, RunState, Upload};
use crate::report::console::Console;
use crate::report::progress::Before;
use crate::report::result_json::{ErrorResult, RunResult};
use crate::report::{progress, summary, tables};

/// Why a publish would fail, as the last thing that is printed.
const WOULD_FAIL: &str = "dry run: nothing was written; a publish would fail for this reason";

/// Shows what a publish would do.
pub(crate) async fn dry_run(
    plan: &Plan,
    cdn: Option<&Cdn>,
    config: SdkConfig,
    ending: &Ending,
    console: &Console,
) -> Result<Exit, Error> {
    let reached = cdn::reached(cdn).await;
    reached.map_err(|problem| Error::Settings(vec![problem]))?;
    for line in tables::plan(plan) {
        console.info(&line);
    }
    let aws = connect(plan, config).await;
    let aws = aws.as_ref();
    let mut state = RunState::new(plan);
    if let Ok(aws) = aws {
        progress::identified(&aws.credentials, None, console);
        state.credentials = Some(aws.credentials.clone());
    }
    compare(plan, cdn, aws, &mut state, console).await;
    let would_fail = match aws {
        Ok(aws) => failure(plan, aws, &mut state, console).await,
        Err(_) => None,
    };
    let not_connected = aws.err().and_then(|it| it.failure.as_ref());
    let would_fail = would_fail.as_ref().or(not_connected);
    let superseded = summary::superseded(plan, &state);
    let exit = match would_fail {
        Some(_) => Exit::NotPublished,
        None if superseded.is_empty() => Exit::Published,
        None => Exit::Superseded,
    };
    let exit = ending.of_dry_run(exit, |console| {
        if let Some(reason) = would_fail {
            console.failure(&format!("{reason}\n{WOULD_FAIL}"));
        } else if superseded.is_empty() {
            console.success("dry run: nothing was written");
        } else {
            let lines = superseded.join("\n");
            let is_superseded =
                |container| state.container(container) == ContainerState::Superseded;
            let would_be = if plan.containers.iter().all(is_superseded) {
                "nor would it be"
            } else {
                "and a publish would not replace everything"
            };
            console.warning(&format!(
                "dry run: nothing was written, {would_be}\n{lines}"
            ));
        }
        let error = would_fail.map(ErrorResult::of_connect);
        RunResult::dry_run(plan, exit, error, &state)
    });
    let problem = would_fail.map(ToString::to_string);
    ending.make_reports(|reporter| reporter.of_dry_run(plan, &state, problem.as_deref()));
    Ok(exit)
}

/// Why AWS is not called.
struct NotConnected {
    summary: &'static str,
    /// Unless the publish is not what these credentials are for.
    failure: Option<ConnectError>,
}

/// A pull request's build without credentials shows what it would change for visitors, and calls nothing of AWS.
async fn connect(plan: &Plan, config: SdkConfig) -> Result<Aws, NotConnected> {
    let settings = &plan.settings;
    if settings.is_preview() {
        return Err(NotConnected {
            summary: "S3 was not requested, as this pull request's build has no credentials",
            failure: None,
        });
    }
    let permissions = Permissions::of(settings);
    let connected = aws::connect(settings, config, Some(&permissions)).await;
    connected.map_err(|error| NotConnected {
        summary: "S3 was not requested, as there are no credentials for it",
        failure: Some(error),
    })
}

/// Shows what a publish would change for visitors.
async fn compare(
    plan: &Plan,
    cdn: Option<&Cdn>,
    aws: Result<&Aws, &NotConnected>,
    state: &mut RunState,
    console: &Console,
) {
    let readable = aws.map_err(|problem| problem.summary.to_owned());
    let comparison = Comparison::new(readable, cdn, &plan.settings, None);
    // Then that is why nothing could be compared, and is about to be reported.
    let is_failure = cdn.is_none() && aws.is_err_and(|it| it.failure.is_some());
    let all_changes = comparison.all(&plan.containers).await;
    for (container, changes) in plan.containers.iter().zip(all_changes) {
        let already_reported = is_failure || already_reported(&changes, state.changes.values());
        note(plan, container, changes, already_reported, state, console);
    }
    count_unlisted(plan, state, console);
}

/// Shows what changes of a container, and notes it.
pub(super) fn note(
    plan: &Plan,
    container: &Container,
    changes: Result<Changes, NotCompared>,
    already_reported: bool,
    state: &mut RunState,
    console: &Console,
) {
    let before = Before::new(&state.changes, already_reported);
    progress::changes(plan, container, &changes, &before, console);
    state.changes.insert(container.name.clone(), changes);
}

/// Counts the containers whose changes are not listed.
pub(super) fn count_unlisted(plan: &Plan, state: &RunState, console: &Console) {
    progress::unlisted_changes(plan, progress::changed(&state.changes), console);
}

/// Why a publish would fail, as far as S3 shows it to who reads. Notes in `state` what `ONLY_NEWER` would not replace.
async fn failure(
    plan: &Plan,
    aws: &Aws,
    state: &mut RunState,
    console: &Console,
) -> Option<ConnectError> {
    let settings = &plan.settings;
    let fails = |error: &AwsError| error.kind.fails_every_request();
    let key = &plan.objects().next()?.key;
    let read = timeout(READ_TIMEOUT, s3::get_first_byte(&aws.s3, settings, key)).await;
    // A response that is late may still come to a publish.
    let error = read.ok().and_then(Result::err);
    if let Some(error) = error.filter(fails) {
        return Some(error.into());
    }
    if !settings.only_newer {
        return None;
    }
    let deadline = Instant::now() + UPLOADS_TIMEOUT;
    let (mut absent, mut failed) = (Vec::new(), None);
    for (number, object) in plan.objects().enumerate() {
        let end = Instant::now() + OPERATION_TIMEOUT;
        if end > deadline {
            console.warning(&format!(
                "of {} files, it is not known whether a newer build's would remain: S3 is too slow to look at all",
                plan.objects().count() - number
            ));
            break;
        }
        match only_newer::head(&aws.s3, settings, object, None, end).await {
            Ok(Found::Absent) => absent.push(object.key.as_str()),
            Ok(found) => {
                if let Some(protected) = found.protected() {
                    let would = "this re-run would replace";
                    progress::overridden(would, plan, object, protected, console);
                }
            }
            Err(NotReplaced::Superseded(build)) => {
                state
                    .uploads
                    .insert(object.key.clone(), Upload::Superseded(build));
            }
            Err(NotReplaced::Failed(error)) => {
                failed = Some(error.into());
                break;
            }
        }
    }
    if !absent.is_empty() {
        let (keys, do_not, numbers) = match absent[..] {
            [key] => (key.to_owned(), "does not", "its build number"),
            _ => (first_ten(&absent), "do not", "their build numbers"),
        };
        console.info(&format!(
            "{keys} {do_not} exist yet, or {numbers} cannot be read;\n\
             then `ONLY_NEWER` would fail, as the credentials lack `s3:GetObject`"
        ));
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::publisher::Publisher;
    use crate::publish::time_limits::phase;
    use crate::report::console::Stream;

    #[tokio::test(start_paused = true)]
    async fn a_dry_run_looks_for_newer_builds_for_20_minutes_at_most() {
        let not_found = |_: &str, _: &str, _| Some((19, 404, String::new()));
        let look = async |publisher: &Publisher<'_>| {
            let (plan, console) = (
                &publisher.run.plan,
                Console::new(Stream::Stderr, false, true),
            );
            let mut state = RunState::new(plan);
            let failure = failure(plan, publisher.aws, &mut state, &console).await;
            assert!(failure.is_none(), "{failure:?}");
            let warnings = console.warnings().concat();
            assert!(
                warnings.starts_with("of 39 files, it is not known"),
                "{warnings}"
            );
        };
        let (_, seconds) = phase(100, true, not_found, look).await;
        assert!((19 * 60..=21 * 60).contains(&seconds), "{seconds}");
    }
}
