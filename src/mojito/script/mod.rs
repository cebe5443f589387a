//! Reads a built file as the script that a browser will take it for: whether it is one, and which experiments it adds.
//!
//! Everything is read from the syntax tree; nothing is run. This module is the only one that knows the parser.

mod bounds;
mod dialect;
mod experiments;
mod fingerprint;
mod module_exports;
mod parse;
mod regex;
mod syntax_error;
#[cfg(test)]
mod tests;

use oxc_allocator::Allocator;
use oxc_ast::ast::{CallExpression, Expression, MemberExpression, SimpleAssignmentTarget};
use oxc_ast::AstKind;
use oxc_semantic::Semantic;
use oxc_span::{GetSpan, SourceType, Span};

use self::experiments::{read_build_info, read_experiment};
use self::fingerprint::{is_global, Normalizer};
pub(crate) use self::module_exports::{read_exports, Exports};
use self::parse::{assigned, parse, parse_within_limits};
pub(crate) use self::syntax_error::{SyntaxError, SyntaxErrorKind};
use crate::mojito::experiment::{BuildInfo, Experiment};

/// What a sound script holds.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Whether it defines the global `Mojito`, or asks for it before it goes on.
    pub(crate) is_mojito: bool,
    pub(crate) build_info: Option<BuildInfo>,
    pub(crate) experiments: Vec<Experiment>,
    /// Calls of `Mojito.addTest` with something that only running it would tell.
    pub(crate) unreadable: usize,
    /// What identifies the library and the shared code, whatever names a minifier gave to their variables.
    pub(crate) shared_code: u64,
}

/// Reads a script. What cannot be checked here is an error as well.
pub(crate) fn read(text: &str) -> Result<Script, SyntaxError> {
    parse_within_limits(text, read_here)
}

fn read_here(text: &str) -> Result<Script, SyntaxError> {
    let allocator = Allocator::default();
    let (program, semantic) = parse(&allocator, text, SourceType::script()).map_err(|error| {
        if error.kind == SyntaxErrorKind::Unchecked {
            return error;
        }
        let as_module = parse(&allocator, text, SourceType::mjs());
        let kind = if as_module.is_ok() {
            SyntaxErrorKind::Module
        } else {
            SyntaxErrorKind::Script
        };
        SyntaxError { kind, ..error }
    })?;
    let semantic = &semantic;
    let mut added = Vec::new();
    let mut left_out = Vec::new();
    let mut unreadable = 0;
    let mut build_info = None;
    for node in semantic.nodes() {
        match node.kind() {
            AstKind::CallExpression(call) if is_of_mojito(called(call), "addTest") => {
                let argument = match &call.arguments[..] {
                    [argument] => argument
                        .as_expression()
                        .map(Expression::without_parentheses),
                    _ => None,
                };
                if let Some(Expression::ObjectExpression(object)) = argument {
                    left_out.push(call.span);
                    added.push((object, call.span));
                } else {
                    // It stays with the shared code, so that a change of it is seen.
                    unreadable += 1;
                }
            }
            AstKind::AssignmentExpression(assignment)
                if is_of_mojito(assigned(assignment), "buildInfo") =>
            {
                left_out.push(assignment.span);
                if let Expression::ObjectExpression(object) = assignment.right.without_parentheses()
                {
                    build_info = Some(read_build_info(object));
                }
            }
            _ => {}
        }
    }
    let normalizer = Normalizer::new(text, semantic, left_out);
    Ok(Script {
        is_mojito: is_mojito(semantic),
        build_info,
        experiments: added
            .into_iter()
            .map(|(object, call)| read_experiment(object, call, &normalizer))
            .collect(),
        unreadable,
        shared_code: normalizer.hash_of_rest(program.span),
    })
}

/// Whether this is the global `Mojito` itself: by its name, or as a property of the window.
fn is_mojito_itself(expression: &Expression) -> bool {
    let expression = expression.without_parentheses();
    expression.is_specific_id("Mojito")
        || ["window", "self", "globalThis"]
            .iter()
            .any(|global| expression.is_specific_member_access(global, "Mojito"))
}

/// Whether this is `Mojito.PROPERTY`.
fn is_of_mojito(member: Option<&MemberExpression>, property: &str) -> bool {
    member.is_some_and(|member| {
        member.static_property_name() == Some(property) && is_mojito_itself(member.object())
    })
}

/// The member that a call calls.
fn called<'a>(call: &'a CallExpression<'a>) -> Option<&'a MemberExpression<'a>> {
    match call.callee.without_parentheses() {
        Expression::ChainExpression(chain) => chain.expression.as_member_expression(),
        expression => expression.as_member_expression(),
    }
}

/// Whether the script assigns or declares `Mojito`, or makes what it does depend on it.
fn is_mojito(semantic: &Semantic) -> bool {
    let scoping = semantic.scoping();
    let declared = scoping
        .symbol_ids()
        .any(|id| scoping.symbol_name(id) == "Mojito" && is_global(semantic, id));
    let mut conditions: Vec<Span> = Vec::new();
    let mut mentions: Vec<Span> = Vec::new();
    for node in semantic.nodes() {
        match node.kind() {
            AstKind::AssignmentExpression(assignment) => {
                let left = assignment.left.as_simple_assignment_target();
                let assigned = left.is_some_and(|left| match left {
                    SimpleAssignmentTarget::AssignmentTargetIdentifier(id) => id.name == "Mojito",
                    left => left
                        .as_member_expression()
                        .is_some_and(|member| member.static_property_name() == Some("Mojito")),
                });
                if assigned {
                    return true;
                }
            }
            AstKind::IfStatement(statement) => conditions.push(statement.test.span()),
            AstKind::ConditionalExpression(expression) => conditions.push(expression.test.span()),
            AstKind::LogicalExpression(expression) => conditions.push(expression.left.span()),
            AstKind::IdentifierReference(id) if id.name == "Mojito" => mentions.push(id.span),
            AstKind::StaticMemberExpression(member) if member.property.name == "Mojito" => {
                mentions.push(member.span);
            }
            _ => {}
        }
    }
    declared || any_within(&mentions, conditions)
}

/// Whether one of the spans lies within one of the others.
fn any_within(spans: &[Span], mut others: Vec<Span>) -> bool {
    others.sort_by_key(|other| other.start);
    // How far those reach that start before a place.
    let mut reach = 0;
    for other in &mut others {
        reach = reach.max(other.end);
        other.end = reach;
    }
    spans.iter().any(|span| {
        let before = others.partition_point(|other| other.start <= span.start);
        before > 0 && span.end <= others[before - 1].end
    })
}
