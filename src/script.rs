//! Reads a built file as the script that a browser will take it for: whether it is one, and which experiments it adds.
//!
//! Everything is read from the syntax tree; nothing is run. It is the only file that knows the parser.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::thread;

use oxc_allocator::Allocator;
use oxc_ast::ast::{
    AssignmentTarget, Expression, ObjectExpression, ObjectPropertyKind, SimpleAssignmentTarget,
};
use oxc_ast::AstKind;
use oxc_diagnostics::{Diagnostics, Severity};
use oxc_parser::{ParseOptions, Parser};
use oxc_semantic::{Semantic, SemanticBuilder, SymbolId};
use oxc_span::{GetSpan, SourceType, Span};

use crate::experiment::{printable, BuildInfo, Experiment, Properties, Recipe, Value};

/// Stack that a level of nesting may take in the parser and in the checks after it, measured in a debug build with a
/// fifth to spare: for a bracket, and for a byte of what nests without one (`!!!a`, `a=>b=>c`).
const STACK_OF_BRACKET: usize = 4_800;
const STACK_OF_BYTE: usize = 400;
const LEAST_STACK: usize = 1 << 20;

/// What a sound script holds.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Whether it defines the global `Mojito`, or asks for it before it goes on.
    pub(crate) is_mojito: bool,
    pub(crate) build_info: Option<BuildInfo>,
    pub(crate) experiments: Vec<Experiment>,
    /// Where `Mojito.addTest` is called with something that only running it would tell.
    pub(crate) unreadable: Vec<Range<usize>>,
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
    // The parser recurses: without enough stack, deep nesting would end the program.
    let reader = thread::Builder::new()
        .name("parser".to_owned())
        .stack_size(stack_for(text));
    thread::scope(|scope| {
        let thread = reader.spawn_scoped(scope, || read_here(text));
        match thread {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err(SyntaxError {
                message: format!("there is not enough memory to check it: {error}"),
                place: 0..0,
                is_module: false,
            }),
        }
    })
}

/// An upper bound: only what is used of it takes memory.
fn stack_for(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    LEAST_STACK + deepest * STACK_OF_BRACKET + text.len() * STACK_OF_BYTE
}

