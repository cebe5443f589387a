//! Invalidates what was published, and waits for it where `WAIT` is set.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::event::Event;
use super::publisher::Publisher;
use super::state::{Accepted, Invalidation};
use crate::aws::cloudfront::{self, GET_INVALIDATION};
use crate::aws::config::OPERATION_TIMEOUT;
use crate::aws::error::AwsError;
use crate::settings::names::{CdnPath, DistributionId};

/// Until when all requests for invalidations end, however busy CloudFront is.
const INVALIDATE_TIMEOUT: Duration = Duration::from_mins(15);
/// How long `WAIT` waits for all invalidations together. CloudFront usually needs less than a minute.
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
    let deadline = Instant::now() + INVALIDATE_TIMEOUT;
    join_all(distributions.map(|distribution| async move {
        // Before the request, so that whoever ends the run meanwhile knows that it may have been sent.
        run.set_invalidation(distribution, Invalidation::InFlight(Accepted::default()));
        invalidate_in(publisher, distribution, groups, deadline).await;
    }))
    .await;
}

/// Invalidates in one distribution. After a request that fails, what was accepted before it stays known.
async fn invalidate_in(
    publisher: &Publisher<'_>,
    distribution: &DistributionId,
    groups: &[Vec<CdnPath>],
    deadline: Instant,
) {
    let run = publisher.run;
    let mut accepted = Accepted::default();
    for (number, paths) in groups.iter().enumerate() {
        // The reference must be unique for each request.
        let reference = match number {
            0 => run.caller_reference.clone(),
            number => format!("{}-{number}", run.caller_reference),
        };
        let client = &publisher.aws.cloudfront;
        let attempt = || {
            let end = deadline.min(Instant::now() + OPERATION_TIMEOUT);
            cloudfront::create_invalidation(client, distribution, paths, &reference, end)
        };
        let on_wait = |error: &AwsError, delay| {
            publisher.emit(&Event::Busy(distribution, error, delay));
        };
        let id = match cloudfront::while_busy(deadline, attempt, on_wait).await {
            Ok(id) => id,
            Err(error) => {
                run.set_invalidation(distribution, Invalidation::Failed(accepted, error));
                return;
            }
        };
        publisher.emit(&Event::Invalidating(distribution, &id, paths));
        accepted.ids.push(id);
        accepted.paths += paths.len();
        let is_last = number + 1 == groups.len();
        let progress = if is_last {
            Invalidation::InProgress
        } else {
            Invalidation::InFlight
        };
        run.set_invalidation(distribution, progress(accepted.clone()));
    }
}

/// Waits until CloudFront has completed the invalidations. If that is not seen, the run is not verified.
pub(crate) async fn wait(publisher: &Publisher<'_>) {
    let run = publisher.run;
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let invalidations = run.state().invalidations.clone();
    join_all(invalidations.iter().map(|(distribution, it)| async move {
        let Invalidation::InProgress(accepted) = it else {
            return;
        };
        for id in &accepted.ids {
            if let Err(error) = wait_for(publisher, distribution, id, deadline).await {
                run.state().wait_errors.push(error);
                return;
            }
            publisher.emit(&Event::InvalidationCompleted(distribution, id));
        }
        run.set_invalidation(distribution, Invalidation::Completed(accepted.clone()));
    }))
    .await;
}

async fn wait_for(
    publisher: &Publisher<'_>,
    distribution: &DistributionId,
    id: &str,
    deadline: Instant,
) -> Result<(), AwsError> {
    let started = Instant::now();
    let mut pause = FIRST_POLL;
    loop {
        let end = deadline.min(Instant::now() + OPERATION_TIMEOUT);
        let client = &publisher.aws.cloudfront;
        let is_completed = match cloudfront::is_completed(client, distribution, id, end).await {
            // The deadline cut the last poll off.
            Err(error) if error.code.is_none() && Instant::now() >= deadline => false,
            result => result?,
        };
        if is_completed {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left <= pause {
            let minutes = WAIT_TIMEOUT.as_secs() / 60;
            return Err(AwsError::refused(
                GET_INVALIDATION,
                distribution.as_str(),
                format!("invalidation {id} is still in progress after {minutes} min"),
                "it continues by itself: see its status in CloudFront's console, or re-run",
            ));
        }
        let waited = started.elapsed();
        publisher.emit(&Event::InvalidationPending(distribution, id, waited));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_POLL);
    }
}
