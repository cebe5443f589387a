//! Scripts of every kind, judged by this parser and by the engine of a browser: V8, as Node has it.
//!
//! `cargo test --lib -- --ignored attack --nocapture` takes minutes, and needs `node` and `npm`. A script that the parser accepts
//! and V8 rejects would break every page that loads it. One that it refuses though V8 accepts it is listed here.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use fastrand::Rng;

use super::*;

const SAMPLES: [&str; 2] = [
    include_str!("../../../tests/support/sample/mojito.js"),
    include_str!("../../../tests/support/sample/mojito.pretty.js"),
];

/// Why V8 rejects each of these scripts; empty if it does not. `None` without Node.
fn judged_by_v8(scripts: &[String]) -> Option<Vec<String>> {
    const PROGRAM: &str = "
        const {Script} = require('vm');
        const scripts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
        const judge = (script) => {
            try { new Script(script); return ''; } catch (error) { return error.name + ': ' + error.message; }
        };
        process.stdout.write(JSON.stringify(scripts.map(judge)));";
    let node = Command::new("node")
        .args(["--stack-size=4000", "-e", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut node) = node else {
        return None;
    };
    let input = serde_json::to_vec(scripts).unwrap();
    let mut stdin = node.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap();
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Says on the test's output that it was skipped, which CI takes for a failure.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Makes scripts that follow the grammar, and some that nearly do.
struct Generator(Rng);

impl Generator {
    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.0.usize(..choices.len())]
    }

    fn name(&mut self) -> &'static str {
        self.pick(&[
            "a",
            "b",
            "c",
            "let",
            "yield",
            "await",
            "async",
            "static",
            "of",
            "get",
            "eval",
            "arguments",
            "Mojito",
            "undefined",
            "\\u0061b",
            "enum",
            "implements",
            "ü",
            "$",
            "new.target",
            "using",
            "accessor",
            "target",
        ])
    }

    fn literal(&mut self) -> &'static str {
        self.pick(&[
            "1",
            "0x1f",
            "010",
            "08",
            "1_0",
            "1n",
            ".5",
            "1e3",
            "'a'",
            "\"\\u{61}\"",
            "'\\08'",
            "'\\07'",
            "`a`",
            "/a/g",
            "/(?<n>a)\\k<n>/u",
            "/[b-a]/",
            "/(?:/",
            "/a/gg",
            "/\\u{110000}/u",
            "/{1}/",
            "/(?<=a)b/",
            "/[a--b]/v",
            "null",
            "true",
            "this",
            "0b2",
            "1__0",
            "0_1",
            "3in []",
        ])
    }

    fn operator(&mut self) -> &'static str {
        self.pick(&[
            "+",
            "-",
            "*",
            "/",
            "%",
            "**",
            "==",
            "===",
            "<",
            ">>>",
            "&&",
            "||",
            "??",
            "&",
            "in",
            "instanceof",
            ",",
            "|>",
            "=>",
            "?.",
        ])
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 {
            return if self.0.bool() {
                self.name()
            } else {
                self.literal()
            }
            .to_owned();
        }
        let depth = depth - 1;
        let mut expression = || self.expression(depth);
        let [one, two] = [expression(), expression()];
        match self.0.u8(..30) {
            0..4 => format!("{one}{}{two}", self.operator()),
            4 => format!("({one})"),
            5 => format!("{one}.{}", self.name()),
            6 => format!("{one}[{two}]"),
            7 => format!("{one}({two},...{})", self.name()),
            8 => format!("new {one}({two})"),
            9 => format!(
                "{}{one}",
                self.pick(&[
                    "!", "-", "++", "--", "typeof ", "delete ", "void ", "await ", "yield ",
                    "yield*", "..."
                ])
            ),
            10 => format!(
                "{one}{}",
                self.pick(&["++", "--", "``", "?.a", "?.[0]", "?.()"])
            ),
            11 => format!("{one}?{two}:{}", self.name()),
            12 => format!("[{one},,{two}]"),
            13 => format!("{{{}:{one},{}}}", self.name(), self.name()),
            14 => format!(
                "({{{}:{one},[{two}]:1,...{},get {}(){{}},async*{}(){{}}}})",
                self.name(),
                self.name(),
                self.name(),
                self.name()
            ),
            15 => format!("{}=>{one}", self.parameters()),
            16 => format!("async {}=>{{{}}}", self.parameters(), self.statement(depth)),
            17 => format!(
                "{}function{} {}{}{{{}}}",
                self.pick(&["", "async "]),
                self.pick(&["", "*"]),
                self.pick(&["", "a", "yield", "await"]),
                self.parameters(),
                self.statement(depth)
            ),
            18 => self.class(depth),
            19 => format!("`{one}${{{two}}}`"),
            20 => format!(
                "{}{}{one}",
                self.target(),
                self.pick(&["=", "+=", "&&=", "??=", "**=", "=>"])
            ),
            21 => format!("import({one})"),
            22 => format!("#{} in {one}", self.name()),
            23 => format!("{one}.#{}", self.name()),
            24 => "super.a".to_owned(),
            25 => format!("({one},{two})"),
            _ => one,
        }
    }

    fn target(&mut self) -> String {
        match self.0.u8(..8) {
            0 => format!("[{},{}={}]", self.name(), self.name(), self.literal()),
            1 => format!("{{{},{}:{}}}", self.name(), self.name(), self.name()),
            2 => format!("{}.{}", self.name(), self.name()),
            3 => format!("{}()", self.name()),
            4 => format!("[...{}]", self.name()),
            _ => self.name().to_owned(),
        }
    }

    fn parameters(&mut self) -> String {
        match self.0.u8(..7) {
            0 => "()".to_owned(),
            1 => format!("({},{})", self.target(), self.target()),
            2 => format!("({}={})", self.name(), self.expression(1)),
            3 => format!("(...{})", self.target()),
            4 => self.name().to_owned(),
            _ => format!("({})", self.name()),
        }
    }

    fn class(&mut self, depth: usize) -> String {
        let extends = self.pick(&["", " extends a", " extends null"]);
        let mut members = String::new();
        for _ in 0..self.0.usize(..4) {
            let key = match self.0.u8(..6) {
                0 => format!("#{}", self.name()),
                1 => format!("[{}]", self.expression(1)),
                2 => "constructor".to_owned(),
                3 => "'constructor'".to_owned(),
                _ => self.name().to_owned(),
            };
            let modifier = self.pick(&[
                "",
                "",
                "static ",
                "get ",
                "set ",
                "async ",
                "*",
                "static async*",
            ]);
            let body = self.statement(depth);
            let member = match self.0.u8(..5) {
                0 => format!("{modifier}{key}={};", self.expression(1)),
                1 => format!("static{{{body}}}"),
                2 => format!("{modifier}{key}(){{super();{body}}}"),
                3 => format!("{modifier}{key};"),
                _ => format!("{modifier}{key}{}{{{body}}}", self.parameters()),
            };
            members.push_str(&member);
        }
        format!(
            "class {}{extends}{{{members}}}",
            self.pick(&["", "a", "A", "let"])
        )
    }

    fn statement(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.expression(1) + ";";
        }
        let depth = depth - 1;
        let inner = self.statement(depth);
        let expression = self.expression(depth);
        match self.0.u8(..30) {
            0..3 => format!(
                "{} {}={expression};",
                self.pick(&["var", "let", "const", "using"]),
                self.target()
            ),
            3 => format!("if({expression}){inner}else {}", self.statement(depth)),
            4 => format!(
                "for({} {} {} {expression}){inner}",
                self.pick(&["", "var", "let", "const"]),
                self.target(),
                self.pick(&["of", "in"])
            ),
            5 => format!("for(let {}=0;{expression};){{{inner}}}", self.name()),
            6 => format!("while({expression}){inner}"),
            7 => format!("do {inner} while({expression})"),
            8 => format!(
                "try{{{inner}}}catch({}){{{}}}",
                self.target(),
                self.statement(depth)
            ),
            9 => format!(
                "switch({expression}){{case {}:{inner}default:{}}}",
                self.literal(),
                self.statement(depth)
            ),
            10 => format!("{}:{inner}", self.name()),
            11 => format!(
                "{} {};",
                self.pick(&["break", "continue", "return", "throw"]),
                self.pick(&["", "a", "b"])
            ),
            12 => format!(
                "{}function{} {}{}{{{}{inner}}}",
                self.pick(&["", "async "]),
                self.pick(&["", "*"]),
                self.name(),
                self.parameters(),
                self.pick(&["", "'use strict';"])
            ),
            13 => self.class(depth),
            14 => format!("{{{inner}{}}}", self.statement(depth)),
            15 => format!("with({expression}){inner}"),
            16 => format!(
                "{}function {}(){{}}{}",
                self.pick(&["", "if(a)", "a:"]),
                self.name(),
                self.pick(&["", "\n", ";"])
            ),
            17 => self
                .pick(&[
                    "'use strict';",
                    "debugger;",
                    "<!-- a\n",
                    "-->a\n",
                    ";",
                    "import a from 'b';",
                    "export default 1;",
                    "#!a\n",
                    "/*",
                    "//\u{2028}",
                ])
                .to_owned(),
            18 => format!(
                "for await({} {} of {expression}){inner}",
                self.pick(&["var", "let", ""]),
                self.name()
            ),
            _ => format!("{expression}{}", self.pick(&[";", ";", "\n", " ", ""])),
        }
    }

    /// A container or a generated script, with some of it replaced, removed or inserted.
    fn mutant(&mut self) -> String {
        let mut text = if self.0.bool() {
            self.pick(&SAMPLES).to_owned()
        } else {
            self.statement(4)
        };
        for _ in 0..self.0.usize(1..4) {
            let start = text.floor_char_boundary(self.0.usize(..=text.len()));
            let taken = self.0.usize(..4);
            let end = text.ceil_char_boundary((start + taken).min(text.len()));
            let put = match self.0.u8(..4) {
                0 => String::new(),
                1 => self.name().to_owned(),
                2 => self.expression(1),
                _ => self
                    .pick(&[
                        "(", ")", "{", "}", "[", "]", ";", ",", "'", "`", "/", "\n", "\\", "=",
                        "=>", ".", "#", "@", "\u{200b}", "\u{feff}", "\u{2029}", "*/",
                    ])
                    .to_owned(),
            };
            text.replace_range(start..end, &put);
        }
        text
    }
}

