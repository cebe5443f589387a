//! The debug log: a line for each response of AWS and of the public URL, without secrets.
//!
//! The SDK's own debug log prints headers with tokens and signatures, so it stays off at every level. This module logs the
//! useful part instead.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use aws_smithy_runtime_api::client::http::{
    http_client_fn, HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Collected};
use tracing::level_filters::LevelFilter;
use tracing::{debug, enabled, Level};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::error::request_id;
use super::response_limit::limited_body;
use crate::common::byte_size::ByteSize;
use crate::common::causes::causes;
use crate::common::printable::sanitize;

/// AWS's error documents are a few kilobytes.
const MAX_ERROR: ByteSize = ByteSize(1_000_000);

/// Turns the debug log on. It goes to `log`, a line at a time.
pub(crate) fn init<L>(log: Arc<L>)
where
    L: Send + Sync + 'static,
    for<'a> &'a L: io::Write,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_timer(SinceStart(Instant::now()))
        .with_writer(log);
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::DEBUG);
    tracing_subscriber::registry().with(lines).with(own).init();
}

/// The time since the program started.
struct SinceStart(Instant);

impl FormatTime for SinceStart {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        write!(line, "{:.3} s", self.0.elapsed().as_secs_f64())
    }
}

/// Wraps the client so that it logs each response, if the debug log is on.
pub(crate) fn logged(client: SharedHttpClient) -> SharedHttpClient {
    http_client_fn(move |settings, components| {
        logged_connector(client.http_connector(settings, components))
    })
}

/// The same for one connector.
pub(crate) fn logged_connector(connector: SharedHttpConnector) -> SharedHttpConnector {
    if enabled!(Level::DEBUG) {
        SharedHttpConnector::new(Logged(connector))
    } else {
        connector
    }
}

#[derive(Debug)]
struct Logged(SharedHttpConnector);

impl HttpConnector for Logged {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sent = Instant::now();
        let attempt = request.headers().get("amz-sdk-request").and_then(attempt);
        let attempt = attempt.map_or_else(String::new, |number| format!(", attempt {number}"));
        let what = format!("{} {}", request.method(), sanitize(request.uri()));
        let response = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let response = response.await;
            let time = format!("in {} ms{attempt}", sent.elapsed().as_millis());
            let mut response = response
                .inspect_err(|error| debug!("{what}: no response {time}: {}", causes(error)))?;
            let code = error_code(&mut response).await;
            let code = code.map_or_else(String::new, |code| format!(" {code}"));
            let id = request_id(&response);
            let id = id.map_or_else(String::new, |id| format!(", request id {id}"));
            debug!("{what}: HTTP {}{code} {time}{id}", response.status());
            Ok(response)
        })
    }
}

/// The number in the SDK's header `attempt=1; max=5`.
fn attempt(header: &str) -> Option<&str> {
    header.strip_prefix("attempt=")?.split(';').next()
}

/// AWS's error code, which is in the body. Only AWS's own responses are read for it.
async fn error_code(response: &mut HttpResponse) -> Option<String> {
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return None;
    }
    request_id(response)?;
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let content = limited_body(body, MAX_ERROR).collect().await.ok();
    let content = content.map(Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    let code = text.split_once("<Code>");
    let code = code.and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map(|(code, _)| sanitize(code));
    *response.body_mut() = SdkBody::from(content);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attempt_is_the_number_in_the_header() {
        assert_eq!(attempt("attempt=2; max=5"), Some("2"));
        assert_eq!(attempt("ttl=20; attempt=2"), None);
    }

    #[tokio::test]
    async fn the_error_code_is_read_and_the_body_stays() {
        let body = "<Error><Code>SlowDown</Code><Message>wait</Message></Error>";
        let mut response = HttpResponse::new(503.try_into().unwrap(), SdkBody::from(body));
        assert_eq!(error_code(&mut response).await, None);
        response.headers_mut().insert("x-amz-request-id", "R1");
        assert_eq!(error_code(&mut response).await.as_deref(), Some("SlowDown"));
        assert_eq!(response.body().bytes(), Some(body.as_bytes()));
    }
}
