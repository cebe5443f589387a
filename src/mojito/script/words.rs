//! Lists the words of code that minifiers keep, from the syntax tree: of a container, and of the sources with their lines.

use oxc_allocator::Allocator;
use oxc_ast::ast::{Expression, UnaryOperator};
use oxc_ast::AstKind;
use oxc_semantic::{NodeId, Semantic};
use oxc_span::{GetSpan, SourceType, Span};

use super::parse::parse;
use super::syntax_error::SyntaxError;
use crate::mojito::words::{
    count_lines, word_of_number, words_of, words_with_places, SourceWord, Word,
};

/// How far to look around a word, as looking further takes quadratic time.
const MAX_DEPTH: usize = 200;

/// All words of a script, by their places.
pub(super) struct Words(Vec<(u32, Word)>);

impl Words {
    pub(super) fn new(semantic: &Semantic) -> Self {
        let mut words = Vec::new();
        for node in semantic.nodes() {
            let Some((span, kept)) = kept(semantic, node.id()) else {
                continue;
            };
            match kept {
                Kept::Number(number) => words.push((span.start, word_of_number(number))),
                Kept::Text(text) | Kept::Verbatim(text) => {
                    words.extend(words_of(text).map(|word| (span.start, word)));
                }
            }
        }
        words.sort_unstable();
        Self(words)
    }

    /// Those in `span`, sorted, each once.
    pub(super) fn within(&self, span: Span) -> Vec<Word> {
        let from = self.0.partition_point(|(at, _)| *at < span.start);
        let words = self.0[from..].iter().take_while(|(at, _)| *at < span.end);
        let mut words: Vec<Word> = words.map(|(_, word)| *word).collect();
        words.sort_unstable();
        words.dedup();
        words
    }
}

/// The words of a source file, which is the value of a property in the container.
pub(super) fn read_source(text: &str) -> Result<Vec<SourceWord>, SyntaxError> {
    const BEFORE: &str = "({source:";
    let text = format!("{BEFORE}{text}\n}})");
    let allocator = Allocator::default();
    let (_, semantic) = parse(&allocator, &text, SourceType::script())?;
    let starts: Vec<usize> = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
    let line = |at: u32| {
        let line = starts.partition_point(|start| *start < at as usize);
        u32::try_from(line + 1).ok()
    };
    let mut words = Vec::new();
    for node in semantic.nodes() {
        let Some((span, kept)) = kept(&semantic, node.id()) else {
            continue;
        };
        if (span.start as usize) < BEFORE.len() {
            continue;
        }
        let around = Around::new(&semantic, node.id());
        let mut push = |word, line: Option<u32>| {
            words.push(SourceWord {
                word,
                line: line.filter(|_| !around.is_constant),
                region: around.region,
                is_optional: around.region > 0,
            });
        };
        let first = line(span.start);
        let only = first.filter(|_| first == line(span.end));
        match kept {
            Kept::Number(number) => push(word_of_number(number), only),
            Kept::Text(text) => words_of(text).for_each(|word| push(word, only)),
            Kept::Verbatim(text) => {
                for (at, word) in words_with_places(text) {
                    push(word, first.map(|first| first + count_lines(&text[..at])));
                }
            }
        }
    }
    Ok(words)
}

