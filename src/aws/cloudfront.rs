//! CloudFront requests: creates invalidations and checks whether they completed.

use std::future::Future;
use std::time::Duration;

use aws_sdk_cloudfront::types::{Invalidation, InvalidationBatch, Paths};
use aws_sdk_cloudfront::Client;

use super::attempts::Attempts;
use super::error::AwsError;
use super::error_kind::AwsErrorKind;
use crate::settings::names::{CdnPath, DistributionId};

/// An invalidation ID has some 14 characters.
const MAX_ID: usize = 100;

/// Delays between retries while CloudFront is busy: 5, 10, 20, 40, 80, 160 and 300 s, some ten minutes in all.
///
/// A new invalidation must wait for an earlier one to complete, which takes seconds to minutes.
const BUSY_DELAYS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(40),
    Duration::from_secs(80),
    Duration::from_secs(160),
    Duration::from_mins(5),
];

/// Creates an invalidation and returns its ID.
///
/// Safe to retry: the same caller reference with the same paths returns the same invalidation.
pub(crate) async fn create_invalidation(
    client: &Client,
    distribution: &DistributionId,
    paths: &[CdnPath],
    caller_reference: &str,
) -> Result<String, AwsError> {
    let unexpected = |message: String| {
        AwsError::unexpected(
            "cloudfront:CreateInvalidation",
            distribution.to_string(),
            message,
        )
    };
    let quantity = i32::try_from(paths.len()).map_err(|error| unexpected(error.to_string()))?;
    let paths = Paths::builder()
        .quantity(quantity)
        .set_items(Some(paths.iter().map(ToString::to_string).collect()))
        .build()
        .map_err(|error| unexpected(error.to_string()))?;
    let batch = InvalidationBatch::builder()
        .paths(paths)
        .caller_reference(caller_reference)
        .build()
        .map_err(|error| unexpected(error.to_string()))?;
    let attempts = Attempts::default();
    let response = client
        .create_invalidation()
        .distribution_id(distribution.as_str())
        .invalidation_batch(batch)
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
        .map_err(|error| AwsError {
            outcome_unknown: attempts.outcome_unknown(),
            ..AwsError::new(
                "cloudfront:CreateInvalidation",
                distribution.to_string(),
                &error,
            )
        })?;
    let id = response.invalidation().map(Invalidation::id);
    match id {
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
    let response = client
        .get_invalidation()
        .distribution_id(distribution.as_str())
        .id(id)
        .send()
        .await
        .map_err(|error| {
            AwsError::new(
                "cloudfront:GetInvalidation",
                distribution.to_string(),
                &error,
            )
        })?;
    Ok(response
        .invalidation()
        .is_some_and(|invalidation| invalidation.status().eq_ignore_ascii_case("completed")))
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
                let delay = delay.mul_f64(1.0 + fastrand::f64() / 2.0);
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
    use std::cell::Cell;

    use super::*;

    fn busy() -> AwsError {
        AwsError {
            kind: AwsErrorKind::TooManyInvalidations,
            ..AwsError::unexpected("cloudfront:CreateInvalidation", "E1".to_owned(), "busy")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_distribution_is_retried_for_some_ten_minutes() {
        let started = tokio::time::Instant::now();
        let attempts = Cell::new(0);
        let waits = Cell::new(0);
        let result: Result<(), AwsError> = while_busy(
            || {
                attempts.set(attempts.get() + 1);
                async { Err(busy()) }
            },
            |_, _| waits.set(waits.get() + 1),
        )
        .await;
        assert_eq!(result.unwrap_err().kind, AwsErrorKind::TooManyInvalidations);
        assert_eq!((attempts.get(), waits.get()), (8, 7));
        assert!(
            (615..=923).contains(&started.elapsed().as_secs()),
            "{:?}",
            started.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn other_errors_are_not_retried() {
        let attempts = Cell::new(0);
        let result: Result<(), AwsError> = while_busy(
            || {
                attempts.set(attempts.get() + 1);
                let error = if attempts.get() == 1 {
                    busy()
                } else {
                    AwsError {
                        kind: AwsErrorKind::AccessDenied,
                        ..busy()
                    }
                };
                async { Err(error) }
            },
            |_, _| {},
        )
        .await;
        assert_eq!(result.unwrap_err().kind, AwsErrorKind::AccessDenied);
        assert_eq!(attempts.get(), 2);
    }
}
