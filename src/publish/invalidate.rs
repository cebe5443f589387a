//! Invalidates what was published, and waits for it where `WAIT` is set.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::event::Event;
use super::publisher::Publisher;
use super::state::Invalidation;
use crate::aws::cloudfront::{self, GET_INVALIDATION};
use crate::aws::error::AwsError;
use crate::settings::names::{CdnPath, DistributionId};

/// How long `WAIT` waits for an invalidation. CloudFront usually needs less than a minute.
const WAIT_TIMEOUT: Duration = Duration::from_mins(15);
/// The pause between two polls of an invalidation. It doubles up to the maximum.
const FIRST_POLL: Duration = Duration::from_secs(1);
const MAX_POLL: Duration = Duration::from_secs(10);

/// Invalidates exactly the paths that were published, in all distributions at the same time.
///
/// It does so even if the bytes did not change, so that a re-run repairs a run that failed here.
pub(crate) async fn invalidate(publisher: &Publisher<'_>) {
    let run = publisher.run;
    let groups = &run.published_paths();
    if groups.is_empty() {
        return;
    }
    let distributions = publisher.settings().distributions.iter();
    join_all(distributions.map(|distribution| async move {
        // Before the request, so that whoever ends the run meanwhile knows that it may have been sent.
        run.set_invalidation(distribution, Invalidation::InFlight);
        let ids = invalidate_in(publisher, distribution, groups).await;
        let invalidation = ids.map_or_else(Invalidation::Failed, Invalidation::InProgress);
        run.set_invalidation(distribution, invalidation);
    }))
    .await;
}

/// Invalidates in one distribution, and returns the IDs.
async fn invalidate_in(
    publisher: &Publisher<'_>,
    distribution: &DistributionId,
    groups: &[Vec<CdnPath>],
) -> Result<Vec<String>, AwsError> {
    let mut ids = Vec::with_capacity(groups.len());
    for (number, paths) in groups.iter().enumerate() {
        // The reference must be unique for each request.
        let reference = match number {
            0 => publisher.run.caller_reference.clone(),
            number => format!("{}-{number}", publisher.run.caller_reference),
        };
        let client = &publisher.aws.cloudfront;
        let attempt = || cloudfront::create_invalidation(client, distribution, paths, &reference);
        let on_wait = |error: &AwsError, delay| {
            publisher.emit(&Event::Busy(distribution, error, delay));
        };
        let id = cloudfront::while_busy(attempt, on_wait).await?;
        publisher.emit(&Event::Invalidating(distribution, &id, paths));
        ids.push(id);
    }
    Ok(ids)
}

/// Waits until CloudFront has completed the invalidations. If that is not seen, the run is not verified.
pub(crate) async fn wait(publisher: &Publisher<'_>) {
    let run = publisher.run;
    let invalidations = run.state().invalidations.clone();
    join_all(invalidations.iter().map(|(distribution, it)| async move {
        let Invalidation::InProgress(ids) = it else {
            return;
        };
        for id in ids {
            if let Err(error) = wait_for(publisher, distribution, id).await {
                run.state().wait_errors.push(error);
                return;
            }
            publisher.emit(&Event::InvalidationCompleted(distribution, id));
        }
        run.set_invalidation(distribution, Invalidation::Completed(ids.clone()));
    }))
    .await;
}

async fn wait_for(
    publisher: &Publisher<'_>,
    distribution: &DistributionId,
    id: &str,
) -> Result<(), AwsError> {
    let started = Instant::now();
    let mut pause = FIRST_POLL;
    loop {
        if cloudfront::is_completed(&publisher.aws.cloudfront, distribution, id).await? {
            return Ok(());
        }
        let waited = started.elapsed();
        if waited > WAIT_TIMEOUT {
            let minutes = WAIT_TIMEOUT.as_secs() / 60;
            return Err(AwsError::refused(
                GET_INVALIDATION,
                distribution.as_str(),
                format!("invalidation {id} is still in progress after {minutes} min"),
                "it continues by itself: see its status in CloudFront's console, or re-run",
            ));
        }
        publisher.emit(&Event::InvalidationPending(distribution, id, waited));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_POLL);
    }
}
