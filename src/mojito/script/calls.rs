//! Finds the calls of `Mojito.addTest` that can be read, and counts what else mentions `addTest`.
//!
//! A container can add experiments in ways that cannot be read: by another name for `Mojito`, by `call` or `bind`, in code
//! that is a string. None of them may pass unnoticed.

use std::cmp::Reverse;
use std::collections::HashMap;

use oxc_ast::ast::{
    Argument, AssignmentExpression, BinaryExpression, CallExpression, Expression, LogicalOperator,
    MemberExpression, ObjectExpression, PropertyKey,
};
use oxc_ast::AstKind;
use oxc_semantic::{NodeId, Semantic};
use oxc_span::{GetSpan, Span};

use super::experiments::constant;
use super::global::{is_global_mojito, Spans};
use super::parse::assigned;
use super::place::Places;
use crate::mojito::experiment::Place;
use crate::mojito::value::Value;

const ADD_TEST: &str = "addTest";
/// How far to look for what becomes of a value, as looking further takes quadratic time.
const MAX_STEPS: usize = 100;

/// A call that adds an experiment, or the assignment of the build info.
pub(super) struct Found<'a> {
    /// `None` if it is not one object literal.
    pub(super) object: Option<&'a ObjectExpression<'a>>,
    /// The whole call or assignment.
    pub(super) node: NodeId,
    pub(super) span: Span,
    /// The object that it is called on, if that does more: `(Mojito = function(){}())`.
    pub(super) receiver: Option<Span>,
    pub(super) place: Place,
}

impl<'a> Found<'a> {
    fn new(
        node: NodeId,
        span: Span,
        member: &'a MemberExpression<'a>,
        object: Option<&'a ObjectExpression<'a>>,
    ) -> Self {
        let receiver = member.object();
        Self {
            object,
            node,
            span,
            receiver: assigns(receiver).then(|| receiver.span()),
            place: Place::default(),
        }
    }

    /// What adds the experiment, without the receiver.
    pub(super) fn own(&self) -> Span {
        let start = self.receiver.map_or(self.span.start, |it| it.end);
        Span::new(start, self.span.end)
    }
}

/// Everything that concerns `addTest` and `buildInfo`.
#[derive(Default)]
pub(super) struct Calls<'a> {
    pub(super) experiments: Vec<Found<'a>>,
    pub(super) build_info: Vec<Found<'a>>,
    /// How often `addTest` is mentioned otherwise, apart from its definition and tests for it.
    pub(super) unreadable: usize,
    /// Whether `addTest` is defined.
    pub(super) is_defined: bool,
}

pub(super) fn calls<'a>(semantic: &Semantic<'a>) -> Calls<'a> {
    let mut calls = Calls::default();
    let mut names = Names::default();
    let mut places = Places::new(semantic);
    for node in semantic.nodes() {
        places.visit(node.id(), node.kind());
        calls.visit(semantic, node.id(), node.kind(), &places);
        names.visit(semantic, node.id(), node.kind());
    }
    calls.is_defined |= !names.definitions.is_empty();
    calls.unreadable += names.count_others();
    calls
}

impl<'a> Calls<'a> {
    /// What is not shared code, and the receivers in it, which are.
    pub(super) fn left_out(&self) -> (Vec<Span>, HashMap<Span, NodeId>) {
        let (mut left_out, mut receivers) = (Vec::new(), HashMap::new());
        for call in self.experiments.iter().chain(&self.build_info) {
            left_out.push(call.own());
            if let Some(receiver) = call.receiver {
                left_out.push(Span::new(call.span.start, receiver.start));
                receivers.insert(receiver, call.node);
            }
        }
        (left_out, receivers)
    }

