//! What S3 or the CDN serves in the place of a container. It may be anything.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;

use super::gzip;
use super::object::Object;
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize;
use crate::mojito::experiment::BuildInfo;
use crate::mojito::script::{self, Script, SyntaxErrorKind};
use crate::settings::pipeline;

/// Parsing takes over a hundred times the memory of the text, so the size of anything unknown is bounded.
const MAX_UNKNOWN: u64 = 1_000_000;

/// A response from a container's address.
#[derive(Clone, Debug)]
pub(crate) struct ServedContainer {
    /// The address.
    pub(crate) from: String,
    /// By lower-case name.
    headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
    /// The most that its body may decompress to.
    limit: ByteSize,
    script: OnceLock<Result<Script, String>>,
}

impl ServedContainer {
    /// How much is read in the place of a container of this size, compressed or not.
    pub(crate) fn limit(size: ByteSize) -> ByteSize {
        ByteSize(MAX_UNKNOWN.max(2 * size.0))
    }

    /// `limit` bounds the text that `body` may decompress to.
    pub(crate) fn new<'a>(
        from: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Bytes,
        limit: ByteSize,
    ) -> Self {
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), sanitize(value)));
        Self {
            from: from.to_owned(),
            headers: headers.collect(),
            body,
            limit,
            script: OnceLock::new(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The script in it, or what is wrong with it. The first call parses it, which may take seconds.
    pub(crate) fn script(&self) -> Result<&Script, &str> {
        let read = || {
            let text = self.text()?;
            if self.is_labelled_as_page() || is_markup(&text) {
                return Err("what is served now is a page, not a script".to_owned());
            }
            script::read(&text).map_err(|error| match error.kind {
                SyntaxErrorKind::Unchecked => {
                    format!("what is served now cannot be checked: {}", error.message)
                }
                _ => format!(
                    "what is served now is not a valid script: {}",
                    error.message
                ),
            })
        };
        self.script
            .get_or_init(read)
            .as_ref()
            .map_err(String::as_str)
    }

    /// The text that a browser decodes from it.
    pub(crate) fn text(&self) -> Result<String, String> {
        let now = |problem: String| format!("what is served now {problem}");
        let content = match self.header("content-encoding") {
            _ if self.body.is_empty() => return Err(now("is empty".to_owned())),
            Some(Object::CONTENT_ENCODING) => {
                gzip::decompress(&self.body, self.limit).map_err(now)?
            }
            None | Some("" | "identity") => self.body.to_vec(),
            Some(other) => return Err(now(format!("is compressed by `{other}`"))),
        };
        String::from_utf8(content).map_err(|_| now("is not UTF-8".to_owned()))
    }

    /// Whether its text is HTML or XML.
    pub(crate) fn is_markup(&self) -> bool {
        self.text().is_ok_and(|text| is_markup(&text))
    }

    /// Whether its header says that it is HTML or XML, such as an error page.
    pub(crate) fn is_labelled_as_page(&self) -> bool {
        let says_so = |value: &str| {
            let value = value.to_ascii_lowercase();
            value.contains("html") || value.contains("xml")
        };
        self.header("content-type").is_some_and(says_so)
    }

    /// Which container this is, as far as it says so: `build 56, commit 1f2e3d4, built at ...`. Empty if it says nothing.
    pub(crate) fn provenance(&self) -> String {
        let script = self.script().ok();
        self.provenance_with(script.and_then(|script| script.build_info.as_ref()))
    }

    /// The same from the headers alone, without parsing anything.
    pub(crate) fn provenance_of_headers(&self) -> String {
        self.provenance_with(None)
    }

    fn provenance_with(&self, info: Option<&BuildInfo>) -> String {
        let commit = self
            .header("x-amz-meta-commit")
            .or(info.and_then(|info| info.commit.as_deref()));
        let build = self
            .header("x-amz-meta-build-number")
            .map(|number| format!("build {number}"));
        let commit = commit.map(|commit| format!("commit {}", pipeline::short(commit)));
        let built_at = info
            .and_then(BuildInfo::built_at)
            .map(|at| format!("built {at}"));
        [build, commit, built_at]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Where it redirects to, as the end of a phrase. Empty if it does not.
    pub(crate) fn redirects_to(&self) -> String {
        let to = self.header("location");
        to.map_or_else(String::new, |to| format!(", redirects to {to}"))
    }

    /// How long it has been in a cache.
    fn age(&self) -> Option<Duration> {
        let seconds = self.header("age")?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// Which cache served it, and how old it is. Empty if the headers say nothing of it.
    pub(crate) fn cache(&self) -> String {
        let says = |name: &str, word: &str| {
            self.header(name)
                .is_some_and(|value| value.to_ascii_lowercase().contains(word))
        };
        let who = if says("via", "cloudfront") || says("x-cache", "cloudfront") {
            "CloudFront"
        } else if self.header("cf-cache-status").is_some() || says("server", "cloudflare") {
            "Cloudflare"
        } else if says("x-served-by", "cache-") {
            "Fastly"
        } else if says("server", "akamai") {
            "Akamai"
        } else {
            "an intermediate cache"
        };
        let evidence: Vec<String> = ["age", "x-cache", "cf-cache-status", "via", "server"]
            .iter()
            .filter_map(|name| self.header(name).map(|value| format!("{name}: {value}")))
            .collect();
        let evidence = evidence.join(", ");
        match self.age() {
            Some(age) => format!("cached by {who} for {} ({evidence})", period(age)),
            None if says("x-cache", "hit") || says("cf-cache-status", "hit") => {
                format!("cached by {who} ({evidence})")
            }
            None if evidence.is_empty() => String::new(),
            None => format!("apparently not from a cache ({evidence})"),
        }
    }
}

/// A time in one unit: `45 s`, `4 min`, `3 h`, `2 days`.
fn period(time: Duration) -> String {
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
    /// What it is and where: `https://d111.cloudfront.net/js/mojito.js: build 56, commit 1f2e3d4`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let provenance = self.provenance();
        let cached = self.age().map(|age| format!("cached {} ago", period(age)));
        let said: Vec<String> = [Some(provenance), cached]
            .into_iter()
            .flatten()
            .filter(|it| !it.is_empty())
            .collect();
        if said.is_empty() {
            write!(f, "{}", self.from)
        } else {
            write!(f, "{}: {}", self.from, said.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::gzip::Gzip;
    use super::*;

    fn served(headers: &[(&str, &str)], body: &[u8]) -> ServedContainer {
        let headers = headers.iter().copied();
        let limit = ServedContainer::limit(ByteSize(2_000));
        ServedContainer::new(
            "s3://acme/js/mojito.js",
            headers,
            Bytes::copy_from_slice(body),
            limit,
        )
    }

    #[test]
    fn what_is_wrong_with_it_is_a_phrase() {
        #[track_caller]
        fn case(encoding: &str, body: &[u8], expected: &str) {
            let served = served(&[("Content-Encoding", encoding)], body);
            let problem = served.script().unwrap_err();
            assert_eq!(problem, format!("what is served now {expected}"));
        }
        let bomb = Gzip::new().compress(&b"a;".repeat(2_000_000), None);
        case("gzip", &bomb, "is larger than 1,000,000 bytes");
        case("gzip", b"alert(1)", "is not the gzip that its headers say");
        case("br", b"alert(1)", "is compressed by `br`");
        case("", b"", "is empty");
        case("", b"\xff", "is not UTF-8");
        case("", b" <Error>", "is a page, not a script");
        case(
            "",
            b"a(",
            "is not a valid script: Expected `)` but found `EOF`",
        );
        case(
            "",
            b"a(\x1b",
            "is not a valid script: Invalid Character `\u{fffd}`",
        );
        case(
            "",
            &b"(".repeat(20_000),
            "cannot be checked: more than 10000 brackets are open at once",
        );
    }

    #[test]
    fn the_headers_say_which_cache_served_it_and_how_old_it_is() {
        #[track_caller]
        fn case(headers: &[(&str, &str)], expected: &str) {
            assert_eq!(served(headers, b"a").cache(), expected);
        }
        case(&[], "");
        case(
            &[
                ("Age", "7300"),
                ("Via", "1.1 abc.cloudfront.net (CloudFront)"),
            ],
            "cached by CloudFront for 2 h (age: 7300, via: 1.1 abc.cloudfront.net (CloudFront))",
        );
        case(
            &[("CF-Cache-Status", "HIT")],
            "cached by Cloudflare (cf-cache-status: HIT)",
        );
        case(
            &[("Age", "200000"), ("X-Served-By", "cache-fra-1")],
            "cached by Fastly for 2 days (age: 200000)",
        );
        case(
            &[("Age", "119")],
            "cached by an intermediate cache for 119 s (age: 119)",
        );
        case(
            &[("Server", "AmazonS3")],
            "apparently not from a cache (server: AmazonS3)",
        );
    }

    #[test]
    fn headers_and_script_say_which_container_it_is() {
        let script =
            b"Mojito.buildInfo={commitHash:'abcdef0123',timestamp:'2026-11-24T05:00:00.000Z'}";
        assert_eq!(
            served(&[], script).provenance(),
            "commit abcdef0, built 2026-11-24 05:00 UTC"
        );
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
