//! The response that S3 or the CDN gives for a container's URL. It may be anything.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;
use bytes::Bytes;

use super::gzip;
use super::object::{content_etag, Object};
use crate::common::byte_size::ByteSize;
use crate::common::layout::join_known;
use crate::common::printable::sanitize;
use crate::mojito::experiment::BuildInfo;
use crate::mojito::script::{self, Script, SyntaxError, SyntaxErrorKind};
use crate::settings::pipeline;

/// Parsing takes far more memory than the text, so unknown content is limited.
const MAX_UNKNOWN: u64 = 1_000_000;

/// Real scripts of that size take a second, and a publish goes on without what takes longer.
const PARSING_TIMEOUT: Duration = Duration::from_secs(5);

/// The headers in which caches say whether they had a response.
const CACHE_STATUS: [&str; 7] = [
    "x-cache",
    "x-cache-status",
    "cf-cache-status",
    "cdn-cache",
    "x-proxy-cache",
    "akamai-cache-status",
    "cache-status",
];

/// A response from a container's URL.
#[derive(Clone, Debug)]
pub(crate) struct ServedContainer {
    /// The URL.
    pub(crate) from: String,
    /// By lower-case name, as they were sent. They may have any length.
    headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
    /// The maximum size of the decompressed body.
    limit: ByteSize,
    script: OnceLock<Result<Script, String>>,
    /// Set if it is not parsed.
    left_unparsed: OnceLock<()>,
}

impl ServedContainer {
    /// How much to read of a response, compressed or not, if the new container has this size.
    pub(crate) fn limit(size: ByteSize) -> ByteSize {
        ByteSize(MAX_UNKNOWN.max(2 * size.0))
    }

