//! `PUBLIC_URL`: waits until visitors get the published container, requesting it as a browser does.
//!
//! A poll compares status, bytes and headers. It parses nothing, since parsing what is served may take seconds. Only after the
//! deadline is the last response examined, on another thread.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::time::{timeout_at, Instant};

use super::cdn;
use super::event::Event;
use super::parsers::Parsers;
use super::publisher::Publisher;
use super::state::{Mismatch, Verification};
use crate::container::gzip;
use crate::container::object::Object;
use crate::container::served::ServedContainer;
use crate::container::MAX_FILE;
use crate::settings::cache_control::CacheControl;

/// How many containers are verified at the same time.
const MAX_CONCURRENT: usize = 16;
/// How long to wait for visitors to get all new containers of a run. An invalidation may take minutes.
const TIMEOUT: Duration = Duration::from_mins(5);
/// The same if all invalidations are completed already (`WAIT`).
const TIMEOUT_AFTER_INVALIDATION: Duration = Duration::from_secs(30);
/// How long a response may take to its last byte: until the deadline, within these bounds.
const MAX_RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
const MIN_RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between two polls. It doubles up to the maximum.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How long after the deadline the last responses may be examined, for all containers together.
const PARSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for visitors to get the new containers.
pub(crate) fn timeout(invalidations_completed: bool) -> Duration {
    if invalidations_completed {
        TIMEOUT_AFTER_INVALIDATION
    } else {
        TIMEOUT
    }
}

/// Waits for visitors to get the containers of a run.
struct Verifier<'a> {
    connector: &'a dyn HttpConnector,
    cache_control: &'a CacheControl,
    caller_reference: &'a str,
    deadline: Instant,
    parsers: Parsers,
}

/// Which run has stored what is served, by its metadata, which a CDN may remove.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    ThisRun,
    OtherRun,
    Unknown,
}

/// A poll that did not get the published object: a short phrase about status and headers, and the content to examine, if any.
type FailedPoll = (Mismatch, Option<ServedContainer>);

impl<'a> Verifier<'a> {
    /// The timeout begins now.
    fn start(
        connector: &'a dyn HttpConnector,
        cache_control: &'a CacheControl,
        caller_reference: &'a str,
        timeout: Duration,
    ) -> Self {
        Self {
            connector,
            cache_control,
            caller_reference,
            deadline: Instant::now() + timeout,
            parsers: Parsers::new(),
        }
    }

    /// Polls until the published object is served. On failure, what is served instead.
    ///
    /// `on_wait` is called after each poll but the last, with what is served and the time since the first poll.
    async fn wait_for(
        &self,
        url: &str,
        object: &Object,
        on_wait: impl Fn(&Mismatch, Duration),
    ) -> Result<(), Mismatch> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let Err((mismatch, content)) = self.poll(url, object).await else {
                return Ok(());
            };
            // The last poll starts at the deadline.
            let left = self.left();
            if left.is_zero() {
                return Err(self.explain(mismatch, content, object).await);
            }
            on_wait(&mismatch, started.elapsed());
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn poll(&self, url: &str, object: &Object) -> Result<(), FailedPoll> {
        let left = self.left();
        let timeout = left.clamp(MIN_RESPONSE_TIMEOUT, MAX_RESPONSE_TIMEOUT);
        let response = cdn::get(self.connector, url, object.size, timeout).await;
        let mismatch = |phrase, answered| Mismatch { phrase, answered };
        let (status, served) = response.map_err(|phrase| (mismatch(phrase, false), None))?;
        self.compare(status, &served, object).map_err(|phrase| {
            let phrase = with_cache(&phrase, &served);
            let is_other = status == 200 && served.body != object.body;
            (mismatch(phrase, true), is_other.then_some(served))
        })
    }

