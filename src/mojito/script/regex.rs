//! Validates regular expressions, since an invalid one makes a browser reject the whole script.

use oxc_allocator::Allocator;
use oxc_ast::ast::RegExpLiteral;
use oxc_ast::AstKind;
use oxc_regular_expression::{LiteralParser, Options};
use oxc_semantic::Semantic;

use super::syntax_error::SyntaxError;

/// The first invalid regular expression.
pub(super) fn invalid_regex(text: &str, semantic: &Semantic) -> Option<SyntaxError> {
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
    let pattern_at = literal.span.start + 1;
    let flags_at = pattern_at + u32::try_from(pattern.len()).ok()? + 1;
    let flags_at = flags_at.min(literal.span.end);
    let flags = &text[flags_at as usize..literal.span.end as usize];
    let options = Options {
        pattern_span_offset: pattern_at,
        flags_span_offset: flags_at,
    };
    let parsed = LiteralParser::new(allocator, pattern, Some(flags), options).parse();
    Some(SyntaxError::from_diagnostic(&parsed.err()?))
}
