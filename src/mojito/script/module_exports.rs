//! Reads the object that a Node module exports from the syntax tree, without running it.

use std::collections::BTreeMap;
use std::ops::Range;

use borsh::{BorshDeserialize, BorshSerialize};
use oxc_allocator::Allocator;
use oxc_ast::ast::{
    Expression, ObjectExpression, ObjectProperty, ObjectPropertyKind, Program, PropertyKind,
    Statement,
};
use oxc_ast::AstKind;
use oxc_semantic::{AstNode, Semantic};
use oxc_span::{GetSpan, SourceType, Span};

use super::experiments::{constant, known_property};
use super::parse::{assigned, parse};
use super::syntax_error::{range, SyntaxError, SyntaxErrorKind};
use crate::mojito::value::Value;

/// What a module exports.
#[derive(BorshDeserialize, BorshSerialize, Debug, Default)]
pub(crate) struct Exports {
    properties: BTreeMap<String, Property>,
    /// A spread, computed name or prototype, which may add any other property.
    others: Option<Property>,
}

/// What a property has, as far as it matters to anybody.
#[derive(BorshDeserialize, BorshSerialize, Debug)]
pub(crate) enum Exported {
    /// `null` or `undefined`.
    Nothing,
    Text(String),
    /// The elements, unless one of them is not a constant string.
    Array(Option<Vec<String>>),
}

#[derive(BorshDeserialize, BorshSerialize, Debug)]
pub(crate) struct Property {
    /// The value, or why it is unknown: a phrase for a message.
    pub(crate) value: Result<Exported, String>,
    /// The byte range that sets it.
    pub(crate) place: Range<usize>,
    /// Whether the same name has another value before this one, which does not count.
    pub(crate) is_repeated: bool,
}

impl Exports {
    /// Whether the module itself has such a property, as opposed to one that may come from elsewhere.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.properties.contains_key(name)
    }

    /// `None` if the module definitely has no such property.
    pub(crate) fn get(&self, name: &str) -> Option<&Property> {
        self.properties.get(name).or(self.others.as_ref())
    }

    /// Reads a module that consists of one `module.exports = {...}`, after declarations and calls if any.
    pub(super) fn read_here(text: &str) -> Result<Self, SyntaxError> {
        let allocator = Allocator::default();
        let (program, semantic) = parse(&allocator, text, SourceType::cjs())?;
        let exported = exported(program, &semantic);
        let error = |(problem, span): (&str, Span)| {
            SyntaxError::new(problem.to_owned(), span, SyntaxErrorKind::Script)
        };
        exported.map(Self::new).map_err(error)
    }

    fn new(object: &ObjectExpression) -> Self {
        let mut exports = Self::default();
        for property in &object.properties {
            let new = |value: Result<_, &str>, span, is_repeated| Property {
                value: value.map_err(str::to_owned),
                place: range(span),
                is_repeated,
            };
            let unknown = new(Err(SET_BY_OTHERS), property.span(), false);
            match known_property(property) {
                // Own properties take precedence over the prototype's.
                Some((name, _)) if name == "__proto__" => exports.others = Some(unknown),
                Some((name, value)) => {
                    let is_repeated = exports.properties.contains_key(&*name);
                    let property = new(exported_value(property, value), value.span(), is_repeated);
                    exports.properties.insert(name, property);
                }
                // May override every property before it, but none after it.
                None => {
                    exports.properties.clear();
                    exports.others = Some(unknown);
                }
            }
        }
        exports
    }
}

const COMPUTED: &str = "is computed, but this file is only parsed, never run";
const SET_BY_OTHERS: &str = "may be set by this, but this file is only parsed, never run";

