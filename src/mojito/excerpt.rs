//! Renders a position in a file: line, column, and the line itself with the position marked.

use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::common::secrets;

/// Columns of the output. Lines of minified files have hundreds of thousands, and are cut around the position.
const WIDTH: usize = 120;
/// The most bytes to mark, so that the start of the problem stays visible.
const MAX_MARK: usize = 40;

/// Renders `place` for the log.
pub(crate) fn excerpt(path: &Path, text: &str, place: Range<usize>) -> String {
    // Before it is cut, as half of a secret would not be recognized.
    let text = &*secrets::mask(text);
    let start = text.floor_char_boundary(place.start);
    let marked = text[start..].lines().next().unwrap_or_default();
    let length = place.len().min(MAX_MARK).min(marked.len());
    let end = text.ceil_char_boundary(start + length);
    let snippet = Snippet::source(text)
        .path(path.display().to_string())
        .annotation(AnnotationKind::Primary.span(start..end));
    Renderer::plain()
        .term_width(WIDTH)
        .render(&[Group::with_level(Level::ERROR).element(snippet)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, place: Range<usize>, expected: &str) {
        assert_eq!(excerpt(Path::new("a.js"), text, place), expected);
    }

    #[test]
    fn the_line_is_shown_with_a_mark() {
        let tab = " --> a.js:2:8\n  |\n2 |     if (ü {\n  |           ^";
        case("var a;\n\tif (ü {\n}\n", 15..16, tab);
        // The end of a file can be marked, and of several lines the first.
        case("f(", 2..2, " --> a.js:1:3\n  |\n1 | f(\n  |   ^");
        let first = " --> a.js:1:5\n  |\n1 | a = `\n  |     ^";
        case("a = `\nb\nc", 4..9, first);
    }

    #[test]
    fn no_part_of_a_secret_is_shown() {
        let secret = "kA3jd92jKd8/2jd9sjS8+kd92jdS8dkjd92ks";
        secrets::register([secret]);
        let text = "g(1);".repeat(40) + &format!("f('{secret}')") + &";g(2)".repeat(40);
        let escaped = text.replace('k', "\\u006b");
        for (text, place) in [&text, &escaped]
            .into_iter()
            .flat_map(|it| (180..280).map(move |at| (it, at)))
        {
            let shown = excerpt(Path::new("a.js"), text, place..place + 1);
            assert!(
                !shown.contains("jd9") && shown.contains("a.js:1:"),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_minified_line_is_cut_around_the_place() {
        let text = "f(1);".repeat(1000) + "f((;" + &"f(2);".repeat(1000);
        let shown = excerpt(Path::new("a.js"), &text, 5003..5004);
        assert!(shown.contains("a.js:1:5004"), "{shown}");
        assert!(shown.contains("f(1);f((;f(2);"), "{shown}");
        let is_short = |line: &str| line.chars().count() <= WIDTH;
        assert!(shown.lines().all(is_short), "{shown}");
    }
}
