//! How a run ended: what failed, the state that things are in and what to do next, for whoever is called at night.

use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;

use super::console::Console;
use super::progress::MAX_LISTED;
use super::result_json;
use super::tables;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::iam_policy::missing_statement;
use crate::common::layout::first_ten;
use crate::container::object::Container;
use crate::exit::Exit;
use crate::publish::plan::Plan;
use crate::publish::run::{ContainerState, Run, RunState, Verification};
use crate::publish::verify;
use crate::settings::names::public_url_of;

/// Prints how the run ended, stores the result where Bitbucket wants it, and returns the exit.
///
/// `stopped_by` is the signal that ended it before its time. Only the first call does anything; a later one is `None`.
pub(crate) fn report(run: &Run, stopped_by: Option<&str>, console: &Console) -> Option<Exit> {
    let state = run.state();
    let exit = state.exit();
    // The closing lines are printed once.
    run.exit.set(exit).ok()?;
    match stopped_by {
        // Only a wait was cut short.
        Some(signal) if exit == Exit::Published => {
            console.warning(&format!("stopped by {signal} while waiting"));
        }
        Some(signal) => console.failure(&format!("stopped by {signal}")),
        None => {}
    }
    errors(run, &state, console);
    for (url, verification) in &state.verifications {
        if let Some(problem) = verification.problem() {
            let within = match verification {
                Verification::Failed(_) => {
                    format!(
                        " within {} s",
                        verify::timeout(state.all_invalidations_completed()).as_secs()
                    )
                }
                _ => String::new(),
            };
            console.failure(&format!(
                "{url} was not the new container{within}: {problem}\nwhat to do: {}",
                "check that `PUBLIC_URL` and `CDN_PREFIX` lead to this bucket's folder, that `DISTRIBUTION_ID` is its distribution, and that the CDN changes neither content nor headers"
            ));
        }
    }
    let text = format!(
        "{}\n{}",
        headline(exit, &run.plan, run.started.elapsed()),
        situation(run, &state)
    );
    if exit == Exit::Published {
        console.success(text.trim_end());
    } else {
        console.failure(text.trim_end());
    }
    let result = result_json::of_record(run, &state, exit);
    result_json::write(&run.plan.settings.build, &result, console);
    Some(exit)
}

/// The faults, those of the same reason together: the first with the remedy and the missing statement, and no more than are
/// listed of anything.
fn errors(run: &Run, state: &RunState, console: &Console) {
    let permissions = state.permissions(&run.plan);
    let mut of_reasons: Vec<Vec<AwsError>> = Vec::new();
    for error in state.errors() {
        let is_alike = |alike: &&mut Vec<AwsError>| {
            (alike[0].action, &alike[0].kind) == (error.action, &error.kind)
        };
        match of_reasons.iter_mut().find(is_alike) {
            Some(alike) => alike.push(error),
            None => of_reasons.push(vec![error]),
        }
    }
    for alike in of_reasons {
        let statement = missing_statement(alike.iter(), &permissions)
            .map(|statement| format!("\n{}", statement.pretty()));
        console.failure(&format!(
            "{}\nwhat to do: {}{}",
            alike[0],
            alike[0].remedy(),
            statement.unwrap_or_default()
        ));
        for error in alike.iter().skip(1).take(MAX_LISTED - 1) {
            console.failure(&error.to_string());
        }
        if alike.len() > MAX_LISTED {
            console.failure(&format!(
                "{} failed for the same reason {} times more",
                alike[0].action,
                alike.len() - MAX_LISTED
            ));
        }
    }
}

fn headline(exit: Exit, plan: &Plan, elapsed: Duration) -> String {
    let environment = plan.settings.environment;
    let time = duration(elapsed);
    match exit {
        Exit::Published => format!("published to {environment} in {time}"),
        Exit::NotInvalidated => {
            format!("published to {environment}, but the CDN was not told (after {time})")
        }
        Exit::NotVerified => {
            format!("published to {environment}, but visitors do not get it yet (after {time})")
        }
        Exit::NotPublished | Exit::Refused | Exit::AwsError => {
            format!("not published to {environment} (after {time})")
        }
    }
}

