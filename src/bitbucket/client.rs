//! Sends reports to Bitbucket by way of the proxy that every pipeline has, and to nowhere else.
//!
//! The proxy authenticates requests that reach it as plain `http://`, so they have no credentials, no TLS and no other proxy. It
//! is the last thing of a run: the process's gate, which keeps requests to AWS from changing anything after the end was
//! decided, is closed by then, so these requests do not pass it. Nothing depends on whether they succeed.

use std::error::Error as _;
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::pool::{Client, ConnectionPool};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use futures_util::future::{join, join_all};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{timeout_at, Instant};

use super::report::{Report, ReportId, MAX_IN_REQUEST};
use crate::aws::debug_log::logged_connector;
use crate::aws::https::components;
use crate::aws::response_limit::limited_body;
use crate::common::byte_size::ByteSize;
use crate::common::causes::causes;
use crate::common::printable::sanitize;
use crate::settings::code_insights::{encoded, ReportTarget};

/// How long all reports of a run may take together.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);

/// Bitbucket repeats what was sent: at most a hundred annotations with all their texts.
const MAX_RESPONSE: ByteSize = ByteSize(5_000_000);

/// How many reports are on the commit now, and if it is not all of them, why.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Sent {
    pub(crate) reports: usize,
    pub(crate) problem: Option<String>,
}

/// Sends the reports, each in place of an earlier one with its ID, and removes those that no longer hold.
pub(crate) async fn send(target: &ReportTarget, reports: &[Report], outdated: &[ReportId]) -> Sent {
    let deadline = Instant::now() + TIMEOUT;
    let connector = match connector(&target.proxy) {
        Ok(connector) => logged_connector(connector),
        Err(problem) => {
            return Sent {
                reports: 0,
                problem: Some(problem),
            }
        }
    };
    let commit = Commit {
        connector: &connector,
        target,
    };
    let outdated = outdated.iter().map(|id| commit.delete(id));
    let outdated = timeout_at(deadline, join_all(outdated));
    let reports = reports.iter().map(|report| async {
        let sent = timeout_at(deadline, commit.replace(report)).await;
        let late = || format!("no response within {} s", TIMEOUT.as_secs());
        sent.unwrap_or_else(|_| Err(late()))
    });
    // That an outdated report remains is said by the date that Bitbucket shows with it.
    let (sent, _) = join(join_all(reports), outdated).await;
    Sent {
        reports: sent.iter().filter(|it| it.is_ok()).count(),
        problem: sent.into_iter().find_map(Result::err),
    }
}

/// Connects to the proxy alone. What the environment says of proxies is for others.
fn connector(proxy: &str) -> Result<SharedHttpConnector, String> {
    let proxy_config = ProxyConfig::http(proxy).map_err(|error| causes(&error))?;
    let pool = ConnectionPool::builder()
        .proxy_config(proxy_config)
        .sleep_impl(TokioSleep::new())
        .build_http()
        .map_err(|error| causes(&error))?;
    let client = Client::new(&pool).map_err(|error| causes(&error))?;
    Ok(client.http_connector(&HttpConnectorSettings::default(), &components()))
}

/// The reports on a commit.
struct Commit<'a> {
    connector: &'a SharedHttpConnector,
    target: &'a ReportTarget,
}

impl Commit<'_> {
    /// Puts a report in place of an earlier one, whose annotations would stay otherwise.
    async fn replace(&self, report: &Report) -> Result<(), String> {
        self.delete(&report.id).await?;
        self.send("PUT", &report.id, "", Some(report)).await?;
        for annotations in report.annotations.chunks(MAX_IN_REQUEST) {
            self.send("POST", &report.id, "/annotations", Some(annotations))
                .await?;
        }
        Ok(())
    }

    async fn delete(&self, id: &ReportId) -> Result<(), String> {
        self.send::<()>("DELETE", id, "", None).await
    }

    /// Sends one request. On failure, what is wrong.
    async fn send<T: Serialize + ?Sized>(
        &self,
        method: &'static str,
        id: &ReportId,
        path: &str,
        body: Option<&T>,
    ) -> Result<(), String> {
        let url = format!("{}{path}", self.url(id));
        let request = request(method, &url, body)?;
        let response = self.connector.call(request).await;
        let response = response.map_err(|error| {
            let cause = error.source().map_or_else(|| causes(&error), causes);
            format!("{} did not respond: {cause}", sanitize(&self.target.proxy))
        })?;
        let status = response.status();
        // What is to be deleted is mostly not there.
        if (method, status.as_u16()) == ("DELETE", 404) {
            return Ok(());
        }
        let json = json(response).await;
        let problem = match json {
            Ok(_) if status.is_success() => return Ok(()),
            Ok(json) => message(&json).map_or_else(String::new, |it| format!(": {it}")),
            Err(problem) => format!(": {problem}"),
        };
        Err(format!(
            "{method} failed with HTTP {}{problem}",
            status.as_u16()
        ))
    }

    fn url(&self, id: &ReportId) -> String {
        format!(
            "http://api.bitbucket.org/2.0/repositories/{}/{}/commit/{}/reports/{}",
            encoded(&self.target.workspace),
            encoded(&self.target.repository),
            encoded(&self.target.commit),
            encoded(id.as_str())
        )
    }
}

fn request<T: Serialize + ?Sized>(
    method: &str,
    url: &str,
    body: Option<&T>,
) -> Result<HttpRequest, String> {
    let json = body.map(serde_json::to_vec).transpose();
    let json = json.map_err(|error| error.to_string())?;
    let has_body = json.is_some();
    let body = json.map_or_else(SdkBody::empty, SdkBody::from);
    let mut request = HttpRequest::new(body);
    request.set_uri(url).map_err(|error| causes(&error))?;
    request.set_method(method).map_err(|error| causes(&error))?;
    let headers = request.headers_mut();
    headers.insert("accept", "application/json");
    let user_agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    headers.insert("user-agent", user_agent);
    if has_body {
        headers.insert("content-type", "application/json");
    }
    Ok(request)
}

/// What Bitbucket says about a request that it refuses, in either of its two forms.
fn message(json: &Value) -> Option<String> {
    let message = json.get("message");
    let message = message.or_else(|| json.pointer("/error/message"));
    message.and_then(Value::as_str).map(sanitize)
}

/// The whole response, which is JSON if it is Bitbucket's, or nothing. Another program at the proxy's address may respond with
/// success to anything.
async fn json(mut response: HttpResponse) -> Result<Value, String> {
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let body = limited_body(body, MAX_RESPONSE).collect().await;
    let body = body.map_err(|error| causes(&*error))?.to_bytes();
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).map_err(|_| "the response did not come from Bitbucket".to_owned())
}
