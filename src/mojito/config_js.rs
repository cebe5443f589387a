//! Parses Mojito's configuration, `config.js` in the root of its repository, without running it.
//!
//! It is a Node module. Values that a publish uses must be constants, since a wrong guess could publish to another site's
//! bucket. Other values may be computed.

use std::path::Path;

use super::excerpt::excerpt;
use super::experiment::Value;
use super::script::{self, Exports, SyntaxErrorKind};
use crate::common::bounded_file;
use crate::common::byte_size::ByteSize;

/// The file's name, in the working directory.
pub(crate) const FILE: &str = "config.js";

/// Far larger than any real configuration. The parser takes far more memory than its input.
const MAX_FILE: ByteSize = ByteSize(100_000);

/// The file's text and exports, or why they are unknown. A missing file exports nothing.
#[derive(Debug, Default)]
pub(crate) struct ConfigJs {
    source: String,
    exports: Exports,
    problem: Option<String>,
}

/// Why a value is unknown.
#[derive(Debug, PartialEq)]
pub(crate) enum Unknown {
    /// The whole file has a problem.
    File,
    /// This value has a problem. The text ends with lines that show the place in the file.
    Value(String),
}

impl ConfigJs {
    pub(crate) fn read(directory: &Path) -> Self {
        match bounded_file::read(&directory.join(FILE), MAX_FILE) {
            Ok(content) => String::from_utf8(content)
                .map_or_else(|_| Self::unreadable("is not UTF-8".to_owned()), Self::parse),
            Err(error) if error.is_absent() => Self::default(),
            Err(error) => Self::unreadable(error.to_string()),
        }
    }

    pub(crate) fn parse(source: impl Into<String>) -> Self {
        let source = source.into();
        match script::read_exports(&source) {
            Ok(exports) => Self {
                source,
                exports,
                problem: None,
            },
            Err(error) if error.kind == SyntaxErrorKind::Unchecked => {
                Self::unreadable(format!("cannot be read: {}", error.message))
            }
            Err(error) => Self::unreadable(format!(
                "cannot be read: {}\n{}",
                error.message,
                excerpt(Path::new(FILE), &source, error.place)
            )),
        }
    }

    fn unreadable(problem: String) -> Self {
        Self {
            problem: Some(problem),
            ..Self::default()
        }
    }

