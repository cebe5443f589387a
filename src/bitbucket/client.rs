//! Sends reports to Bitbucket by way of the proxy that every pipeline has, and to nowhere else.
//!
//! The proxy authenticates requests that reach it as plain `http://`, so they have no credentials, no TLS and no other proxy. It
//! is the last thing of a run: the process's gate, which keeps requests to AWS from changing anything after the end was
//! decided, is closed by then, so these requests do not pass it. Nothing depends on whether they succeed.

use std::error::Error as _;
use std::mem;
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
use http_body_util::{BodyExt, Collected};
use serde::de::{DeserializeOwned, IgnoredAny};
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

/// How long all reports of a run may take together, from when they are begun to be made.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);

/// Bitbucket's own error messages are a few hundred bytes.
const MAX_ERROR: ByteSize = ByteSize(10_000);
/// Its largest response repeats the annotations of a request, whose texts it may escape.
const MAX_STORED: ByteSize = ByteSize(5_000_000);

/// How many reports are on the commit now, and if it is not all of them, why.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Sent {
    pub(crate) reports: usize,
    pub(crate) problem: Option<String>,
}

/// Sends the reports, each in place of an earlier one with its ID, and removes those that no longer hold.
pub(crate) async fn send(
    target: &ReportTarget,
    reports: &[Report],
    outdated: &[ReportId],
    deadline: Instant,
) -> Sent {
    let connector = match connector(&target.proxy) {
        Ok(connector) => logged_connector(connector),
        Err(problem) => {
            return Sent {
                reports: 0,
                problem: Some(problem),
            }
        }
    };
    let commit = &Commit {
        connector: &connector,
        target,
    };
    let outdated = outdated.iter().map(|id| commit.delete(id));
    let outdated = timeout_at(deadline, join_all(outdated));
    let late = |_| Err(format!("no response within {} s", TIMEOUT.as_secs()));
    let reports = reports.iter().map(|report| async move {
        let replaced = timeout_at(deadline, commit.replace(report)).await;
        replaced.unwrap_or_else(late)?;
        let annotated = timeout_at(deadline, commit.annotate(report)).await;
        let annotated = annotated.unwrap_or_else(late).err();
        Ok(annotated.map(|problem| format!("not all annotations are there: {problem}")))
    });
    // That an outdated report remains is said by the date that Bitbucket shows with it.
    let (sent, _) = join(join_all(reports), outdated).await;
    let is_sent = |it: &&Result<Option<String>, String>| it.is_ok();
    Sent {
        reports: sent.iter().filter(is_sent).count(),
        problem: sent.into_iter().find_map(|sent| sent.unwrap_or_else(Some)),
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
        self.send("PUT", &report.id, "", Some(report)).await
    }

    async fn annotate(&self, report: &Report) -> Result<(), String> {
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
        let status = response.status().as_u16();
        match (method, status) {
            // What is to be deleted is mostly not there.
            ("DELETE", 404) | (_, 204) => Ok(()),
            (_, 200..300) => {
                // Bitbucket returns what it has stored.
                let json = json::<IgnoredAny>(response, MAX_STORED).await;
                json.map(drop)
                    .ok_or_else(|| format!("{method}: the response did not come from Bitbucket"))
            }
            _ => {
                let message = json(response, MAX_ERROR).await.as_ref().and_then(message);
                let message = message.map_or_else(String::new, |it| format!(": {it}"));
                Err(format!("{method} failed with HTTP {status}{message}"))
            }
        }
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

/// What a response holds, if it is JSON.
async fn json<T: DeserializeOwned>(mut response: HttpResponse, limit: ByteSize) -> Option<T> {
    let body = mem::replace(response.body_mut(), SdkBody::taken());
    let body = limited_body(body, limit).collect().await.ok();
    serde_json::from_slice(&body.map(Collected::to_bytes)?).ok()
}

/// What Bitbucket says about a request that it refuses, in either of its two forms.
fn message(json: &Value) -> Option<String> {
    let message = json
        .get("message")
        .or_else(|| json.pointer("/error/message"));
    message.and_then(Value::as_str).map(sanitize)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver, UnboundedSender};

    use super::*;
    use crate::bitbucket::report::{Annotation, AnnotationType, Severity, Verdict};

    /// A proxy that answers each request line with a whole response, or never, and what it was sent.
    async fn proxy(
        answer: impl Fn(&str) -> Option<&'static str> + Clone + Send + 'static,
    ) -> (String, UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (requests, received) = unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, answer.clone(), requests.clone()));
            }
        });
        (address, received)
    }

    async fn serve(
        stream: TcpStream,
        answer: impl Fn(&str) -> Option<&'static str>,
        requests: UnboundedSender<String>,
    ) {
        let mut stream = BufReader::new(stream);
        let (mut head, mut line, mut length) = (String::new(), String::new(), 0);
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
            let header = line.trim_end().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            head.push_str(&mem::take(&mut line));
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let answer = answer(head.lines().next().unwrap_or_default());
        head.push_str(&String::from_utf8(body).unwrap());
        let _ = requests.send(head);
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
            None => std::future::pending().await,
        }
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    const NOT_FOUND: &str =
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

    fn soon() -> Instant {
        Instant::now() + TIMEOUT
    }

    fn target(proxy: String) -> ReportTarget {
        ReportTarget {
            proxy,
            workspace: "{acme}".to_owned(),
            repository: "my site?".to_owned(),
            commit: "1f2e3d4c".to_owned(),
            folder: Some(String::new()),
        }
    }

    fn report(name: &str, annotations: usize) -> Report {
        let annotation = |number| {
            let summary = format!("note {number}");
            Annotation::new(AnnotationType::CodeSmell, Severity::Low, &summary, "")
        };
        Report::new(ReportId::new(&[name]), Verdict::Passed, "title", "details")
            .annotations((0..annotations).map(annotation))
    }

    #[tokio::test]
    async fn a_report_is_deleted_put_and_then_annotated_a_hundred_at_a_time() {
        let answer = |line: &str| {
            Some(if line.starts_with("DELETE") {
                NOT_FOUND
            } else {
                OK
            })
        };
        let (address, mut received) = proxy(answer).await;
        let sent = send(&target(address), &[report("a", 250)], &[], soon()).await;
        let (reports, problem) = (1, None);
        assert_eq!(sent, Sent { reports, problem });
        let mut lines = String::new();
        received.close();
        while let Some(request) = received.recv().await {
            let (head, body) = request.rsplit_once("\r\n").unwrap();
            let annotations = body.matches("external_id").count();
            writeln!(lines, "{} {annotations}", head.lines().next().unwrap()).unwrap();
            for header in ["authorization", "cookie", "x-amz", "amz-sdk"] {
                assert!(!head.to_ascii_lowercase().contains(header), "{head}");
            }
            assert!(head.contains("\r\nhost: api.bitbucket.org"), "{head}");
        }
        let url = "http://api.bitbucket.org/2.0/repositories/%7Bacme%7D/my%20site%3F/commit/1f2e3d4c/reports/a";
        let expected = format!(
            "DELETE {url} HTTP/1.1 0\nPUT {url} HTTP/1.1 0\nPOST {url}/annotations HTTP/1.1 100\n\
             POST {url}/annotations HTTP/1.1 100\nPOST {url}/annotations HTTP/1.1 50\n"
        );
        assert_eq!(lines, expected);
    }

    #[tokio::test]
    async fn outdated_reports_are_deleted_and_one_that_fails_keeps_no_other_from_being_sent() {
        let answer = |line: &str| {
            let is_refused = line.starts_with("PUT") && line.contains("/reports/b ");
            Some(if is_refused {
                "HTTP/1.1 400 Bad Request\r\ncontent-length: 40\r\nconnection: close\r\n\r\n{\"key\":\"k\",\"message\":\"The \\u001b title\"}"
            } else {
                OK
            })
        };
        let (address, mut received) = proxy(answer).await;
        let reports = ["a", "b", "c"].map(|name| report(name, 0));
        let outdated = [ReportId::new(&["old"])];
        let sent = send(&target(address), &reports, &outdated, soon()).await;
        let problem = Some("PUT failed with HTTP 400: The \u{fffd} title".to_owned());
        assert_eq!(
            sent,
            Sent {
                reports: 2,
                problem
            }
        );
        received.close();
        let mut lines = Vec::new();
        while let Some(request) = received.recv().await {
            lines.push(request.lines().next().unwrap().to_owned());
        }
        let is_of_old = |line: &&String| line.contains("/reports/old ");
        let of_old: Vec<&String> = lines.iter().filter(is_of_old).collect();
        assert!(
            matches!(of_old[..], [line] if line.starts_with("DELETE ")),
            "{lines:?}"
        );
    }

    #[tokio::test]
    async fn what_is_not_bitbuckets_is_no_success() {
        for response in [
            "HTTP/1.1 200 OK\r\ncontent-length: 15\r\nconnection: close\r\n\r\n<!doctype html>",
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\nconnection: close\r\n\r\n{}",
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n",
            "nonsense\r\n\r\n",
            "",
        ] {
            let (address, _received) = proxy(move |_| Some(response)).await;
            let sent = send(&target(address), &[report("a", 1)], &[], soon()).await;
            assert_eq!(sent.reports, 0, "{response}");
            let problem = sent.problem.unwrap();
            assert!(!problem.contains(char::is_control), "{problem}");
        }
    }

    #[tokio::test]
    async fn all_reports_together_have_three_seconds() {
        let (address, mut received) = proxy(|_| None).await;
        let reports = ["a", "b"].map(|name| report(name, 0));
        let target = target(address);
        let outdated = [ReportId::new(&["old"])];
        let sending = send(&target, &reports, &outdated, soon());
        let requested = async {
            for _ in 0..3 {
                received.recv().await;
            }
            tokio::time::pause();
            Instant::now()
        };
        let (sent, start) = join(sending, requested).await;
        assert!(start.elapsed() <= TIMEOUT, "{:?}", start.elapsed());
        let problem = Some("no response within 3 s".to_owned());
        assert_eq!(
            sent,
            Sent {
                reports: 0,
                problem
            }
        );
    }
}
