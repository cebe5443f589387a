//! Invalidates what was published, and waits for it where `WAIT` is set.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::event::{Event, NotCompleted};
use super::publisher::Publisher;
use super::state::Invalidation;
use crate::aws::cloudfront;
use crate::aws::error::AwsError;
use crate::settings::names::{CdnPath, DistributionId};

/// How long `WAIT` waits for an invalidation. CloudFront usually needs less than a minute.
const WAIT_TIMEOUT: Duration = Duration::from_mins(15);
/// The first pause between two looks at an invalidation; it doubles up to the longest.
const FIRST_POLL: Duration = Duration::from_secs(1);
const MAX_POLL: Duration = Duration::from_secs(10);

/// Invalidates exactly the paths that were published, in every distribution; none waits for another's failure.
///
/// It is done even where the bytes did not change, so that a run that failed here before is repaired by a re-run.
pub(crate) async fn invalidate(publisher: &Publisher<'_>) {
    let groups = publisher.run.published_paths();
    if groups.is_empty() {
        return;
    }
    let groups = &groups;
    let distributions = &publisher.settings().distributions;
    join_all(distributions.iter().map(|distribution| async move {
        let run = publisher.run;
        if !run.start_invalidation(distribution) {
            return;
        }
        let result = invalidate_in(publisher, distribution, groups).await;
        run.set_invalidation(
            distribution,
            result.map_or_else(Invalidation::Failed, Invalidation::InProgress),
        );
    }))
    .await;
}

/// Invalidates in one distribution, and returns the ids.
async fn invalidate_in(
    publisher: &Publisher<'_>,
    distribution: &DistributionId,
    groups: &[Vec<CdnPath>],
) -> Result<Vec<String>, AwsError> {
    let mut ids = Vec::with_capacity(groups.len());
    for (number, paths) in groups.iter().enumerate() {
        // Other paths need another reference.
        let reference = match number {
            0 => publisher.run.caller_reference.clone(),
            number => format!("{}-{number}", publisher.run.caller_reference),
        };
        let client = &publisher.aws.cloudfront;
        let attempt = || cloudfront::create_invalidation(client, distribution, paths, &reference);
        let on_wait = |error: &AwsError, delay| {
            publisher.emit(&Event::Busy {
                distribution,
                error,
                delay,
            });
        };
        let id = cloudfront::while_busy(attempt, on_wait).await?;
        publisher.emit(&Event::Invalidating {
            distribution,
            id: &id,
            paths,
        });
        ids.push(id);
    }
    Ok(ids)
}

/// Waits until CloudFront has completed the invalidations. Waiting too long, or in vain, is a warning.
pub(crate) async fn wait(publisher: &Publisher<'_>) {
    let in_progress: Vec<(DistributionId, Vec<String>)> = publisher
        .run
        .state()
        .invalidations
        .iter()
        .filter_map(|(distribution, invalidation)| match invalidation {
            Invalidation::InProgress(ids) => Some((distribution.clone(), ids.clone())),
            _ => None,
        })
        .collect();
    join_all(
        in_progress
            .into_iter()
            .map(|(distribution, ids)| async move {
                for id in &ids {
                    if let Err(why) = wait_for(publisher, &distribution, id).await {
                        publisher.emit(&Event::NotWatched {
                            distribution: &distribution,
                            id,
                            why: &why,
                        });
                        return;
                    }
                    publisher.emit(&Event::InvalidationCompleted {
                        distribution: &distribution,
                        id,
                    });
                }
                publisher
                    .run
                    .set_invalidation(&distribution, Invalidation::Completed(ids));
            }),
    )
    .await;
}

async fn wait_for(
    publisher: &Publisher<'_>,
    distribution: &DistributionId,
    id: &str,
) -> Result<(), NotCompleted> {
    let started = Instant::now();
    let mut pause = FIRST_POLL;
    loop {
        let completed = cloudfront::is_completed(&publisher.aws.cloudfront, distribution, id).await;
        match completed.map_err(|error| NotCompleted::Error(Box::new(error)))? {
            true => return Ok(()),
            false if started.elapsed() > WAIT_TIMEOUT => {
                return Err(NotCompleted::After(WAIT_TIMEOUT))
            }
            false => {}
        }
        publisher.emit(&Event::InvalidationPending {
            distribution,
            id,
            waited: started.elapsed(),
        });
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_POLL);
    }
}