    /// Examines what is served, as far as time permits.
    async fn explain(
        &self,
        mismatch: Mismatch,
        content: Option<ServedContainer>,
        object: &Object,
    ) -> Mismatch {
        let Some(served) = content else {
            return mismatch;
        };
        let published = object.body.clone();
        let origin = self.origin(&served);
        let describe = move || with_cache(&describe(&served, &published, origin), &served);
        let parse = self.parsers.run(describe);
        let parsed = timeout_at(self.deadline + PARSE_TIMEOUT, parse).await;
        Mismatch {
            phrase: parsed.unwrap_or(mismatch.phrase),
            answered: true,
        }
    }

    /// Whether a response is the published object, to the byte. On failure, a phrase that needs no parsing.
    fn compare(
        &self,
        status: u16,
        served: &ServedContainer,
        object: &Object,
    ) -> Result<(), String> {
        let is_page = served.is_labelled_as_page();
        if status != 200 {
            let page = if is_page { " with a page" } else { "" };
            return Err(format!("HTTP {status}{page}{}", served.redirects_to()));
        }
        if is_page {
            return Err("a page is served, not a script".to_owned());
        }
        if served.body != object.body {
            let provenance = served.provenance_with(None);
            return Err(with_detail("other content is served", ": ", &provenance));
        }
        // With the right bytes and headers, it does not matter to visitors which upload it is.
        for (name, expected) in Object::headers(self.cache_control) {
            if !served.has_header(name, expected) {
                let which = match self.origin(served) {
                    Origin::OtherRun => "an older upload of the same container",
                    Origin::ThisRun | Origin::Unknown => "the new container",
                };
                return Err(format!(
                    "{which} is served, but its {name} is `{}`, expected `{expected}`",
                    served.header(name).unwrap_or("absent")
                ));
            }
        }
        Ok(())
    }

    fn origin(&self, served: &ServedContainer) -> Origin {
        match served.caller_reference() {
            Some(run) if run == self.caller_reference => Origin::ThisRun,
            Some(_) => Origin::OtherRun,
            None => Origin::Unknown,
        }
    }
}

/// What is served instead of the published object. Parses it, which may take seconds.
fn describe(served: &ServedContainer, published: &Bytes, origin: Origin) -> String {
    if served.is_labelled_as_page() || served.is_markup() {
        return "a page is served, not a script".to_owned();
    }
    let text = match served.text() {
        Ok(text) => text,
        Err(problem) => return format!("what is served {problem}"),
    };
    if gzip::decompress(published, MAX_FILE).is_ok_and(|own| own == text.as_bytes()) {
        return describe_same_text(served, published, origin);
    }
    match served.provenance() {
        provenance if provenance.is_empty() => {
            "other content is served than what was published".to_owned()
        }
        provenance => format!("another container is served: {provenance}"),
    }
}

/// Other bytes of the same text: from another upload, or changed by the CDN.
fn describe_same_text(served: &ServedContainer, published: &Bytes, origin: Origin) -> String {
    // `ONLY_NEWER` distinguishes builds by a comment.
    let differs_by_comment =
        gzip::without_comment(&served.body) == gzip::without_comment(published);
    if origin == Origin::OtherRun || differs_by_comment {
        let phrase = "an older upload of the same container is served";
        return with_detail(phrase, ": ", &served.provenance());
    }
    let is_compressed = gzip::is_compressed(&served.body);
    let is_of_cdn = origin == Origin::ThisRun || served.is_transformed();
    match (is_compressed, is_of_cdn) {
        (false, true) => "the new container is served, but not compressed",
        (false, false) => "the same container is served, but not compressed",
        (true, true) => "the new container is served, but the CDN has recompressed it",
        (true, false) => {
            "the same container is served, but compressed otherwise: an older upload, or the CDN has recompressed it"
        }
    }
    .to_owned()
}

fn with_cache(phrase: &str, served: &ServedContainer) -> String {
    with_detail(phrase, "; ", &served.cache())
}

fn with_detail(phrase: &str, separator: &str, detail: &str) -> String {
    let separator = if detail.is_empty() { "" } else { separator };
    format!("{phrase}{separator}{detail}")
}

