//! CloudFront requests: creates invalidations and checks whether they completed.

use std::future::Future;
use std::time::Duration;

use aws_sdk_cloudfront::error::BuildError;
use aws_sdk_cloudfront::operation::create_invalidation::CreateInvalidationOutput;
use aws_sdk_cloudfront::operation::get_invalidation::GetInvalidationOutput;
use aws_sdk_cloudfront::types::{Invalidation, InvalidationBatch, Paths};
use aws_sdk_cloudfront::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{sleep_until, Instant};

use super::attempts::Attempts;
use super::config::ATTEMPT_TIMEOUT;
use super::error::AwsError;
use super::error_kind::AwsErrorKind;
use super::unconfirmed::Unconfirmed;
use crate::settings::names::{CdnPath, DistributionId};

/// An invalidation ID has some 14 characters.
const MAX_ID: usize = 100;

/// The delay before a retry while CloudFront is busy. It doubles up to the maximum.
///
/// A new invalidation must wait for an earlier one to complete, which takes seconds to minutes.
const FIRST_BUSY_DELAY: Duration = Duration::from_secs(5);
const MAX_BUSY_DELAY: Duration = Duration::from_mins(5);

/// The action that shows whether an invalidation has completed.
pub(crate) const GET_INVALIDATION: &str = "cloudfront:GetInvalidation";

/// Creates an invalidation until the deadline, and returns its ID.
///
/// Safe to retry: the same caller reference with the same paths returns the same invalidation.
pub(crate) async fn create_invalidation(
    client: &Client,
    distribution: &DistributionId,
    paths: &[CdnPath],
    caller_reference: &str,
    deadline: Instant,
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
    let in_location = format!("/distribution/{distribution}/");
    let reference = caller_reference.to_owned();
    let confirm = move |_: &HttpResponse, output: &CreateInvalidationOutput| {
        let is_ours = output.invalidation().is_some_and(|made| {
            let batch = made.invalidation_batch();
            is_id(made.id())
                && !made.status().is_empty()
                && batch.is_some_and(|batch| batch.caller_reference() == reference)
        });
        let location = output.location();
        let is_here = location.is_none_or(|location| location.contains(&in_location));
        let message = "the response does not have the invalidation that was requested";
        let not_aws = || Unconfirmed::NotAws(message.to_owned());
        (is_ours && is_here).then_some(()).ok_or_else(not_aws)
    };
    let attempts = Attempts::write(ACTION, distribution.as_str(), confirm);
    let request = request.customize().interceptor(attempts.clone());
    let response = attempts.send(deadline, request.send()).await?;
    let id = response.invalidation().map(Invalidation::id);
    Ok(id.unwrap_or_default().to_owned())
}

/// Whether this looks like an invalidation ID. It is printed and becomes part of a URL.
fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether an invalidation has completed at every edge location. Gives up at the deadline.
pub(crate) async fn is_completed(
    client: &Client,
    distribution: &DistributionId,
    id: &str,
    deadline: Instant,
) -> Result<bool, AwsError> {
    let distribution = distribution.as_str();
    let requested = id.to_owned();
    let confirm = move |_: &HttpResponse, output: &GetInvalidationOutput| {
        let shown = output.invalidation();
        let is_status = shown.is_some_and(|it| it.id() == requested && !it.status().is_empty());
        let message = "the response does not have the status of the invalidation";
        let not_aws = || Unconfirmed::NotAws(message.to_owned());
        is_status.then_some(()).ok_or_else(not_aws)
    };
    let attempts = Attempts::read(GET_INVALIDATION, distribution, confirm);
    let request = client.get_invalidation().distribution_id(distribution);
    let request = request.id(id).customize().interceptor(attempts.clone());
    let response = attempts.send(deadline, request.send()).await?;
    let status = response.invalidation().map(Invalidation::status);
    Ok(status.is_some_and(|status| status.eq_ignore_ascii_case("completed")))
}

/// Retries until the deadline while CloudFront is busy. Calls `on_wait` with the error and the delay before each retry.
pub(crate) async fn while_busy<T, F>(
    deadline: Instant,
    mut attempt: impl FnMut() -> F,
    mut on_wait: impl FnMut(&AwsError, Duration),
) -> Result<T, AwsError>
where
    F: Future<Output = Result<T, AwsError>>,
{
    // The last retry has the time for a response.
    let last_retry = deadline - ATTEMPT_TIMEOUT;
    let mut delay = FIRST_BUSY_DELAY;
    loop {
        let error = match attempt().await {
            Err(error) if is_busy(&error) => error,
            result => return result,
        };
        let now = Instant::now();
        if now >= last_retry {
            return Err(error);
        }
        // Jitter of up to 50% spreads out pipelines that were throttled at the same time.
        let jittered = delay.mul_f64(1.0 + fastrand::f64() / 2.0);
        let retry = last_retry.min(now + jittered);
        on_wait(&error, retry - now);
        sleep_until(retry).await;
        delay = (delay * 2).min(MAX_BUSY_DELAY);
    }
}

fn is_busy(error: &AwsError) -> bool {
    use AwsErrorKind::{Throttled, TooManyInvalidations};
    matches!(error.kind, Throttled | TooManyInvalidations)
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
        let deadline = Instant::now() + Duration::from_mins(15);
        let result = while_busy(deadline, attempt, |_, _| waits += 1).await;
        assert_eq!(waits, attempts - 1);
        (result.unwrap_err().kind, attempts)
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_distribution_is_retried_until_there_is_no_time_for_another_response() {
        let started = Instant::now();
        let (kind, attempts) = attempted(usize::MAX).await;
        assert_eq!(kind, AwsErrorKind::TooManyInvalidations);
        assert!((8..=9).contains(&attempts), "{attempts}");
        assert_eq!(started.elapsed() + ATTEMPT_TIMEOUT, Duration::from_mins(15));
    }

    #[tokio::test(start_paused = true)]
    async fn other_errors_are_not_retried() {
        assert_eq!(attempted(1).await, (AwsErrorKind::AccessDenied, 2));
    }
}
