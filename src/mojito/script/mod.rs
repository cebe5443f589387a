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
use self::fingerprint::{is_global, Normalizer};
pub(crate) use self::module_exports::{read_exports, Exports};
use self::parse::{assigned, parse};
pub(crate) use self::syntax_error::{SyntaxError, SyntaxErrorKind};
use crate::mojito::experiment::{BuildInfo, Experiment};

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
    let (program, semantic) = parse(&allocator, text, SourceType::script()).map_err(|error| {
        if error.kind == SyntaxErrorKind::Unchecked {
            return error;
        }
        match parse(&allocator, text, SourceType::mjs()) {
            Ok(_) => SyntaxError {
                kind: SyntaxErrorKind::Module,
                ..error
            },
            Err(_) => error,
        }
    })?;
    let uses = MojitoUses::find(&semantic);
    let normalizer = Normalizer::new(text, &semantic, uses.spans);
    let experiments = uses.experiments.into_iter();
    Ok(Script {
        is_mojito: is_mojito(&semantic),
        build_info: uses.build_info,
        experiments: experiments
            .map(|(object, call)| read_experiment(object, call, &normalizer))
            .collect(),
        unreadable: uses.unreadable,
        shared_code: normalizer.hash_of_rest(program.span),
    })
}

/// Where a script calls `Mojito.addTest` and assigns `Mojito.buildInfo`.
#[derive(Default)]
struct MojitoUses<'a> {
    /// The argument and the span of each call with an object.
    experiments: Vec<(&'a ObjectExpression<'a>, Span)>,
    /// Calls with anything else.
    unreadable: usize,
    build_info: Option<BuildInfo>,
    /// What is not shared code.
    spans: Vec<Span>,
}

impl<'a> MojitoUses<'a> {
    fn find(semantic: &Semantic<'a>) -> Self {
        let mut uses = Self::default();
        for node in semantic.nodes() {
            match node.kind() {
                AstKind::CallExpression(call) if is_mojito_member(called(call), "addTest") => {
                    uses.add_test(call);
                }
                AstKind::AssignmentExpression(assignment)
                    if is_mojito_member(assigned(assignment), "buildInfo") =>
                {
                    uses.spans.push(assignment.span);
                    if let Expression::ObjectExpression(object) =
                        assignment.right.without_parentheses()
                    {
                        uses.build_info = Some(read_build_info(object));
                    }
                }
                _ => {}
            }
        }
        uses
    }

    fn add_test(&mut self, call: &'a CallExpression<'a>) {
        let argument = match &call.arguments[..] {
            [argument] => argument.as_expression(),
            _ => None,
        };
        match argument.map(Expression::without_parentheses) {
            Some(Expression::ObjectExpression(object)) => {
                self.spans.push(call.span);
                self.experiments.push((object, call.span));
            }
            // It counts as shared code, so that a change is noticed.
            _ => self.unreadable += 1,
        }
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
    let scoping = semantic.scoping();
    let declared = scoping
        .symbol_ids()
        .any(|id| scoping.symbol_name(id) == "Mojito" && is_global(semantic, id));
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
    declared || any_inside(&mentions, conditions)
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
