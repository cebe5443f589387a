//! `PUBLIC_URL`: waits until visitors get the published containers, requesting them as a browser does.
//!
//! All containers are polled in rounds within one deadline, so that each is polled at least once however many there are and
//! however slow the responses. A poll compares status, bytes and headers. It parses nothing, since parsing what is served may
//! take seconds. Only after the last round, some of what it got is examined, on another thread and before the deadline.

use std::cell::Cell;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::time::{sleep, timeout_at, Instant};

use super::cdn;
use super::event::Event;
use super::parsers::Parsers;
use super::publisher::Publisher;
use super::state::{Mismatch, Verification};
use crate::common::printable::sanitize;
use crate::container::gzip;
use crate::container::object::Object;
use crate::container::served::ServedContainer;
use crate::container::MAX_FILE;
use crate::settings::cache_control::CacheControl;

/// How many URLs are polled at the same time.
const MAX_CONCURRENT: usize = 64;
/// How long to wait for visitors to get all new containers of a run. An invalidation may take minutes.
const TIMEOUT: Duration = Duration::from_mins(5);
/// The same if all invalidations are completed already (`WAIT`).
const TIMEOUT_AFTER_INVALIDATION: Duration = Duration::from_secs(30);
/// How long a response may take to its last byte. With many URLs and slow responses, it is less.
const MAX_RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// What the last round takes at most, if it takes one turn.
const LAST_ROUND: Duration = Duration::from_secs(3);
/// The end of the timeout, after the last round, in which what it got is examined.
const EXAMINATION: Duration = Duration::from_secs(5);
/// How many responses are kept to be examined. The log shows fewer.
const MAX_EXAMINED: usize = 16;
/// The pause between two rounds. It doubles up to the maximum.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How long to wait for visitors to get the new containers.
pub(crate) fn timeout(invalidations_completed: bool) -> Duration {
    if invalidations_completed {
        TIMEOUT_AFTER_INVALIDATION
    } else {
        TIMEOUT
    }
}

/// A URL, and the object that it is to serve.
type Wanted<'a> = (String, &'a Object);

/// A URL that did not serve its object in a round.
struct Failed<'a> {
    wanted: Wanted<'a>,
    mismatch: Mismatch,
    /// To examine.
    content: Option<ServedContainer>,
}

/// What is known of a URL after a poll.
#[derive(Debug)]
enum Polled<'a> {
    Verified,
    Pending(&'a Mismatch),
    /// The timeout is over.
    Failed(Mismatch),
}

