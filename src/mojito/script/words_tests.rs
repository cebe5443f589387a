//! Tests of the words that minified code keeps, with code as minifiers write it.

use super::read;
use super::words::read_source;
use crate::mojito::experiment::Part;
use crate::mojito::words::{CodeDigest, WordChanges};

/// The code of an experiment as it is minified.
fn minified(code: &str) -> CodeDigest {
    let script =
        format!("Mojito.addTest({{id:'w1',recipes:{{0:{{}},1:{{js:{code}}}}},trigger(){{}}}})");
    let script = read(&script).unwrap();
    script.experiments[0].code[&Part::new(Some("1"), "js")].clone()
}

/// The line that marks the change from one minified code to another, in the sources of the latter.
#[track_caller]
fn case(old: &str, new: &str, source: &str, expected: Option<u32>) {
    let changes = WordChanges::between(&minified(old), &minified(new));
    let words = read_source(source).unwrap();
    assert_eq!(changes.first_line(&words), expected, "{source}");
}

#[test]
fn a_word_that_is_new_marks_its_line() {
    let old = r#"function(e){e.text="Buy now",e.delay=2e3,e.on=!0}"#;
    let with = |from: &str, to: &str| old.replace(from, to);
    let source = "// Buy today\nfunction treatment(test) {\n  test.text = 'Buy now';\n  test.delay = 2000;\n  /* on */\n  test.on = true;\n}\n";
    let changed = |from: &str, to: &str| source.replacen(from, to, 1);
    case(
        old,
        &with("now", "today"),
        &changed("now", "today"),
        Some(3),
    );
    case(old, &with("2e3", "2500"), &changed("2000", "2500"), Some(4));
    case(old, &with("2e3", ".5"), &changed("2000", "0.50"), Some(4));
    case(
        old,
        &with("delay", "after"),
        &changed("delay", "after"),
        Some(4),
    );
    // Without new words, the line is not known.
    case(old, &with("!0", "!1"), &changed("true", "false"), None);
    case(
        old,
        &with(",e.on=!0", ""),
        &changed("  test.on = true;\n", ""),
        None,
    );
    case(
        old,
        &with("2e3", "6e4"),
        &changed("2000", "60 * 1000"),
        None,
    );
    // Nor if the word is there twice.
    case(old, &with("now", "delay"), &changed("now", "delay"), None);
    case(
        old,
        &with("on=!0", "on='text'"),
        &changed("true", "'text'"),
        None,
    );
}

#[test]
fn a_line_in_a_template_or_after_an_escape_is_known_if_it_is_one() {
    let old = "function(e){e.html=`<b>\n  one\n</b>`}";
    let source = "function t(e) {\n  e.html = `<b>\n  two\n</b>`;\n}";
    case(old, &old.replace("one", "two"), source, Some(3));
    let escaped = source.replace("two", "two \\u0061");
    case(old, &old.replace("one", "two a"), &escaped, None);
    let text = "function t(e) {\n  e.html = 'it\\'s two';\n}";
    case(
        "function(e){e.html='one'}",
        "function(e){e.html=\"it's two\"}",
        text,
        Some(2),
    );
}

#[test]
fn code_that_minifiers_left_out_before_marks_no_line() {
    let old = "function(e){e.a()}";
    let helper =
        "function t(e) {\n  function helper() {\n    e.unused();\n  }\n  e.a();\n  helper();\n}";
    case(
        old,
        "function(e){e.a(),function(){e.unused()}()}",
        helper,
        None,
    );
    let variable = "function t(e) {\n  var text = 'hello';\n  e.a(text);\n}";
    case(old, "function(e){e.a('hello')}", variable, None);
    let constant =
        "function t(e) {\n  var on = true;\n  if (on) {\n    e.dead();\n  }\n  e.a();\n}";
    case(old, "function(e){e.dead(),e.a()}", constant, None);
    let empty = "function t(e) {\n  if (e.tablet) {\n    e.call('x');\n  }\n  e.a();\n}";
    case(
        old,
        "function(e){e.tablet&&e.call('x'),e.a()}",
        empty,
        Some(3),
    );
    // What replaces other code was not left out.
    let replaced = variable.replace("hello", "welcome");
    case(
        "function(e){e.a('hello')}",
        "function(e){e.a('welcome')}",
        &replaced,
        Some(2),
    );
    let grown = helper.replace("e.unused();", "e.unused();\n    e.more();");
    case(
        "function(e){e.a(),function(){e.unused()}()}",
        "function(e){e.a(),function(){e.unused(),e.more()}()}",
        &grown,
        Some(4),
    );
}