fn generated(count: usize, seed: u64) -> Vec<String> {
    let mut generator = Generator(Rng::with_seed(seed));
    let script = |number| match number % 3 {
        0 => generator.mutant(),
        1 => generator.statement(3),
        _ => generator.statement(2) + &generator.statement(2),
    };
    (0..count).map(script).collect()
}

/// Where V8 and the parser differ: what is accepted by the parser alone, and what by V8 alone, by message.
fn differences(scripts: &[String], v8: &[String]) -> (Vec<String>, BTreeMap<String, Vec<String>>) {
    let mut false_accepts = Vec::new();
    let mut false_refusals: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (script, v8) in scripts.iter().zip(v8) {
        match read(script) {
            Ok(_) if !v8.is_empty() => false_accepts.push(format!("{script:?}: {v8}")),
            Err(error) if v8.is_empty() => {
                false_refusals
                    .entry(error.message)
                    .or_default()
                    .push(script.clone());
            }
            _ => {}
        }
    }
    (false_accepts, false_refusals)
}

/// What the parser refuses though V8 accepts it: its message, and what is in the script. None of it is likely in a container.
const REFUSED_ONLY_HERE: [(&str, &str); 6] = [
    // V8 forgets that fields and static blocks of classes are strict code.
    (
        "'0'-prefixed octal literals and octal escape sequences are deprecated",
        "class",
    ),
    (
        "Decimals with leading zeros are not allowed in strict mode",
        "class",
    ),
    // `using++`, and `a: let, b`: taken for the start of a declaration.
    (
        "Expected a semicolon or an implicit semicolon after a statement, but found none",
        "",
    ),
    ("Unexpected token", ":let,"),
    // `if (a) function b() {} const b = 1`: the function is in a scope of its own.
    ("has already been declared", "if("),
    // `const a = let => b`: taken for a variable of the declaration.
    (
        "`let` cannot be declared as a variable name inside of a `",
        "let",
    ),
];

