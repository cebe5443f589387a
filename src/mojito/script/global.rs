//! Recognises the global `Mojito`, and what a script does with it: whether it is a container at all.

use oxc_ast::ast::{
    AssignmentOperator, BinaryOperator, Expression, LogicalOperator, MemberExpression,
    SimpleAssignmentTarget,
};
use oxc_ast::AstKind;
use oxc_semantic::Semantic;
use oxc_span::{GetSpan, Span};

use super::parse::assigned;

/// Whether the value of an expression is the global `Mojito`. Minifiers use that of the assignment to it.
pub(super) fn is_global_mojito(expression: &Expression, semantic: &Semantic) -> bool {
    let is_mojito = |it: &Expression| is_global_mojito(it, semantic);
    match expression.without_parentheses() {
        Expression::Identifier(id) => id.name == "Mojito",
        Expression::AssignmentExpression(it) => {
            let target = it.left.as_simple_assignment_target();
            let named = target.and_then(SimpleAssignmentTarget::get_identifier_name);
            let value_is_kept = matches!(
                it.operator,
                AssignmentOperator::Assign
                    | AssignmentOperator::LogicalOr
                    | AssignmentOperator::LogicalNullish
            );
            let is_target = named == Some("Mojito") || is_property(assigned(it), semantic);
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
            is_property(chain.expression.as_member_expression(), semantic)
        }
        other => is_property(other.as_member_expression(), semantic),
    }
}

/// Whether this is `window.Mojito`.
fn is_property(member: Option<&MemberExpression>, semantic: &Semantic) -> bool {
    member.is_some_and(|member| {
        member.static_property_name() == Some("Mojito") && is_window(member.object(), semantic)
    })
}

/// Whether this is the window, under any of its names.
fn is_window(expression: &Expression, semantic: &Semantic) -> bool {
    match expression.without_parentheses() {
        Expression::Identifier(id) => matches!(
            id.name.as_str(),
            "window" | "self" | "globalThis" | "top" | "parent" | "frames"
        ),
        Expression::ThisExpression(this) => {
            let around = semantic.nodes().ancestor_kinds(this.node_id.get());
            // Looking further takes quadratic time.
            let mut around = around.take(100);
            let end = around.find(|kind| {
                matches!(
                    kind,
                    AstKind::Function(_) | AstKind::ClassBody(_) | AstKind::Program(_)
                )
            });
            matches!(end, Some(AstKind::Program(_)))
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
    /// It only mentions it, such as in a string.
    Mentioned,
    /// None of these.
    None,
}

pub(super) fn use_of_mojito(semantic: &Semantic) -> UseOfMojito {
    let (mut guarded, mut mentions) = (Vec::new(), Vec::new());
    // Uses that throw where there is no `Mojito`.
    let mut is_unguarded = false;
    let mut is_text = false;
    for node in semantic.nodes() {
        let kind = node.kind();
        if defines(kind, semantic) {
            return UseOfMojito::Sound;
        }
        guarded.extend(guards(kind));
        let parent = || semantic.nodes().parent_kind(node.id());
        match kind {
            AstKind::IdentifierReference(id) if id.name == "Mojito" => {
                mentions.push(id.span);
                is_unguarded |=
                    !matches!(parent(), AstKind::UnaryExpression(it) if it.operator.is_typeof());
            }
            AstKind::StaticMemberExpression(member) if member.property.name == "Mojito" => {
                mentions.push(member.span);
                is_unguarded |= parent().is_member_expression_kind();
            }
            AstKind::ComputedMemberExpression(member)
                if member.static_property_name().as_deref() == Some("Mojito") =>
            {
                mentions.push(member.span);
                is_unguarded |= parent().is_member_expression_kind();
            }
            AstKind::StringLiteral(text) => is_text |= text.value.contains("Mojito"),
            _ => {}
        }
    }
    let is_mentioned = is_text || !mentions.is_empty();
    let guarded = Spans::new(guarded);
    let declared = semantic.scoping().get_root_binding("Mojito".into());
    if declared.is_some() || mentions.into_iter().any(|it| guarded.hold(it)) {
        UseOfMojito::Sound
    } else if is_unguarded {
        UseOfMojito::Unguarded
    } else if is_mentioned {
        UseOfMojito::Mentioned
    } else {
        UseOfMojito::None
    }
}

/// Whether this assigns the global, or tests whether the window has it.
fn defines(kind: AstKind, semantic: &Semantic) -> bool {
    match kind {
        AstKind::AssignmentExpression(assignment) => {
            let member = assigned(assignment);
            member.and_then(MemberExpression::static_property_name) == Some("Mojito")
        }
        AstKind::IdentifierReference(id) if id.name == "Mojito" => {
            let reference = semantic.scoping().get_reference(id.reference_id());
            reference.symbol_id().is_none() && reference.is_write()
        }
        AstKind::BinaryExpression(it) if it.operator == BinaryOperator::In => {
            matches!(&it.left, Expression::StringLiteral(text) if text.value == "Mojito")
        }
        _ => false,
    }
}

/// Where a use of `Mojito` is a test for it, or does not stop the script.
fn guards(kind: AstKind) -> Option<Span> {
    Some(match kind {
        AstKind::IfStatement(statement) => statement.test.span(),
        AstKind::WhileStatement(statement) => statement.test.span(),
        AstKind::ConditionalExpression(expression) => expression.test.span(),
        AstKind::LogicalExpression(expression) => expression.left.span(),
        AstKind::TryStatement(it) if it.handler.is_some() => it.block.span,
        AstKind::CallExpression(call) if call.optional => call.callee.span(),
        AstKind::StaticMemberExpression(member) if member.optional => member.object.span(),
        AstKind::ComputedMemberExpression(member) if member.optional => member.object.span(),
        _ => return None,
    })
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
