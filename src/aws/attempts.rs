//! Sends a request within a deadline, and decides what became of it.
//!
//! Only AWS itself says what it did: by a success that confirms the request, or by its own error document. After any other
//! attempt that was sent, the outcome is unknown. The response may have been lost or truncated, or it came from a gateway that
//! may have forwarded the request first. The SDK retries by itself and reports only the last attempt, so an interceptor watches
//! all of them.

use std::error::Error as StdError;
use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_s3::config::interceptors::{
    BeforeTransmitInterceptorContextMut, FinalizerInterceptorContextMut,
    FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use tokio::time::{timeout_at, Instant};

use super::error::{describe_response, AwsError};
use super::error_kind::{AwsErrorKind, ASSUME_ROLE};
use super::unconfirmed::Unconfirmed;

/// One request, with all its attempts. `O` and `E` are the SDK's types for its output and its error.
pub(crate) struct Attempts<O, E>(Arc<Inner<O, E>>);

struct Inner<O, E> {
    action: &'static str,
    resource: String,
    /// Whether it changes anything, so that its outcome matters even if it failed.
    is_write: bool,
    confirm: Box<Confirm<O>>,
    state: Mutex<State>,
    error: PhantomData<fn() -> E>,
}

/// Whether a successful response confirms the request.
type Confirm<O> = dyn Fn(&HttpResponse, &O) -> Result<(), Unconfirmed> + Send + Sync;

#[derive(Default)]
struct State {
    /// Whether any of the attempt in progress was sent.
    sent: Sent,
    /// Whether one of the earlier attempts may have taken effect.
    outcome_unknown: bool,
    /// The last error that was a response.
    last_response: Option<AwsError>,
}

#[derive(Default)]
enum Sent {
    #[default]
    No,
    /// It has no body, by which that would be seen.
    Unseen,
    Yes,
}

impl<O, E> Clone for Attempts<O, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O, E> Debug for Attempts<O, E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Attempts")
    }
}

impl<O, E: ProvideErrorMetadata + StdError + 'static> Attempts<O, E> {
    pub(crate) fn read(
        action: &'static str,
        resource: impl Into<String>,
        confirm: impl Fn(&HttpResponse, &O) -> Result<(), Unconfirmed> + Send + Sync + 'static,
    ) -> Self {
        Self::new(action, resource.into(), false, Box::new(confirm))
    }

    pub(crate) fn write(
        action: &'static str,
        resource: impl Into<String>,
        confirm: impl Fn(&HttpResponse, &O) -> Result<(), Unconfirmed> + Send + Sync + 'static,
    ) -> Self {
        Self::new(action, resource.into(), true, Box::new(confirm))
    }

    fn new(
        action: &'static str,
        resource: String,
        is_write: bool,
        confirm: Box<Confirm<O>>,
    ) -> Self {
        Self(Arc::new(Inner {
            action,
            resource,
            is_write,
            confirm,
            state: Mutex::default(),
            error: PhantomData,
        }))
    }

    /// Sends the request, which these attempts watch, and gives up at the deadline.
    pub(crate) async fn send(
        &self,
        deadline: Instant,
        request: impl Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    ) -> Result<O, AwsError> {
        let (action, resource) = (self.0.action, self.0.resource.as_str());
        let started = Instant::now();
        if started >= deadline {
            return Err(AwsError::refused(
                action,
                resource,
                "not requested, as the time for it was over",
                "re-run in a few minutes",
            ));
        }
        let error = match timeout_at(deadline, request).await {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(error)) => {
                let is_timeout = matches!(error, SdkError::TimeoutError(_));
                let error = AwsError::new(action, resource, &error);
                (error, is_timeout)
            }
            Err(_) => {
                let seconds = started.elapsed().as_secs();
                let message = format!("no response within {seconds} s");
                let error = AwsError::unexpected(action, resource, message);
                let kind = AwsErrorKind::Unreachable;
                (AwsError { kind, ..error }, true)
            }
        };
        let State {
            sent,
            outcome_unknown,
            last_response,
        } = std::mem::take(&mut *self.state());
        let error = match (error, last_response) {
            // Responses that come slowly leave no time for another attempt, but say what is wrong.
            ((_, true), Some(last)) => last,
            ((error, _), _) => error,
        };
        Err(AwsError {
            // An attempt that the deadline cut off has no end.
            outcome_unknown: self.0.is_write && (outcome_unknown || !matches!(sent, Sent::No)),
            ..error
        })
    }
}

impl<O, E> Attempts<O, E> {
    /// After a success: whether an attempt before it may have taken effect as well.
    pub(crate) fn repeated_unknown_outcome(&self) -> bool {
        self.state().outcome_unknown
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = &self.0.state;
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O, E> Intercept for Attempts<O, E>
where
    O: Debug + Send + Sync + 'static,
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let attempts = self.clone();
        let request = context.request_mut();
        if request.body().bytes().is_some_and(<[u8]>::is_empty) {
            attempts.state().sent = Sent::Unseen;
            return Ok(());
        }
        let body = std::mem::replace(request.body_mut(), SdkBody::taken());
        // The connection reads the body after it has taken the head.
        let body = body.inspect_frame(move |_| attempts.state().sent = Sent::Yes);
        *request.body_mut() = SdkBody::from_body_1_x(body);
        Ok(())
    }

