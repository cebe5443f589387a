//! How much of an answer is read, so that one without end does not take the memory of the step with it.
//!
//! AWS's SDK reads answers whole. It stands here, between the SDK and whatever answers, for every request of every
//! service. What is read from the public URL, or of a container in S3, has a tighter limit of its own (`served`).

use aws_smithy_runtime_api::client::http::{
    http_client_fn, HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use thiserror::Error;

use crate::common::byte_size::ByteSize;
use crate::container::LARGEST_FILE;

/// What AWS says by itself, such as an error, has some kilobytes.
const LARGEST_MESSAGE: u64 = 1_000_000;

/// An answer that cannot be AWS's.
#[derive(Debug, Error)]
#[error("the answer is larger than {0}, as no answer of AWS is")]
pub(crate) struct TooLarge(ByteSize);

/// The client, of whose answers no more is read than AWS may have to say.
pub(crate) fn limited(client: SharedHttpClient) -> SharedHttpClient {
    http_client_fn(move |settings, components| {
        SharedHttpConnector::new(LimitedConnector(
            client.http_connector(settings, components),
        ))
    })
}

#[derive(Debug)]
struct LimitedConnector(SharedHttpConnector);

impl HttpConnector for LimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let of_success = largest_success(&request);
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            let limit = if answer.status().is_success() {
                of_success
            } else {
                LARGEST_MESSAGE
            };
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            *answer.body_mut() = limited_body(body, ByteSize(limit));
            Ok(answer)
        })
    }
}

/// What may be read is a container, or the paths of an invalidation, which are shorter. Any other answer repeats at most
/// what it was sent, as `CreateInvalidation` does with its paths.
fn largest_success(request: &HttpRequest) -> u64 {
    if request.method() == "GET" {
        return 2 * LARGEST_FILE.0;
    }
    let sent = request.body().content_length().unwrap_or_default();
    LARGEST_MESSAGE + 2 * sent
}

fn limited_body(body: SdkBody, limit: ByteSize) -> SdkBody {
    // Bytes that are there already, or none, are as large as they are.
    if body
        .bytes()
        .is_some_and(|bytes| bytes.len() as u64 <= limit.0)
    {
        return body;
    }
    let longest = usize::try_from(limit.0).unwrap_or(usize::MAX);
    let body = Limited::new(body, longest).map_err(move |error| {
        if error.is::<LengthLimitError>() {
            TooLarge(limit).into()
        } else {
            error
        }
    });
    SdkBody::from_body_1_x(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(length: usize, limit: u64) -> Result<usize, String> {
        let body = limited_body(SdkBody::from(vec![b'a'; length]), ByteSize(limit));
        let whole = body.collect().await.map_err(|error| error.to_string())?;
        Ok(whole.to_bytes().len())
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_limit() {
        assert_eq!(read(1_000, 1_000).await, Ok(1_000));
        assert_eq!(read(0, 1_000).await, Ok(0));
        assert_eq!(
            read(1_001, 1_000).await.unwrap_err(),
            "the answer is larger than 1,000 bytes, as no answer of AWS is"
        );
    }

    #[test]
    fn an_answer_may_hold_a_container_or_repeat_what_was_sent() {
        #[track_caller]
        fn case(method: &str, sent: &'static str, expected: u64) {
            let mut request = HttpRequest::new(SdkBody::from(sent));
            request.set_method(method).unwrap();
            assert_eq!(largest_success(&request), expected);
        }
        case("GET", "", 20_000_000);
        case("PUT", "", 1_000_000);
        case("POST", "<Path>/js/mojito.js</Path>", 1_000_052);
    }
}
