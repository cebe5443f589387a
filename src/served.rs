//! What is served as a container: by S3 or, as visitors get it, by the CDN. It may be anything.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;

use crate::container::LARGEST_FILE;
use crate::experiment::{printable, BuildInfo};
use crate::gzip;
use crate::object::Object;
use crate::script::{self, Script};

/// An answer that is served under a container's address.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// The address.
    pub(crate) from: String,
    /// By lower-case name.
    headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
    script: OnceLock<Result<Script, String>>,
}

impl Served {
    /// `headers` are those that matter, by name.
    pub(crate) fn new<'a>(
        from: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Bytes,
    ) -> Self {
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), printable(value)));
        Self {
            from: from.to_owned(),
            headers: headers.collect(),
            body,
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
            script::read(&text).map_err(|error| {
                if self.is_html() {
                    "what is served now is an HTML page and no script".to_owned()
                } else {
                    format!("what is served now is no sound script: {}", error.message)
                }
            })
        };
        self.script
            .get_or_init(read)
            .as_ref()
            .map_err(String::as_str)
    }

    /// What a browser makes of it.
    pub(crate) fn text(&self) -> Result<String, String> {
        let content = match self.header("content-encoding") {
            Some(Object::CONTENT_ENCODING) => gzip::decompress(&self.body, LARGEST_FILE)
                .ok_or("what is served now is not the gzip that its headers say")?,
            None | Some("" | "identity") => self.body.to_vec(),
            Some(other) => return Err(format!("what is served now is compressed by `{other}`")),
        };
        String::from_utf8(content).map_err(|_| "what is served now is not UTF-8".to_owned())
    }

    pub(crate) fn is_html(&self) -> bool {
        let is_html_type = |value: &str| {
            value
                .trim_start()
                .to_ascii_lowercase()
                .starts_with("text/html")
        };
        self.header("content-type").is_some_and(is_html_type)
            || self
                .text()
                .is_ok_and(|text| text.trim_start().starts_with('<'))
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
        let commit =
            commit.map(|commit| format!("commit {}", commit.chars().take(7).collect::<String>()));
        let built_at = info
            .and_then(BuildInfo::built_at)
            .map(|at| format!("built {at}"));
        [build, commit, built_at]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// By whom it is cached, and for how long already. Empty if the answer says nothing.
    pub(crate) fn cache(&self) -> String {
        let age = self
            .header("age")
            .and_then(|age| age.parse().ok())
            .map(Duration::from_secs);
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
        match age {
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

impl Display for Served {
    /// What it is and where: `https://d111.cloudfront.net/js/mojito.js: build 56, commit 1f2e3d4`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let provenance = self.provenance();
        let age = self
            .header("age")
            .and_then(|age| age.parse().ok())
            .map(Duration::from_secs);
        let cached = age.map(|age| format!("cached {} ago", period(age)));
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