    /// `limit` bounds the decompressed body.
    pub(crate) fn new<'a>(
        from: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Bytes,
        limit: ByteSize,
    ) -> Self {
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Self {
            from: from.to_owned(),
            headers: headers.collect(),
            body,
            limit,
            script: OnceLock::new(),
            left_unparsed: OnceLock::new(),
        }
    }

    /// The value of a header, to be compared.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The value of a header, to be shown.
    pub(crate) fn shown_header(&self, name: &str) -> Option<String> {
        self.header(name).map(sanitize)
    }

    /// The run that stored it, by the caller reference of its invalidations. A CDN or a store may remove this.
    pub(crate) fn caller_reference(&self) -> Option<&str> {
        self.header(&format!("x-amz-meta-{}", Object::CALLER_REFERENCE))
    }

    /// The parsed script, or what is wrong with it. The first call parses, which may take seconds.
    pub(crate) fn script(&self) -> Result<&Script, &str> {
        let read = || {
            self.read()
                .map_err(|problem| format!("the live file {problem}"))
        };
        let script = self.script.get_or_init(read);
        script.as_ref().map_err(String::as_str)
    }

    /// The same without what is no longer needed once it is parsed.
    pub(crate) fn without_body(self) -> Self {
        let body = Bytes::new();
        Self { body, ..self }
    }

    /// Takes the script from a response that a browser makes the same of.
    pub(crate) fn with_script_of(self, other: &Self) -> Self {
        let (script, left_unparsed) = (other.script.clone(), other.left_unparsed.clone());
        Self {
            script,
            left_unparsed,
            ..self
        }
    }

    /// Leaves it unparsed, as there is no time for it.
    pub(crate) fn leave_unparsed(&self) {
        let problem = "the live file was not checked, as those before it took too long";
        if self.script.set(Err(problem.to_owned())).is_ok() {
            let _ = self.left_unparsed.set(());
        }
    }

    /// Whether nothing is known of the script, as there was no time to parse it or only the headers were read.
    pub(crate) fn is_left_unparsed(&self) -> bool {
        self.left_unparsed.get().is_some()
    }

    fn read(&self) -> Result<Script, String> {
        let text = self.text()?;
        if self.is_labelled_as_page() || is_markup(&text) {
            return Err("is a page, not a script".to_owned());
        }
        script::read_within(&text, PARSING_TIMEOUT).map_err(
            |SyntaxError { message, kind, .. }| match kind {
                SyntaxErrorKind::Unchecked => format!("cannot be checked: {message}"),
                _ => format!("is not a valid script: {message}"),
            },
        )
    }

    /// The text that a browser would decode. The error is a predicate.
    pub(crate) fn text(&self) -> Result<String, String> {
        let content = match self.header("content-encoding") {
            _ if self.body.is_empty() => return Err("is empty".to_owned()),
            Some(encoding) if is_gzip(encoding) => {
                let content = gzip::decompress(&self.body, self.limit)?;
                if gzip::is_compressed(&content) {
                    return Err("is compressed twice".to_owned());
                }
                content
            }
            None | Some("" | "identity") if gzip::is_compressed(&self.body) => {
                return Err("is gzip, but has no `Content-Encoding: gzip`".to_owned());
            }
            None | Some("" | "identity") => self.body.to_vec(),
            Some(other) => return Err(format!("is compressed with `{}`", sanitize(other))),
        };
        String::from_utf8(content).map_err(|_| "is not UTF-8".to_owned())
    }

    /// Whether a header has this value, in whichever way it may be written.
    pub(crate) fn has_header(&self, name: &str, expected: &str) -> bool {
        self.header(name).is_some_and(|value| {
            let is_encoding = name == "content-encoding" && is_gzip(expected);
            value == expected || is_encoding && is_gzip(value)
        })
    }

    /// What the publish stored with the object under this name, to be shown.
    pub(crate) fn metadata(&self, name: &str) -> Option<String> {
        self.shown_header(&format!("x-amz-meta-{name}"))
    }

    /// When the object was stored, which a CDN passes on.
    pub(crate) fn stored_at(&self) -> Option<SystemTime> {
        let date = self.header("last-modified")?;
        let date = DateTime::from_str(date, Format::HttpDate).ok()?;
        date.try_into().ok()
    }

    /// The version that S3 has of the object, which a CDN passes on.
    pub(crate) fn version_id(&self) -> Option<String> {
        self.shown_header("x-amz-version-id")
    }

    /// Whether this is what S3 stores with this `ETag`. `None` if it does not say.
    pub(crate) fn has_etag(&self, etag: &str) -> Option<bool> {
        if self.header("etag") == Some(etag) || content_etag(&self.body) == etag {
            return Some(true);
        }
        (self.header("etag").is_some() && !self.is_transformed()).then_some(false)
    }

    /// Whether a browser makes the same of both.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.body == other.body || self.text().is_ok_and(|text| Ok(text) == other.text())
    }

    /// Whether the CDN has marked the response as changed on its way.
    pub(crate) fn is_transformed(&self) -> bool {
        self.header("etag")
            .is_some_and(|etag| etag.starts_with("W/"))
    }

    /// Whether the text is HTML or XML.
    pub(crate) fn is_markup(&self) -> bool {
        self.text().is_ok_and(|text| is_markup(&text))
    }

    /// Whether the `Content-Type` is HTML or XML, such as that of an error page.
    pub(crate) fn is_labelled_as_page(&self) -> bool {
        let is_page = |value: &str| {
            let value = value.to_ascii_lowercase();
            value.contains("html") || value.contains("xml")
        };
        self.header("content-type").is_some_and(is_page)
    }

    /// Which build this is: `build 56, commit 1f2e3d4, built 2026-11-24 05:00 UTC`. Empty if unknown.
    pub(crate) fn provenance(&self) -> String {
        let script = self.script().ok();
        self.provenance_with(script.and_then(|script| script.build_info.as_ref()))
    }

    /// The same from the headers and what is known of the script, without parsing.
    pub(crate) fn provenance_with(&self, info: Option<&BuildInfo>) -> String {
        let number = self.shown_header("x-amz-meta-build-number");
        let built_from = || info.and_then(|info| info.commit.clone());
        let commit = self.shown_header("x-amz-meta-commit").or_else(built_from);
        let built_at = info.and_then(BuildInfo::built_at);
        // A build number says more.
        let built_at = built_at.filter(|_| number.is_none());
        join_known([
            number.map(|number| format!("build {number}")),
            commit.map(|commit| format!("commit {}", pipeline::short(&commit))),
            built_at.map(|at| format!("built {at}")),
        ])
    }

    /// Which build this is, and how old the cached copy. Empty if unknown.
    pub(crate) fn details(&self) -> String {
        let provenance = Some(self.provenance()).filter(|it| !it.is_empty());
        let cached = self.age().map(|age| format!("cached {} ago", period(age)));
        join_known([provenance, cached])
    }

    /// The redirect's target, as a suffix for a message. Empty without a redirect.
    pub(crate) fn redirects_to(&self) -> String {
        let to = self.shown_header("location");
        to.map_or_else(String::new, |to| format!(", redirects to {to}"))
    }

    /// How long the response has been in a cache.
    pub(crate) fn age(&self) -> Option<Duration> {
        let seconds = self.header("age")?.trim().parse().ok()?;
        // Some caches send an age of 0 with what they have just fetched.
        let is_fetched = seconds == 0 && self.is_hit() == Some(false);
        (!is_fetched).then_some(Duration::from_secs(seconds))
    }

    /// Whether one of the caches' own headers says that the response came from them, or that it did not.
    pub(crate) fn is_hit(&self) -> Option<bool> {
        let headers = CACHE_STATUS.iter();
        let values: Vec<(&str, String)> = headers
            .filter_map(|name| Some((*name, self.header(name)?.to_ascii_lowercase())))
            .collect();
        let is_any = |words: &[&str]| {
            values.iter().any(|(name, value)| {
                let mut found = value.split(|c: char| !c.is_ascii_alphanumeric());
                // RFC 9211: `fwd=stale` is the reason why it did not.
                found
                    .any(|word| words.contains(&word) && (*name != "cache-status" || word == "hit"))
            })
        };
        let is_hit = is_any(&["hit", "refreshhit", "revalidated", "stale", "updating"]);
        (!values.is_empty()).then_some(is_hit)
    }

    /// Which cache answers at the URL, if the headers name one.
    pub(crate) fn cache_name(&self) -> Option<&'static str> {
        let has = |name: &str, word: &str| {
            let value = self.header(name);
            value.is_some_and(|value| value.to_ascii_lowercase().contains(word))
        };
        if has("via", "cloudfront") || has("x-cache", "cloudfront") {
            Some("CloudFront")
        } else if self.header("cf-cache-status").is_some() || has("server", "cloudflare") {
            Some("Cloudflare")
        } else if has("x-served-by", "cache-") {
            Some("Fastly")
        } else if has("server", "akamai") {
            Some("Akamai")
        } else {
            None
        }
    }

    /// Which cache served the response, and its age. Empty if the headers do not say.
    pub(crate) fn cache(&self) -> String {
        let cache = self.cache_name().unwrap_or("an intermediate cache");
        let names = ["age"]
            .iter()
            .chain(&CACHE_STATUS)
            .chain(&["via", "server"]);
        let evidence: Vec<String> = names
            .filter_map(|name| Some(format!("{name}: {}", self.shown_header(name)?)))
            .collect();
        let evidence = evidence.join(", ");
        match (self.age(), self.is_hit()) {
            (Some(age), _) => format!("cached by {cache} for {} ({evidence})", period(age)),
            (None, Some(true)) => format!("cached by {cache} ({evidence})"),
            (None, None) if evidence.is_empty() => String::new(),
            (None, _) => format!("apparently not from a cache ({evidence})"),
        }
    }
}

