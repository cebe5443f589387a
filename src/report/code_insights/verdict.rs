//! How a publish ended for one of its containers: whether somebody has to act, in which words, and what to do.

use crate::bitbucket::report::Verdict;
use crate::container::object::Container;
use crate::publish::plan::Plan;
use crate::publish::state::{ContainerState, RunState};
use crate::report::{denied, summary};
use crate::settings::names::{public_url_of, s3_uri};

/// How the run ended for a container.
pub(super) fn how_it_ended(
    plan: &Plan,
    state: &RunState,
    container: &Container,
) -> (Verdict, String) {
    match state.container(container) {
        ContainerState::Superseded => {
            let build = state.superseded_by(container).unwrap_or_default();
            return (Verdict::Passed, newer(build));
        }
        ContainerState::NotPublished => return (Verdict::Failed, "not published".to_owned()),
        ContainerState::Unknown => {
            return (
                Verdict::Failed,
                "not known whether it is published".to_owned(),
            )
        }
        ContainerState::Published => {}
    }
    let failure = if !state.not_invalidated().is_empty() {
        if state.may_be_invalidated() {
            "published, but it is not known whether CloudFront was invalidated"
        } else {
            "published, but CloudFront was not invalidated"
        }
    } else if let Some(is_known) = unverified(plan, state, container) {
        if is_known {
            "published, but visitors do not get it yet"
        } else {
            "published, but not verified"
        }
    } else if plan.settings.wait && state.is_invalidating() {
        "published, but CloudFront was not seen to complete the invalidation"
    } else {
        return (Verdict::Passed, "published".to_owned());
    };
    (Verdict::Failed, failure.to_owned())
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