/// Waits until visitors get every new container, if `PUBLIC_URL` is set.
pub(crate) async fn verify(publisher: &Publisher<'_>) {
    let (settings, run) = (publisher.settings(), publisher.run);
    let Some(cdn) = publisher.cdn else {
        return;
    };
    let timeout = timeout(run.state().all_invalidations_completed());
    let (cache_control, caller_reference) = (&settings.cache_control, &run.caller_reference);
    let verifier = &Verifier::start(&cdn.connector, cache_control, caller_reference, timeout);
    stream::iter(run.published_scripts())
        .map(|object| async move {
            let url = cdn.url(object);
            let on_wait = |last_seen: &Mismatch, waited: Duration| {
                let pending = Verification::Pending {
                    last_seen: Some(last_seen.clone()),
                };
                run.set_verification(&url, pending);
                publisher.emit(&Event::VerificationPending {
                    url: &url,
                    last_seen: &last_seen.phrase,
                    waited,
                });
            };
            match verifier.wait_for(&url, object, on_wait).await {
                Ok(()) => {
                    run.set_verification(&url, Verification::Verified);
                    publisher.emit(&Event::Verified(&url));
                }
                Err(mismatch) => run.set_verification(&url, Verification::Failed(mismatch)),
            }
        })
        .buffer_unordered(MAX_CONCURRENT)
        .collect::<()>()
        .await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Mutex;

    use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;
    use futures_util::stream;
    use http_body_util::StreamBody;
    use libdeflater::{CompressionLvl, Compressor};

    use super::*;
    use crate::common::byte_size::ByteSize;
    use crate::container::gzip::Gzip;
    use crate::settings::names::{ContainerName, Prefix, Variant};

    const SCRIPT: &str =
        "Mojito={};Mojito.buildInfo={commitHash:'1f2e3d4c',timestamp:'2026-11-24T05:00:00.000Z'}";
    const RUN: &str = "mojito-publish-1";
    const REFERENCE: &str = "x-amz-meta-caller-reference";
    const URL: &str = "https://d111.cloudfront.net/js/mojito.js";

    fn compressed(text: &str) -> Vec<u8> {
        Gzip::new().compress(text.as_bytes(), None)
    }

    #[derive(Clone, Debug)]
    struct Response {
        status: u16,
        headers: Vec<(&'static str, String)>,
        /// Without one, the response never ends.
        body: Option<Vec<u8>>,
    }

    impl Response {
        /// The published object with another body.
        fn of(body: Vec<u8>) -> Self {
            let headers = Object::headers(&CacheControl::default())
                .map(|(name, value)| (name, value.to_owned()));
            Self {
                status: 200,
                headers: headers.into(),
                body: Some(body),
            }
        }

        fn published() -> Self {
            Self::of(compressed(SCRIPT))
        }

        fn error(status: u16) -> Self {
            Self {
                status,
                headers: Vec::new(),
                body: Some(Vec::new()),
            }
        }

        fn with(self, name: &'static str, value: &str) -> Self {
            let mut response = self.without(name);
            response.headers.push((name, value.to_owned()));
            response
        }

        fn without(mut self, name: &str) -> Self {
            self.headers.retain(|(other, _)| *other != name);
            self
        }
    }

    /// Sends these responses in order, the last one forever.
    #[derive(Debug)]
    struct Cdn(Mutex<Vec<Response>>);

    impl HttpConnector for Cdn {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            assert_eq!(request.uri(), URL);
            assert_eq!(request.headers().get("accept-encoding"), Some("gzip"));
            let mut responses = self.0.lock().unwrap();
            let response = responses[0].clone();
            if responses.len() > 1 {
                responses.remove(0);
            }
            let never = || StreamBody::new(stream::pending::<Result<_, std::io::Error>>());
            let body = response.body.map(SdkBody::from);
            let body = body.unwrap_or_else(|| SdkBody::from_body_1_x(never()));
            let mut sent = HttpResponse::new(response.status.try_into().unwrap(), body);
            for (name, value) in response.headers {
                sent.headers_mut().insert(name, value);
            }
            HttpConnectorFuture::ready(Ok(sent))
        }
    }

    /// How a verification ended and after how many milliseconds, and what was served when before that.
    async fn verify(responses: Vec<Response>) -> (Result<(), String>, u128, Vec<(String, u128)>) {
        let (name, prefix) = (
            ContainerName::parse("mojito").unwrap(),
            Prefix::literal("js"),
        );
        let (size, body) = (ByteSize(99), compressed(SCRIPT));
        let object = Object::new(&name, Variant::Minified, &prefix, &prefix, size, body);
        let cdn = Cdn(Mutex::new(responses));
        let cache_control = CacheControl::default();
        let started = Instant::now();
        let verifier = Verifier::start(&cdn, &cache_control, RUN, timeout(true));
        let waits = RefCell::new(Vec::new());
        let on_wait = |mismatch: &Mismatch, waited: Duration| {
            let mut waits = waits.borrow_mut();
            waits.push((mismatch.phrase.clone(), waited.as_millis()));
        };
        let result = verifier.wait_for(URL, &object, on_wait).await;
        let result = result.map_err(|mismatch| mismatch.phrase);
        (result, started.elapsed().as_millis(), waits.take())
    }

    #[tokio::test(start_paused = true)]
    async fn the_published_object_is_recognised_at_once() {
        let verified = verify(vec![Response::published()]).await;
        assert_eq!(verified, (Ok(()), 0, vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn it_polls_until_the_published_object_is_served() {
        let old = Response::of(compressed("Mojito={}"));
        let responses = vec![
            Response::error(503).with("content-type", "text/html"),
            Response::error(301).with("location", "https://example.com/"),
            old.with("age", "240").with("x-amz-meta-build-number", "56"),
            Response::published().with("cache-control", "no-store"),
            Response::of(b"<html>".to_vec()),
            Response::published(),
        ];
        let (result, took, waits) = verify(responses).await;
        assert_eq!((result, took), (Ok(()), 12_500));
        let cached = "cached by an intermediate cache for 4 min (age: 240)";
        let expected = [
            ("HTTP 503 with a page", 0),
            ("HTTP 301, redirects to https://example.com/", 500),
            (
                &format!("other content is served: build 56; {cached}"),
                1_500,
            ),
            (
                "the new container is served, but its cache-control is `no-store`, \
                 expected `public, max-age=300, s-maxage=300, must-revalidate`",
                3_500,
            ),
            ("other content is served", 7_500),
        ];
        assert_eq!(
            waits,
            expected.map(|(phrase, waited)| (phrase.to_owned(), waited))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_deadline_what_is_served_instead_is_examined() {
        async fn case(response: Response, expected: &str) {
            let (result, took, _) = verify(vec![response]).await;
            assert_eq!(result.unwrap_err(), expected);
            assert_eq!(took, TIMEOUT_AFTER_INVALIDATION.as_millis());
        }
        let old = Response::of(compressed(&SCRIPT.replace("1f2e", "abcd")));
        let cached = old
            .with("age", "240")
            .with("x-cache", "Hit from cloudfront");
        let expected = "another container is served: commit abcd3d4, built 2026-11-24 05:00 UTC; \
            cached by CloudFront for 4 min (age: 240, x-cache: Hit from cloudfront)";
        case(cached, expected).await;
        let invalid = Response::of(b"no gzip".to_vec());
        let expected = "what is served is not gzip, although its headers say so";
        case(invalid, expected).await;
        let cut = compressed(SCRIPT)[..50].to_vec();
        case(
            Response::of(cut),
            "what is served is truncated or damaged gzip",
        )
        .await;
        let old = Response::of(compressed("alert(1)"));
        case(old, "other content is served than what was published").await;
        let denied = Response::error(403).with("server", "AmazonS3");
        let expected = "HTTP 403; apparently not from a cache (server: AmazonS3)";
        case(denied, expected).await;
        let page = Response::of(b"<!DOCTYPE html>".to_vec()).without("content-encoding");
        case(page.clone(), "a page is served, not a script").await;
        let page = page.with("content-type", "text/html; charset=utf-8");
        let expected =
            "a page is served, not a script; cached by Cloudflare (cf-cache-status: HIT)";
        case(page.with("cf-cache-status", "HIT"), expected).await;
        let plain = Response::of(SCRIPT.into()).without("content-encoding");
        case(
            plain.clone(),
            "the same container is served, but not compressed",
        )
        .await;
        let expected = "the new container is served, but not compressed";
        case(plain.with(REFERENCE, RUN), expected).await;
        let expected = "the new container is served, but its content-type is `absent`, \
            expected `application/javascript; charset=utf-8`";
        case(Response::published().without("content-type"), expected).await;
        let large = Response::of(vec![b'a'; 1_000_001]);
        case(large, "the response is larger than 1,000,000 bytes").await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_cdn_is_not_blamed_for_an_older_upload_of_the_same_text() {
        async fn case(response: &Response, expected: &str) {
            let (result, _, _) = verify(vec![response.clone()]).await;
            assert_eq!(result.unwrap_err(), expected);
        }
        let older = "an older upload of the same container is served";
        let of_build = ": build 56, commit 1f2e3d4";
        let of_cdn = "the new container is served, but the CDN has recompressed it";
        let mut recompressed = vec![0; 1000];
        let length = Compressor::new(CompressionLvl::fastest())
            .gzip_compress(SCRIPT.as_bytes(), &mut recompressed)
            .unwrap();
        recompressed.truncate(length);
        let recompressed = Response::of(recompressed);
        case(&recompressed.clone().with(REFERENCE, RUN), of_cdn).await;
        case(&recompressed.clone().with("etag", "W/\"1\""), of_cdn).await;
        let stored_before = recompressed
            .clone()
            .with(REFERENCE, "mojito-publish-0")
            .with("x-amz-meta-build-number", "56");
        case(&stored_before, &format!("{older}{of_build}")).await;
        let plain = stored_before.clone().without("content-encoding");
        let plain = Response {
            body: Some(SCRIPT.into()),
            ..plain
        };
        case(&plain, &format!("{older}{of_build}")).await;
        let expected = "the same container is served, but compressed otherwise: an older upload, or the CDN has recompressed it";
        case(&recompressed, expected).await;
        let commented = Gzip::new().compress(SCRIPT.as_bytes(), Some("build 56"));
        let of_script = ": commit 1f2e3d4, built 2026-11-24 05:00 UTC";
        case(&Response::of(commented), &format!("{older}{of_script}")).await;
        // The same bytes with the headers of then.
        let cached = Response::published()
            .with(REFERENCE, "mojito-publish-0")
            .with("cache-control", "no-store");
        let expected = format!(
            "{older}, but its cache-control is `no-store`, expected `{}`",
            CacheControl::default()
        );
        case(&cached, &expected).await;
        let same = Response::published().with("content-encoding", "GZIP");
        assert_eq!(verify(vec![same]).await.0, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_never_ends_is_abandoned() {
        let endless = Response {
            body: None,
            ..Response::published()
        };
        let (result, _, waits) = verify(vec![endless.clone(), Response::published()]).await;
        assert_eq!(result, Ok(()));
        let expected = "the response did not end within 10 s".to_owned();
        assert_eq!(waits, [(expected, 10_000)]);
        // However near the deadline is, a response has some seconds.
        let mut responses = vec![Response::error(503); 8];
        responses.push(endless);
        let (result, took, _) = verify(responses).await;
        let expected = Err("the response did not end within 3 s".to_owned());
        assert_eq!((result, took), (expected, 27_500 + 3_000));
    }
}
