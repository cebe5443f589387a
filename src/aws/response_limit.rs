//! Limits how much of a response is read, so that an endless one does not exhaust the step's memory.
//!
//! The AWS SDK buffers whole responses, so `limited` wraps the HTTP client for every request. Reading a live container, from
//! S3 or the CDN, has a tighter limit; `limited_body` enforces both.

use aws_smithy_runtime_api::client::http::{
    http_client_fn, HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use thiserror::Error;

use super::unknown_host::UnknownHost;
use crate::common::byte_size::ByteSize;
use crate::container::MAX_FILE;

/// AWS's own responses, such as errors, are a few kilobytes.
const MAX_MESSAGE: u64 = 1_000_000;

/// The response is larger than any expected one.
#[derive(Debug, Error)]
#[error("the response is larger than {0}")]
pub(crate) struct TooLarge(ByteSize);

/// Wraps the client so that it reads no more of a response than AWS would send.
pub(crate) fn limited(client: SharedHttpClient) -> SharedHttpClient {
    http_client_fn(move |settings, components| {
        let connector = client.http_connector(settings, components);
        SharedHttpConnector::new(LimitedConnector(connector))
    })
}

#[derive(Debug)]
struct LimitedConnector(SharedHttpConnector);

impl HttpConnector for LimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let max_success = max_success(&request);
        let uri = request.uri().to_owned();
        let response = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let named = |error| UnknownHost::named(error, &uri);
            let mut response = response.await.map_err(named)?;
            let is_success = response.status().is_success();
            let limit = if is_success { max_success } else { MAX_MESSAGE };
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            *response.body_mut() = limited_body(body, ByteSize(limit));
            Ok(response)
        })
    }
}

/// The largest successful response. A GET reads a container, or the paths of an invalidation, which are shorter. Other
/// responses repeat at most the request, as `CreateInvalidation` repeats its paths.
fn max_success(request: &HttpRequest) -> u64 {
    if request.method() == "GET" {
        return 2 * MAX_FILE.0;
    }
    let sent = request.body().content_length().unwrap_or_default();
    MAX_MESSAGE + 2 * sent
}

/// Wraps the body so that it fails with `TooLarge` once more than `limit` is read.
pub(crate) fn limited_body(body: SdkBody, limit: ByteSize) -> SdkBody {
    // A small body that is in memory already needs no limit.
    let max = usize::try_from(limit.0).unwrap_or(usize::MAX);
    if body.bytes().is_some_and(|bytes| bytes.len() <= max) {
        return body;
    }
    let body = Limited::new(body, max).map_err(move |error| {
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
    async fn a_response_is_read_up_to_its_limit() {
        assert_eq!(read(1_000, 1_000).await, Ok(1_000));
        assert_eq!(read(0, 1_000).await, Ok(0));
        let error = "the response is larger than 1,000 bytes".to_owned();
        assert_eq!(read(1_001, 1_000).await, Err(error));
    }

    #[test]
    fn a_get_may_return_a_container_and_others_may_repeat_the_request() {
        #[track_caller]
        fn case(method: &str, sent: &'static str, expected: u64) {
            let mut request = HttpRequest::new(SdkBody::from(sent));
            request.set_method(method).unwrap();
            assert_eq!(max_success(&request), expected);
        }
        case("GET", "", 20_000_000);
        case("PUT", "", 1_000_000);
        case("POST", "<Path>/js/mojito.js</Path>", 1_000_052);
    }
}
