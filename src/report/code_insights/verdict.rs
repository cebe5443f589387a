//! How a publish ended for one of its containers: whether somebody has to act, in which words, and what to do.

use crate::bitbucket::report::Verdict;
use crate::container::object::Container;
use crate::publish::plan::Plan;
use crate::publish::state::{ContainerState, RunState};
use crate::report::{denied, summary, words};
use crate::settings::names::{public_url_of, s3_uri};

/// How the run ended for a container.
pub(super) fn how_it_ended(
    plan: &Plan,
    state: &RunState,
    container: &Container,
) -> (Verdict, String) {
    let words = words::of(plan.settings.purpose);
    match state.container(container) {
        ContainerState::Superseded => {
            let build = state.superseded_by(container).unwrap_or_default();
            return (Verdict::Passed, newer(build));
        }
        ContainerState::NotPublished => return (Verdict::Failed, words.not_done.to_owned()),
        ContainerState::Unknown => {
            let what = format!("not known whether it is {}", words.done);
            return (Verdict::Failed, what);
        }
        ContainerState::Published => {}
    }
    let done = words::done(plan, container);
    let failure = if !state.not_invalidated().is_empty() {
        if state.may_be_invalidated() {
            "it is not known whether CloudFront was invalidated"
        } else {
            "CloudFront was not invalidated"
        }
    } else if let Some(is_known) = unverified(plan, state, container) {
        if is_known {
            "visitors do not get it yet"
        } else {
            "not verified"
        }
    } else if plan.settings.wait && state.is_invalidating() {
        "CloudFront was not seen to complete the invalidation"
    } else {
        return (Verdict::Passed, done);
    };
    (Verdict::Failed, format!("{done}, but {failure}"))
}

pub(super) fn newer(build: u64) -> String {
    format!("not replaced, as the newer build {build} is live")
}

/// If a container was not seen at its URL or in the store, whether something else was.
fn unverified(plan: &Plan, state: &RunState, container: &Container) -> Option<bool> {
    let object = container.minified()?;
    let settings = &plan.settings;
    let public_url = settings.public_url.as_ref();
    let public_url = public_url.map(|url| public_url_of(url, &object.cdn_path));
    let stored = s3_uri(&settings.target.bucket, &object.key);
    let urls = public_url.into_iter().chain([stored]);
    let mut verifications = urls.filter_map(|url| state.verifications.get(&url));
    let verification = verifications.find(|it| it.problem().is_some())?;
    Some(verification.is_known_to_differ())
}

/// What went wrong with a container, or with all of them, and what to do.
pub(super) fn error(plan: &Plan, state: &RunState, container: &Container) -> Option<String> {
    let uploads = container.objects.iter();
    let own = uploads.filter_map(|it| state.uploads.get(&it.key)?.error());
    let error = own.chain(state.errors()).next();
    if let Some(error) = error {
        let remedy = denied::remedy(error, plan, state);
        return Some(format!("{error}\nwhat to do: {remedy}"));
    }
    let mut verifications = state.verifications.iter();
    let (problem, remedy) =
        verifications.find_map(|(url, it)| summary::why_not_verified(state, url, it))?;
    Some(format!("{problem}\nwhat to do: {remedy}"))
}