/// The value of a property, if it is text, an array or nothing.
fn exported_value(
    property: &ObjectPropertyKind,
    value: &Expression,
) -> Result<Exported, &'static str> {
    if let Expression::ArrayExpression(array) = value.without_parentheses() {
        let elements =
            array
                .elements
                .iter()
                .map(|element| match constant(element.as_expression()?)? {
                    Value::Text(text) => Some(text),
                    _ => None,
                });
        return Ok(Exported::Array(elements.collect()));
    }
    match constant(value) {
        Some(Value::Text(text)) => Ok(Exported::Text(text)),
        Some(Value::Null | Value::Undefined) => Ok(Exported::Nothing),
        Some(Value::Number(_)) => Err("is a number, expected a string"),
        Some(Value::Boolean(_)) => Err("is `true` or `false`, expected a string"),
        Some(Value::Object(_) | Value::Function) => Err("is not a string"),
        None => Err(problem(property, value)),
    }
}

/// Why a value that is not a constant cannot be used.
fn problem(property: &ObjectPropertyKind, value: &Expression) -> &'static str {
    let is_accessor = |it: &ObjectProperty| it.kind != PropertyKind::Init;
    match value.without_parentheses() {
        _ if property.as_property().is_some_and(is_accessor) => COMPUTED,
        Expression::ObjectExpression(_) => "is an object, expected a string",
        Expression::ArrowFunctionExpression(_)
        | Expression::ClassExpression(_)
        | Expression::FunctionExpression(_) => "is a function, expected a string",
        Expression::BigIntLiteral(_) => "is a number, expected a string",
        Expression::RegExpLiteral(_) => "is a regular expression, expected a string",
        _ => COMPUTED,
    }
}

/// The exported object, or why it is not known and the place of that.
fn exported<'a>(
    program: &'a Program<'a>,
    semantic: &Semantic,
) -> Result<&'a ObjectExpression<'a>, (&'static str, Span)> {
    let no_exports = "it has no `module.exports = {...}`";
    let mut statements = program.body.iter().skip_while(|it| is_harmless(it));
    let end = Span::empty(program.span.end);
    let statement = statements.next().ok_or((no_exports, end))?;
    let (module, exported) = exports_assigned(statement).ok_or((no_exports, statement.span()))?;
    let Expression::ObjectExpression(object) = exported else {
        let problem = "what it exports is computed, and it is only parsed, never run";
        return Err((problem, exported.span()));
    };
    if let Some(other) = statements.next() {
        let problem =
            "only comments may follow `module.exports = {...}`, as other code may change it";
        return Err((problem, other.span()));
    }
    // Other uses of `module` could change the exports, and a declaration could shadow `undefined`.
    let is_forbidden = |kind: &AstKind| match kind {
        AstKind::IdentifierReference(id) => id.name == "module" && id.span != module,
        AstKind::BindingIdentifier(id) => matches!(id.name.as_str(), "module" | "undefined"),
        _ => false,
    };
    let mut kinds = semantic.nodes().iter().map(AstNode::kind);
    let forbidden = kinds.find(is_forbidden);
    let problem = "this may change what is exported";
    forbidden.map_or(Ok(object), |kind| Err((problem, kind.span())))
}

/// Whether a statement before the exports leaves them alone, unless it names `module`. A call such as
/// `require('dotenv').config()` does.
fn is_harmless(statement: &Statement) -> bool {
    match statement {
        Statement::ClassDeclaration(_)
        | Statement::FunctionDeclaration(_)
        | Statement::VariableDeclaration(_) => true,
        Statement::ExpressionStatement(it) => {
            matches!(it.expression, Expression::CallExpression(_))
        }
        _ => false,
    }
}

/// What is assigned to `module.exports`, and the span of its `module`.
fn exports_assigned<'a>(statement: &'a Statement<'a>) -> Option<(Span, &'a Expression<'a>)> {
    let Statement::ExpressionStatement(statement) = statement else {
        return None;
    };
    let Expression::AssignmentExpression(assignment) = statement.expression.without_parentheses()
    else {
        return None;
    };
    let member = assigned(assignment)?;
    let module = member.object().without_parentheses();
    let is_exports = assignment.operator.is_assign()
        && module.is_specific_id("module")
        && member.static_property_name() == Some("exports");
    is_exports.then(|| (module.span(), assignment.right.without_parentheses()))
}
