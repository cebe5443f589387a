//! How a run ended: what failed, the state that things are in and what to do next, for whoever is called at night.

use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;

use super::console::Reporter;
use super::progress::LISTED;
use super::result_json;
use super::tables;
use crate::aws::error::Fault;
use crate::aws::error_kind::Kind;
use crate::aws::iam_policy::missing_statement;
use crate::common::layout::first_ten;
use crate::container::object::Container;
use crate::exit::Exit;
use crate::publish::plan::Plan;
use crate::publish::run::{ContainerState, Record, State, Verification};
use crate::publish::verify;
use crate::settings::names::public_url_of;

/// Prints how the run ended, stores the result where Bitbucket wants it, and returns the exit.
///
/// `stopped_by` is the signal that ended it before its time. Only the first call does anything; a later one is `None`.
pub(crate) fn report(
    record: &Record,
    stopped_by: Option<&str>,
    reporter: &Reporter,
) -> Option<Exit> {
    let state = record.state();
    let exit = state.exit();
    // The closing lines are printed once.
    record.exit.set(exit).ok()?;
    match stopped_by {
        // Only a wait was cut short.
        Some(signal) if exit == Exit::Published => {
            reporter.warning(&format!("stopped by {signal} while waiting"));
        }
        Some(signal) => reporter.failure(&format!("stopped by {signal}")),
        None => {}
    }
    faults(record, &state, reporter);
    for (url, verification) in &state.verifications {
        if let Some(problem) = verification.problem() {
            let within = match verification {
                Verification::Failed(_) => {
                    format!(" within {} s", verify::timeout(state.is_purged()).as_secs())
                }
                _ => String::new(),
            };
            reporter.failure(&format!(
                "{url} was not the new container{within}: {problem}\nwhat to do: {}",
                "check that `PUBLIC_URL` and `CDN_PREFIX` lead to this bucket's folder, that `DISTRIBUTION_ID` is its distribution, and that the CDN changes neither content nor headers"
            ));
        }
    }
    let text = format!(
        "{}\n{}",
        headline(exit, &record.plan, record.started.elapsed()),
        situation(record, &state)
    );
    if exit == Exit::Published {
        reporter.success(text.trim_end());
    } else {
        reporter.failure(text.trim_end());
    }
    let result = result_json::of_record(record, &state, exit);
    result_json::write(&record.plan.settings.build, &result, reporter);
    Some(exit)
}

/// The faults, those of the same reason together: the first with the remedy and the missing statement, and no more than are
/// listed of anything.
fn faults(record: &Record, state: &State, reporter: &Reporter) {
    let scope = state.scope(&record.plan);
    let mut of_reasons: Vec<Vec<Fault>> = Vec::new();
    for fault in state.faults() {
        let is_alike = |alike: &&mut Vec<Fault>| {
            (alike[0].action, &alike[0].kind) == (fault.action, &fault.kind)
        };
        match of_reasons.iter_mut().find(is_alike) {
            Some(alike) => alike.push(fault),
            None => of_reasons.push(vec![fault]),
        }
    }
    for alike in of_reasons {
        let statement = missing_statement(alike.iter(), &scope)
            .map(|statement| format!("\n{}", statement.pretty()));
        reporter.failure(&format!(
            "{}\nwhat to do: {}{}",
            alike[0],
            alike[0].remedy(),
            statement.unwrap_or_default()
        ));
        for fault in alike.iter().skip(1).take(LISTED - 1) {
            reporter.failure(&fault.to_string());
        }
        if alike.len() > LISTED {
            reporter.failure(&format!(
                "{} failed for the same reason {} times more",
                alike[0].action,
                alike.len() - LISTED
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
        Exit::NotLive => {
            format!("published to {environment}, but visitors do not get it yet (after {time})")
        }
        Exit::NotPublished | Exit::Refused | Exit::Fault => {
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
fn situation(record: &Record, state: &State) -> String {
    let plan = &record.plan;
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
            .take(LISTED)
            .filter_map(|container| container.minified())
        {
            if let Some(public_url) = &plan.settings.public_url {
                lines.push(public_url_of(public_url, &container.cdn_path));
            }
        }
        if !not_published.is_empty() || !unknown.is_empty() {
            lines.push(format!("replaced: {}", names(&published)));
        }
        for container in published.iter().take(LISTED) {
            let difference = state.differences.get(&container.name);
            let summary = difference.and_then(|it| tables::summary(it.as_ref().ok()?));
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
    let not_told = state.not_told();
    if !not_told.is_empty() && (!published.is_empty() || !unknown.is_empty()) {
        let ids: Vec<&str> = not_told.iter().map(|id| id.as_str()).collect();
        lines.push(format!(
            "the CDN {} the old container in {} {}",
            if state.may_be_told() {
                "may keep"
            } else {
                "keeps"
            },
            first_ten(&ids),
            cache_end(record, state)
        ));
    }
    let refused = |fault: &Fault| matches!(fault.kind, Kind::Refused(_));
    let faults = state.faults();
    let only_refused = !faults.is_empty() && faults.iter().all(refused);
    if !matches!(state.exit(), Exit::Published | Exit::NotLive) && !only_refused {
        lines.push(
            "next: mend the cause and run this again; it uploads and invalidates everything anew"
                .to_owned(),
        );
    }
    lines.join("\n")
}

/// Until when a CDN that was not told serves the old container.
fn cache_end(record: &Record, state: &State) -> String {
    let seconds = record.plan.settings.cache_control.shared_max_age();
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
