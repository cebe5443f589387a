//! What is served as a container: by S3 or, as visitors get it, by the CDN. It may be anything.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;

use super::gzip;
use super::object::Object;
use crate::common::byte_size::ByteSize;
use crate::common::printable::printable;
use crate::mojito::experiment::BuildInfo;
use crate::mojito::script::{self, ErrorKind, Script};
use crate::settings::pipeline;

/// Text that is looked into at least. What is served may be anything, and to parse it takes a hundred times its memory.
const LARGEST_TEXT: u64 = 1_000_000;

/// An answer that is served under a container's address.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// The address.
    pub(crate) from: String,
    /// By lower-case name.
    headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
    /// Text that is larger is not looked into.
    limit: ByteSize,
    script: OnceLock<Result<Script, String>>,
}

impl Served {
    /// How large an answer in the place of a container of this size may be to be looked into.
    pub(crate) fn limit(size: ByteSize) -> ByteSize {
        ByteSize(LARGEST_TEXT.max(2 * size.0))
    }

    /// `headers` are those that matter, by name; `limit` is that of its text.
    pub(crate) fn new<'a>(
        from: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Bytes,
        limit: ByteSize,
    ) -> Self {
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), printable(value)));
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

    /// The script in it, or what is wrong with it.
    pub(crate) fn script(&self) -> Result<&Script, &str> {
        let read = || {
            let text = self.text()?;
            if self.is_said_to_be_page() || is_markup(&text) {
                return Err("what is served now is a page and no script".to_owned());
            }
            script::read(&text).map_err(|error| match error.kind {
                ErrorKind::Unchecked => {
                    format!("what is served now cannot be checked: {}", error.message)
                }
                _ => format!("what is served now is no sound script: {}", error.message),
            })
        };
        self.script
            .get_or_init(read)
            .as_ref()
            .map_err(String::as_str)
    }

    /// What a browser makes of it.
    pub(crate) fn text(&self) -> Result<String, String> {
        let now = |problem: String| format!("what is served now {problem}");
        let content = match self.header("content-encoding") {
            _ if self.body.is_empty() => return Err(now("is empty".to_owned())),
            Some(Object::CONTENT_ENCODING) => {
                gzip::decompress(&self.body, self.limit).map_err(now)?
            }
            None | Some("" | "identity") if self.body.len() as u64 > self.limit.0 => {
                return Err(now(format!("is larger than {}", self.limit)));
            }
            None | Some("" | "identity") => self.body.to_vec(),
            Some(other) => return Err(now(format!("is compressed by `{other}`"))),
        };
        String::from_utf8(content).map_err(|_| now("is not UTF-8".to_owned()))
    }

    /// Whether it is HTML or XML, such as an error page.
    pub(crate) fn is_page(&self) -> bool {
        self.is_said_to_be_page() || self.text().is_ok_and(|text| is_markup(&text))
    }

    fn is_said_to_be_page(&self) -> bool {
        let says_so = |value: &str| {
            let value = value.to_ascii_lowercase();
            value.contains("html") || value.contains("xml")
        };
        self.header("content-type").is_some_and(says_so)
    }

    /// Which container this is, as far as it says so: `build 56, commit 1f2e3d4, built at ...`. Empty if it says nothing.
    pub(crate) fn provenance(&self) -> String {
        let info = self
            .script()
            .ok()
            .and_then(|script| script.build_info.as_ref());
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

    /// Where a redirect leads, as the end of a phrase. Empty if it is none.
    pub(crate) fn leads_to(&self) -> String {
        let to = self.header("location");
        to.map_or_else(String::new, |to| format!(" and leads to {to}"))
    }

    /// How long it has been in a cache.
    fn age(&self) -> Option<Duration> {
        let seconds = self.header("age")?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// By whom it is cached, and for how long already. Empty if the answer says nothing.
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
            "a cache on the way"
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
            None => format!("not from a cache, as it seems ({evidence})"),
        }
    }
}

/// A time as people say it: `45 s`, `4 min`, `3 h`, `2 days`.
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

impl Display for Served {
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

    fn served(headers: &[(&str, &str)], body: &[u8]) -> Served {
        let headers = headers.iter().copied();
        let limit = Served::limit(ByteSize(2_000));
        Served::new(
            "s3://acme/js/mojito.js",
            headers,
            Bytes::copy_from_slice(body),
            limit,
        )
    }

    #[test]
    fn whatever_is_served_is_told_in_a_phrase() {
        #[track_caller]
        fn case(encoding: &str, body: &[u8], expected: &str) {
            let served = served(&[("Content-Encoding", encoding)], body);
            let problem = served.script().unwrap_err();
            assert_eq!(problem, format!("what is served now {expected}"));
        }
        let bomb = Gzip::new().compress(&b"a;".repeat(2_000_000), None);
        case("gzip", &bomb, "is larger than 1,000,000 bytes");
        case("", &b"a;".repeat(600_000), "is larger than 1,000,000 bytes");
        case("gzip", b"alert(1)", "is not the gzip that its headers say");
        case("br", b"alert(1)", "is compressed by `br`");
        case("", b"", "is empty");
        case("", b"\xff", "is not UTF-8");
        case("", b" <Error>", "is a page and no script");
        case(
            "",
            b"a(",
            "is no sound script: Expected `)` but found `EOF`",
        );
        case(
            "",
            b"a(\x1b",
            "is no sound script: Invalid Character `\u{fffd}`",
        );
        case(
            "",
            &b"(".repeat(20_000),
            "cannot be checked: more than 10000 brackets are open at once",
        );
    }

    #[test]
    fn who_has_cached_it_and_for_how_long_is_read_from_the_headers() {
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
            "cached by a cache on the way for 119 s (age: 119)",
        );
        case(
            &[("Server", "AmazonS3")],
            "not from a cache, as it seems (server: AmazonS3)",
        );
    }

    #[test]
    fn it_says_where_it_came_from() {
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
