//! Accepts what browsers accept and the parser does not: assignments to calls, and `let` and `yield` as names.
//!
//! Browsers keep these from before they were errors. `f() = 1` throws when it runs, not before. The text is changed so that the
//! parser accepts it, to something of the same length and meaning for this program.

use oxc_allocator::Allocator;
use oxc_ast::ast::{CallExpression, Expression, Program, Statement};
use oxc_ast::AstKind;
use oxc_parser::Parser;
use oxc_semantic::Semantic;
use oxc_span::{GetSpan, SourceType, Span};

use super::parse::first_error;
use super::syntax_error::{range, SyntaxError};

/// The most places in one script.
const MAX_REPAIRS: usize = 20;

/// What was changed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Repair {
    /// A call, to a member expression.
    Target(Span),
    /// `let` or `yield`, to another name.
    Name(Span),
}

/// The text that the parser accepts, and what was changed, if that is all that is wrong.
pub(super) fn repaired(text: &str) -> Option<(String, Vec<Repair>)> {
    let mut allocator = Allocator::default();
    let mut text = text.to_owned();
    let mut repairs = Vec::new();
    while repairs.len() <= MAX_REPAIRS {
        allocator.reset();
        let parsed = Parser::new(&allocator, &text, SourceType::script()).parse();
        let Some(error) = first_error(&parsed.diagnostics) else {
            return Some((text, repairs));
        };
        let repair = target(&text, &error).or_else(|| name(&text, &error))?;
        let (span, replacement) = repair.1;
        text.replace_range(range(span), &replacement);
        repairs.push(repair.0);
    }
    None
}

/// Whether browsers accept what was changed, where it stands.
pub(super) fn are_valid(repairs: &[Repair], semantic: &Semantic) -> bool {
    let nodes = semantic.nodes();
    let valid = nodes.iter().filter(|node| {
        let span = node.kind().span();
        let is_valid = match node.kind() {
            AstKind::IdentifierReference(_)
            | AstKind::LabelIdentifier(_)
            | AstKind::BindingIdentifier(_) => repairs.contains(&Repair::Name(span)),
            AstKind::StaticMemberExpression(_) | AstKind::ComputedMemberExpression(_) => {
                let mut around = nodes.ancestor_kinds(node.id());
                let parent =
                    around.find(|kind| !matches!(kind, AstKind::ParenthesizedExpression(_)));
                repairs.contains(&Repair::Target(span))
                    && match parent {
                        Some(AstKind::AssignmentExpression(it)) => !it.operator.is_logical(),
                        Some(
                            AstKind::UpdateExpression(_)
                            | AstKind::ForInStatement(_)
                            | AstKind::ForOfStatement(_),
                        ) => true,
                        _ => false,
                    }
            }
            _ => false,
        };
        // Firefox rejects these in strict code.
        is_valid
            && !semantic
                .scoping()
                .scope_flags(node.scope_id())
                .is_strict_mode()
    });
    valid.count() == repairs.len()
}

type Change = (Repair, (Span, String));

/// `f(a) = 1` becomes `f[a] = 1`.
fn target(text: &str, error: &SyntaxError) -> Option<Change> {
    let code = text.get(error.place.clone())?;
    if error.message != "Cannot assign to this expression" || !code.ends_with(')') {
        return None;
    }
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::script()).parse();
    let call = only_call(&parsed.program)?;
    let start = u32::try_from(error.place.start).ok()?;
    let open = call.callee.span().end as usize;
    let open = open + code[open..].find('(')?;
    let mut member = code.as_bytes().to_vec();
    let last = member.len() - 1;
    let Some(last_argument) = call.arguments.last() else {
        member[open..=last].fill(b' ');
        member[last - 1..].copy_from_slice(b".a");
        return change(start, member);
    };
    member[open] = b'[';
    member[last] = b']';
    for spread in call.arguments.iter().filter(|it| it.is_spread()) {
        let at = spread.span().start as usize;
        member[at..at + 3].copy_from_slice(b"0, ");
    }
    // A comma and comments.
    member[last_argument.span().end as usize..last].fill(b' ');
    change(start, member)
}

fn change(start: u32, member: Vec<u8>) -> Option<Change> {
    let member = String::from_utf8(member).ok()?;
    let span = Span::sized(start, u32::try_from(member.len()).ok()?);
    Some((Repair::Target(span), (span, member)))
}

fn only_call<'a>(program: &'a Program<'a>) -> Option<&'a CallExpression<'a>> {
    match &program.body[..] {
        [Statement::ExpressionStatement(statement)] => match &statement.expression {
            Expression::CallExpression(call) if !call.optional => Some(call),
            _ => None,
        },
        _ => None,
    }
}

/// `let` before what cannot belong to a declaration, and `yield` outside of generators in the head of a loop.
fn name(text: &str, error: &SyntaxError) -> Option<Change> {
    let place = error.place.start;
    let (before, after) = (text.get(..place)?, &text[place..]);
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '\\' | '.' | '#');
    // On the next line is another statement.
    let is_keyword = error.message.starts_with("Identifier expected");
    let (start, length) = if error.message == "Unexpected token" || is_keyword {
        let start = before.trim_end().strip_suffix("let")?.len();
        let ends_here = before[start..].contains(['\n', '\r']) || !after.starts_with(is_name);
        ends_here.then_some((start, 3))?
    } else if error
        .message
        .starts_with("A 'yield' expression is only allowed")
    {
        let head = before.trim_end().strip_suffix('(')?.trim_end();
        let is_loop = head.ends_with("for") || head.ends_with("await");
        let is_of = after.strip_prefix("yield")?.trim_start().starts_with("of");
        (is_loop && is_of).then_some((place, 5))?
    } else {
        return None;
    };
    if text[..start].ends_with(is_name) {
        return None;
    }
    let span = Span::sized(u32::try_from(start).ok()?, length);
    Some((Repair::Name(span), (span, "_".repeat(length as usize))))
}
