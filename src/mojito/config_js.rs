//! Parses Mojito's configuration, `config.js` in the root of its repository, without running it.
//!
//! It is a Node module. Values that a publish uses must be constants, since a wrong guess could publish to another site's
//! bucket. Other values may be computed.

use std::path::Path;

use super::excerpt::excerpt;
use super::script::{self, Exported, Exports, Property, SyntaxErrorKind};
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
            Ok(content) => match String::from_utf8(content) {
                Ok(source) => Self::parse(source),
                Err(_) => Self::unreadable("is not UTF-8".to_owned()),
            },
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
            Err(error) => {
                let problem = format!("cannot be read: {}", error.message);
                Self::unreadable(if error.kind == SyntaxErrorKind::Unchecked {
                    problem
                } else {
                    problem + "\n" + &excerpt(Path::new(FILE), &source, error.place)
                })
            }
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
        match &property.value {
            Ok(Exported::Nothing) => Ok(None),
            Ok(Exported::Text(text)) => Ok(Some(text.trim()).filter(|it| !it.is_empty())),
            Ok(Exported::Array(_)) => Err(self.unknown(property, "is an array, expected a string")),
            Err(problem) => Err(self.unknown(property, problem)),
        }
    }

    /// The values of a key that may be one string or an array of them. Empty ones do not count, and repeated ones count once.
    pub(crate) fn list(&self, key: &str) -> Result<Vec<String>, Unknown> {
        let array = match self.exports.get(key) {
            Some(property) => match &property.value {
                Ok(Exported::Array(Some(array))) => array,
                Ok(Exported::Array(None)) => {
                    let problem = "is an array of other things than plain strings";
                    return Err(self.unknown(property, problem));
                }
                _ => return Ok(self.get(key)?.map(str::to_owned).into_iter().collect()),
            },
            None => return self.get(key).map(|_| Vec::new()),
        };
        let mut values: Vec<String> = Vec::new();
        for value in array.iter().map(|it| it.trim()) {
            if !value.is_empty() && values.iter().all(|it| it != value) {
                values.push(value.to_owned());
            }
        }
        Ok(values)
    }

    /// Whether the file can be read and shows this key itself.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.exports.has(key)
    }

    fn unknown(&self, property: &Property, problem: &str) -> Unknown {
        Unknown::Value(format!("{problem}\n{}", self.excerpt(property)))
    }

    /// Where the value of a key is that counts, if it has several.
    pub(crate) fn repeated(&self, key: &str) -> Option<String> {
        let property = self.exports.get(key).filter(|it| it.is_repeated)?;
        Some(self.excerpt(property))
    }

    fn excerpt(&self, property: &Property) -> String {
        excerpt(Path::new(FILE), &self.source, property.place.clone())
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
        let others = "{ 'use': { a: { b: [1, 2, '}'] } }, // a ' and a }\n ";
        case(&PLAIN.replace("{ ", others).replace(" }", ", }"));
        let before = "/* it's { */\n// module.exports\n'use strict';";
        case(&format!("{before}\n{PLAIN}\n// the end"));
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
    fn a_comment_ends_at_each_of_the_four_line_terminators() {
        // Node: `node -e "..."` says the same of each.
        for end in ["\n", "\r", "\r\n", "\u{2028}", "\u{2029}"] {
            let source = format!(
                "module.exports = {{ containerName: 'a', // x {end} containerName: 'b', // '{end} }};"
            );
            assert_eq!(name(&source).as_deref(), Some("b"), "{end:?}");
            let after = format!("module.exports = {{ containerName: 'a' }}; // x{end}f()");
            assert!(ConfigJs::parse(after).problem().is_some(), "{end:?}");
        }
        // No line ends here for a browser, nor for Node.
        for other in ["\u{85}", "\u{b}", "\u{c}"] {
            let source = format!(
                "module.exports = {{ containerName: 'a' // {other} , containerName: 'b'\n }};"
            );
            assert_eq!(name(&source).as_deref(), Some("a"), "{other:?}");
        }
    }

    #[test]
    fn other_values_may_be_computed() {
        for others in [
            "name: process.env.NAME, [process.env.KEY]: 1, ...require('./base'),",
            "get containerName() { return 'b' }, containerName, containerName: f('c'),",
            "f: function () { return this.a }, g() { exports.a = 1 }, h: () => `${a}`,",
        ] {
            let source = format!(
                "'use strict'; require('dotenv').config(); function g() {{}} const a = require('a'), f = (b) => b; let {{ c }} = a;\n\
                 module.exports = {{ {others} containerName: 'mojito', n: -1.5e3, deep: {{ a: f() }} }};"
            );
            assert_eq!(name(&source).as_deref(), Some("mojito"), "{others}");
        }
    }

    #[test]
    fn an_absent_or_empty_value_is_none() {
        for value in "null;undefined;void 0;''".split(';') {
            let object = format!("containerName: {value}");
            assert_eq!(name(&format!("module.exports = {{ {object} }}")), None);
            assert_eq!(
                name(&format!("module.exports = {{ ...a, {object} }}")),
                None
            );
        }
        assert_eq!(name("module.exports = {}"), None);
        assert_eq!(name("module.exports = { name: f() }"), None);
        assert_eq!(ConfigJs::default().get("containerName"), Ok(None));
    }

    #[test]
    fn the_last_of_several_values_counts_and_a_prototype_overrides_none() {
        let name = |object: &str| name(&format!("module.exports = {{ {object} }};"));
        let last = name("containerName: f(), containerName: 'a', containerName: 'b'");
        assert_eq!(last.as_deref(), Some("b"));
        let own = name("containerName: 'a', __proto__: base");
        assert_eq!(own.as_deref(), Some("a"));
    }

    #[test]
    fn a_value_that_is_not_a_constant_string_is_an_error() {
        #[track_caller]
        fn case(object: &str, marked: &str, problem: &str) {
            let source = format!("module.exports = {{ s3Region: 'a', {object} }};");
            let config = ConfigJs::parse(&*source);
            let at = source.find(marked).unwrap();
            let mark = format!("{}{}", " ".repeat(at), "^".repeat(marked.len()));
            let place = format!(" --> config.js:1:{}\n  |\n1 | {source}\n  | {mark}", at + 1);
            let expected = Unknown::Value(format!("{problem}\n{place}"));
            assert_eq!(config.get("containerName"), Err(expected));
        }
        case("containerName: 7", "7", "is a number, expected a string");
        case("containerName: 7n", "7n", "is a number, expected a string");
        let boolean = "is `true` or `false`, expected a string";
        case("containerName: !0", "!0", boolean);
        case(
            "containerName: ['b']",
            "['b']",
            "is an array, expected a string",
        );
        case("containerName: {}", "{}", "is an object, expected a string");
        let function = "is a function, expected a string";
        case("containerName() {}", "() {}", function);
        case("containerName: () => 1", "() => 1", function);
        case("containerName: class {}", "class {}", function);
        case(
            "containerName: /b/",
            "/b/",
            "is a regular expression, expected a string",
        );
        let computed = "is computed, but this file is only parsed, never run";
        for value in "process.env.NAME;'a' + b;`a${b}`;f('b');a || 'b'".split(';') {
            case(&format!("containerName: {value}"), value, computed);
        }
        case("containerName", "containerName", computed);
        case(
            "containerName: 'b', get containerName() {}",
            "() {}",
            computed,
        );
        case(
            "containerName: 'b', set containerName(c) {}",
            "(c) {}",
            computed,
        );
        let others = "may be set by this, but this file is only parsed, never run";
        case("containerName: 'b', ...base", "...base", others);
        case("containerName: 'b', [key]: 'c'", "[key]: 'c'", others);
        case("...base", "...base", others);
        case("__proto__: base", "__proto__: base", others);
        case(
            "...base, __proto__: null, name: 'b'",
            "__proto__: null",
            others,
        );
    }

    #[test]
    fn a_file_that_does_anything_else_is_an_error_at_that_place() {
        #[track_caller]
        fn case(source: &str, problem: &str, place: &str) {
            let config = ConfigJs::parse(source);
            assert_eq!(config.get("containerName"), Err(Unknown::File), "{source}");
            let expected = format!("cannot be read: {problem}");
            let place = format!("\n --> config.js:{place}\n");
            let shown = config.problem().unwrap();
            let is_shown = shown.starts_with(&expected) && shown.contains(&place);
            assert!(is_shown, "{source}: {shown}");
        }
        let none = "it has no `module.exports = {...}`\n";
        case("", none, "1:1");
        case("const a = 1;", none, "1:13");
        let others = "module.exports += {} | module.exports.containerName = 'a' | module.export = {} | modul.exports = {} | \
                      module[exports] = {} | exports = module.exports = {} | exports.a = 1 | if (a) module.exports = {}";
        for source in others.split(" | ") {
            case(source, none, "1:1");
        }
        let computed = "what it exports is computed, and it is only parsed, never run\n";
        for exported in
            "Object.assign({}, { containerName: 'a' }) | a | f() | exports = {}".split(" | ")
        {
            case(&format!("module.exports = {exported}"), computed, "1:18");
        }
        let plain = "module.exports = { containerName: 'a' };\n";
        let after = "only comments may follow `module.exports = {...}`";
        for other in [
            "module.exports.containerName = 'b'",
            "module.exports = {}",
            "const a = 1",
            "f()",
        ] {
            case(&format!("{plain}{other};"), after, "2:1");
        }
        // Code that could change the exports later, or shadow a name.
        let change = "this may change what is exported\n";
        case(&format!("const a = module; {plain}"), change, "1:11");
        case(&format!("require('a')(module); {plain}"), change, "1:14");
        let later = "() => { module.exports.containerName = 'b' }";
        case(
            &format!("module.exports = {{ a: b({later}) }};"),
            change,
            "1:33",
        );
        case(&format!("var module = {{}}; {plain}"), change, "1:5");
        case(&format!("var undefined = 'a'; {plain}"), change, "1:5");
        // Code that Node rejects too.
        let module = "export default { containerName: 'a' }";
        case(module, "Cannot use export statement", "1:1");
        case(
            "module.exports = { containerName: 'a'",
            "Expected `}`",
            "1:38",
        );
        case(
            "module.exports = { containerName: 'a }",
            "Unterminated string",
            "1:35",
        );
        case(
            &format!("{plain}let a, a;"),
            "Identifier `a` has already",
            "2:5",
        );
        case(
            "module.exports = { containerName: 'a' /* open",
            "Unterminated",
            "1:39",
        );
        case("\\", "Invalid", "1:2");
    }

    #[test]
    fn a_key_that_is_repeated_is_shown_where_it_counts() {
        let config = ConfigJs::parse("module.exports = {\n  a: 'b',\n  c: 'd',\n  a: 'e',\n};");
        assert_eq!(config.get("a"), Ok(Some("e")));
        let place = " --> config.js:4:6\n  |\n4 |   a: 'e',\n  |      ^^^";
        assert_eq!(config.repeated("a").as_deref(), Some(place));
        assert_eq!(config.repeated("c"), None);
    }

    #[test]
    fn a_file_that_is_too_large_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let problem = |content: &[u8]| {
            std::fs::write(folder.path().join(FILE), content).unwrap();
            let config = ConfigJs::read(folder.path());
            config.problem.unwrap_or_default()
        };
        let of_size = |size: usize| "module.exports = {}".to_owned() + &" ".repeat(size - 19);
        assert_eq!(problem(of_size(100_000).as_bytes()), "");
        let too_large = problem(of_size(100_001).as_bytes());
        assert_eq!(too_large, "is larger than 100,000 bytes");
        assert_eq!(problem(b"\xff"), "is not UTF-8");
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