/// A time as people say it: milliseconds up to a second, then tenths of one.
fn duration(elapsed: Duration) -> String {
    match elapsed.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", elapsed.as_secs_f64()),
    }
}

/// The state that things are in, and what to do next: a line each.
fn situation(run: &Run, state: &RunState) -> String {
    let plan = &run.plan;
    let of_state = |wanted: ContainerState| -> Vec<&Container> {
        plan.containers
            .iter()
            .filter(|container| state.container(container) == wanted)
            .collect()
    };
    let names = |containers: &[&Container]| {
        let names: Vec<&str> = containers
            .iter()
            .map(|container| container.name.as_str())
            .collect();
        first_ten(&names)
    };
    let published = of_state(ContainerState::Published);
    let not_published = of_state(ContainerState::NotPublished);
    let unknown = of_state(ContainerState::Unknown);
    let mut lines = Vec::new();
    if !published.is_empty() {
        for container in published
            .iter()
            .take(MAX_LISTED)
            .filter_map(|container| container.minified())
        {
            if let Some(public_url) = &plan.settings.public_url {
                lines.push(public_url_of(public_url, &container.cdn_path));
            }
        }
        if !not_published.is_empty() || !unknown.is_empty() {
            lines.push(format!("replaced: {}", names(&published)));
        }
        for container in published.iter().take(MAX_LISTED) {
            let changes = state.changes.get(&container.name);
            let summary = changes.and_then(|it| tables::summary(it.as_ref().ok()?));
            lines.extend(summary.map(|changes| format!("{}: {changes}", container.name)));
        }
    }
    if !not_published.is_empty() {
        lines.push(format!(
            "not replaced: {}; visitors keep the old container",
            names(&not_published)
        ));
    }
    if !unknown.is_empty() {
        lines.push(format!(
            "may or may not be replaced, as S3 has not answered: {}",
            names(&unknown)
        ));
    }
    let not_invalidated = state.not_invalidated();
    if !not_invalidated.is_empty() && (!published.is_empty() || !unknown.is_empty()) {
        let ids: Vec<&str> = not_invalidated.iter().map(|id| id.as_str()).collect();
        lines.push(format!(
            "the CDN {} the old container in {} {}",
            if state.may_be_invalidated() {
                "may keep"
            } else {
                "keeps"
            },
            first_ten(&ids),
            cache_end(run, state)
        ));
    }
    let refused = |error: &AwsError| matches!(error.kind, AwsErrorKind::Refused(_));
    let errors = state.errors();
    let only_refused = !errors.is_empty() && errors.iter().all(refused);
    if !matches!(state.exit(), Exit::Published | Exit::NotVerified) && !only_refused {
        lines.push(
            "next: mend the cause and run this again; it uploads and invalidates everything anew"
                .to_owned(),
        );
    }
    lines.join("\n")
}

/// Until when a CDN that was not told serves the old container.
fn cache_end(run: &Run, state: &RunState) -> String {
    let seconds = run.plan.settings.cache_control.shared_max_age();
    let Some(seconds) = seconds else {
        return "until its cache ends, which `CACHE_CONTROL` does not say; CloudFront's default is 24 hours".to_owned();
    };
    let published_at = state.published_at.unwrap_or_else(SystemTime::now);
    let end = published_at + Duration::from_secs(seconds.into());
    let end = DateTime::from_secs(DateTime::from(end).secs())
        .fmt(Format::DateTime)
        .unwrap_or_default();
    let period = match seconds {
        60.. if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    };
    format!("until its cache ends, at the latest at {end} ({period} after the upload), if it had the same Cache-Control and the distribution has no longer minimum TTL")
}
