//! Types for the names that must not be confused: containers, buckets, folders, keys, CDN paths and distributions.
//!
//! Each is validated once, where it is parsed. Characters that IAM and CloudFront treat as wildcards or variables are
//! refused, because a policy or an invalidation with such a name would cover more than the one file.

use http::Uri;
use percent_encoding::{utf8_percent_encode, AsciiSet, CONTROLS};
use serde::Serialize;

use crate::common::printable::is_unsafe_in_log;

/// S3's limit for a key, in bytes of UTF-8.
const MAX_KEY: usize = 1024;
/// CloudFront's limit for a path of an invalidation, in characters.
const MAX_PATH: usize = 4000;

/// CloudFront invalidates at most this many paths of a distribution at a time, and accepts no more in one request.
pub(crate) const MAX_PATHS: usize = 3000;

/// And at most this many that have a `*`, which it does not accept in one request either.
pub(crate) const MAX_WILDCARDS: usize = 15;

/// What must be encoded in a path for CloudFront: non-ASCII characters and the unsafe characters of RFC 1738. With any
/// other encoding, CloudFront would invalidate a different path.
const CDN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'~');

/// Defines types that hold validated text.
macro_rules! text_newtypes {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
        pub(crate) struct $name(String);

        impl $name {
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}
pub(super) use text_newtypes;

text_newtypes! {
    /// The name of a container: a file name without its extension.
    ContainerName;
    /// The name of an S3 bucket.
    BucketName;
    /// A folder, in a bucket or at the CDN, without slashes at its ends. Empty for the root.
    Prefix;
    /// The key of an S3 object.
    ObjectKey;
    /// The URL-encoded path of an object at the CDN. It starts with `/`.
    CdnPath;
    /// The ID of a CloudFront distribution.
    DistributionId;
}

/// A copy of the text if it is valid, otherwise what is expected.
pub(super) fn valid_text(
    is_valid: bool,
    text: &str,
    expected: &'static str,
) -> Result<String, &'static str> {
    is_valid.then(|| text.to_owned()).ok_or(expected)
}

impl ContainerName {
    /// On failure, what is expected of a name.
    pub(crate) fn parse(name: &str) -> Result<Self, &'static str> {
        if name.to_lowercase().ends_with(".js") {
            Err("the name without the extension `.js`")
        } else if name.ends_with(".pretty") {
            Err("the name without `.pretty`, which is added automatically")
        } else if name.contains(['/', '\\']) {
            Err("a file name; the folder goes to `S3_PREFIX` and `LOCAL_PATH`")
        } else if name.starts_with('.') || name.trim() != name {
            Err("a file name without a dot at its start or spaces at its ends")
        } else {
            literal_text(name).map(Self)
        }
    }
}

impl BucketName {
    /// On failure, what is expected of a name.
    pub(crate) fn parse(name: &str) -> Result<Self, &'static str> {
        if name.ends_with("--x-s3") {
            return Err("a general purpose bucket; this is the name of a directory bucket, which has no permissions for single keys");
        }
        let is_valid = (3..=63).contains(&name.len())
            && !name.contains(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '-'))
            && !name.starts_with(['.', '-'])
            && !name.ends_with(['.', '-'])
            && !name.contains("..");
        let expected = "a bucket name (3 to 63 lower-case letters, digits, dots and hyphens), or `BUCKET/PREFIX`";
        valid_text(is_valid, name, expected).map(Self)
    }
}

impl Prefix {
    /// On failure, what is expected of a folder. `/` is the root.
    pub(crate) fn parse(folder: &str) -> Result<Self, &'static str> {
        let doubled = folder.contains("//");
        let folder = folder.trim_matches('/');
        let is_wrong = |part: &str| matches!(part, "." | "..") || part.trim() != part;
        if doubled || folder.split('/').any(is_wrong) {
            return Err("a folder such as `js` or `sites/acme/js`, or `/` for the root");
        }
        literal_text(folder).map(Self)
    }

    /// A folder that is known to be valid.
    pub(crate) fn literal(folder: &'static str) -> Self {
        Self(folder.to_owned())
    }

    fn join(&self, file_name: &str) -> String {
        if self.0.is_empty() {
            file_name.to_owned()
        } else {
            format!("{}/{file_name}", self.0)
        }
    }
}

impl ObjectKey {
    /// The key of a file in a folder of a bucket.
    pub(crate) fn new(prefix: &Prefix, file_name: &str) -> Self {
        Self(prefix.join(file_name))
    }

    /// Whether S3 accepts a key of this length.
    pub(crate) fn fits(&self) -> bool {
        self.0.len() <= MAX_KEY
    }
}

impl CdnPath {
    /// The path of a file in a folder at the CDN.
    pub(crate) fn new(prefix: &Prefix, file_name: &str) -> Self {
        let path = prefix.join(file_name);
        Self(format!("/{}", utf8_percent_encode(&path, CDN_PATH)))
    }

    /// The path and every one that begins with it, such as `/js/mojito.js?v=2`, which a distribution may cache separately.
    pub(crate) fn with_variants(&self) -> Self {
        Self(format!("{}*", self.0))
    }

