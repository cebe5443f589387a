//! Parses a text as strictly as a browser, within limits.

use oxc_allocator::Allocator;
use oxc_ast::ast::{AssignmentExpression, MemberExpression, Program};
use oxc_diagnostics::{Diagnostics, OxcDiagnostic, Severity};
use oxc_parser::Parser;
use oxc_semantic::{Semantic, SemanticBuilder};
use oxc_span::SourceType;

use super::dialect::unsupported_syntax;
use super::syntax_error::{SyntaxError, SyntaxErrorKind};
use super::{bounds, regex};

/// Parses a text on a thread with a large enough stack. Exceeding a limit is an error of kind `Unchecked`.
pub(super) fn parse_within_limits<T: Send + 'static>(
    text: &str,
    read: fn(&str) -> Result<T, SyntaxError>,
) -> Result<T, SyntaxError> {
    bounds::parse_within_limits(text, read).unwrap_or_else(|message| {
        Err(SyntaxError {
            message,
            place: 0..0,
            kind: SyntaxErrorKind::Unchecked,
        })
    })
}

/// Parses with a browser's checks. The parser alone accepts, for example, duplicate `let` declarations.
pub(super) fn parse<'a>(
    allocator: &'a Allocator,
    text: &'a str,
    source_type: SourceType,
) -> Result<(&'a Program<'a>, Semantic<'a>), SyntaxError> {
    let parsed = Parser::new(allocator, text, source_type).parse();
    if let Some(error) = first_error(&parsed.diagnostics) {
        return Err(error);
    }
    let program = allocator.alloc(parsed.program);
    let checked = SemanticBuilder::new()
        .with_build_nodes(true)
        .with_check_syntax_error(true)
        .build(program);
    let unsupported_syntax =
        || unsupported_syntax(text, &parsed.irregular_whitespaces, &checked.semantic);
    let invalid_regex = || regex::invalid_regex(text, &checked.semantic);
    match first_error(&checked.diagnostics)
        .or_else(unsupported_syntax)
        .or_else(invalid_regex)
    {
        Some(error) => Err(error),
        None => Ok((program, checked.semantic)),
    }
}

fn first_error(diagnostics: &Diagnostics) -> Option<SyntaxError> {
    let is_error = |it: &&OxcDiagnostic| it.severity == Severity::Error;
    diagnostics
        .iter()
        .find(is_error)
        .map(SyntaxError::from_diagnostic)
}

/// The member expression that is assigned to.
pub(super) fn assigned<'a>(
    assignment: &'a AssignmentExpression<'a>,
) -> Option<&'a MemberExpression<'a>> {
    let target = assignment.left.as_simple_assignment_target()?;
    target.as_member_expression()
}
