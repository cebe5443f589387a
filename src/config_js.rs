//! Mojito's own configuration, `config.js` in the root of its repository, read as data and never run.
//!
//! It is a Node module, `module.exports = {...};`, whose object is JSON5 as long as it holds plain values. One that
//! computes its values is refused by name, since guessing at them could publish to another site's bucket.

use std::path::Path;

use serde::Deserialize;

use crate::byte_size::ByteSize;
use crate::check::Invalid;
use crate::file;

/// The name of the file, in the working directory.
const FILE: &str = "config.js";

/// Far beyond any real configuration; the parser calls itself for each level.
const DEEPEST: usize = 100;

/// Far beyond any real configuration; a larger file is not read.
const LARGEST_FILE: ByteSize = ByteSize(1_000_000);

/// The values of `config.js` that a publish can use. Other keys are ignored.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ConfigJs {
    pub(crate) container_name: Option<String>,
    pub(crate) s3_bucket_dev: Option<String>,
    #[serde(rename = "s3BucketPRD")]
    pub(crate) s3_bucket_prd: Option<String>,
    pub(crate) s3_region: Option<String>,
}

impl ConfigJs {
    /// Reads the file of the directory; absent, it says nothing.
    pub(crate) fn read(directory: &Path) -> Result<Self, Invalid> {
        let content = match file::read(&directory.join(FILE), LARGEST_FILE) {
            Ok(content) => content,
            Err(unread) if unread.is_absent() => return Ok(Self::default()),
            Err(unread) => return Err(Invalid::new(FILE, unread.to_string())),
        };
        let source = String::from_utf8(content).map_err(|_| Invalid::new(FILE, "is not UTF-8"))?;
        Self::parse(&source)
    }

    pub(crate) fn parse(source: &str) -> Result<Self, Invalid> {
        exported_object(source)
            .ok_or_else(|| "has no `module.exports = {...}` and nothing else".to_owned())
            .and_then(|object| json5::from_str(object).map_err(|error| format!("is not plain data: {error}")))
            .map_err(|problem| {
                Invalid::new(
                    FILE,
                    format!(
                        "{problem}; only `module.exports = {{...}}` with plain values is read, and never run: set \
                         `CONTAINER_NAME`, `S3_BUCKET` and `AWS_DEFAULT_REGION` instead of what it computes"
                    ),
                )
            })
    }
}

/// The source of the object that the module exports, if the module does nothing else.
fn exported_object(source: &str) -> Option<&str> {
    let mut rest = skip_blanks(source.trim_start_matches('\u{feff}'));
    for directive in ["'use strict'", "\"use strict\""] {
        if let Some(after) = rest.strip_prefix(directive) {
            rest = skip_blanks(after);
            rest = skip_blanks(rest.strip_prefix(';').unwrap_or(rest));
        }
    }
    rest = skip_blanks(rest.strip_prefix("module")?);
    rest = skip_blanks(rest.strip_prefix('.')?);
    rest = skip_blanks(rest.strip_prefix("exports")?);
    rest = skip_blanks(rest.strip_prefix('=')?);
    let end = object_length(rest)?;
    let after = skip_blanks(&rest[end..]);
    let after = skip_blanks(after.strip_prefix(';').unwrap_or(after));
    after.is_empty().then(|| &rest[..end])
}

/// Skips white space and comments.
fn skip_blanks(mut source: &str) -> &str {
    loop {
        source = source.trim_start();
        match comment_length(source) {
            Some(length) => source = &source[length..],
            None => return source,
        }
    }
}

/// The length of the comment that the source starts with, if it does. An open one reaches to the end.
fn comment_length(source: &str) -> Option<usize> {
    if source.starts_with("//") {
        return Some(source.find('\n').unwrap_or(source.len()));
    }
    let comment = source.strip_prefix("/*")?;
    Some(
        comment
            .find("*/")
            .map_or(source.len(), |end| end + "/**/".len()),
    )
}