fn read_here(text: &str) -> Result<Script, SyntaxError> {
    let allocator = Allocator::default();
    let options = ParseOptions {
        parse_regular_expression: true,
        preserve_parens: false,
        ..ParseOptions::default()
    };
    let parse = |source_type| {
        Parser::new(&allocator, text, source_type)
            .with_options(options)
            .parse()
    };
    let parsed = parse(SourceType::script());
    let refused = |error: SyntaxError| SyntaxError {
        is_module: parse(SourceType::mjs()).diagnostics.is_empty(),
        ..error
    };
    if let Some(error) = first_error(&parsed.diagnostics) {
        return Err(refused(error));
    }
    let program = allocator.alloc(parsed.program);
    let checked = SemanticBuilder::new()
        .with_build_nodes(true)
        .with_check_syntax_error(true)
        .build(program);
    if let Some(error) = first_error(&checked.diagnostics) {
        return Err(refused(error));
    }
    let semantic = &checked.semantic;
    let normalizer = Normalizer::new(text, semantic);
    let mut experiments = Vec::new();
    let mut unreadable = Vec::new();
    let mut build_info = None;
    let mut left_out = Vec::new();
    for node in semantic.nodes() {
        match node.kind() {
            AstKind::CallExpression(call) if is_of_mojito(&call.callee, "addTest") => {
                left_out.push(call.span);
                match call.arguments.first().and_then(|it| it.as_expression()) {
                    Some(Expression::ObjectExpression(object)) => {
                        experiments.push(experiment(object, call.span, &normalizer));
                    }
                    _ => unreadable.push(range(call.span)),
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

fn read_build_info(object: &ObjectExpression) -> BuildInfo {
    let text = |name| match property(object, name).and_then(constant) {
        Some(Value::Text(text)) => Some(printable(&text)),
        _ => None,
    };
    BuildInfo {
        container: text("container"),
        commit: text("commitHash"),
        mojito_version: text("mojitoVersion"),
        built_at: text("timestamp"),
    }
}

fn experiment(object: &ObjectExpression, call: Span, normalizer: &Normalizer) -> Experiment {
    let mut code = BTreeMap::new();
    let values = values(object, Experiment::PROPERTIES, "", normalizer, &mut code);
    let recipes = match property(object, "recipes") {
        None => Some(Vec::new()),
        Some(Expression::ObjectExpression(recipes)) => {
            let read = properties(recipes)
                .map(|(id, recipe)| read_recipe(&id, recipe, normalizer, &mut code))
                .collect();
            (!has_computed_parts(recipes)).then_some(read)
        }
        Some(_) => None,
    };
    if has_computed_parts(object) || recipes.is_none() {
        code.insert(
            "computed parts".to_owned(),
            normalizer.hash(object.span, &[]),
        );
    }
    Experiment::new(&values, recipes, code, u64::from(call.size()))
}

fn read_recipe(
    id: &str,
    recipe: &Expression,
    normalizer: &Normalizer,
    code: &mut BTreeMap<String, u64>,
) -> Recipe {
    let values = match recipe {
        Expression::ObjectExpression(object) => {
            let place = format!("recipe {id} ");
            values(object, Recipe::PROPERTIES, &place, normalizer, code)
        }
        computed => {
            code.insert(
                format!("recipe {id}"),
                normalizer.hash(computed.span(), &[]),
            );
            Properties::new()
        }
    };
    Recipe::new(id, &values)
}

/// The values of the properties with these names. Every other property is code, and so is what only running it would tell.
fn values(
    object: &ObjectExpression,
    names: &[&'static str],
    place: &str,
    normalizer: &Normalizer,
    code: &mut BTreeMap<String, u64>,
) -> Properties {
    let mut values = Properties::new();
    for (name, expression) in properties(object) {
        let known = names.iter().find(|known| **known == name);
        let value = known.and_then(|_| constant(expression));
        if value.is_none()
            && !matches!(expression, Expression::ObjectExpression(_) if name == "recipes")
        {
            code.insert(
                format!("{place}{name}"),
                normalizer.hash(expression.span(), &[]),
            );
        }
        if let Some(known) = known {
            values.insert(known, value);
        }
    }
    values
}

/// The properties whose names are known without running anything.
fn properties<'a>(
    object: &'a ObjectExpression<'a>,
) -> impl Iterator<Item = (String, &'a Expression<'a>)> {
    object
        .properties
        .iter()
        .filter_map(|property| match property {
            ObjectPropertyKind::ObjectProperty(property) => {
                Some((property.key.static_name()?.into_owned(), &property.value))
            }
            ObjectPropertyKind::SpreadProperty(_) => None,
        })
}

fn has_computed_parts(object: &ObjectExpression) -> bool {
    properties(object).count() < object.properties.len()
}

fn property<'a>(object: &'a ObjectExpression<'a>, name: &str) -> Option<&'a Expression<'a>> {
    properties(object).find_map(|(key, value)| (key == name).then_some(value))
}

/// The value of an expression that says it, in any form that a minifier may give it. `None` where only running it would tell.
fn constant(expression: &Expression) -> Option<Value> {
    use oxc_ast::ast::{BinaryOperator, UnaryOperator};
    Some(match expression {
        Expression::StringLiteral(text) => Value::Text(text.value.to_string()),
        Expression::TemplateLiteral(text) => Value::Text(text.single_quasi()?.to_string()),
        Expression::NumericLiteral(number) => Value::Number(number.value),
        Expression::BooleanLiteral(boolean) => Value::Boolean(boolean.value),
        Expression::NullLiteral(_) => Value::Nothing,
        Expression::Identifier(id) if id.name == "undefined" => Value::Nothing,
        Expression::UnaryExpression(unary) => {
            let argument = constant(&unary.argument)?;
            match (unary.operator, argument) {
                (UnaryOperator::Void, _) => Value::Nothing,
                (UnaryOperator::UnaryNegation, Value::Number(number)) => Value::Number(-number),
                (UnaryOperator::UnaryPlus, number @ Value::Number(_)) => number,
                (UnaryOperator::LogicalNot, Value::Boolean(boolean)) => Value::Boolean(!boolean),
                (UnaryOperator::LogicalNot, Value::Number(number)) => Value::Boolean(number == 0.0),
                _ => return None,
            }
        }
        Expression::BinaryExpression(binary) => {
            match (
                binary.operator,
                constant(&binary.left)?,
                constant(&binary.right)?,
            ) {
                (BinaryOperator::Addition, Value::Text(left), Value::Text(right)) => {
                    Value::Text(left + &right)
                }
                (BinaryOperator::Division, Value::Number(left), Value::Number(right)) => {
                    Value::Number(left / right)
                }
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// Compares code by what it does, not by how it names its variables.
///
/// A minifier chooses the names of variables by how often each letter occurs in the whole file, so one more experiment
/// can rename the variables of all others.
struct Normalizer<'a> {
    text: &'a str,
    semantic: &'a Semantic<'a>,
    /// What does not stand in the code as it is, in its order: variables and labels that are renamed, and comments.
    names: Vec<(Span, Name<'a>)>,
}

#[derive(Clone, Copy)]
enum Name<'a> {
    Symbol(SymbolId),
    Label(&'a str),
    Comment,
    /// `{a}` is written in full, as `{a: a}`.
    Key(&'a str),
}

impl<'a> Normalizer<'a> {
    fn new(text: &'a str, semantic: &'a Semantic<'a>) -> Self {
        let scoping = semantic.scoping();
        let mut names: Vec<(Span, Name)> = Vec::new();
        let mut symbol = |span, id| {
            if !is_global(semantic, id) {
                names.push((span, Name::Symbol(id)));
            }
        };
        for node in semantic.nodes() {
            match node.kind() {
                AstKind::BindingIdentifier(id) => symbol(id.span, id.symbol_id()),
                AstKind::IdentifierReference(id) => {
                    if let Some(id_of_symbol) = scoping.get_reference(id.reference_id()).symbol_id()
                    {
                        symbol(id.span, id_of_symbol);
                    }
                }
                _ => {}
            }
        }
        for node in semantic.nodes() {
            let (key, shorthand) = match node.kind() {
                AstKind::LabelIdentifier(label) => {
                    names.push((label.span, Name::Label(label.name.as_str())));
                    continue;
                }
                AstKind::ObjectProperty(property) => (property.key.span(), property.shorthand),
                AstKind::BindingProperty(property) => (property.key.span(), property.shorthand),
                AstKind::AssignmentTargetPropertyIdentifier(property) => {
                    (property.binding.span, true)
                }
                _ => continue,
            };
            if shorthand {
                let at_start = Span::new(key.start, key.start);
                names.push((at_start, Name::Key(&text[range(key)])));
            }
        }
        let comments = semantic.comments().iter();
        names.extend(comments.map(|comment| (comment.span, Name::Comment)));
        names.sort_by_key(|(span, _)| (span.start, span.end));
        Self {
            text,
            semantic,
            names,
        }
    }

    /// What identifies the code in `span` but for the parts left out, which are in their order.
    fn hash(&self, span: Span, left_out: &[Span]) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut symbols: HashMap<SymbolId, usize> = HashMap::new();
        let mut labels: HashMap<&str, usize> = HashMap::new();
        let holes = left_out.iter().map(|hole| (*hole, None));
        let mut pieces: Vec<(Span, Option<Name>)> = self
            .names_in(span)
            .map(|(name, kind)| (name, Some(kind)))
            .chain(holes)
            .collect();
        pieces.sort_by_key(|(piece, _)| (piece.start, piece.end));
        let mut at = span.start;
        let mut after_hole = false;
        for (piece, name) in pieces {
            if piece.start < at {
                continue;
            }
            let is_hole = name.is_none();
            self.literally(at..piece.start, after_hole, is_hole)
                .hash(&mut hasher);
            (at, after_hole) = (piece.end, is_hole);
            match name {
                None | Some(Name::Comment) => {}
                Some(Name::Key(key)) => (key, ':').hash(&mut hasher),
                Some(Name::Label(label)) => {
                    let number = labels.len();
                    labels.entry(label).or_insert(number).hash(&mut hasher);
                }
                Some(Name::Symbol(id)) => match self.declared_outside(id, span) {
                    Some(declaration) => self.skeleton(declaration).hash(&mut hasher),
                    None => {
                        let number = symbols.len();
                        symbols.entry(id).or_insert(number).hash(&mut hasher);
                    }
                },
            }
        }
        self.literally(at..span.end, after_hole, false)
            .hash(&mut hasher);
        hasher.finish()
    }

    fn names_in(&self, span: Span) -> impl Iterator<Item = (Span, Name<'a>)> + '_ {
        let first = self
            .names
            .partition_point(|(name, _)| name.start < span.start);
        let names = self.names[first..].iter().copied();
        names.take_while(move |(name, _)| name.end <= span.end)
    }

    /// The code as it stands. Where something beside it is left out, so is what separates the two.
    fn literally(&self, place: Range<u32>, after_hole: bool, before_hole: bool) -> &'a str {
        let mut text = &self.text[place.start as usize..place.end as usize];
        let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
        if after_hole {
            text = text.trim_start_matches(separates);
        }
        if before_hole {
            text = text.trim_end_matches(separates);
        }
        text
    }

    fn declared_outside(&self, id: SymbolId, span: Span) -> Option<Span> {
        let declaration = self.semantic.symbol_declaration(id).kind().span();
        let inside = span.start <= declaration.start && declaration.end <= span.end;
        (!inside).then_some(declaration)
    }

    /// Code without any name: enough to tell the helpers apart that several experiments share.
    fn skeleton(&self, span: Span) -> String {
        let mut skeleton = String::new();
        let mut at = span.start;
        for (name, _) in self.names_in(span) {
            if name.start >= at {
                skeleton.push_str(self.literally(at..name.start, false, false));
                at = name.end;
            }
        }
        skeleton + self.literally(at..span.end, false, false)
    }
}

#[cfg(test)]
mod scratch {
    #[test]
    fn builds() {
        let read = |p: &str| super::read(&std::fs::read_to_string(p).unwrap()).unwrap();
        let a = read("/tmp/builds/a/mojito.js");
        let ap = read("/tmp/builds/a/mojito.pretty.js");
        let b = read("/tmp/builds/b/mojito.js");
        let n = read("/tmp/builds/nuke/mojito.js");
        println!("{a:#?}");
        for (x, y) in a.experiments.iter().zip(&ap.experiments) {
            assert_eq!(
                (&x.id, &x.name, &x.traffic, &x.recipes),
                (&y.id, &y.name, &y.traffic, &y.recipes)
            );
        }
        println!(
            "shared {} {} {}",
            a.shared_code, b.shared_code, n.shared_code
        );
        for x in &a.experiments {
            for y in &b.experiments {
                if x.id == y.id {
                    println!("{} {}", x.id, x.code == y.code);
                }
            }
        }
    }
}
