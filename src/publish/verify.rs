//! `PUBLIC_URL`: whether visitors get the new container, found out as a browser does.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use tokio::time::Instant;

use super::cdn;
use crate::container::gzip;
use crate::container::object::Object;
use crate::container::served::Served;
use crate::container::LARGEST_FILE;
use crate::settings::cache_control::CacheControl;

/// How long the new container is waited for, all containers of a run together. An invalidation takes up to some minutes.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// The same where CloudFront has said that it has finished (`WAIT`), and nothing is left to wait for.
const LONGEST_WAIT_AFTER_PURGE: Duration = Duration::from_secs(30);
/// How long one answer may take, from the request to its last byte.
const LONGEST_LOOK: Duration = Duration::from_secs(10);
/// How long it may take at least, however near the deadline is.
const SHORTEST_LOOK: Duration = Duration::from_secs(3);
/// The first pause between two looks; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the new container is waited for. `is_purged` says whether CloudFront has finished.
pub(crate) fn longest_wait(is_purged: bool) -> Duration {
    if is_purged {
        LONGEST_WAIT_AFTER_PURGE
    } else {
        LONGEST_WAIT
    }
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
        let left = deadline.saturating_duration_since(Instant::now());
        let time = left.clamp(SHORTEST_LOOK, LONGEST_LOOK);
        let Err(problem) = look(connector, url, object, cache_control, time).await else {
            return Ok(());
        };
        // The last look is at the deadline.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(problem);
        }
        on_wait(&problem, started.elapsed());
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn look(
    connector: &Connector,
    url: &str,
    object: &Object,
    cache_control: &CacheControl,
    time: Duration,
) -> Result<(), String> {
    let (status, served) = cdn::get(connector, url, object.size, time).await?;
    judge(status, &served, object, cache_control).map_err(|problem| match served.cache() {
        cache if cache.is_empty() => problem,
        cache => format!("{problem}; {cache}"),
    })
}

/// Whether what is served is the published object, to the byte. If not, what it is instead.
fn judge(
    status: u16,
    served: &Served,
    object: &Object,
    cache_control: &CacheControl,
) -> Result<(), String> {
    if status != 200 {
        let page = if served.is_page() { " with a page" } else { "" };
        return Err(format!(
            "it answers HTTP {status}{page}{}",
            served.leads_to()
        ));
    }
    if served.is_page() {
        return Err("it is a page and no script".to_owned());
    }
    if served.body != object.body {
        let is_same_content = served.text().is_ok_and(|text| {
            gzip::decompress(&object.body, LARGEST_FILE).is_ok_and(|own| own == text.as_bytes())
        });
        return Err(if !is_same_content {
            match served.provenance() {
                old if old.is_empty() => "it is something else than what was published".to_owned(),
                old => format!("it is another container than the one published: {old}"),
            }
        } else if served.header("content-encoding").is_none() {
            "it is the new container, but not compressed".to_owned()
        } else {
            "it is the new container, but the CDN has compressed it anew".to_owned()
        });
    }
    for (name, expected) in Object::headers(cache_control) {
        let value = served.header(name);
        if value != Some(expected) {
            return Err(format!(
                "it is the new container, but its {name} is `{}`, expected `{expected}`",
                value.unwrap_or("absent")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use libdeflater::{CompressionLvl, Compressor};

    use super::*;
    use crate::aws::https::Https;
    use crate::common::byte_size::ByteSize;
    use crate::container::gzip::Gzip;
    use crate::settings::names::{Bundle, ContainerName, Prefix};

    const SCRIPT: &str =
        "Mojito={};Mojito.buildInfo={commitHash:'1f2e3d4c',timestamp:'2026-11-24T05:00:00.000Z'}";

    fn compressed(text: &str) -> Vec<u8> {
        Gzip::new().compress(text.as_bytes(), None)
    }

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
            compressed(SCRIPT),
        );
        let connector = Https::new(None).connector();
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
        let url = server(&head("200 OK", &published()), &compressed(SCRIPT));
        let (result, waited) = result(&url).await;
        assert_eq!((result, waited.as_secs()), (Ok(()), 0));
    }

    #[tokio::test]
    async fn at_the_deadline_it_says_what_is_served_instead() {
        async fn case(head: String, body: &[u8], expected: &str) {
            let (result, waited) = result(&server(&head, body)).await;
            assert_eq!(result.unwrap_err(), expected);
            assert!(waited >= FIRST_PAUSE, "{waited:?}");
        }
        let new = &compressed(SCRIPT);
        let old = &compressed(&SCRIPT.replace("1f2e", "abcd"));
        let cached = published() + "\r\nAge: 240\r\nX-Cache: Hit from cloudfront";
        case(
            head("200 OK", &cached),
            old,
            "it is another container than the one published: commit abcd3d4, built 2026-11-24 05:00 UTC; \
             cached by CloudFront for 4 min (age: 240, x-cache: Hit from cloudfront)",
        )
        .await;
        case(
            head("200 OK", &published()),
            b"no gzip",
            "it is something else than what was published",
        )
        .await;
        case(
            head("403 Forbidden", "Server: AmazonS3"),
            b"",
            "it answers HTTP 403; not from a cache, as it seems (server: AmazonS3)",
        )
        .await;
        case(
            head("503 Service Unavailable", "Content-Type: text/html"),
            b"<h1>Sorry</h1>",
            "it answers HTTP 503 with a page",
        )
        .await;
        case(
            head(
                "200 OK",
                "Content-Type: text/html; charset=utf-8\r\nCF-Cache-Status: HIT",
            ),
            b"<!DOCTYPE html>",
            "it is a page and no script; cached by Cloudflare (cf-cache-status: HIT)",
        )
        .await;
        let is_new = "it is the new container, but";
        case(
            head("200 OK", &published().replace("application/javascript", "text/plain")),
            new,
            &format!("{is_new} its content-type is `text/plain; charset=utf-8`, expected `application/javascript; charset=utf-8`"),
        )
        .await;
        let not_compressed = published().replace("Content-Encoding: gzip\r\n", "");
        case(
            head("200 OK", &not_compressed),
            SCRIPT.as_bytes(),
            &format!("{is_new} not compressed"),
        )
        .await;
        let mut anew = Compressor::new(CompressionLvl::fastest());
        let mut fast = vec![0; 1000];
        let length = anew.gzip_compress(SCRIPT.as_bytes(), &mut fast).unwrap();
        case(
            head("200 OK", &published()),
            &fast[..length],
            &format!("{is_new} the CDN has compressed it anew"),
        )
        .await;
        case(
            head("200 OK", &published().replace("max-age=300", "max-age=60")),
            new,
            &format!(
                "{is_new} its cache-control is `public, max-age=60, s-maxage=300, must-revalidate`, \
                 expected `public, max-age=300, s-maxage=300, must-revalidate`"
            ),
        )
        .await;
    }

    #[tokio::test]
    async fn an_answer_that_never_ends_is_given_up_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/js/mojito.js", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head = head("200 OK", &(published() + "\r\nContent-Length: 10"));
            let _ = stream.write_all((head + "\r\nc").as_bytes());
            std::thread::sleep(Duration::from_mins(1));
        });
        let (result, _) = result(&url).await;
        assert_eq!(
            result.unwrap_err(),
            "its answer did not come to an end within 3 s"
        );
    }
}
