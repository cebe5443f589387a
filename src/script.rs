//! Reads a built file as the script that a browser will take it for: whether it is one, and which experiments it adds.
//!
//! Everything is read from the syntax tree; nothing is run. This module is the only one that knows the parser.

mod experiments;
mod fingerprint;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::thread;

use oxc_allocator::Allocator;
use oxc_ast::ast::{AssignmentTarget, Expression, Program, SimpleAssignmentTarget};
use oxc_ast::AstKind;
use oxc_diagnostics::{Diagnostics, Severity};
use oxc_parser::{ParseOptions, Parser};
use oxc_semantic::{Semantic, SemanticBuilder, SymbolId};
use oxc_span::{GetSpan, SourceType, Span};

use self::experiments::{read_build_info, read_experiment};
use self::fingerprint::Normalizer;
use crate::experiment::{BuildInfo, Experiment};

/// Stack that a level of nesting may take in the parser and in the checks after it, measured in a debug build with a
/// fifth to spare: for a bracket, and for a byte of what nests without one (`!!!a`, `a=>b=>c`).
const STACK_OF_BRACKET: usize = 4_800;
const STACK_OF_BYTE: usize = 400;
const LEAST_STACK: usize = 1 << 20;
/// Open brackets at one place. Real containers have some tens; the time to check absurd ones grows with the square.
const DEEPEST: usize = 10_000;

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

/// Why a text is no sound script, and where.
#[derive(Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    /// The place, in bytes.
    pub(crate) place: Range<usize>,
    /// It would be sound as a module, which pages do not load it as.
    pub(crate) is_module: bool,
}

/// Reads a script. Nesting that is too deep for the machine's memory is an error as well.
pub(crate) fn read(text: &str) -> Result<Script, SyntaxError> {
    let (brackets, depth) = brackets(text);
    let not_checked = |problem: String| SyntaxError {
        message: problem,
        place: 0..0,
        is_module: false,
    };
    if depth > DEEPEST {
        return Err(not_checked(format!(
            "It has more than {DEEPEST} brackets open at once, which no browser is sure to bear"
        )));
    }
    // The parser recurses: without enough stack, deep nesting would end the program. Only what is used takes memory.
    let stack = LEAST_STACK + brackets.min(DEEPEST) * STACK_OF_BRACKET + text.len() * STACK_OF_BYTE;
    let reader = thread::Builder::new()
        .name("parser".to_owned())
        .stack_size(stack);
    thread::scope(|scope| {
        let thread = reader.spawn_scoped(scope, || read_here(text));
        match thread {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err(not_checked(format!(
                "There is not enough memory to check it ({error})"
            ))),
        }
    })
}

/// How many brackets are opened, and how many of them are open at once, as far as that is seen without parsing.
fn brackets(text: &str) -> (usize, usize) {
    let mut opened = 0;
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                opened += 1;
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    (opened, deepest)
}

fn read_here(text: &str) -> Result<Script, SyntaxError> {
    let allocator = Allocator::default();
    let (program, semantic) = parse(&allocator, text, SourceType::script()).map_err(|error| {
        let as_module = parse(&allocator, text, SourceType::mjs());
        SyntaxError {
            is_module: as_module.is_ok(),
            ..error
        }
    })?;
    let semantic = &semantic;
    let normalizer = Normalizer::new(text, semantic);
    let mut experiments = Vec::new();
    let mut unreadable = 0;
    let mut build_info = None;
    let mut left_out = Vec::new();
    for node in semantic.nodes() {
        match node.kind() {
            AstKind::CallExpression(call) if is_of_mojito(&call.callee, "addTest") => {
                left_out.push(call.span);
                match call.arguments.first().and_then(|it| it.as_expression()) {
                    Some(Expression::ObjectExpression(object)) => {
                        experiments.push(read_experiment(object, call.span, &normalizer));
                    }
                    _ => unreadable += 1,
                }
            }
            AstKind::AssignmentExpression(assignment)
                if target_is_of_mojito(&assignment.left, "buildInfo") =>
            {
                left_out.push(assignment.span);
                if let Expression::ObjectExpression(object) = &assignment.right {
                    build_info = Some(read_build_info(object));
                }
            }
            _ => {}
        }
    }
    Ok(Script {
        is_mojito: is_mojito(semantic),
        build_info,
        experiments,
        unreadable,
        shared_code: normalizer.hash(program.span, &left_out),
    })
}