/// `x-gzip` is the same, and neither depends on case (RFC 9110).
fn is_gzip(encoding: &str) -> bool {
    let encoding = encoding.trim();
    let names = [Object::CONTENT_ENCODING, "x-gzip"];
    names.iter().any(|name| encoding.eq_ignore_ascii_case(name))
}

/// A duration in one unit: `45 s`, `4 min`, `3 h`, `2 days`.
pub(crate) fn period(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn is_markup(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

impl Display for ServedContainer {
    /// The URL and the build: `https://d111.cloudfront.net/js/mojito.js: build 56, commit 1f2e3d4`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.from)?;
        match self.details() {
            details if details.is_empty() => Ok(()),
            details => write!(f, ": {details}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::gzip::Gzip;
    use super::*;
    use crate::common::testing::rows;

    fn served(headers: &[(&str, &str)], body: &[u8]) -> ServedContainer {
        let headers = headers.iter().copied();
        let limit = ServedContainer::limit(ByteSize(2_000));
        let body = Bytes::copy_from_slice(body);
        ServedContainer::new("s3://acme/js/mojito.js", headers, body, limit)
    }

    #[test]
    fn content_that_is_not_a_script_is_explained() {
        #[track_caller]
        fn case(encoding: &str, body: &[u8], expected: &str) {
            let served = served(&[("Content-Encoding", encoding)], body);
            let problem = served.script().unwrap_err();
            assert_eq!(problem, format!("the live file {expected}"));
        }
        let bomb = Gzip::new().compress(&b"a;".repeat(2_000_000), None);
        case("gzip", &bomb, "is larger than 1,000,000 bytes");
        let text = include_bytes!("served.rs");
        let compressed = Gzip::new().compress(text, None);
        let cut = &compressed[..compressed.len() / 2];
        case("gzip", cut, "is truncated or damaged gzip");
        case("GZIP", cut, "is truncated or damaged gzip");
        case(" x-Gzip", cut, "is truncated or damaged gzip");
        let unlabelled = "is gzip, but has no `Content-Encoding: gzip`";
        case("", &compressed, unlabelled);
        case("identity", cut, unlabelled);
        let twice = Gzip::new().compress(&compressed, None);
        case("gzip", &twice, "is compressed twice");
        case("gzip", b"a", "is not gzip, although its headers say so");
        case("br", b"alert(1)", "is compressed with `br`");
        case("", b"", "is empty");
        case("", b"\xff", "is not UTF-8");
        case("", b" <Error>", "is a page, not a script");
        let invalid = "is not a valid script: ";
        case("", b"a(", &format!("{invalid}Expected `)` but found `EOF`"));
        case(
            "",
            b"a(\x1b",
            &format!("{invalid}Invalid Character `\u{fffd}`"),
        );
    }

    #[test]
    fn headers_identify_the_cache_and_the_age() {
        for [headers, expected] in rows(
            "                                       |
             Age: 7300, Via: 1.1 a (CloudFront)     | cached by CloudFront for 2 h (age: 7300, via: 1.1 a (CloudFront))
             CF-Cache-Status: HIT                   | cached by Cloudflare (cf-cache-status: HIT)
             Age: 200000, X-Served-By: cache-fra-1  | cached by Fastly for 2 days (age: 200000)
             Age: 119                               | cached by an intermediate cache for 119 s (age: 119)
             X-Cache: Hit from cloudfront           | cached by CloudFront (x-cache: Hit from cloudfront)
             X-Cache: RefreshHit from cloudfront    | cached by CloudFront (x-cache: RefreshHit from cloudfront)
             X-Cache: TCP_HIT                       | cached by an intermediate cache (x-cache: TCP_HIT)
             X-Cache: MISS; HIT                     | cached by an intermediate cache (x-cache: MISS; HIT)
             cf-cache-status: REVALIDATED           | cached by Cloudflare (cf-cache-status: REVALIDATED)
             cf-cache-status: stale                 | cached by Cloudflare (cf-cache-status: stale)
             cf-cache-status: UPDATING              | cached by Cloudflare (cf-cache-status: UPDATING)
             X-CACHE-STATUS: hit                    | cached by an intermediate cache (x-cache-status: hit)
             Akamai-Cache-Status: Hit from child    | cached by an intermediate cache (akamai-cache-status: Hit from child)
             Cache-Status: Edge; hit                | cached by an intermediate cache (cache-status: Edge; hit)
             Cache-Status: Edge; fwd=stale          | apparently not from a cache (cache-status: Edge; fwd=stale)
             Age: 0, X-Cache: Hit from cloudfront   | cached by CloudFront for 0 s (age: 0, x-cache: Hit from cloudfront)
             Age: 0                                 | cached by an intermediate cache for 0 s (age: 0)
             Age: 0, X-Cache: MISS                  | apparently not from a cache (age: 0, x-cache: MISS)
             X-Cache: Miss from cloudfront          | apparently not from a cache (x-cache: Miss from cloudfront)
             CF-Cache-Status: DYNAMIC               | apparently not from a cache (cf-cache-status: DYNAMIC)
             Server: AmazonS3                       | apparently not from a cache (server: AmazonS3)",
        ) {
            let headers = headers.split(", ").filter_map(|it| it.split_once(": "));
            let served = served(&headers.collect::<Vec<_>>(), b"a");
            assert_eq!(served.cache(), expected);
        }
    }

    #[test]
    fn headers_and_script_identify_the_build() {
        let script =
            b"Mojito.buildInfo={commitHash:'abcdef0123',timestamp:'2026-11-24T05:00:00.000Z'}";
        let provenance = served(&[], script).provenance();
        assert_eq!(provenance, "commit abcdef0, built 2026-11-24 05:00 UTC");
        let stamped = [
            ("x-amz-meta-build-number", "56"),
            ("x-amz-meta-commit", "1f2e3d4c5b6a"),
            ("age", "240"),
        ];
        assert_eq!(
            served(&stamped, b"a").to_string(),
            "s3://acme/js/mojito.js: build 56, commit 1f2e3d4, cached 4 min ago"
        );
    }
}
