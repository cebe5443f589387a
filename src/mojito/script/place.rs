//! Finds where in the script an experiment is added: whether that happens for certain, and what an error stops there.

use oxc_ast::ast::Expression;
use oxc_ast::AstKind;
use oxc_semantic::{AstNodes, NodeId, Semantic};
use oxc_span::{GetSpan, Span};

use crate::mojito::experiment::Place;

/// What is around a node, with its end.
struct Around {
    end: u32,
    kind: Kind,
}

enum Kind {
    /// A `try` block whose error is caught, or an `async` function.
    Catches,
    /// A statement that runs if there is a Mojito, or if there is none, as the whole container does.
    Guarded,
    /// A condition decides whether it runs, or how often.
    Conditional,
    /// A function, and the end of the first `return` or `throw` in it.
    Function {
        is_called: bool,
        ended_at: Option<u32>,
    },
}

pub(super) struct Places<'a> {
    semantic: &'a Semantic<'a>,
    /// Where the text mentions `Mojito`.
    mentions: Vec<u32>,
    around: Vec<Around>,
    /// The end of the first `throw` outside of functions.
    ended_at: Option<u32>,
}

impl<'a> Places<'a> {
    pub(super) fn new(semantic: &'a Semantic<'a>) -> Self {
        let mentions = semantic.source_text().match_indices("Mojito");
        let mentions = mentions.filter_map(|(at, _)| u32::try_from(at).ok());
        Self {
            semantic,
            mentions: mentions.collect(),
            around: Vec::new(),
            ended_at: None,
        }
    }

    /// Nodes come in the order of their start.
    pub(super) fn visit(&mut self, id: NodeId, kind: AstKind) {
        let span = kind.span();
        while self.around.pop_if(|it| it.end <= span.start).is_some() {}
        let nodes = self.semantic.nodes();
        let parent = nodes.parent_kind(id);
        let mut push = |kind: Kind| {
            let end = span.end;
            self.around.push(Around { end, kind });
        };
        if let Some(kind) = branch(&self.mentions, parent, span) {
            push(kind);
        }
        match kind {
            AstKind::BlockStatement(_) => {
                let catches = matches!(parent, AstKind::TryStatement(it) if it.handler.is_some() && it.block.span == span);
                if catches {
                    push(Kind::Catches);
                }
            }
            AstKind::Function(_) | AstKind::ArrowFunctionExpression(_) => {
                if never_runs(self.semantic, kind) {
                    push(Kind::Conditional);
                }
                push(Kind::Function {
                    is_called: is_called(nodes, id),
                    ended_at: None,
                });
                if is_async(kind) {
                    push(Kind::Catches);
                }
            }
            AstKind::ReturnStatement(_) | AstKind::ThrowStatement(_) => self.end_function(span.end),
            _ => {}
        }
    }

    /// The place of a call that starts at `at`.
    pub(super) fn of_call(&self, at: u32) -> Place {
        let has_ended = |ended_at: Option<u32>| ended_at.is_some_and(|end| end <= at);
        let is_conditional = |it: &Around| match it.kind {
            Kind::Conditional => true,
            Kind::Function { ended_at, .. } => has_ended(ended_at),
            Kind::Catches | Kind::Guarded => false,
        };
        let mut inner = self.around.iter().rev();
        let stopped = inner.find(|it| match it.kind {
            Kind::Catches | Kind::Conditional => true,
            Kind::Function { is_called, .. } => !is_called,
            Kind::Guarded => false,
        });
        Place {
            at,
            is_conditional: has_ended(self.ended_at) || self.around.iter().any(is_conditional),
            stops_until: stopped.map(|it| it.end),
            may_stop_more: stopped.is_some_and(|it| !matches!(it.kind, Kind::Catches)),
        }
    }

    /// What may follow a `return` or `throw` does not run for certain.
    fn end_function(&mut self, at: u32) {
        let mut is_conditional = false;
        for around in self.around.iter_mut().rev() {
            match &mut around.kind {
                Kind::Guarded if !is_conditional => return,
                Kind::Guarded | Kind::Catches => {}
                Kind::Conditional => is_conditional = true,
                Kind::Function { ended_at, .. } => {
                    ended_at.get_or_insert(at);
                    return;
                }
            }
        }
        self.ended_at.get_or_insert(at);
    }
}

/// A generator does not run by being called. A function may be unused.
fn never_runs(semantic: &Semantic, function: AstKind) -> bool {
    let AstKind::Function(function) = function else {
        return false;
    };
    let name = function.id.as_ref().filter(|_| function.is_declaration());
    let mut uses = name.map(|it| semantic.symbol_references(it.symbol_id()));
    function.generator || uses.as_mut().is_some_and(|it| it.next().is_none())
}

fn is_async(function: AstKind) -> bool {
    match function {
        AstKind::Function(it) => it.r#async,
        AstKind::ArrowFunctionExpression(it) => it.r#async,
        _ => false,
    }
}

/// Whether a condition decides whether the node with this span runs.
fn branch(mentions: &[u32], parent: AstKind, span: Span) -> Option<Kind> {
    let is_guard = |test: &Expression| tests_for_mojito(mentions, test);
    let body = match parent {
        AstKind::IfStatement(it) if it.test.span() != span => {
            let is_guarded = is_guard(&it.test);
            return Some(if is_guarded {
                Kind::Guarded
            } else {
                Kind::Conditional
            });
        }
        AstKind::ConditionalExpression(it) if it.test.span() != span && !is_guard(&it.test) => span,
        AstKind::LogicalExpression(it) if !is_guard(&it.left) => it.right.span(),
        AstKind::SwitchCase(it) if it.test.as_ref().is_none_or(|it| it.span() != span) => span,
        AstKind::CatchClause(it) => it.body.span,
        AstKind::WhileStatement(it) => it.body.span(),
        AstKind::ForStatement(it) => it.body.span(),
        AstKind::ForInStatement(it) => it.body.span(),
        AstKind::ForOfStatement(it) => it.body.span(),
        _ => return None,
    };
    (body == span).then_some(Kind::Conditional)
}

/// Whether a condition mentions Mojito. Minifiers move what comes before an `if` into it.
fn tests_for_mojito(mentions: &[u32], test: &Expression) -> bool {
    let span = match test.without_parentheses() {
        Expression::SequenceExpression(it) => it.expressions.last().map_or(it.span, GetSpan::span),
        test => test.span(),
    };
    let first = mentions.partition_point(|at| *at < span.start);
    mentions.get(first).is_some_and(|at| *at < span.end)
}

/// Whether a function is called where it stands.
fn is_called(nodes: &AstNodes, function: NodeId) -> bool {
    let mut inner = nodes.kind(function).span();
    for kind in nodes.ancestor_kinds(function) {
        match kind {
            AstKind::ParenthesizedExpression(_) => inner = kind.span(),
            AstKind::CallExpression(call) => return call.callee.span() == inner,
            _ => return false,
        }
    }
    false
}