    fn visit(&mut self, semantic: &Semantic<'a>, id: NodeId, kind: AstKind<'a>, places: &Places) {
        let is_used = match kind {
            AstKind::CallExpression(call) => {
                let Some(member) = called(call).filter(|it| is_named(it, ADD_TEST)) else {
                    return;
                };
                let object = only_argument(call);
                let is_read = object.is_some() && is_global_mojito(member.object(), semantic);
                if is_read {
                    let place = places.of_call(call.span.start);
                    let found = Found::new(id, call.span, member, object);
                    self.experiments.push(Found { place, ..found });
                }
                // It counts as shared code, so that a change is noticed.
                !is_read
            }
            AstKind::AssignmentExpression(it) => {
                let member = assigned(it);
                self.is_defined |= member.is_some_and(|it| is_named(it, ADD_TEST));
                let info = member.filter(|member| {
                    is_named(member, "buildInfo") && is_global_mojito(member.object(), semantic)
                });
                let info = info.map(|member| build_info(id, it, member));
                self.build_info.extend(info);
                false
            }
            AstKind::StaticMemberExpression(member) => {
                member.property.name == ADD_TEST && is_value(semantic, id)
            }
            AstKind::ComputedMemberExpression(member) => {
                is_add_test(&member.expression) && is_value(semantic, id)
            }
            // In `with (Mojito)`.
            AstKind::IdentifierReference(it) if it.name == ADD_TEST => {
                let reference = semantic.scoping().get_reference(it.reference_id());
                reference.symbol_id().is_none() && reference.is_read()
            }
            _ => false,
        };
        self.unreadable += usize::from(is_used);
    }
}

/// Where `addTest` stands as a key or in a text.
#[derive(Default)]
struct Names {
    all: Vec<Span>,
    definitions: Vec<Span>,
    /// What is counted as a member expression or only tests for it.
    counted: Vec<Span>,
}

impl Names {
    fn visit(&mut self, semantic: &Semantic, id: NodeId, kind: AstKind) {
        let parent = || semantic.nodes().parent_kind(id);
        match kind {
            AstKind::ComputedMemberExpression(member) if is_add_test(&member.expression) => {
                self.counted.push(member.expression.span());
            }
            AstKind::ObjectProperty(it) if is_key(&it.key) => self.definitions.push(it.key.span()),
            AstKind::MethodDefinition(it) if is_key(&it.key) => {
                self.definitions.push(it.key.span());
            }
            AstKind::PropertyDefinition(it) if is_key(&it.key) => {
                self.definitions.push(it.key.span());
            }
            // Destructuring.
            AstKind::BindingProperty(it) if is_key(&it.key) => self.all.push(it.key.span()),
            AstKind::AssignmentTargetPropertyProperty(it) if is_key(&it.name) => {
                self.all.push(it.name.span());
            }
            AstKind::AssignmentTargetPropertyIdentifier(it) if it.binding.name == ADD_TEST => {
                self.all.push(it.span);
            }
            AstKind::StringLiteral(text) if mentions_add_test(&text.value) => {
                if defines(parent(), text.span) {
                    self.definitions.push(text.span);
                }
                self.all.push(text.span);
            }
            AstKind::TemplateElement(text)
                if text.value.cooked.is_some_and(|it| mentions_add_test(&it)) =>
            {
                self.all.push(text.span);
            }
            AstKind::BinaryExpression(it) if it.operator.is_in() => {
                let is_text = matches!(it.left, Expression::StringLiteral(_));
                self.counted.extend(is_text.then(|| it.left.span()));
            }
            AstKind::BinaryExpression(it)
                if !matches!(parent(), AstKind::BinaryExpression(_)) && joins_add_test(it) =>
            {
                self.all.push(it.span);
            }
            _ => {}
        }
    }

    /// How many neither define it nor are counted elsewhere.
    fn count_others(mut self) -> usize {
        self.counted.append(&mut self.definitions);
        let counted = Spans::new(self.counted);
        // Text in a text counts once.
        self.all.sort_by_key(|it| (it.start, Reverse(it.end)));
        self.all
            .dedup_by(|inner, outer| outer.contains_inclusive(*inner));
        self.all.iter().filter(|it| !counted.hold(**it)).count()
    }
}

fn build_info<'a>(
    node: NodeId,
    assignment: &'a AssignmentExpression<'a>,
    member: &'a MemberExpression<'a>,
) -> Found<'a> {
    let object = match assignment.right.without_parentheses() {
        Expression::ObjectExpression(object) => Some(&**object),
        _ => None,
    };
    Found::new(node, assignment.span, member, object)
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

