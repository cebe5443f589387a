//! Fetches a container from the site's public address as a visitor's browser does.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use tokio::time::{timeout_at, Instant};

use crate::aws::error::causes;
use crate::common::byte_size::ByteSize;
use crate::container::object::Object;
use crate::container::served::Served;

/// What is served, and its HTTP status. `size` is that of the container that is expected there, uncompressed; of an answer
/// that is much larger, no more than `Served` looks into is read. On failure, a phrase about it.
pub(crate) async fn get(
    connector: &Connector,
    url: &str,
    size: ByteSize,
    time: Duration,
) -> Result<(u16, Served), String> {
    let deadline = Instant::now() + time;
    let limit = Served::limit(size);
    let mut request = HttpRequest::get(url).map_err(|error| causes(&error))?;
    request
        .headers_mut()
        .insert("accept-encoding", Object::CONTENT_ENCODING);
    request.headers_mut().insert(
        "user-agent",
        concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
    );
    let mut response = timeout_at(deadline, connector.call(request))
        .await
        .map_err(|_| format!("it has not answered within {} s", time.as_secs()))?
        .map_err(|error| format!("it was not reached: {}", causes(&error)))?;
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let content = timeout_at(deadline, content(ByteStream::new(body), limit));
    let content = content.await.map_err(|_| {
        format!(
            "its answer did not come to an end within {} s",
            time.as_secs()
        )
    })??;
    let served = Served::new(url, response.headers().iter(), content, limit);
    Ok((response.status().as_u16(), served))
}

/// What is in an answer. It ends soon after `limit`, as it is not looked into then.
pub(crate) async fn content(mut stream: ByteStream, limit: ByteSize) -> Result<Bytes, String> {
    let mut content = Vec::new();
    while let Some(part) = stream.next().await {
        content.extend_from_slice(
            &part.map_err(|error| format!("its content broke off: {}", causes(&error)))?,
        );
        if content.len() as u64 > limit.0 {
            break;
        }
    }
    Ok(content.into())
}
