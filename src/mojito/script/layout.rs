//! Finds where statements and sequences are separated, and which brackets only group.
//!
//! Minifiers join statements by commas, drop the last semicolon, and call the value of an assignment: `(Mojito = f()).addTest({})`.
//! What they do depends on what stands beside it, so adding or removing an experiment changes code that stays the same.

use std::collections::HashMap;

use oxc_ast::ast::Statement;
use oxc_ast::AstKind;
use oxc_semantic::{AstNodes, NodeId, Semantic};
use oxc_span::{GetSpan, Span};

/// What replaces separators and groups, in the order of what stands at one place.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Layout {
    /// After a branch.
    Close,
    /// Between statements or the parts of a sequence.
    Separator,
    /// Before a branch: of `if`, `? :` or `&&`, or the body of a loop.
    Open,
}

/// A place, and what replaces the text there: nothing for brackets that change nothing.
type Mark = (Span, Option<Layout>);

/// `receivers` are what calls that are left out are called on, with those calls.
pub(super) fn layout<'a>(
    text: &'a str,
    semantic: &'a Semantic,
    receivers: &'a HashMap<Span, NodeId>,
) -> impl Iterator<Item = Mark> + 'a {
    let nodes = semantic.nodes();
    nodes.iter().flat_map(move |node| {
        let kind = node.kind();
        let mut marks = Vec::new();
        let parent = nodes.parent_kind(node.id());
        if is_list(parent, kind.span()) && !matches!(kind, AstKind::Directive(_)) {
            statement(text, kind.span(), &mut marks);
        }
        match kind {
            AstKind::ParenthesizedExpression(it)
                if !matters(nodes, node.id(), it.span, receivers) =>
            {
                marks.extend(brackets(it.span));
            }
            // The end of these is that of a statement, so a comma must not look like one.
            AstKind::SequenceExpression(_)
                if matches!(
                    parent,
                    AstKind::ReturnStatement(_) | AstKind::ThrowStatement(_)
                ) => {}
            AstKind::SequenceExpression(it) => {
                let ends = it.expressions.iter().map(|it| it.span().end);
                let starts = it.expressions.iter().skip(1).map(|it| it.span().start);
                let gaps = ends.zip(starts).map(|(end, start)| Span::new(end, start));
                marks.extend(gaps.map(|gap| (gap, Some(Layout::Separator))));
            }
            AstKind::LogicalExpression(it) => branch(it.right.span(), &mut marks),
            AstKind::ConditionalExpression(it) => {
                branch(it.consequent.span(), &mut marks);
                branch(it.alternate.span(), &mut marks);
            }
            AstKind::IfStatement(it) => {
                body(text, &it.consequent, &mut marks);
                if let Some(alternate) = &it.alternate {
                    body(text, alternate, &mut marks);
                }
            }
            AstKind::ForStatement(it) => body(text, &it.body, &mut marks),
            AstKind::ForInStatement(it) => body(text, &it.body, &mut marks),
            AstKind::ForOfStatement(it) => body(text, &it.body, &mut marks),
            AstKind::WhileStatement(it) => body(text, &it.body, &mut marks),
            AstKind::DoWhileStatement(it) => body(text, &it.body, &mut marks),
            AstKind::WithStatement(it) => body(text, &it.body, &mut marks),
            AstKind::LabeledStatement(it) => body(text, &it.body, &mut marks),
            _ => {}
        }
        marks
    })
}

/// Whether the parent of this statement holds a list of them.
fn is_list(parent: AstKind, statement: Span) -> bool {
    match parent {
        // That of `a => b` is `b`.
        AstKind::FunctionBody(body) => body.span != statement,
        AstKind::Program(_)
        | AstKind::BlockStatement(_)
        | AstKind::StaticBlock(_)
        | AstKind::SwitchCase(_) => true,
        _ => false,
    }
}

/// A statement in a list is separated from those around it.
fn statement(text: &str, span: Span, marks: &mut Vec<Mark>) {
    marks.push((Span::empty(span.start), Some(Layout::Separator)));
    marks.extend(semicolon(text, span));
    marks.push((Span::empty(span.end), Some(Layout::Separator)));
}

/// The semicolon at the end, which may be left out before a bracket or a line break.
fn semicolon(text: &str, span: Span) -> Option<Mark> {
    let last = span.end.checked_sub(1)?;
    text[..span.end as usize]
        .ends_with(';')
        .then_some((Span::new(last, span.end), None))
}

fn brackets(span: Span) -> [Mark; 2] {
    let [start, end] = [span.start, span.end];
    [
        (Span::new(start, start + 1), None),
        (Span::new(end - 1, end), None),
    ]
}

fn branch(span: Span, marks: &mut Vec<Mark>) {
    marks.push((Span::empty(span.start), Some(Layout::Open)));
    marks.push((Span::empty(span.end), Some(Layout::Close)));
}

/// The statement in an `if` or a loop.
fn body(text: &str, statement: &Statement, marks: &mut Vec<Mark>) {
    branch(statement.span(), marks);
    match statement {
        Statement::BlockStatement(block) => marks.extend(brackets(block.span)),
        other => marks.extend(semicolon(text, other.span())),
    }
}

/// Whether parentheses may change what the code means. Those of a statement, branch or part of a sequence do not.
fn matters(
    nodes: &AstNodes,
    mut id: NodeId,
    mut span: Span,
    receivers: &HashMap<Span, NodeId>,
) -> bool {
    loop {
        // The call is left out, so its receiver takes its place.
        id = receivers.get(&span).copied().unwrap_or(id);
        span = nodes.kind(id).span();
        id = nodes.parent_id(id);
        return match nodes.kind(id) {
            AstKind::ChainExpression(_) => {
                span = nodes.kind(id).span();
                continue;
            }
            AstKind::ExpressionStatement(it) => {
                matches!(nodes.parent_kind(id), AstKind::FunctionBody(body) if body.span == it.span)
            }
            AstKind::SequenceExpression(_) | AstKind::ParenthesizedExpression(_) => false,
            AstKind::LogicalExpression(it) => it.right.span() != span,
            AstKind::ConditionalExpression(it) => it.test.span() == span,
            _ => true,
        };
    }
}