/// What minifiers keep of a node.
enum Kept<'a> {
    Number(f64),
    Text(&'a str),
    /// It is in the script as it is, perhaps on several lines.
    Verbatim(&'a str),
}

fn kept<'a>(semantic: &Semantic<'a>, id: NodeId) -> Option<(Span, Kept<'a>)> {
    let nodes = semantic.nodes();
    Some(match nodes.kind(id) {
        AstKind::StringLiteral(it) => (it.span, Kept::Text(it.value.as_str())),
        AstKind::TemplateElement(it) => {
            let cooked = it.value.cooked.as_ref()?.as_str();
            let is_verbatim = cooked == it.value.raw.as_str();
            let kept = if is_verbatim {
                Kept::Verbatim(cooked)
            } else {
                Kept::Text(cooked)
            };
            (it.span, kept)
        }
        AstKind::RegExpLiteral(it) => (it.span, Kept::Text(it.regex.pattern.text.as_str())),
        AstKind::NumericLiteral(it) => {
            // `true` is minified to `!0`, and `undefined` to `void 0`.
            let is_other = matches!(
                nodes.parent_kind(id),
                AstKind::UnaryExpression(it)
                    if matches!(it.operator, UnaryOperator::LogicalNot | UnaryOperator::Void)
            );
            (!is_other).then_some((it.span, Kept::Number(it.value)))?
        }
        AstKind::IdentifierName(it) => (it.span, Kept::Text(it.name.as_str())),
        AstKind::IdentifierReference(it) => {
            let scoping = semantic.scoping();
            let symbol = scoping.get_reference(it.reference_id()).symbol_id();
            let is_local =
                symbol.is_some_and(|it| scoping.symbol_scope_id(it) != scoping.root_scope_id());
            let is_constant = matches!(it.name.as_str(), "undefined" | "NaN" | "Infinity");
            (!is_local && !is_constant).then_some((it.span, Kept::Text(it.name.as_str())))?
        }
        _ => return None,
    })
}

/// What decides whether a word of a source is in the container.
#[derive(Default)]
struct Around {
    /// The smallest function, value or condition around it that minifiers leave out if it is not used.
    region: u32,
    /// Whether a constant that may be elsewhere decides it.
    is_constant: bool,
}

impl Around {
    fn new(semantic: &Semantic, id: NodeId) -> Self {
        let nodes = semantic.nodes();
        let mut around = Self::default();
        let mut inner = nodes.kind(id).span();
        for (depth, ancestor) in nodes.ancestor_ids(id).enumerate() {
            let kind = nodes.kind(ancestor);
            let is_region = match kind {
                AstKind::Function(it) => it.is_declaration(),
                AstKind::Class(it) => it.is_declaration(),
                AstKind::VariableDeclarator(_) => true,
                AstKind::AssignmentExpression(it) => {
                    it.left.get_identifier_name().is_some() && it.right.span() == inner
                }
                // Without a body, it is left out too.
                AstKind::IfStatement(it) => it.test.span() == inner,
                _ => false,
            };
            let test = match kind {
                AstKind::IfStatement(it) => Some(&it.test),
                AstKind::ConditionalExpression(it) => Some(&it.test),
                AstKind::LogicalExpression(it) => Some(&it.left),
                AstKind::WhileStatement(it) => Some(&it.test),
                _ => None,
            };
            let test = test.filter(|test| test.span() != inner);
            around.is_constant |=
                depth > MAX_DEPTH || test.is_some_and(|it| is_constant(semantic, it, 0));
            if is_region && around.region == 0 {
                around.region = u32::try_from(ancestor.index() + 1).unwrap_or(u32::MAX);
            }
            if around.is_constant {
                break;
            }
            inner = kind.span();
        }
        around
    }
}

/// Whether minifiers may compute an expression.
fn is_constant(semantic: &Semantic, expression: &Expression, depth: usize) -> bool {
    let is_constant = |it: &Expression| depth < MAX_DEPTH && is_constant(semantic, it, depth + 1);
    match expression.without_parentheses() {
        Expression::BooleanLiteral(_)
        | Expression::NullLiteral(_)
        | Expression::NumericLiteral(_)
        | Expression::StringLiteral(_) => true,
        Expression::UnaryExpression(it) => is_constant(&it.argument),
        Expression::BinaryExpression(it) => is_constant(&it.left) && is_constant(&it.right),
        Expression::LogicalExpression(it) => is_constant(&it.left) || is_constant(&it.right),
        Expression::Identifier(it) => {
            let scoping = semantic.scoping();
            let Some(symbol) = scoping.get_reference(it.reference_id()).symbol_id() else {
                return it.name == "undefined";
            };
            let declared = semantic.symbol_declaration(symbol).kind();
            let value = match declared {
                AstKind::VariableDeclarator(it) => it.init.as_ref(),
                _ => None,
            };
            !scoping.symbol_is_mutated(symbol) && value.is_some_and(is_constant)
        }
        _ => false,
    }
}