    /// Makes an error of a success that does not confirm the request. The SDK retries one that did not come from AWS.
    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let unconfirmed = match (context.response(), context.output_or_error()) {
            (Some(response), Some(Ok(output))) => {
                let output = output.downcast_ref::<O>();
                output.and_then(|output| (self.0.confirm)(response, output).err())
            }
            // It could not be parsed.
            (Some(response), Some(Err(error)))
                if response.status().is_success() && error.is_operation_error() =>
            {
                let body = response.body().bytes().unwrap_or_default();
                Some(Unconfirmed::NotAws(match self.0.action {
                    // It may have credentials in it.
                    ASSUME_ROLE => "the response cannot be read, and is not shown".to_owned(),
                    _ => describe_response(body),
                }))
            }
            _ => None,
        };
        if let (Some(unconfirmed), Some(result)) = (unconfirmed, context.output_or_error_mut()) {
            *result = Err(match unconfirmed {
                Unconfirmed::NotAws(_) => OrchestratorError::response(unconfirmed.into()),
                Unconfirmed::Unproven => OrchestratorError::other(unconfirmed),
            });
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut state = self.state();
        let sent = std::mem::take(&mut state.sent);
        let error = match context.output_or_error() {
            Some(Ok(_)) => return Ok(()),
            result => result.and_then(Result::err),
        };
        let (Some(error), Some(response)) = (error, context.response()) else {
            let connector = error.and_then(OrchestratorError::as_connector_error);
            state.outcome_unknown |= match sent {
                Sent::No => false,
                // Without a connection, nothing was sent.
                Sent::Unseen => connector.is_none_or(|it| it.connection_metadata().is_some()),
                Sent::Yes => true,
            };
            return Ok(());
        };
        let operation = error.as_operation_error();
        let metadata = operation.and_then(|error| Some(error.downcast_ref::<E>()?.meta()));
        let (action, resource) = (self.0.action, self.0.resource.as_str());
        let error = AwsError::of(action, resource, metadata, Some(response), error);
        state.outcome_unknown |= !error.is_denial();
        state.last_response = Some(error);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_config::retry::RetryConfig;
    use aws_config::BehaviorVersion;
    use aws_credential_types::Credentials;
    use aws_sdk_s3::config::Region;
    use aws_sdk_s3::operation::put_object::PutObjectOutput;
    use aws_sdk_s3::primitives::ByteStream;
    use aws_sdk_s3::Client;
    use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
    use aws_smithy_runtime_api::client::http::{
        http_client_fn, HttpConnector, HttpConnectorFuture, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use tokio::time::sleep;

    use super::*;
    use crate::aws::config::{gateway_statuses, ATTEMPT_TIMEOUT};
    use crate::common::testing::rows;

    /// Reads each request, and responds after a delay with the next of these, the last one forever.
    #[derive(Clone, Debug)]
    struct Network {
        /// What is uploaded.
        body: &'static [u8],
        delay: Duration,
        responses: Arc<Mutex<Vec<(u16, String)>>>,
        requests: Arc<Mutex<usize>>,
    }

    impl Network {
        fn new(delay: u64, responses: &[(u16, &str)]) -> Self {
            let responses = responses
                .iter()
                .map(|(status, body)| (*status, body.to_string()));
            Self {
                body: b"Mojito={}",
                delay: Duration::from_secs(delay),
                responses: Arc::new(Mutex::new(responses.collect())),
                requests: Arc::default(),
            }
        }
    }

    impl HttpConnector for Network {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let network = self.clone();
            HttpConnectorFuture::new(async move {
                request.into_body().collect().await.unwrap();
                *network.requests.lock().unwrap() += 1;
                sleep(network.delay).await;
                let mut responses = network.responses.lock().unwrap();
                let (status, body) = responses[0].clone();
                if responses.len() > 1 {
                    responses.remove(0);
                }
                if status == 0 {
                    return Err(ConnectorError::io(body.into()));
                }
                Ok(HttpResponse::new(status.try_into().unwrap(), body.into()))
            })
        }
    }

    /// Uploads until the deadline in seconds.
    async fn put(
        network: &Network,
        max_attempts: u32,
        deadline: u64,
        confirm: fn(&HttpResponse, &PutObjectOutput) -> Result<(), Unconfirmed>,
    ) -> Result<PutObjectOutput, AwsError> {
        let connector = SharedHttpConnector::new(network.clone());
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(RetryConfig::standard().with_max_attempts(max_attempts))
            .retry_classifier(gateway_statuses())
            .http_client(http_client_fn(move |_, _| connector.clone()));
        let request = Client::from_conf(config.build())
            .put_object()
            .bucket("acme")
            .key("js/mojito.js")
            .body(ByteStream::from_static(network.body));
        let attempts = Attempts::write("s3:PutObject", "s3://acme/js/mojito.js", confirm);
        let request = request.customize().interceptor(attempts.clone()).send();
        let deadline = Instant::now() + Duration::from_secs(deadline);
        attempts.send(deadline, request).await
    }

    fn error_document(code: &str) -> String {
        format!("<Error><Code>{code}</Code><Message>In AWS's words.</Message></Error>")
    }

    const CONFIRM: fn(&HttpResponse, &PutObjectOutput) -> Result<(), Unconfirmed> = |_, _| Ok(());

    #[tokio::test(start_paused = true)]
    async fn only_awss_own_error_document_says_that_nothing_was_done() {
        for [status, code, expected, unknown] in rows(
            "403 | AccessDenied       | AccessDenied | no
             503 | SlowDown           | Throttled    | no
             429 | TooManyRequests    | Throttled    | no
             412 | PreconditionFailed | Changed      | no
             500 | InternalError      | Other        | yes
             403 |                    | NotAws       | yes
             500 |                    | NotAws       | yes
             408 |                    | Gateway      | yes
             429 |                    | Gateway      | yes
             502 |                    | Gateway      | yes
             503 |                    | Gateway      | yes
             504 |                    | Gateway      | yes
             520 |                    | Gateway      | yes
             524 |                    | Gateway      | yes",
        ) {
            let body = match code {
                "" => "<html>busy</html>".to_owned(),
                code => error_document(code),
            };
            let network = Network::new(0, &[(status.parse().unwrap(), &body)]);
            let error = put(&network, 1, 60, CONFIRM).await.unwrap_err();
            assert_eq!(format!("{:?}", error.kind), expected, "{status} {code}");
            assert_eq!(error.outcome_unknown, unknown == "yes", "{status} {code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_says_nothing_of_an_earlier_attempt() {
        let denied = error_document("AccessDenied");
        let network = Network::new(0, &[(502, "<html>"), (403, &denied)]);
        let error = put(&network, 5, 60, CONFIRM).await.unwrap_err();
        assert_eq!(error.kind, AwsErrorKind::AccessDenied);
        assert!(error.outcome_unknown);
        let error = error.to_string();
        assert!(error.contains("s3://acme/js/mojito.js was not confirmed: AccessDenied"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_that_did_not_come_from_aws_is_retried_and_one_without_proof_is_not() {
        let network = Network::new(0, &[(200, "<html>It works!"), (202, ""), (200, "")]);
        let put_confirmed = put(&network, 5, 60, |response, _| {
            let is_awss = response.status().as_u16() == 200
                && response.body().bytes().is_some_and(<[u8]>::is_empty);
            let not_aws = || Unconfirmed::NotAws("a page".to_owned());
            is_awss.then_some(()).ok_or_else(not_aws)
        });
        assert!(put_confirmed.await.is_ok());
        assert_eq!(*network.requests.lock().unwrap(), 3);

        let network = Network::new(0, &[(200, "")]);
        let unproven = put(&network, 5, 60, |_, _| Err(Unconfirmed::Unproven)).await;
        let error = unproven.unwrap_err();
        assert_eq!(error.kind, AwsErrorKind::Unproven);
        assert!(error.outcome_unknown);
        assert!(error.message.contains("neither the checksum"), "{error}");
        assert_eq!(*network.requests.lock().unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_connection_a_request_without_a_body_was_not_sent() {
        for (status, deadline, unknown) in [(0, 60, false), (502, 60, true), (200, 1, true)] {
            let network = Network {
                body: b"",
                ..Network::new(5, &[(status, "refused")])
            };
            let error = put(&network, 1, deadline, CONFIRM).await.unwrap_err();
            assert_eq!(error.outcome_unknown, unknown, "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_that_comes_slowly_until_the_deadline_ends_as_throttling() {
        let slow_down = error_document("SlowDown");
        let delay = ATTEMPT_TIMEOUT.as_secs() - 1;
        let network = Network::new(delay, &[(503, &slow_down)]);
        let started = Instant::now();
        let error = put(&network, 5, 50, CONFIRM).await.unwrap_err();
        assert_eq!(started.elapsed().as_secs(), 50);
        assert_eq!(error.kind, AwsErrorKind::Throttled);
        assert_eq!(error.code.as_deref(), Some("SlowDown"));
        // The attempt that the deadline cut off may have taken effect.
        assert!(error.outcome_unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_response_until_the_deadline_that_is_the_error() {
        let network = Network::new(600, &[(200, "")]);
        let error = put(&network, 5, 50, CONFIRM).await.unwrap_err();
        assert_eq!(error.kind, AwsErrorKind::Unreachable);
        assert_eq!(error.message, "no response within 50 s");
        assert!(error.outcome_unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_after_the_deadline() {
        let network = Network::new(0, &[(200, "")]);
        let error = put(&network, 5, 0, CONFIRM).await.unwrap_err();
        assert_eq!(*network.requests.lock().unwrap(), 0);
        assert!(!error.outcome_unknown);
    }
}
