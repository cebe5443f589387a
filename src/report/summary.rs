//! How a run ended: what failed, what visitors get now, and what to do next.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::changes;
use super::console::Console;
use super::denied;
use super::progress::NOTHING_INVALIDATED;
use super::tables::MAX_LISTED;
use super::{rollback, times, words};
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::common::byte_size::with_separators;
use crate::common::layout::first_ten;
use crate::container::object::Container;
use crate::exit::Exit;
use crate::publish::outcome::Outcome;
use crate::publish::plan::Plan;
use crate::publish::state::{ContainerState, RunState, Upload, Verification};
use crate::publish::verify;
use crate::settings::names::public_url_of;

/// Prints how a run ended.
pub(crate) fn print(plan: &Plan, outcome: &Outcome, console: &Console) {
    if let (Some(signal), Exit::Published) = (outcome.stopped_by, outcome.exit) {
        console.warning(&format!("stopped by {signal}, after everything was done"));
    }
    errors(plan, &outcome.state, console);
    if outcome.stopped_by.is_none() {
        not_verified(&outcome.state, console);
    }
    let lines = [headline(plan, outcome, console.elapsed())]
        .into_iter()
        .chain(published(plan, outcome))
        .chain(last_seen(outcome))
        .chain(not_published(plan, outcome))
        .chain(superseded(plan, &outcome.state))
        .chain(not_invalidated(plan, &outcome.state))
        .chain(invalidated_in_part(plan, &outcome.state))
        .chain(next(plan, outcome));
    let text = lines.collect::<Vec<_>>().join("\n");
    match outcome.exit {
        Exit::Published => {
            console.success(&text);
            if plan.settings.distributions.is_empty() {
                console.warning(NOTHING_INVALIDATED);
            }
        }
        // Nothing failed, and nothing is to be done.
        Exit::Superseded => console.warning(&text),
        _ => console.failure(&text),
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

/// The URLs that do not serve what was published: for each remedy the first ones and the number of the others.
fn not_verified(state: &RunState, console: &Console) {
    let mut by_remedy: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (url, verification) in &state.verifications {
        if let Some((problem, remedy)) = why_not_verified(state, url, verification) {
            by_remedy.entry(remedy).or_default().push(problem);
        }
    }
    for (remedy, problems) in by_remedy {
        let mut lines = problems[..problems.len().min(MAX_LISTED)].join("\n");
        if problems.len() > MAX_LISTED {
            let _ = write!(lines, "\n(and {} more URLs)", problems.len() - MAX_LISTED);
        }
        console.failure(&format!("{lines}\nwhat to do: {remedy}"));
    }
}

/// What was wrong with what a URL served, and what to do about it.
pub(super) fn why_not_verified(
    state: &RunState,
    url: &str,
    verification: &Verification,
) -> Option<(String, &'static str)> {
    let problem = verification.problem()?;
    if is_store(url) {
        return Some((
            format!("{url}: {problem}"),
            "have the store keep the headers of an upload; browsers cannot read the container without them",
        ));
    }
    let timeout = verify::timeout(state.all_invalidations_completed());
    let within = match verification {
        Verification::Failed(_) => format!(" within {} s", timeout.as_secs()),
        _ => String::new(),
    };
    let failure = if verification.is_known_to_differ() {
        "did not serve the new container"
    } else {
        "could not be checked"
    };
    Some((
        format!("{url} {failure}{within}: {problem}"),
        "check that `PUBLIC_URL` and `CDN_PREFIX` lead to this bucket's folder,\n\
         that `DISTRIBUTION_ID` is its distribution, and that the CDN changes neither content nor headers",
    ))
}

/// Whether this is the object in the bucket, by `s3_uri`, rather than what visitors get.
fn is_store(url: &str) -> bool {
    url.starts_with("s3://")
}

pub(super) fn headline(plan: &Plan, outcome: &Outcome, elapsed: Duration) -> String {
    let time = duration(elapsed);
    let state = state(plan, outcome);
    match (outcome.exit, outcome.stopped_by) {
        (Exit::Published, _) => {
            format!("{state}{} ({time})", invalidations(&outcome.state))
        }
        (_, Some(signal)) => format!("stopped by {signal} after {time}: {state}"),
        (_, None) => format!("{state} (after {time})"),
    }
}

/// What state things are in.
fn state(plan: &Plan, outcome: &Outcome) -> String {
    let (environment, state) = (plan.settings.environment, &outcome.state);
    let words = words::of(plan.settings.purpose);
    let done = words.done_in(environment);
    let published = format!("{} {done}", subject(plan));
    let mut verifications = state.verifications.values();
    match outcome.exit {
        Exit::Published => published,
        Exit::NotInvalidated if state.may_be_invalidated() => {
            format!("{published}, but it is not known whether CloudFront was invalidated")
        }
        Exit::NotInvalidated if state.invalidated_in_part().next().is_some() => {
            format!("{published}, but not everything was invalidated in CloudFront")
        }
        Exit::NotInvalidated => format!("{published}, but CloudFront was not invalidated"),
        Exit::NotVerified if state.verifications.keys().any(|url| is_store(url)) => {
            format!("{published}, but the store did not keep its headers")
        }
        Exit::NotVerified if verifications.any(Verification::is_known_to_differ) => {
            let what = match plan.containers[..] {
                [_] => "it",
                _ => "every container",
            };
            format!("{published}, but visitors do not get {what} yet")
        }
        Exit::NotVerified if state.is_unverified() => {
            format!("{published}, but not verified: it is not known what visitors get")
        }
        Exit::NotVerified => format!(
            "{published} and invalidated, but CloudFront was not seen to complete the invalidation"
        ),
        Exit::Superseded => match in_state(plan, state, ContainerState::Published)[..] {
            [] => format!("not published to {environment}, where a newer build is live"),
            _ => format!("{published}, except where a newer build is live"),
        },
        Exit::NotPublished | Exit::Refused | Exit::InternalError => match only_state(plan, state) {
            Some(ContainerState::Unknown) => not_known(plan, state),
            Some(_) if outcome.stopped_by.is_some() => {
                format!("not {done}; visitors still get {}", words.old)
            }
            Some(_) => format!("not {done}"),
            None => format!("not everything is {done}"),
        },
    }
}

/// What is published: `build 57 (v1.4.0, 1f2e3d4) is`, or by hand the containers.
fn subject(plan: &Plan) -> String {
    match (words::label(plan), &plan.containers[..]) {
        (Some(build), _) => format!("{build} is"),
        (None, [container]) => format!("{} is", container.name),
        (None, containers) => format!("{} containers are", containers.len()),
    }
}

/// What is under way, or done, at CloudFront: `; CloudFront invalidation I2J0 in progress`.
fn invalidations(state: &RunState) -> String {
    let mut ids = state.invalidations.iter().flat_map(|(_, it)| it.ids());
    let progress = if state.is_invalidating() {
        "in progress"
    } else {
        "completed"
    };
    match (ids.next(), ids.count()) {
        (None, _) => String::new(),
        (Some(id), 0) => format!("; CloudFront invalidation {id} {progress}"),
        (Some(_), more) => format!("; {} CloudFront invalidations {progress}", more + 1),
    }
}

/// The state of all containers, if it is the same.
fn only_state(plan: &Plan, state: &RunState) -> Option<ContainerState> {
    let mut states = plan.containers.iter().map(|it| state.container(it));
    let first = states.next()?;
    states.all(|it| it == first).then_some(first)
}

/// Milliseconds up to a second, then seconds with one decimal.
fn duration(elapsed: Duration) -> String {
    match elapsed.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", elapsed.as_secs_f64()),
    }
}

/// What visitors get from now on, and what changes for them.
fn published(plan: &Plan, outcome: &Outcome) -> Vec<String> {
    let state = &outcome.state;
    let published = in_state(plan, state, ContainerState::Published);
    let mut lines = Vec::new();
    let objects = published.iter().filter_map(|it| it.minified());
    let public_url = plan.settings.public_url.as_ref();
    if let Some(public_url) = public_url {
        let urls = objects.map(|object| public_url_of(public_url, &object.cdn_path));
        // The others were named with what was seen there.
        let unseen = urls.filter(|url| !state.verifications.contains_key(url));
        lines.extend(unseen.take(MAX_LISTED));
    }
    if !published.is_empty() && published.len() < plan.containers.len() {
        lines.push(format!("replaced: {}", names(&published)));
    }
    for container in published.iter().take(MAX_LISTED) {
        let changes = state.changes.get(&container.name);
        let summary = changes.and_then(|it| changes::summary(it.as_ref().ok()?));
        lines.extend(summary.map(|changes| format!("{}: {changes}", container.name)));
    }
    lines
}

/// What was seen last where a signal ended the verification.
fn last_seen(outcome: &Outcome) -> Vec<String> {
    let verifications = outcome.state.verifications.iter();
    let seen = verifications.filter(|_| outcome.stopped_by.is_some());
    let seen = seen.filter_map(|(url, it)| Some(format!("{url}: {}", it.problem()?)));
    seen.take(MAX_LISTED).collect()
}

/// What visitors still get, or may still get, unless the headline says so.
fn not_published(plan: &Plan, outcome: &Outcome) -> Vec<String> {
    let state = &outcome.state;
    let not_published = in_state(plan, state, ContainerState::NotPublished);
    let unknown = in_state(plan, state, ContainerState::Unknown);
    let is_only = only_state(plan, state).is_some();
    let mut lines = Vec::new();
    let in_headline = is_only && outcome.stopped_by.is_some();
    if !(in_headline || not_published.is_empty()) {
        let (lost, kept): (Vec<&Container>, Vec<&Container>) = not_published
            .iter()
            .partition(|it| is_replaced_by_others(it, state));
        if !kept.is_empty() {
            lines.push(format!(
                "not replaced: {}; visitors still get {}",
                names(&kept),
                words::of(plan.settings.purpose).old
            ));
        }
        if !lost.is_empty() {
            let names = names(&lost);
            lines.push(format!(
                "not replaced: {names}; somebody else has just replaced what was live"
            ));
        }
    }
    if !unknown.is_empty() && !is_only {
        lines.push(not_known(plan, state));
    }
    lines
}

/// Whether a rollback was not done as what it was to replace was no longer live.
fn is_replaced_by_others(container: &Container, state: &RunState) -> bool {
    let mut objects = container.objects.iter();
    objects.any(|object| {
        let error = state.uploads[&object.key].error();
        let is_lost = error
            .is_some_and(|it| matches!(it.kind, AwsErrorKind::Changed | AwsErrorKind::NoSuchKey));
        object.restored.is_some() && is_lost
    })
}

fn not_known(plan: &Plan, state: &RunState) -> String {
    let unknown = in_state(plan, state, ContainerState::Unknown);
    let was = if unknown.len() == 1 { "was" } else { "were" };
    let names = names(&unknown);
    let is_in_flight = |container: &&Container| {
        let minified = container.minified();
        minified.is_some_and(|object| matches!(state.uploads[&object.key], Upload::InFlight))
    };
    let why = if unknown.iter().all(is_in_flight) {
        "no response from S3"
    } else {
        "S3 did not confirm it"
    };
    format!("not known whether {names} {was} replaced: {why}")
}

/// What `ONLY_NEWER` did not replace, and what is live instead.
pub(crate) fn superseded(plan: &Plan, state: &RunState) -> Vec<String> {
    let superseded = in_state(plan, state, ContainerState::Superseded);
    let Some(build) = superseded
        .iter()
        .filter_map(|it| state.superseded_by(it))
        .max()
    else {
        return Vec::new();
    };
    let own = plan.settings.build.number().unwrap_or_default();
    vec![
        format!(
            "not replaced: {}; build {build} is live, which is newer than this build {own}",
            names(&superseded)
        ),
        "nothing needs to be done; to go back to this build, re-run its step in Bitbucket"
            .to_owned(),
    ]
}

/// Which distributions still serve the old containers, and until when.
fn not_invalidated(plan: &Plan, state: &RunState) -> Option<String> {
    let distributions = state.not_invalidated();
    let published = in_state(plan, state, ContainerState::Published);
    if distributions.is_empty() || published.is_empty() {
        return None;
    }
    let ids: Vec<&str> = distributions.iter().map(|id| id.as_str()).collect();
    let is_in_part = state.invalidated_in_part().next().is_some();
    let serves = if is_in_part || state.may_be_invalidated() {
        "may still serve"
    } else {
        "still serves"
    };
    Some(format!(
        "CloudFront {serves} {} from {} {}",
        words::of(plan.settings.purpose).old,
        first_ten(&ids),
        cache_end(plan, state)
    ))
}

/// What CloudFront accepted before a request failed.
fn invalidated_in_part(plan: &Plan, state: &RunState) -> Vec<String> {
    let all = state.paths_to_invalidate(plan).count();
    let in_part = state.invalidated_in_part().map(|(distribution, accepted)| {
        format!(
            "{} of {} paths were invalidated in {distribution} ({})",
            with_separators(accepted.paths as u64),
            with_separators(all as u64),
            accepted.ids.join(", ")
        )
    });
    in_part.collect()
}

fn next(plan: &Plan, outcome: &Outcome) -> Option<String> {
    let is_refusal = |error: &AwsError| matches!(error.kind, AwsErrorKind::Refused(_));
    let mut errors = outcome.state.errors().peekable();
    let only_refused = errors.peek().is_some() && errors.all(is_refusal);
    let is_unverified = outcome.state.is_unverified();
    let finish = may_be_put_back(&outcome.state).then(|| rollback::how_to_finish(plan));
    let finish = finish.flatten();
    match (outcome.exit, outcome.stopped_by) {
        (Exit::NotVerified, None) if !is_unverified && !only_refused => {
            Some("the invalidation continues by itself".to_owned())
        }
        (Exit::Published | Exit::Superseded, _) => None,
        _ if finish.is_some() => finish,
        (Exit::NotVerified, None) => None,
        _ if plan.settings.rollback.is_some() && has_lost(&outcome.state) => Some(format!(
            "next: `mojito-publish status{}` shows what is live; another rollback would replace that",
            plan.settings.environment.flag()
        )),
        (_, Some(_)) => Some("next: re-run, which is safe at any time".to_owned()),
        _ if only_refused => None,
        _ => Some("next: fix the cause and re-run; re-running is safe".to_owned()),
    }
}

/// Whether somebody else was faster.
fn has_lost(state: &RunState) -> bool {
    let mut errors = state.errors();
    errors.any(|error| error.kind == AwsErrorKind::Changed)
}

/// Whether a `NAME.js` is replaced, or may be.
fn may_be_put_back(state: &RunState) -> bool {
    let mut uploads = state.uploads.values();
    uploads.any(|it| it.is_done() || it.is_unknown())
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
        return "until its cache expires,\n\
                which `CACHE_CONTROL` does not determine; CloudFront's default is 24 hours"
            .to_owned();
    };
    let published_at = state.published_at.unwrap_or_else(SystemTime::now);
    let end = published_at + Duration::from_secs(seconds.into());
    let end = times::second(end).unwrap_or_default();
    let period = match seconds {
        60.. if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    };
    format!(
        "until its cache expires,\n\
         at {end} at the latest ({period} after the upload),\n\
         unless it had another Cache-Control or the distribution's minimum TTL is longer"
    )
}
