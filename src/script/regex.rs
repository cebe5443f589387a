//! Regular expressions, which a browser compiles with the script, so that a fault in one is a fault of the script.
//!
//! They are parsed apart from the script: each group within another takes the parser a multiple of the stack that other
//! brackets do.

use oxc_allocator::Allocator;
use oxc_ast::ast::RegExpLiteral;
use oxc_ast::AstKind;
use oxc_regular_expression::{LiteralParser, Options};
use oxc_semantic::Semantic;

use super::bounds::MOST_GROUPS;
use super::syntax_error::{range, ErrorKind, SyntaxError};

/// The first of them that is none.
pub(super) fn unsound(text: &str, semantic: &Semantic) -> Option<SyntaxError> {
    let mut allocator = Allocator::default();
    semantic.nodes().iter().find_map(|node| {
        let AstKind::RegExpLiteral(literal) = node.kind() else {
            return None;
        };
        let error = problem(text, literal, &allocator);
        allocator.reset();
        error
    })
}

fn problem(text: &str, literal: &RegExpLiteral, allocator: &Allocator) -> Option<SyntaxError> {
    let pattern = literal.regex.pattern.text.as_str();
    let groups = pattern.bytes().filter(|byte| matches!(byte, b'(' | b'['));
    if groups.count() > MOST_GROUPS {
        return Some(SyntaxError {
            message: format!("a regular expression has more than {MOST_GROUPS} groups"),
            place: range(literal.span),
            kind: ErrorKind::Unchecked,
        });
    }
    let pattern_at = literal.span.start + 1;
    let flags_at = literal
        .span
        .end
        .min(pattern_at + u32::try_from(pattern.len()).ok()? + 1);
    let flags = &text[flags_at as usize..literal.span.end as usize];
    let options = Options {
        pattern_span_offset: pattern_at,
        flags_span_offset: flags_at,
    };
    let parsed = LiteralParser::new(allocator, pattern, Some(flags), options).parse();
    parsed
        .err()
        .map(|error| SyntaxError::from_diagnostic(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::read;

    #[test]
    fn regular_expressions_are_checked_as_a_browser_checks_them() {
        #[track_caller]
        fn case(regex: &str, fault: Option<(&str, &str)>) {
            let text = format!("Mojito = a + {regex};");
            let found = read(&text).err();
            let found = found.as_ref().map(|error| {
                assert_eq!(error.kind, ErrorKind::Script);
                (error.message.as_str(), &text[error.place.clone()])
            });
            assert_eq!(found, fault, "{regex}");
        }
        case("/(?<a>a)|[b-c]{1,2}\\k<a>/u", None);
        case("/[a&&b]/v", None);
        case("/[/]/", None);
        case(
            "/a/gg",
            Some((
                "Flag g is mentioned twice in regular expression literal",
                "g",
            )),
        );
        case(
            "/(a/",
            Some((
                "Invalid regular expression: Unterminated capturing group",
                "(a",
            )),
        );
        case(
            "/[b-a]/",
            Some((
                "Invalid regular expression: Character class atom range out of order",
                "-a",
            )),
        );
    }

    #[test]
    fn a_regular_expression_may_nest_as_deep_as_it_may_have_groups() {
        for (open, close, flags) in [
            ("(", ")", ""),
            ("(?=", ")", "u"),
            ("(?i:", ")", ""),
            ("[", "]", "v"),
        ] {
            let regex = |groups: usize| {
                format!(
                    "Mojito=/{}a{}/{flags}",
                    open.repeat(groups),
                    close.repeat(groups)
                )
            };
            assert!(read(&regex(MOST_GROUPS)).is_ok());
            let error = read(&regex(9 * MOST_GROUPS)).unwrap_err();
            assert_eq!(
                (error.message.as_str(), error.kind),
                (
                    "a regular expression has more than 1000 groups",
                    ErrorKind::Unchecked
                )
            );
        }
    }
}