/// Waits for visitors to get the containers of a run.
struct Verifier<'a> {
    connector: &'a dyn HttpConnector,
    cache_control: &'a CacheControl,
    caller_reference: &'a str,
    started: Instant,
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
        let started = Instant::now();
        Self {
            connector,
            cache_control,
            caller_reference,
            started,
            deadline: started + timeout,
            parsers: Parsers::new(),
        }
    }

    /// Polls until each URL serves its object, or the timeout is over. `on_poll` is called after each poll, with the time so far.
    async fn wait_for_all(
        &self,
        mut pending: Vec<Wanted<'_>>,
        on_poll: impl Fn(&str, Polled, Duration),
    ) {
        let mut pause = FIRST_PAUSE;
        let failed = loop {
            let started = Instant::now();
            let failed = self.round(pending, &on_poll).await;
            // With several turns, another round takes as long again.
            let next = match failed.len() {
                0..=MAX_CONCURRENT => LAST_ROUND,
                _ => started.elapsed().max(LAST_ROUND),
            };
            let left = self.left().saturating_sub(next);
            if failed.is_empty() || left.is_zero() {
                break failed;
            }
            pending = failed.into_iter().map(|failed| failed.wanted).collect();
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(MAX_PAUSE);
        };
        let examined = stream::iter(failed).map(|failed| self.explain(failed));
        let mut examined = examined.buffer_unordered(MAX_EXAMINED);
        while let Some((url, mismatch)) = examined.next().await {
            on_poll(&url, Polled::Failed(mismatch), self.started.elapsed());
        }
    }

    /// Polls each URL once, and returns those that did not serve their object.
    async fn round<'o>(
        &self,
        pending: Vec<Wanted<'o>>,
        on_poll: &impl Fn(&str, Polled, Duration),
    ) -> Vec<Failed<'o>> {
        let (waiting, kept) = (&Cell::new(pending.len()), &Cell::new(0));
        let polls = stream::iter(pending).map(|wanted| async move {
            let timeout = self.fair_timeout(waiting.get());
            waiting.set(waiting.get() - 1);
            let polled = self.poll(&wanted, timeout).await;
            let (url, waited) = (&wanted.0, self.started.elapsed());
            let Err((mismatch, content)) = polled else {
                on_poll(url, Polled::Verified, waited);
                return None;
            };
            on_poll(url, Polled::Pending(&mismatch), waited);
            kept.set(kept.get() + usize::from(content.is_some()));
            let content = content.filter(|_| kept.get() <= MAX_EXAMINED);
            Some(Failed {
                wanted,
                mismatch,
                content,
            })
        });
        let polls = polls.buffer_unordered(MAX_CONCURRENT);
        polls.filter_map(async |failed| failed).collect().await
    }

    /// Until all polls must have ended.
    fn left(&self) -> Duration {
        (self.deadline - EXAMINATION).saturating_duration_since(Instant::now())
    }

    /// How long a response may take so that each of those that are `waiting` gets as much time.
    fn fair_timeout(&self, waiting: usize) -> Duration {
        let turns = waiting.div_ceil(MAX_CONCURRENT).max(1);
        let turns = u32::try_from(turns).unwrap_or(u32::MAX);
        (self.left() / turns).min(MAX_RESPONSE_TIMEOUT)
    }

    async fn poll(&self, (url, object): &Wanted<'_>, timeout: Duration) -> Result<(), FailedPoll> {
        let response = cdn::get(self.connector, url, object.size, timeout).await;
        let mismatch = |phrase, answered| Mismatch { phrase, answered };
        let (status, served) = response.map_err(|phrase| (mismatch(phrase, false), None))?;
        self.compare(status, &served, object).map_err(|phrase| {
            let phrase = with_cache(&phrase, &served);
            let is_other = status == 200 && served.body != object.body;
            (mismatch(phrase, true), is_other.then_some(served))
        })
    }

    /// Examines what was served, as far as time permits.
    async fn explain(&self, failed: Failed<'_>) -> (String, Mismatch) {
        let (url, object) = failed.wanted;
        let Some(served) = failed.content else {
            return (url, failed.mismatch);
        };
        let published = object.body.clone();
        let origin = self.origin(&served);
        let describe = move || with_cache(&describe(&served, &published, origin), &served);
        let parsed = timeout_at(self.deadline, self.parsers.run(describe)).await;
        let mismatch = Mismatch {
            phrase: parsed.unwrap_or(failed.mismatch.phrase),
            answered: true,
        };
        (url, mismatch)
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
        if served.body != object.body && !is_compressed_by_cdn(served, object) {
            let provenance = served.provenance_with(None);
            return Err(with_detail("other content is served", ": ", &provenance));
        }
        // With the right bytes and headers, it does not matter to visitors which upload it is.
        for (name, expected) in object.headers(self.cache_control) {
            if !served.has_header(name, expected) {
                let which = match self.origin(served) {
                    Origin::OtherRun => "an older upload of the same container",
                    Origin::ThisRun | Origin::Unknown => "the new container",
                };
                let actual = served.shown_header(name);
                return Err(format!(
                    "{which} is served, but its {name} is `{}`, expected `{}`",
                    actual.as_deref().unwrap_or("absent"),
                    sanitize(expected)
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

/// Whether the CDN has compressed what was stored without compression, as the versions of other tools are.
fn is_compressed_by_cdn(served: &ServedContainer, object: &Object) -> bool {
    !gzip::is_compressed(&object.body)
        && gzip::is_compressed(&served.body)
        && served
            .text()
            .is_ok_and(|text| text.as_bytes() == object.body)
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
    let verifier = Verifier::start(&cdn.connector, cache_control, caller_reference, timeout);
    let scripts = run.published_scripts().into_iter();
    let wanted = scripts.map(|object| (cdn.url(object), object));
    let on_poll = |url: &str, polled: Polled, waited: Duration| match polled {
        Polled::Verified => {
            run.set_verification(url, Verification::Verified);
            publisher.emit(&Event::Verified(url));
        }
        Polled::Pending(last_seen) => {
            let pending = Verification::Pending {
                last_seen: Some(last_seen.clone()),
            };
            run.set_verification(url, pending);
            publisher.emit(&Event::VerificationPending {
                url,
                last_seen: &last_seen.phrase,
                waited,
            });
        }
        Polled::Failed(mismatch) => run.set_verification(url, Verification::Failed(mismatch)),
    };
    verifier.wait_for_all(wanted.collect(), on_poll).await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
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
            let headers = Object::built_headers(&CacheControl::default())
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

        fn sent(self) -> HttpResponse {
            let never = || StreamBody::new(stream::pending::<Result<_, std::io::Error>>());
            let body = self.body.map(SdkBody::from);
            let body = body.unwrap_or_else(|| SdkBody::from_body_1_x(never()));
            let mut sent = HttpResponse::new(self.status.try_into().unwrap(), body);
            for (name, value) in self.headers {
                sent.headers_mut().insert(name, value);
            }
            sent
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
            HttpConnectorFuture::ready(Ok(response.sent()))
        }
    }

    fn object() -> Object {
        let name = ContainerName::parse("mojito").unwrap();
        let prefix = Prefix::literal("js");
        let (size, body) = (ByteSize(99), compressed(SCRIPT));
        Object::new(&name, Variant::Minified, &prefix, &prefix, size, body)
    }

    /// How a verification ended and after how many milliseconds, and what was served when before that.
    async fn verify(responses: Vec<Response>) -> (Result<(), String>, u128, Vec<(String, u128)>) {
        let (object, cdn) = (object(), Cdn(Mutex::new(responses)));
        let cache_control = CacheControl::default();
        let started = Instant::now();
        let verifier = Verifier::start(&cdn, &cache_control, RUN, timeout(true));
        let (waits, result) = (RefCell::new(Vec::new()), RefCell::default());
        let on_poll = |_: &str, polled: Polled, waited: Duration| {
            let ended = match polled {
                Polled::Pending(mismatch) => {
                    let wait = (mismatch.phrase.clone(), waited.as_millis());
                    return waits.borrow_mut().push(wait);
                }
                Polled::Verified => Ok(()),
                Polled::Failed(mismatch) => Err(mismatch.phrase),
            };
            assert!(result.replace(Some(ended)).is_none());
        };
        let wanted = vec![(URL.to_owned(), &object)];
        verifier.wait_for_all(wanted, on_poll).await;
        let (result, took) = (result.take().unwrap(), started.elapsed().as_millis());
        (result, took, waits.take())
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
            let after_last_round = EXAMINATION + LAST_ROUND;
            let timeout = TIMEOUT_AFTER_INVALIDATION.as_millis();
            assert_eq!(took + after_last_round.as_millis(), timeout);
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
        // In the last round, a response has some seconds.
        let mut responses = vec![Response::error(503); 7];
        responses.push(endless);
        let (result, took, _) = verify(responses).await;
        let expected = Err("the response did not end within 3 s".to_owned());
        assert_eq!((result, took), (expected, 22_000 + 3_000));
    }

    /// Responds to every URL after this time, with the published object or an older one, and counts the requests.
    #[derive(Debug)]
    struct SlowCdn {
        takes: Duration,
        response: Response,
        polls: Mutex<BTreeMap<String, usize>>,
    }

    impl HttpConnector for SlowCdn {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let url = request.uri().to_owned();
            *self.polls.lock().unwrap().entry(url).or_default() += 1;
            let (takes, response) = (self.takes, self.response.clone());
            HttpConnectorFuture::new(async move {
                sleep(takes).await;
                Ok(response.sent())
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_urls_are_polled_within_one_deadline_however_many_they_are_and_however_slow() {
        /// How many URLs were verified, and for the others what was served.
        async fn case(
            count: usize,
            takes: Duration,
            response: Response,
            invalidations_completed: bool,
        ) -> (usize, Vec<String>, Duration) {
            let polls = Mutex::default();
            let cdn = SlowCdn {
                takes,
                response,
                polls,
            };
            let (object, cache_control) = (object(), CacheControl::default());
            let timeout = timeout(invalidations_completed);
            let verifier = Verifier::start(&cdn, &cache_control, RUN, timeout);
            let (live, failed) = (Cell::new(0), RefCell::new(Vec::new()));
            let on_poll = |_: &str, polled: Polled, _| match polled {
                Polled::Verified => live.set(live.get() + 1),
                Polled::Pending(_) => {}
                Polled::Failed(mismatch) => failed.borrow_mut().push(mismatch.phrase),
            };
            let wanted = (0..count).map(|number| (format!("{URL}?{number}"), &object));
            let started = Instant::now();
            verifier.wait_for_all(wanted.collect(), on_poll).await;
            assert!(started.elapsed() <= timeout, "{:?}", started.elapsed());
            assert_eq!(cdn.polls.lock().unwrap().len(), count);
            assert_eq!(live.get() + failed.borrow().len(), count);
            (live.get(), failed.take(), started.elapsed())
        }
        let hour = Duration::from_hours(1);
        let published = Response::published;
        for (count, completed) in [(1, true), (65, true), (3_000, true), (3_000, false)] {
            let (verified, failed, _) = case(count, hour, published(), completed).await;
            assert_eq!(verified, 0);
            let never = |it: &String| it.starts_with("no response within ");
            assert!(failed.iter().all(never), "{}", failed[0]);
        }
        // Slow, but fast enough for all.
        let slow = Duration::from_millis(400);
        let (verified, _, took) = case(3_000, slow, published(), true).await;
        assert_eq!((verified, took), (3_000, 47 * slow));
        let slower = Duration::from_secs(9);
        let (verified, _, took) = case(1_000, slower, published(), false).await;
        assert_eq!((verified, took), (1_000, 16 * slower));
        // Some are examined, of the others only headers are known.
        let old = Response::of(b"old".to_vec());
        let (verified, failed, _) = case(1_000, slow, old, true).await;
        assert_eq!(verified, 0);
        let examined = "what is served is not gzip, although its headers say so";
        let count = |phrase: &str| failed.iter().filter(|it| *it == phrase).count();
        let examined = (count(examined), count("other content is served"));
        assert_eq!(examined, (MAX_EXAMINED, 1_000 - MAX_EXAMINED));
    }
}