    /// Whether CloudFront accepts a path of this length.
    pub(crate) fn fits(&self) -> bool {
        self.0.len() <= MAX_PATH
    }
}

impl DistributionId {
    /// On failure, what is expected of an ID.
    pub(crate) fn parse(id: &str) -> Result<Self, &'static str> {
        let is_valid =
            (8..=32).contains(&id.len()) && !id.contains(|c| !matches!(c, 'A'..='Z' | '0'..='9'));
        let expected = "a distribution ID such as `E1A2B3C4D5E6F7` (not its ARN or domain name)";
        valid_text(is_valid, id, expected).map(Self)
    }
}

/// One of the two files that Mojito builds for a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Variant {
    /// `NAME.pretty.js`, for people to read.
    Pretty,
    /// `NAME.js`, which every page loads.
    Minified,
}

impl Variant {
    pub(crate) fn file_name(self, container: &ContainerName) -> String {
        match self {
            Self::Pretty => format!("{container}.pretty.js"),
            Self::Minified => format!("{container}.js"),
        }
    }
}

/// The URI of an object, as in AWS's tools.
pub(crate) fn s3_uri(bucket: &BucketName, key: &ObjectKey) -> String {
    format!("s3://{bucket}/{key}")
}

/// The URL of an object at the CDN.
pub(crate) fn public_url_of(public_url: &Uri, path: &CdnPath) -> String {
    format!("{}{path}", public_url.to_string().trim_end_matches('/'))
}

/// On failure, what is expected of an account ID.
pub(crate) fn parse_account_id(id: &str) -> Result<String, &'static str> {
    let is_valid = id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
    valid_text(is_valid, id, "the 12 digits of an AWS account ID")
}

/// Refuses what IAM or CloudFront would not treat as literal text, and what could make a name in a log look like another.
fn literal_text(text: &str) -> Result<String, &'static str> {
    let is_refused = |c: char| is_unsafe_in_log(c) || "*?$\"\\".contains(c);
    let is_literal = !text.contains(is_refused);
    let expected = "no `*`, `?`, `$`, `\"`, `\\`, control or invisible characters, which IAM or CloudFront would not take literally or a reader would not see";
    valid_text(is_literal, text, expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    #[test]
    fn a_container_is_named_by_a_file_name_without_extension() {
        for name in "mojito|acme-site_2|acme.com|größe|a b".split('|') {
            assert_eq!(ContainerName::parse(name).unwrap().as_str(), name);
        }
        let invalid = "mojito.js|mojito.pretty|js/mojito|a\\b|..|.hidden| a|a*|a?|${x}|a\nb";
        for name in invalid.split('|') {
            assert!(ContainerName::parse(name).is_err(), "{name}");
        }
        for invisible in "\u{9b}\u{ad}\u{200b}\u{202e}\u{2066}\u{feff}".chars() {
            let name = format!("moj{invisible}ito");
            assert!(ContainerName::parse(&name).is_err(), "{name:?}");
            assert!(Prefix::parse(&name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_bucket_is_named_by_s3s_rules() {
        for name in ["abc", "mojito-js", "acme.example.com", &"a".repeat(63)] {
            assert_eq!(BucketName::parse(name).unwrap().as_str(), name);
        }
        let too_long = "a".repeat(64);
        let invalid = "|ab|Mojito|a_b_c|-abc|abc.|a..b|s3:|a b c|acme--use1-az4--x-s3";
        for name in invalid.split('|').chain([&*too_long]) {
            assert!(BucketName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_folder_has_no_slashes_at_its_ends() {
        for (folder, expected) in [("js", "js"), ("/js/", "js"), ("a/b", "a/b"), ("/", "")] {
            assert_eq!(Prefix::parse(folder).unwrap().as_str(), expected);
        }
        for folder in "a//b|../js|a/./b|js | |a/ b|js//|js*|a\tb".split('|') {
            assert!(Prefix::parse(folder).is_err(), "{folder}");
        }
    }

    #[test]
    fn a_path_at_the_cdn_is_the_encoded_key() {
        for [folder, file, key, path] in rows(
            "js    | mojito.js  | js/mojito.js   | /js/mojito.js
             /     | mojito.js  | mojito.js      | /mojito.js
             a/b   | m~1_x-y.js | a/b/m~1_x-y.js | /a/b/m%7E1_x-y.js
             größe | a b+c.js   | größe/a b+c.js | /gr%C3%B6%C3%9Fe/a%20b+c.js",
        ) {
            let prefix = Prefix::parse(folder).unwrap();
            assert_eq!(ObjectKey::new(&prefix, file).as_str(), key);
            assert_eq!(CdnPath::new(&prefix, file).as_str(), path);
        }
    }

    #[test]
    fn a_distribution_is_named_by_its_id() {
        assert!(DistributionId::parse("E1A2B3C4D5E6F7").is_ok());
        let arn = "arn:aws:cloudfront::123456789012:distribution/E1A2B3C4D5E6F7";
        for id in ["", "d111111abcdef8.cloudfront.net", arn, "E1*"] {
            assert!(DistributionId::parse(id).is_err(), "{id}");
        }
    }
}
