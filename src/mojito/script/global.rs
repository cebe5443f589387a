//! Recognises the global `Mojito`, and what a script does with it: whether it is a container at all.

use oxc_ast::ast::{AssignmentOperator, BinaryOperator, Expression, LogicalOperator};
use oxc_ast::AstKind;
use oxc_semantic::Semantic;
use oxc_span::{GetSpan, Span};

use super::experiments::constant;
use super::parse::assigned;
use crate::mojito::experiment::Value;

/// Whether the value of an expression is the global `Mojito`. Minifiers use that of the assignment to it.
pub(super) fn is_global_mojito(expression: &Expression, semantic: &Semantic) -> bool {
    let is_mojito = |it: &Expression| is_global_mojito(it, semantic);
    match expression.without_parentheses() {
        Expression::Identifier(id) => id.name == "Mojito",
        Expression::AssignmentExpression(it) => {
            let target = it.left.as_simple_assignment_target();
            let named = target.and_then(|target| target.get_identifier_name());
            let value_is_kept = matches!(
                it.operator,
                AssignmentOperator::Assign
                    | AssignmentOperator::LogicalOr
                    | AssignmentOperator::LogicalNullish
            );
            let is_target = named == Some("Mojito")
                || assigned(it).is_some_and(|member| {
                    member.static_property_name() == Some("Mojito")
                        && is_window(member.object(), semantic)
                });
            value_is_kept && (is_target || is_mojito(&it.right))
        }
        Expression::SequenceExpression(it) => it.expressions.last().is_some_and(is_mojito),
        Expression::LogicalExpression(it) => {
            is_mojito(&it.right) || (it.operator != LogicalOperator::And && is_mojito(&it.left))
        }
        Expression::ConditionalExpression(it) => {
            is_mojito(&it.consequent) || is_mojito(&it.alternate)
        }
        Expression::ChainExpression(chain) => {
            let member = chain.expression.as_member_expression();
            member.is_some_and(|member| {
                member.static_property_name() == Some("Mojito")
                    && is_window(member.object(), semantic)
            })
        }
        other => other.as_member_expression().is_some_and(|member| {
            member.static_property_name() == Some("Mojito") && is_window(member.object(), semantic)
        }),
    }
}

/// Whether this is the window, under any of its names.
fn is_window(expression: &Expression, semantic: &Semantic) -> bool {
    match expression.without_parentheses() {
        Expression::Identifier(id) => matches!(
            id.name.as_str(),
            "window" | "self" | "globalThis" | "top" | "parent" | "frames"
        ),
        Expression::ThisExpression(this) => {
            let mut around = semantic.nodes().ancestor_kinds(this.node_id.get());
            !around.any(|kind| matches!(kind, AstKind::Function(_) | AstKind::ClassBody(_)))
        }
        other => other.as_member_expression().is_some_and(|member| {
            matches!(member.static_property_name(), Some("window" | "self"))
                && is_window(member.object(), semantic)
        }),
    }
}

/// What a script does with the global `Mojito`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UseOfMojito {
    /// It defines it, tests for it, or catches what a use of it throws.
    Sound,
    /// It uses it, and throws where there is none.
    Unguarded,
    /// None of these.
    None,
}

pub(super) fn use_of_mojito(semantic: &Semantic) -> UseOfMojito {
    let (mut guarded, mut mentions) = (Vec::new(), Vec::new());
    // Uses that throw where there is no `Mojito`.
    let mut is_unguarded = false;
    let nodes = semantic.nodes();
    for node in nodes {
        match node.kind() {
            AstKind::AssignmentExpression(assignment)
                if assigned(assignment).and_then(|member| member.static_property_name())
                    == Some("Mojito") =>
            {
                return UseOfMojito::Sound;
            }
            AstKind::IfStatement(statement) => guarded.push(statement.test.span()),
            AstKind::WhileStatement(statement) => guarded.push(statement.test.span()),
            AstKind::ConditionalExpression(expression) => guarded.push(expression.test.span()),
            AstKind::LogicalExpression(expression) => guarded.push(expression.left.span()),
            AstKind::TryStatement(it) if it.handler.is_some() => guarded.push(it.block.span),
            AstKind::CallExpression(call) if call.optional => guarded.push(call.callee.span()),
            AstKind::BinaryExpression(it)
                if it.operator == BinaryOperator::In
                    && constant(&it.left) == Some(Value::Text("Mojito".to_owned())) =>
            {
                return UseOfMojito::Sound;
            }
            AstKind::IdentifierReference(id) if id.name == "Mojito" => {
                let reference = semantic.scoping().get_reference(id.reference_id());
                if reference.symbol_id().is_none() && reference.is_write() {
                    return UseOfMojito::Sound;
                }
                mentions.push(id.span);
                let parent = nodes.parent_kind(node.id());
                is_unguarded |=
                    !matches!(parent, AstKind::UnaryExpression(it) if it.operator.is_typeof());
            }
            kind => {
                let Some(member) = kind.as_member_expression_kind() else {
                    continue;
                };
                if member.optional() {
                    guarded.push(member.object().span());
                }
                if member.static_property_name().as_deref() == Some("Mojito") {
                    mentions.push(kind.span());
                    is_unguarded |= nodes.parent_kind(node.id()).is_member_expression_kind();
                }
            }
        }
    }
    let guarded = Spans::new(guarded);
    let declared = semantic.scoping().get_root_binding("Mojito".into());
    if declared.is_some() || mentions.into_iter().any(|it| guarded.hold(it)) {
        UseOfMojito::Sound
    } else if is_unguarded {
        UseOfMojito::Unguarded
    } else {
        UseOfMojito::None
    }
}

/// Spans, to look up what lies inside one of them.
pub(super) struct Spans(Vec<Span>);

impl Spans {
    pub(super) fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.start);
        // The furthest end of all spans up to each one.
        let mut reach = 0;
        for span in &mut spans {
            reach = reach.max(span.end);
            span.end = reach;
        }
        Self(spans)
    }

    pub(super) fn hold(&self, inner: Span) -> bool {
        let before = self.0.partition_point(|span| span.start <= inner.start);
        before > 0 && inner.end <= self.0[before - 1].end
    }
}