/// The member expression that is called.
fn called<'a>(call: &'a CallExpression<'a>) -> Option<&'a MemberExpression<'a>> {
    match call.callee.without_parentheses() {
        Expression::ChainExpression(chain) => chain.expression.as_member_expression(),
        expression => expression.as_member_expression(),
    }
}

fn is_named(member: &MemberExpression, name: &str) -> bool {
    match member {
        MemberExpression::ComputedMemberExpression(it) => is_text(&it.expression, name),
        other => other.static_property_name() == Some(name),
    }
}

fn is_add_test(name: &Expression) -> bool {
    is_text(name, ADD_TEST)
}

fn is_text(expression: &Expression, text: &str) -> bool {
    matches!(constant(expression), Some(Value::Text(it)) if it == text)
}

fn is_key(key: &PropertyKey) -> bool {
    key.static_name().as_deref() == Some(ADD_TEST) || key.as_expression().is_some_and(is_add_test)
}

/// Whether a constant of several texts has the word `addTest`.
fn joins_add_test(sum: &BinaryExpression) -> bool {
    let [left, right] = [&sum.left, &sum.right].map(constant);
    match (sum.operator.as_str(), left, right) {
        ("+", Some(Value::Text(left)), Some(Value::Text(right))) => {
            mentions_add_test(&(left + &right))
        }
        _ => false,
    }
}

/// Whether a text has the word `addTest`.
fn mentions_add_test(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    text.match_indices(ADD_TEST).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + ADD_TEST.len()..].starts_with(is_part)
    })
}

/// Whether this is `Object.defineProperty(.., text, ..)`.
fn defines(parent: AstKind, text: Span) -> bool {
    let AstKind::CallExpression(call) = parent else {
        return false;
    };
    let is_name = |argument: &Argument| argument.span() == text;
    called(call).is_some_and(|it| is_named(it, "defineProperty"))
        && call.arguments.get(1).is_some_and(is_name)
}

/// Whether the value of a member expression is used: not called, assigned or merely tested for.
fn is_value(semantic: &Semantic, mut id: NodeId) -> bool {
    let nodes = semantic.nodes();
    for _ in 0..MAX_STEPS {
        let span = nodes.kind(id).span();
        id = nodes.parent_id(id);
        match nodes.kind(id) {
            AstKind::CallExpression(call) => {
                // A call of it is counted by itself.
                return call.callee.span() != span || called(call).is_none();
            }
            AstKind::AssignmentExpression(it) => return it.left.span() != span,
            AstKind::UnaryExpression(_)
            | AstKind::IfStatement(_)
            | AstKind::WhileStatement(_)
            | AstKind::ExpressionStatement(_) => return false,
            AstKind::BinaryExpression(it) => return !it.operator.is_equality(),
            AstKind::LogicalExpression(it)
                if it.operator == LogicalOperator::And && it.left.span() == span =>
            {
                return false;
            }
            AstKind::ConditionalExpression(it) if it.test.span() == span => return false,
            AstKind::SequenceExpression(it)
                if it.expressions.last().is_none_or(|last| last.span() != span) =>
            {
                return false;
            }
            AstKind::ParenthesizedExpression(_)
            | AstKind::ChainExpression(_)
            | AstKind::LogicalExpression(_)
            | AstKind::ConditionalExpression(_)
            | AstKind::SequenceExpression(_) => {}
            _ => return true,
        }
    }
    true
}

/// Whether an expression assigns something, apart from its value.
fn assigns(expression: &Expression) -> bool {
    match expression.without_parentheses() {
        Expression::AssignmentExpression(_) | Expression::CallExpression(_) => true,
        Expression::SequenceExpression(it) => it.expressions.iter().any(assigns),
        Expression::LogicalExpression(it) => assigns(&it.left) || assigns(&it.right),
        Expression::ConditionalExpression(it) => [&it.test, &it.consequent, &it.alternate]
            .into_iter()
            .any(assigns),
        _ => false,
    }
}