/// The length of the object literal that the source starts with, found by its braces outside strings and comments.
fn object_length(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => {
                depth += 1;
                if depth > DEEPEST {
                    return None;
                }
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            quote @ (b'\'' | b'"' | b'`') => {
                at += 1;
                while *bytes.get(at)? != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'/' => {
                if let Some(length) = comment_length(&source[at..]) {
                    at += length;
                    continue;
                }
            }
            _ => {}
        }
        if depth == 0 {
            return None;
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str =
        "module.exports = { containerName: 'mojito', s3BucketDev: 'mojito-js/jsdev', \
                         s3BucketPRD: 'mojito-js/js', s3Region: 'ap-southeast-2' };";

    fn plain() -> ConfigJs {
        ConfigJs {
            container_name: Some("mojito".to_owned()),
            s3_bucket_dev: Some("mojito-js/jsdev".to_owned()),
            s3_bucket_prd: Some("mojito-js/js".to_owned()),
            s3_region: Some("ap-southeast-2".to_owned()),
        }
    }

    #[test]
    fn data_is_read_whatever_its_style() {
        #[track_caller]
        fn case(source: &str) {
            assert_eq!(
                ConfigJs::parse(source).map_err(|error| error.to_string()),
                Ok(plain())
            );
        }
        case(PLAIN);
        case(PLAIN.trim_end_matches(';'));
        case(&PLAIN.replace('\'', "\""));
        case(
            &PLAIN
                .replace(
                    "{ ",
                    "{ 'use': { a: { b: [1, 2, '}'] } }, // a ' and a }\n ",
                )
                .replace(" }", ", }"),
        );
        case(&format!(
            "/* it's {{ */\n// module.exports\n'use strict';\n{PLAIN}\n// the end"
        ));
        case(&PLAIN.replace("module.exports =", "module . exports\n="));
        case(&format!("\u{feff}{PLAIN}"));
        case(&PLAIN.replace("mojito'", "moj\\u0069to'"));
        case(&PLAIN.replace(
            "{ ",
            "{ allowMultiInstance: false, note: 'it\\'s } fine', n: -1.5e3, none: null, ",
        ));
    }

    #[test]
    fn what_is_absent_is_none() {
        assert_eq!(
            ConfigJs::parse("module.exports = {}").unwrap(),
            ConfigJs::default()
        );
    }

    #[test]
    fn what_is_computed_is_refused_and_names_the_variables() {
        #[track_caller]
        fn case(source: &str) {
            let error = ConfigJs::parse(source).unwrap_err().to_string();
            assert!(
                error.starts_with("`config.js` ")
                    && error.contains("set `CONTAINER_NAME`, `S3_BUCKET` and `AWS_DEFAULT_REGION`"),
                "{source}: {error}"
            );
        }
        case("");
        case("const name = 'x'; module.exports = { containerName: name };");
        case("module.exports = { containerName: process.env.NAME };");
        case("module.exports = { containerName: 'a' + 'b' };");
        case("module.exports = { containerName: `a` };");
        case("module.exports = { ...base, containerName: 'a' };");
        case("module.exports = Object.assign({}, { containerName: 'a' });");
        case("module.exports = { containerName: 'a' }; module.exports.containerName = 'b';");
        case("module.exports = { containerName: 'a'");
        case("module.exports = { containerName: 'a }");
        case("module.exports = { containerName: 7 };");
        case("module.exports = { containerName: 'a' /* open");
        case("export default { containerName: 'a' };");
        case("\\");
        case(&format!(
            "module.exports = {{ a: {}{} }};",
            "[".repeat(100_000),
            "]".repeat(100_000)
        ));
    }

    proptest::proptest! {
        #![proptest_config(crate::fuzzing::tests::cases(2_000))]

        /// What is read is what stands there, and nothing panics.
        #[test]
        fn whatever_a_configuration_holds_it_is_read_or_refused(
            comment in "[^*]{0,20}",
            noise in "[\\[\\]{}():,;'\"/*a-z.\n =]{0,60}",
            name in "[a-z0-9-]{1,20}",
        ) {
            let source = format!("/*{comment}*/ module.exports = {{ containerName: '{name}', other: {{ a: [1,], }}, }}; // {name}");
            let config = ConfigJs::parse(&source);
            proptest::prop_assert_eq!(config.unwrap().container_name, Some(name));
            let _ = ConfigJs::parse(&noise);
            let _ = ConfigJs::parse(&format!("module.exports = {{{noise}}};"));
        }
    }
}
