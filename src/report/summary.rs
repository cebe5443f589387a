//! How a run ended: what failed, what visitors get now, and what to do next.

use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;

use super::console::Console;
use super::denied;
use super::progress::MAX_LISTED;
use super::tables;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::common::layout::first_ten;
use crate::container::object::Container;
use crate::exit::Exit;
use crate::publish::outcome::Outcome;
use crate::publish::plan::Plan;
use crate::publish::state::{ContainerState, RunState, Verification};
use crate::publish::verify;
use crate::settings::names::public_url_of;

/// Prints how a run ended.
pub(crate) fn print(plan: &Plan, outcome: &Outcome, console: &Console) {
    match outcome.stopped_by {
        // Only a wait was cut short.
        Some(signal) if outcome.exit == Exit::Published => {
            console.warning(&format!("stopped by {signal} while waiting"));
        }
        Some(signal) => console.failure(&format!("stopped by {signal}")),
        None => {}
    }
    errors(plan, &outcome.state, console);
    not_verified(&outcome.state, console);
    let lines = [headline(plan, outcome)]
        .into_iter()
        .chain(published(plan, &outcome.state))
        .chain(not_published(plan, &outcome.state))
        .chain(not_invalidated(plan, &outcome.state))
        .chain(next(outcome));
    let text = lines.collect::<Vec<_>>().join("\n");
    if outcome.exit == Exit::Published {
        console.success(&text);
    } else {
        console.failure(&text);
    }
}

/// The errors, grouped by reason: the first of each with what to do, then up to `MAX_LISTED` in all.
fn errors(plan: &Plan, state: &RunState, console: &Console) {
    let mut groups: Vec<Vec<&AwsError>> = Vec::new();
    for error in state.errors() {
        let is_alike = |group: &&mut Vec<&AwsError>| {
            (group[0].action, &group[0].kind) == (error.action, &error.kind)
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => group.push(error),
            None => groups.push(vec![error]),
        }
    }
    for group in groups {
        let first = group[0];
        let remedy = denied::remedy(first, plan, state);
        console.failure(&format!("{first}\nwhat to do: {remedy}"));
        for error in group.iter().skip(1).take(MAX_LISTED - 1) {
            console.failure(&error.to_string());
        }
        if group.len() > MAX_LISTED {
            console.failure(&format!(
                "{} failed for the same reason {} more times",
                first.action,
                group.len() - MAX_LISTED
            ));
        }
    }
}

fn not_verified(state: &RunState, console: &Console) {
    let timeout = verify::timeout(state.all_invalidations_completed());
    for (url, verification) in &state.verifications {
        let Some(problem) = verification.problem() else {
            continue;
        };
        let within = match verification {
            Verification::Failed(_) => format!(" within {} s", timeout.as_secs()),
            _ => String::new(),
        };
        console.failure(&format!(
            "{url} did not serve the new container{within}: {problem}\n\
             what to do: check that `PUBLIC_URL` and `CDN_PREFIX` lead to this bucket's folder, that `DISTRIBUTION_ID` is its \
             distribution, and that the CDN changes neither content nor headers"
        ));
    }
}

fn headline(plan: &Plan, outcome: &Outcome) -> String {
    let environment = plan.settings.environment;
    let time = duration(outcome.elapsed);
    match outcome.exit {
        Exit::Published => format!("published to {environment} in {time}"),
        Exit::NotInvalidated => {
            format!("published to {environment}, but CloudFront was not invalidated (after {time})")
        }
        Exit::NotVerified => {
            format!("published to {environment}, but visitors do not get it yet (after {time})")
        }
        Exit::NotPublished | Exit::Refused | Exit::InternalError => {
            format!("not published to {environment} (after {time})")
        }
    }
}

/// Milliseconds up to a second, then seconds with one decimal.
fn duration(elapsed: Duration) -> String {
    match elapsed.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", elapsed.as_secs_f64()),
    }
}

