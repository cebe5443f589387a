//! `PUBLIC_URL`: whether visitors get the new container, found out as a browser does.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use http::Uri;
use tokio::time::Instant;

use crate::cache_control::CacheControl;
use crate::fault::causes;
use crate::name::CdnPath;
use crate::object::Object;

/// How long the new container is waited for, all containers of a run together.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// How long one answer may take, from the request to its last byte.
const LONGEST_LOOK: Duration = Duration::from_secs(30);
/// The first pause between two looks; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An answer that is larger than this beyond the container's size is something else, and is not read on.
const SPARE_BYTES: usize = 64 * 1024;

/// The address of an object at the CDN.
pub(crate) fn url(public_url: &Uri, path: &CdnPath) -> String {
    format!("{}{path}", public_url.to_string().trim_end_matches('/'))
}

/// Fetches until the answer is the published object. On failure, what is served instead.
pub(crate) async fn until_served(
    connector: &Connector,
    url: &str,
    object: &Object,
    cache_control: &CacheControl,
    deadline: Instant,
    on_wait: impl Fn(&str, Duration),
) -> Result<(), String> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let look = look(connector, url, object, cache_control);
        let limit = LONGEST_LOOK.min(deadline.saturating_duration_since(Instant::now()));
        let problem = match tokio::time::timeout(limit, look).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(problem)) => problem,
            Err(_) => "its answer never came to an end".to_owned(),
        };
        if Instant::now() + pause > deadline {
            return Err(problem);
        }
        on_wait(&problem, started.elapsed());
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn look(
    connector: &Connector,
    url: &str,
    object: &Object,
    cache_control: &CacheControl,
) -> Result<(), String> {
    let mut request = HttpRequest::get(url).map_err(|error| causes(&error))?;
    request
        .headers_mut()
        .insert("accept-encoding", Object::CONTENT_ENCODING);
    request.headers_mut().insert(
        "user-agent",
        concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
    );
    let response = connector
        .call(request)
        .await
        .map_err(|error| format!("it was not reached: {}", causes(&error)))?;
    compare(response, object, cache_control).await
}

async fn compare(
    mut response: HttpResponse,
    object: &Object,
    cache_control: &CacheControl,
) -> Result<(), String> {
    let status = response.status().as_u16();
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let header = |name: &str| response.headers().get(name);
    // Who answered from where and how old it is, in the CDN's own words.
    let origin: String = ["age", "x-cache", "via", "server"]
        .iter()
        .filter_map(|name| header(name).map(|value| format!(", {name}: {value}")))
        .collect();
    if status != 200 {
        return Err(format!("it answers HTTP {status}{origin}"));
    }
    for (name, expected) in [
        ("content-type", Object::CONTENT_TYPE),
        ("content-encoding", Object::CONTENT_ENCODING),
        ("cache-control", cache_control.as_str()),
    ] {
        let value = header(name);
        if value != Some(expected) {
            return Err(format!(
                "its {name} is `{}`, expected `{expected}`{origin}",
                value.unwrap_or("absent")
            ));
        }
    }
    let mut stream = ByteStream::new(body);
    let mut content = Vec::with_capacity(object.body.len());
    while let Some(part) = stream.next().await {
        content.extend_from_slice(
            &part.map_err(|error| format!("its content broke off: {}", causes(&error)))?,
        );
        if content.len() > object.body.len() + SPARE_BYTES {
            break;
        }
    }
    if content == object.body {
        Ok(())
    } else {
        Err(format!(
            "it is another container than the one published{origin}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::byte_size::ByteSize;
    use crate::name::{ContainerName, Prefix};
    use crate::object::Bundle;
    use crate::tls::Https;

    const BODY: &[u8] = b"compressed";
    /// Time for two looks.
    const DEADLINE: Duration = Duration::from_millis(800);

    /// Serves the same answer for ever, and says where.
    fn server(head: &str, body: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let length = body.len();
        let head = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        let answer = [head.as_bytes(), body].concat();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(&answer);
            }
        });
        format!("http://{address}/js/mojito.js")
    }

    fn head(status: &str, headers: &str) -> String {
        format!("HTTP/1.1 {status}\r\n{headers}\r\n")
    }

    /// The headers of a published object.
    fn published() -> String {
        format!(
            "Content-Type: {}\r\nContent-Encoding: gzip\r\nCache-Control: {}",
            Object::CONTENT_TYPE,
            CacheControl::default()
        )
    }

    async fn result(url: &str) -> (Result<(), String>, Duration) {
        let name = ContainerName::parse("mojito").unwrap();
        let prefix = Prefix::literal("js");
        let object = Object::new(
            &name,
            Bundle::Minified,
            &prefix,
            &prefix,
            ByteSize(99),
            BODY.to_vec(),
        );
        let connector = Https::new(None).connector(None);
        let started = Instant::now();
        let deadline = started + DEADLINE;
        let result = until_served(
            &connector,
            url,
            &object,
            &CacheControl::default(),
            deadline,
            |_, _| {},
        )
        .await;
        (result, started.elapsed())
    }

    #[tokio::test]
    async fn the_published_object_is_recognised_at_once() {
        let (result, waited) = result(&server(&head("200 OK", &published()), BODY)).await;
        assert_eq!((result, waited.as_secs()), (Ok(()), 0));
    }

    #[tokio::test]
    async fn at_the_deadline_it_says_what_is_served_instead() {
        async fn case(head: String, body: &[u8], expected: &str) {
            let (result, waited) = result(&server(&head, body)).await;
            assert_eq!(result.unwrap_err(), expected);
            assert!(waited >= FIRST_PAUSE, "{waited:?}");
        }
        let cached = published() + "\r\nAge: 240\r\nX-Cache: Hit from cloudfront";
        case(
            head("200 OK", &cached),
            b"the old",
            "it is another container than the one published, age: 240, x-cache: Hit from cloudfront",
        )
        .await;
        case(
            head("403 Forbidden", "Server: AmazonS3"),
            b"",
            "it answers HTTP 403, server: AmazonS3",
        )
        .await;
        case(
            head("200 OK", &published().replace("application/javascript", "text/html")),
            BODY,
            "its content-type is `text/html; charset=utf-8`, expected `application/javascript; charset=utf-8`",
        )
        .await;
        case(
            head(
                "200 OK",
                &published().replace("Content-Encoding: gzip\r\n", ""),
            ),
            BODY,
            "its content-encoding is `absent`, expected `gzip`",
        )
        .await;
        case(
            head("200 OK", &published().replace("max-age=300", "max-age=60")),
            BODY,
            "its cache-control is `public, max-age=60, s-maxage=300, must-revalidate`, \
             expected `public, max-age=300, s-maxage=300, must-revalidate`",
        )
        .await;
    }

    #[tokio::test]
    async fn an_answer_that_never_ends_is_given_up_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/js/mojito.js", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let head = head("200 OK", &(published() + "\r\nContent-Length: 10"));
            let _ = stream.write_all((head + "\r\nc").as_bytes());
            std::thread::sleep(Duration::from_mins(1));
        });
        let (result, _) = result(&url).await;
        assert_eq!(result.unwrap_err(), "its answer never came to an end");
    }
}
