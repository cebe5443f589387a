//! Fetches a container from the site's public address as a visitor's browser does.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::{timeout_at, Instant};

use crate::aws::error::causes;
use crate::aws::response_limit::{limited_body, TooLarge};
use crate::common::byte_size::ByteSize;
use crate::container::object::Object;
use crate::container::served::ServedContainer;

/// The HTTP status and what is served. `size` is the uncompressed size of the expected container. On failure, a phrase about it.
pub(crate) async fn get(
    connector: &dyn HttpConnector,
    url: &str,
    size: ByteSize,
    timeout: Duration,
) -> Result<(u16, ServedContainer), String> {
    let deadline = Instant::now() + timeout;
    let limit = ServedContainer::limit(size);
    let mut request = HttpRequest::get(url).map_err(|error| causes(&error))?;
    let user_agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    let headers = request.headers_mut();
    headers.insert("accept-encoding", Object::CONTENT_ENCODING);
    headers.insert("user-agent", user_agent);
    let mut response = timeout_at(deadline, connector.call(request))
        .await
        .map_err(|_| format!("no response within {} s", timeout.as_secs()))?
        .map_err(|error| format!("not reachable: {}", causes(&error)))?;
    let status = response.status().as_u16();
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let content = match timeout_at(deadline, content(body, limit)).await {
        // Only the status of an error matters. Its content is read so that the connection can be reused.
        Err(_) | Ok(Err(_)) if status != 200 => Bytes::new(),
        Err(_) => {
            let seconds = timeout.as_secs();
            return Err(format!("the response did not end within {seconds} s"));
        }
        Ok(content) => content?,
    };
    let served = ServedContainer::new(url, response.headers().iter(), content, limit);
    Ok((status, served))
}

/// The content of a response, if it is no larger than `limit`. On failure, a phrase about it.
pub(crate) async fn content(body: SdkBody, limit: ByteSize) -> Result<Bytes, String> {
    match limited_body(body, limit).collect().await {
        Ok(content) => Ok(content.to_bytes()),
        Err(error) if error.is::<TooLarge>() => Err(error.to_string()),
        Err(error) => Err(format!("the response broke off: {}", causes(&*error))),
    }
}
