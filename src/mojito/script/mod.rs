//! Parses a built file as a browser would, and finds the experiments that it adds.
//!
//! Everything comes from the syntax tree; nothing is run. Only this module uses the parser.

mod bounds;
mod dialect;
mod experiments;
mod fingerprint;
mod module_exports;
mod parse;
mod regex;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod simulation;
mod syntax_error;
#[cfg(test)]
mod tests;

use oxc_allocator::Allocator;
use oxc_ast::ast::{CallExpression, Expression, MemberExpression, ObjectExpression};
use oxc_ast::AstKind;
use oxc_semantic::Semantic;
use oxc_span::{GetSpan, SourceType, Span};

use self::bounds::parse_within_limits;
use self::experiments::{read_build_info, read_experiment};
use self::fingerprint::Normalizer;
pub(crate) use self::module_exports::{read_exports, Exports, Property};
use self::parse::{assigned, parse};
pub(crate) use self::syntax_error::{SyntaxError, SyntaxErrorKind};
use crate::mojito::experiment::{BuildInfo, Experiment};
use crate::mojito::in_order::run_in_order;
use crate::mojito::library::Library;

/// A valid script.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Whether it defines the global `Mojito`, or tests for it.
    pub(crate) is_mojito: bool,
    pub(crate) build_info: Option<BuildInfo>,
    pub(crate) experiments: Vec<Experiment>,
    /// The number of calls to `Mojito.addTest` with computed arguments.
    pub(crate) unreadable: usize,
    /// A hash of the library and the shared code, independent of minified names.
    pub(crate) shared_code: u64,
}

/// Reads a script. One that exceeds a limit is an error too.
pub(crate) fn read(text: &str) -> Result<Script, SyntaxError> {
    parse_within_limits(text, read_unbounded)
}

fn read_unbounded(text: &str) -> Result<Script, SyntaxError> {
    let allocator = Allocator::default();
    let (program, semantic) =
        parse(&allocator, text, SourceType::script()).map_err(|mut error| {
            let is_module = || parse(&allocator, text, SourceType::mjs()).is_ok();
            if error.kind == SyntaxErrorKind::Script && is_module() {
                error.kind = SyntaxErrorKind::Module;
            }
            error
        })?;
    let (mut experiments, mut unreadable, mut build_info) = (Vec::new(), 0, None);
    // What is not shared code.
    let mut left_out = Vec::new();
    for node in semantic.nodes() {
        match node.kind() {
            AstKind::CallExpression(call) if is_mojito_member(called(call), "addTest") => {
                if let Some(object) = only_argument(call) {
                    left_out.push(call.span);
                    experiments.push((object, call.span));
                } else {
                    // It counts as shared code, so that a change is noticed.
                    unreadable += 1;
                }
            }
            AstKind::AssignmentExpression(it) if is_mojito_member(assigned(it), "buildInfo") => {
                left_out.push(it.span);
                if let Expression::ObjectExpression(object) = it.right.without_parentheses() {
                    build_info = Some(read_build_info(object));
                }
            }
            _ => {}
        }
    }
    let normalizer = Normalizer::new(text, &semantic, left_out);
    let library = Library::in_script(text);
    let experiments = experiments.into_iter();
    let mut experiments: Vec<Experiment> = experiments
        .map(|(object, call)| read_experiment(object, call, library, &normalizer))
        .collect();
    run_in_order(&mut experiments);
    Ok(Script {
        is_mojito: is_mojito(&semantic),
        build_info,
        experiments,
        unreadable,
        shared_code: normalizer.hash_of_rest(program.span),
    })
}

/// The argument of the call, if it is one object.
fn only_argument<'a>(call: &'a CallExpression<'a>) -> Option<&'a ObjectExpression<'a>> {
    match &call.arguments[..] {
        [argument] => match argument.as_expression()?.without_parentheses() {
            Expression::ObjectExpression(object) => Some(object),
            _ => None,
        },
        _ => None,
    }
}

/// Whether this is the global `Mojito`, by name or as a property of the window.
fn is_global_mojito(expression: &Expression) -> bool {
    let expression = expression.without_parentheses();
    expression.is_specific_id("Mojito")
        || ["window", "self", "globalThis"]
            .iter()
            .any(|global| expression.is_specific_member_access(global, "Mojito"))
}

/// Whether this is `Mojito.PROPERTY`.
fn is_mojito_member(member: Option<&MemberExpression>, property: &str) -> bool {
    member.is_some_and(|member| {
        member.static_property_name() == Some(property) && is_global_mojito(member.object())
    })
}

/// The member expression that is called.
fn called<'a>(call: &'a CallExpression<'a>) -> Option<&'a MemberExpression<'a>> {
    match call.callee.without_parentheses() {
        Expression::ChainExpression(chain) => chain.expression.as_member_expression(),
        expression => expression.as_member_expression(),
    }
}

/// Whether the script assigns or declares the global `Mojito`, or uses it in a condition.
fn is_mojito(semantic: &Semantic) -> bool {
    let (mut conditions, mut mentions) = (Vec::new(), Vec::new());
    for node in semantic.nodes() {
        match node.kind() {
            AstKind::AssignmentExpression(assignment) => {
                let target = assignment.left.as_simple_assignment_target();
                let variable = || target?.get_identifier_name();
                let property = || assigned(assignment)?.static_property_name();
                if variable().or_else(property) == Some("Mojito") {
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
    let declared = semantic.scoping().get_root_binding("Mojito".into());
    declared.is_some() || any_inside(&mentions, conditions)
}

/// Whether any span lies inside one of the others.
fn any_inside(spans: &[Span], mut others: Vec<Span>) -> bool {
    others.sort_by_key(|other| other.start);
    // The furthest end of all spans up to each one.
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