/// What visitors get from now on, and what changes for them.
fn published(plan: &Plan, state: &RunState) -> Vec<String> {
    let published = in_state(plan, state, ContainerState::Published);
    let mut lines = Vec::new();
    let objects = published.iter().filter_map(|it| it.minified());
    if let Some(public_url) = &plan.settings.public_url {
        let urls = objects.map(|object| public_url_of(public_url, &object.cdn_path));
        lines.extend(urls.take(MAX_LISTED));
    }
    if !published.is_empty() && published.len() < plan.containers.len() {
        lines.push(format!("replaced: {}", names(&published)));
    }
    for container in published.iter().take(MAX_LISTED) {
        let changes = state.changes.get(&container.name);
        let summary = changes.and_then(|it| tables::summary(it.as_ref().ok()?));
        lines.extend(summary.map(|changes| format!("{}: {changes}", container.name)));
    }
    lines
}

/// What visitors still get, or may still get.
fn not_published(plan: &Plan, state: &RunState) -> Vec<String> {
    let not_published = in_state(plan, state, ContainerState::NotPublished);
    let unknown = in_state(plan, state, ContainerState::Unknown);
    let was = if unknown.len() == 1 { "was" } else { "were" };
    let (old, maybe) = (names(&not_published), names(&unknown));
    let old = format!("not replaced: {old}; visitors still get the old container");
    let maybe = format!("not known whether {maybe} {was} replaced: no response from S3");
    let lines = [(not_published, old), (unknown, maybe)].into_iter();
    lines
        .filter(|(containers, _)| !containers.is_empty())
        .map(|(_, line)| line)
        .collect()
}

/// Which distributions still serve the old containers, and until when.
fn not_invalidated(plan: &Plan, state: &RunState) -> Option<String> {
    let distributions = state.not_invalidated();
    let not_published = in_state(plan, state, ContainerState::NotPublished);
    if distributions.is_empty() || not_published.len() == plan.containers.len() {
        return None;
    }
    let ids: Vec<&str> = distributions.iter().map(|id| id.as_str()).collect();
    let serves = if state.may_be_invalidated() {
        "may still serve"
    } else {
        "still serves"
    };
    Some(format!(
        "CloudFront {serves} the old container from {} {}",
        first_ten(&ids),
        cache_end(plan, state)
    ))
}

fn next(outcome: &Outcome) -> Option<String> {
    let is_refusal = |error: &AwsError| matches!(error.kind, AwsErrorKind::Refused(_));
    let mut errors = outcome.state.errors().peekable();
    let only_refused = errors.peek().is_some() && errors.all(is_refusal);
    let is_done = matches!(outcome.exit, Exit::Published | Exit::NotVerified);
    (!is_done && !only_refused)
        .then(|| "next: fix the cause and re-run; re-running is safe".to_owned())
}

fn in_state<'a>(plan: &'a Plan, state: &RunState, wanted: ContainerState) -> Vec<&'a Container> {
    let containers = plan.containers.iter();
    containers
        .filter(|container| state.container(container) == wanted)
        .collect()
}

fn names(containers: &[&Container]) -> String {
    let names = containers.iter().map(|container| container.name.as_str());
    first_ten(&names.collect::<Vec<_>>())
}

/// Until when the CDN serves the old container without an invalidation.
fn cache_end(plan: &Plan, state: &RunState) -> String {
    let Some(seconds) = plan.settings.cache_control.shared_max_age() else {
        return "until its cache expires, which `CACHE_CONTROL` does not determine; CloudFront's default is 24 hours".to_owned();
    };
    let published_at = state.published_at.unwrap_or_else(SystemTime::now);
    let end = published_at + Duration::from_secs(seconds.into());
    let end = DateTime::from_secs(DateTime::from(end).secs()).fmt(Format::DateTime);
    let end = end.unwrap_or_default();
    let period = match seconds {
        60.. if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    };
    format!(
        "until its cache expires, at {end} at the latest ({period} after the upload), if it had the same Cache-Control and unless \
         the distribution's minimum TTL is longer"
    )
}