fn is_known(message: &str, scripts: &[String]) -> bool {
    let is_alike = |(known, part): &(&str, &str)| {
        message.contains(known) && scripts.iter().all(|script| script.contains(part))
    };
    REFUSED_ONLY_HERE.iter().any(is_alike)
}

#[test]
#[ignore = "takes minutes, and needs Node"]
fn no_script_is_accepted_that_v8_rejects() {
    let scripts = generated(30_000, 57);
    let Some(v8) = judged_by_v8(&scripts) else {
        return skipped("`node` cannot be started");
    };
    let (false_accepts, false_refusals) = differences(&scripts, &v8);
    let valid = v8.iter().filter(|it| it.is_empty()).count();
    let mut report = Vec::new();
    let count = scripts.len();
    let _ = writeln!(report, "{count} scripts, of which {valid} are valid");
    for (message, scripts) in &false_refusals {
        let shortest = scripts.iter().min_by_key(|it| it.len()).unwrap();
        let count = scripts.len();
        let _ = writeln!(report, "refused, {count} times: {message}: {shortest:?}");
    }
    let _ = std::io::stderr().write_all(&report);
    let unknown = false_refusals
        .iter()
        .filter(|(message, scripts)| !is_known(message, scripts));
    assert_eq!(unknown.collect::<Vec<_>>(), []);
    assert!(false_accepts.is_empty(), "{}", false_accepts.join("\n"));
}

