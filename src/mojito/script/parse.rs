//! Parses a text as strictly as a browser.

use oxc_allocator::Allocator;
use oxc_ast::ast::{AssignmentExpression, MemberExpression, Program};
use oxc_diagnostics::{Diagnostics, OxcDiagnostic, Severity};
use oxc_parser::Parser;
use oxc_semantic::{Semantic, SemanticBuilder};
use oxc_span::SourceType;

use super::dialect::unsupported_syntax;
use super::regex::invalid_regex;
use super::syntax_error::SyntaxError;

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
    let error = first_error(&checked.diagnostics)
        .or_else(|| unsupported_syntax(text, &parsed.irregular_whitespaces, &checked.semantic))
        .or_else(|| invalid_regex(text, &checked.semantic));
    error.map_or(Ok((program, checked.semantic)), Err)
}

/// The first error that a parser found.
pub(super) fn first_error(diagnostics: &Diagnostics) -> Option<SyntaxError> {
    let is_error = |it: &&OxcDiagnostic| it.severity == Severity::Error;
    let error = diagnostics.iter().find(is_error);
    error.map(SyntaxError::from_diagnostic)
}

/// The member expression that is assigned to.
pub(super) fn assigned<'a>(
    assignment: &'a AssignmentExpression<'a>,
) -> Option<&'a MemberExpression<'a>> {
    let target = assignment.left.as_simple_assignment_target()?;
    target.as_member_expression()
}