    /// What is wrong with the whole file. May end with lines that show the place.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The value of a key. `None` if it is absent or empty.
    pub(crate) fn get(&self, key: &str) -> Result<Option<&str>, Unknown> {
        if self.problem.is_some() {
            return Err(Unknown::File);
        }
        let Some(property) = self.exports.get(key) else {
            return Ok(None);
        };
        let problem = match &property.value {
            Some(Value::Text(text)) => return Ok(Some(text.as_str()).filter(|it| !it.is_empty())),
            Some(Value::Null) => return Ok(None),
            Some(Value::Number(_) | Value::Boolean(_)) => "is not a string",
            None => "is computed, but this file is only parsed, never run",
        };
        let shown = excerpt(Path::new(FILE), &self.source, property.place.clone());
        Err(Unknown::Value(format!("{problem}\n{shown}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str =
        "module.exports = { containerName: 'mojito', s3BucketDev: 'mojito-js/jsdev', \
                         s3BucketPRD: 'mojito-js/js', s3Region: 'ap-southeast-2' };";

    #[track_caller]
    fn name(source: &str) -> Option<String> {
        let config = ConfigJs::parse(source);
        config.get("containerName").unwrap().map(str::to_owned)
    }

    #[test]
    fn constants_are_read_in_any_style() {
        #[track_caller]
        fn case(source: &str) {
            let config = ConfigJs::parse(source);
            for (key, value) in [
                ("containerName", "mojito"),
                ("s3BucketDev", "mojito-js/jsdev"),
                ("s3BucketPRD", "mojito-js/js"),
                ("s3Region", "ap-southeast-2"),
            ] {
                assert_eq!(config.get(key), Ok(Some(value)), "{source}");
            }
            assert_eq!(config.get("other"), Ok(None), "{source}");
        }
        case(PLAIN);
        case(PLAIN.trim_end_matches(';'));
        case(&PLAIN.replace('\'', "\""));
        case(&PLAIN.replace('\'', "`"));
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
        case(&PLAIN.replace("module.exports =", "(module)['exports'] ="));
        case(&PLAIN.replace("= {", "= ({").replace("};", "});"));
        case(&format!("\u{feff}{PLAIN}"));
        case(&format!("#!/usr/bin/env node\n{PLAIN}"));
        case(&PLAIN.replace("mojito'", "moj\\u0069to'"));
        case(&PLAIN.replace("'mojito'", "'mo' + (`ji` + \"to\")"));
        case(&PLAIN.replace("containerName", "['container\\x4eame']"));
    }

    #[test]
    fn other_values_may_be_computed() {
        for others in [
            "name: process.env.NAME, [process.env.KEY]: 1, ...require('./base'),",
            "get containerName() { return 'b' }, containerName, containerName: f('c'),",
            "f: function () { return this.a }, g() { exports.a = 1 }, h: () => `${a}`,",
        ] {
            let source = format!(
                "'use strict'; const a = require('a'), f = (b) => b; let {{ c }} = a;\n\
                 module.exports = {{ {others} containerName: 'mojito', n: -1.5e3, deep: {{ a: f() }} }};"
            );
            assert_eq!(name(&source).as_deref(), Some("mojito"), "{others}");
        }
    }

    #[test]
    fn an_absent_or_empty_value_is_none() {
        for object in [
            "",
            "name: f()",
            "containerName: null",
            "containerName: undefined",
            "containerName: void 0",
            "containerName: ''",
            "...a, containerName: null",
        ] {
            assert_eq!(name(&format!("module.exports = {{ {object} }}")), None);
        }
        assert_eq!(ConfigJs::default().get("containerName"), Ok(None));
    }

    #[test]
    fn the_last_of_several_values_counts() {
        let source =
            "module.exports = { containerName: f(), containerName: 'a', containerName: 'b' }";
        assert_eq!(name(source).as_deref(), Some("b"));
    }

    #[test]
    fn a_value_that_is_not_a_constant_string_is_an_error() {
        #[track_caller]
        fn case(object: &str, problem: &str, marked: &str) {
            let source = format!("module.exports = {{ s3Region: 'a', {object} }};");
            let config = ConfigJs::parse(&*source);
            let Err(Unknown::Value(shown)) = config.get("containerName") else {
                panic!("{source}: {:?}", config.get("containerName"));
            };
            let column = source.find(marked).unwrap();
            let mark = format!("{}{}", " ".repeat(column), "^".repeat(marked.len()));
            assert_eq!(
                shown,
                format!(
                    "{problem}\n --> config.js:1:{}\n  |\n1 | {source}\n  | {mark}",
                    column + 1
                )
            );
        }
        let number = "is not a string";
        case("containerName: 7", number, "7");
        case("containerName: !0", number, "!0");
        let computed = "is computed, but this file is only parsed, never run";
        case(
            "containerName: process.env.NAME",
            computed,
            "process.env.NAME",
        );
        case("containerName: 'a' + b", computed, "'a' + b");
        case("containerName: `a${b}`", computed, "`a${b}`");
        case("containerName: ['b']", computed, "['b']");
        case("containerName: {}", computed, "{}");
        case("containerName", computed, "containerName");
        case("containerName() {}", computed, "() {}");
        case(
            "containerName: 'b', get containerName() {}",
            computed,
            "() {}",
        );
        case(
            "containerName: 'b', set containerName(c) {}",
            computed,
            "(c) {}",
        );
        case("containerName: 'b', ...base", computed, "...base");
        case("containerName: 'b', [key]: 'c'", computed, "[key]: 'c'");
        case("...base", computed, "...base");
        case("__proto__: base", computed, "__proto__: base");
        case(
            "...base, __proto__: null, name: 'b'",
            computed,
            "__proto__: null",
        );
    }

    #[test]
    fn a_prototype_does_not_override_own_properties() {
        let source = "module.exports = { containerName: 'a', __proto__: base };";
        assert_eq!(name(source).as_deref(), Some("a"));
    }

    #[test]
    fn a_file_that_does_anything_else_is_an_error_at_that_place() {
        #[track_caller]
        fn case(source: &str, place: &str) {
            let config = ConfigJs::parse(source);
            assert_eq!(config.get("containerName"), Err(Unknown::File), "{source}");
            let problem = config.problem().unwrap();
            let place = format!("\n --> config.js:{place}\n");
            assert!(
                problem.starts_with("cannot be read: ") && problem.contains(&place),
                "{source}: {problem}"
            );
        }
        case("", "1:1");
        case("const a = 1;", "1:13");
        case(
            "module.exports = Object.assign({}, { containerName: 'a' });",
            "1:1",
        );
        case("module.exports = a;", "1:1");
        case("module.exports += {};", "1:1");
        case("module.exports.containerName = 'a';", "1:1");
        case("module.export = {};", "1:1");
        case("modul.exports = {};", "1:1");
        case("module[exports] = {};", "1:1");
        case("exports = module.exports = {};", "1:1");
        case("if (a) module.exports = {};", "1:1");
        case("require('a')(module); module.exports = {};", "1:1");
        case(
            "module.exports = { containerName: 'a' };\nmodule.exports.containerName = 'b';",
            "2:1",
        );
        case("module.exports = {};\nmodule.exports = {};", "2:1");
        case("module.exports = {};\nconst a = 1;", "2:1");
        // Code that could change the exports later, or shadow a name.
        case("const a = module; module.exports = {};", "1:11");
        case(
            "module.exports = { a: b(() => { module.exports.containerName = 'b' }) };",
            "1:33",
        );
        case("var module = {}; module.exports = {};", "1:5");
        case(
            "var undefined = 'a'; module.exports = { containerName: undefined };",
            "1:5",
        );
        // Code that Node rejects too.
        case("module.exports = { containerName: 'a'", "1:38");
        case("module.exports = { containerName: 'a }", "1:35");
        case("module.exports = {};\nlet a, a;", "2:5");
        case("module.exports = { containerName: 'a' /* open", "1:39");
        case("export default { containerName: 'a' };", "1:1");
        case("\\", "1:2");
    }

    #[test]
    fn a_file_beyond_the_limits_is_an_error() {
        let deep = format!(
            "module.exports = {{ a: {}{} }};",
            "[".repeat(40_000),
            "]".repeat(40_000)
        );
        assert_eq!(
            ConfigJs::parse(deep).problem(),
            Some("cannot be read: more than 10000 brackets are open at once")
        );
        let folder = tempfile::tempdir().unwrap();
        let problem = |content: &[u8]| {
            std::fs::write(folder.path().join(FILE), content).unwrap();
            ConfigJs::read(folder.path()).problem
        };
        let of_size = |size: usize| "module.exports = {}".to_owned() + &" ".repeat(size - 19);
        assert_eq!(problem(of_size(100_000).as_bytes()), None);
        assert_eq!(
            problem(of_size(100_001).as_bytes()).unwrap(),
            "is larger than 100,000 bytes"
        );
        assert_eq!(problem(b"\xff").unwrap(), "is not UTF-8");
    }

    proptest::proptest! {
        #![proptest_config(crate::common::testing::cases(2_000))]

        /// The right value is read, and nothing panics.
        #[test]
        fn any_configuration_is_read_or_refused(
            comment in "[^*]{0,20}",
            noise in "[\\[\\]{}():,;'\"/*a-z.\n =]{0,60}",
            name in "[a-z0-9-]{1,20}",
        ) {
            let source = format!("/*{comment}*/ module.exports = {{ containerName: '{name}', other: {{ a: [1,], }}, }}; // {name}");
            let config = ConfigJs::parse(source);
            proptest::prop_assert_eq!(config.get("containerName"), Ok(Some(&*name)));
            let _ = ConfigJs::parse(format!("module.exports = {{{noise}}};")).get("containerName");
            let _ = ConfigJs::parse(noise).get("containerName");
        }
    }
}
