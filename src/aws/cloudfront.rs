//! CloudFront requests: creates invalidations and checks whether they completed.

use std::future::Future;
use std::time::Duration;

use aws_sdk_cloudfront::error::BuildError;
use aws_sdk_cloudfront::types::{Invalidation, InvalidationBatch, Paths};
use aws_sdk_cloudfront::Client;

use super::attempts::Attempts;
use super::error::AwsError;
use super::error_kind::AwsErrorKind;
use crate::settings::names::{CdnPath, DistributionId};

/// An invalidation ID has some 14 characters.
const MAX_ID: usize = 100;

/// Seconds between retries while CloudFront is busy, some ten minutes in all.
///
/// A new invalidation must wait for an earlier one to complete, which takes seconds to minutes.
const BUSY_DELAYS: [f64; 7] = [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0];

/// The action that shows whether an invalidation has completed.
pub(crate) const GET_INVALIDATION: &str = "cloudfront:GetInvalidation";

/// Creates an invalidation and returns its ID.
///
/// Safe to retry: the same caller reference with the same paths returns the same invalidation.
pub(crate) async fn create_invalidation(
    client: &Client,
    distribution: &DistributionId,
    paths: &[CdnPath],
    caller_reference: &str,
) -> Result<String, AwsError> {
    const ACTION: &str = "cloudfront:CreateInvalidation";
    let unexpected = |message: String| AwsError::unexpected(ACTION, distribution.as_str(), message);
    let invalid = |error: BuildError| unexpected(error.to_string());
    let quantity = i32::try_from(paths.len()).map_err(|error| unexpected(error.to_string()))?;
    let items = paths.iter().map(ToString::to_string).collect();
    let paths = Paths::builder().quantity(quantity).set_items(Some(items));
    let batch = InvalidationBatch::builder().paths(paths.build().map_err(invalid)?);
    let batch = batch.caller_reference(caller_reference).build();
    let request = client
        .create_invalidation()
        .distribution_id(distribution.as_str());
    let request = request.invalidation_batch(batch.map_err(invalid)?);
    let attempts = Attempts::default();
    let request = request.customize().interceptor(attempts.clone());
    let response = request.send().await.map_err(|error| AwsError {
        outcome_unknown: attempts.outcome_unknown(),
        ..AwsError::new(ACTION, distribution.as_str(), &error)
    })?;
    match response.invalidation().map(Invalidation::id) {
        Some(id) if is_id(id) => Ok(id.to_owned()),
        // The status was a success, so the invalidation may exist.
        _ => Err(AwsError {
            outcome_unknown: true,
            ..unexpected("the response has no valid invalidation id".to_owned())
        }),
    }
}

/// Whether this looks like an invalidation ID. It is printed and becomes part of a URL.
fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether an invalidation has completed at every edge location.
pub(crate) async fn is_completed(
    client: &Client,
    distribution: &DistributionId,
    id: &str,
) -> Result<bool, AwsError> {
    let distribution = distribution.as_str();
    let request = client.get_invalidation().distribution_id(distribution);
    let response = request.id(id).send().await;
    let response =
        response.map_err(|error| AwsError::new(GET_INVALIDATION, distribution, &error))?;
    let status = response.invalidation().map(Invalidation::status);
    Ok(status.is_some_and(|status| status.eq_ignore_ascii_case("completed")))
}

/// Retries while CloudFront is busy. Calls `on_wait` with the error and the delay before each retry.
pub(crate) async fn while_busy<T, F>(
    mut attempt: impl FnMut() -> F,
    mut on_wait: impl FnMut(&AwsError, Duration),
) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    for delay in BUSY_DELAYS {
        match attempt().await {
            Err(error)
                if matches!(
                    error.kind,
                    AwsErrorKind::Throttled | AwsErrorKind::TooManyInvalidations
                ) =>
            {
                // Jitter of up to 50% spreads out pipelines that were throttled at the same time.
                let delay = Duration::from_secs_f64(delay * (1.0 + fastrand::f64() / 2.0));
                on_wait(&error, delay);
                tokio::time::sleep(delay).await;
            }
            result => return result,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    /// The result of `while_busy` if the first `busy` attempts fail for that and the rest for lack of permission, and the
    /// number of attempts.
    async fn attempted(busy: usize) -> (AwsErrorKind, usize) {
        let (mut attempts, mut waits) = (0, 0);
        let attempt = || {
            attempts += 1;
            let kind = if attempts <= busy {
                AwsErrorKind::TooManyInvalidations
            } else {
                AwsErrorKind::AccessDenied
            };
            let error = AwsError {
                kind,
                ..AwsError::default()
            };
            ready(Err::<(), _>(error))
        };
        let result = while_busy(attempt, |_, _| waits += 1).await;
        assert_eq!(waits, attempts - 1);
        (result.unwrap_err().kind, attempts)
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_distribution_is_retried_for_some_ten_minutes() {
        let started = tokio::time::Instant::now();
        let attempted = attempted(10).await;
        assert_eq!(attempted, (AwsErrorKind::TooManyInvalidations, 8));
        let took = started.elapsed().as_secs();
        assert!((615..=923).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn other_errors_are_not_retried() {
        assert_eq!(attempted(1).await, (AwsErrorKind::AccessDenied, 2));
    }
}