/// `test262-parser-tests`, in `target/`.
fn parser_tests() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test262-parser-tests");
    let tests = folder.join("node_modules/test262-parser-tests");
    if !tests.exists() {
        fs::create_dir_all(&folder).unwrap();
        let npm = Command::new("npm")
            .args([
                "install",
                "--no-save",
                "--prefix",
                ".",
                "test262-parser-tests@0.0.5",
            ])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .status();
        npm.ok().filter(ExitStatus::success)?;
    }
    Some(tests)
}

#[test]
#[ignore = "needs Node and npm"]
fn the_parser_tests_of_test262_pass() {
    let Some(tests) = parser_tests() else {
        return skipped("`npm` cannot install `test262-parser-tests`");
    };
    let mut scripts = Vec::new();
    for (folder, is_valid) in [
        ("pass", true),
        ("pass-explicit", true),
        ("fail", false),
        ("early", false),
    ] {
        for file in fs::read_dir(tests.join(folder)).unwrap() {
            let path = file.unwrap().path();
            let name = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
            // No page loads a module as a container.
            if !name.ends_with(".module.js") {
                scripts.push((name, fs::read_to_string(path).unwrap(), is_valid));
            }
        }
    }
    assert!(scripts.len() > 2_000, "{}", scripts.len());
    let sources: Vec<String> = scripts.iter().map(|(_, text, _)| text.clone()).collect();
    let Some(v8) = judged_by_v8(&sources) else {
        return skipped("`node` cannot be started");
    };
    let mut wrong = Vec::new();
    for ((name, text, is_valid), v8) in scripts.iter().zip(&v8) {
        let read = read(text);
        // The tests are of 2017, and some of what was an error has a meaning since.
        if read.is_ok() != *is_valid && read.is_ok() != v8.is_empty() {
            let message = read.err().map(|it| it.message);
            wrong.push(format!("{name}: {text:?}: {message:?}; V8: {v8:?}"));
        }
    }
    let _ = writeln!(std::io::stderr(), "{} scripts", scripts.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