/// Parses with all the checks of a browser: the parser alone takes a variable that is declared twice.
fn parse<'a>(
    allocator: &'a Allocator,
    text: &'a str,
    source_type: SourceType,
) -> Result<(&'a Program<'a>, Semantic<'a>), SyntaxError> {
    let options = ParseOptions {
        parse_regular_expression: true,
        preserve_parens: false,
        ..ParseOptions::default()
    };
    let parsed = Parser::new(allocator, text, source_type)
        .with_options(options)
        .parse();
    if let Some(error) = first_error(&parsed.diagnostics) {
        return Err(error);
    }
    // The parser takes them for spaces, as TypeScript does; browsers do not.
    let no_space = |c: char| matches!(c, '\u{85}' | '\u{200b}');
    for spaces in &parsed.irregular_whitespaces {
        if let Some((at, c)) = text[range(*spaces)]
            .char_indices()
            .find(|(_, c)| no_space(*c))
        {
            let at = spaces.start as usize + at;
            return Err(SyntaxError {
                message: format!(
                    "Invisible character U+{:04X}, as it comes with text that is copied from a page",
                    u32::from(c)
                ),
                place: at..at + c.len_utf8(),
                is_module: false,
            });
        }
    }
    let program = allocator.alloc(parsed.program);
    let checked = SemanticBuilder::new()
        .with_build_nodes(true)
        .with_check_syntax_error(true)
        .build(program);
    match first_error(&checked.diagnostics) {
        Some(error) => Err(error),
        None => Ok((program, checked.semantic)),
    }
}

fn first_error(diagnostics: &Diagnostics) -> Option<SyntaxError> {
    let error = diagnostics
        .iter()
        .find(|diagnostic| diagnostic.severity == Severity::Error)?;
    let label = error.labels.first();
    let start = label.map_or(0, |label| label.offset() as usize);
    Some(SyntaxError {
        message: error.message.to_string(),
        place: start..start + label.map_or(0, |label| label.len() as usize),
        is_module: false,
    })
}

fn range(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}

/// Whether this is the global `Mojito` itself: by its name, or as a property of the window.
fn is_mojito_itself(expression: &Expression) -> bool {
    expression.is_specific_id("Mojito")
        || ["window", "self", "globalThis"]
            .iter()
            .any(|global| expression.is_specific_member_access(global, "Mojito"))
}

/// Whether this is `Mojito.PROPERTY`.
fn is_of_mojito(expression: &Expression, property: &str) -> bool {
    let member = match expression {
        Expression::ChainExpression(chain) => chain.expression.as_member_expression(),
        expression => expression.as_member_expression(),
    };
    member.is_some_and(|member| {
        member.static_property_name() == Some(property) && is_mojito_itself(member.object())
    })
}

fn target_is_of_mojito(target: &AssignmentTarget, property: &str) -> bool {
    target
        .as_simple_assignment_target()
        .and_then(SimpleAssignmentTarget::as_member_expression)
        .is_some_and(|member| {
            member.static_property_name() == Some(property) && is_mojito_itself(member.object())
        })
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
    let guards = |mention: &Span| {
        conditions
            .iter()
            .any(|condition| condition.start <= mention.start && mention.end <= condition.end)
    };
    declared || mentions.iter().any(guards)
}

/// Whether a minifier leaves its name as it is.
fn is_global(semantic: &Semantic, id: SymbolId) -> bool {
    let scoping = semantic.scoping();
    scoping.symbol_scope_id(id) == scoping.root_scope_id()
}
