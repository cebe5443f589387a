//! Reads the object that a Node module exports from the syntax tree, without running it.

use std::collections::BTreeMap;
use std::ops::Range;

use oxc_allocator::Allocator;
use oxc_ast::ast::{Expression, ObjectExpression, Program, Statement};
use oxc_ast::AstKind;
use oxc_semantic::{AstNode, Semantic};
use oxc_span::{GetSpan, SourceType, Span};

use super::bounds::parse_within_limits;
use super::experiments::{constant, known_property};
use super::parse::{assigned, parse};
use super::syntax_error::{range, SyntaxError, SyntaxErrorKind};
use crate::mojito::value::Value;

/// What a module exports.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    properties: BTreeMap<String, Property>,
    /// A spread, computed name or prototype, which may add any other property.
    others: Option<Property>,
}

#[derive(Debug)]
pub(crate) struct Property {
    /// `None` if it is computed.
    pub(crate) value: Option<Value>,
    /// The byte range that sets it.
    pub(crate) place: Range<usize>,
}

impl Exports {
    /// `None` if the module definitely has no such property.
    pub(crate) fn get(&self, name: &str) -> Option<&Property> {
        self.properties.get(name).or(self.others.as_ref())
    }

    fn new(object: &ObjectExpression) -> Self {
        let mut exports = Self::default();
        for property in &object.properties {
            let new = |value, span| Property {
                value,
                place: range(span),
            };
            let computed = new(None, property.span());
            match known_property(property) {
                // Own properties take precedence over the prototype's.
                Some((name, _)) if name == "__proto__" => exports.others = Some(computed),
                Some((name, value)) => {
                    let property = new(constant(value), value.span());
                    exports.properties.insert(name, property);
                }
                // May override every property before it, but none after it.
                None => {
                    exports.properties.clear();
                    exports.others = Some(computed);
                }
            }
        }
        exports
    }
}

/// Reads a module that consists of declarations, if any, and one `module.exports = {...}`.
pub(crate) fn read_exports(text: &str) -> Result<Exports, SyntaxError> {
    parse_within_limits(text, |text| {
        let allocator = Allocator::default();
        let (program, semantic) = parse(&allocator, text, SourceType::cjs())?;
        let exported = exported(program, &semantic);
        let expected = "expected one `module.exports = {...}`, after declarations if any";
        let error = |span| SyntaxError::new(expected.to_owned(), span, SyntaxErrorKind::Script);
        exported.map(Exports::new).map_err(error)
    })
}

/// The exported object, or the span of anything else that the module does.
fn exported<'a>(
    program: &'a Program<'a>,
    semantic: &Semantic,
) -> Result<&'a ObjectExpression<'a>, Span> {
    let is_declaration = |it: &&Statement| matches!(it, Statement::VariableDeclaration(_));
    let mut statements = program.body.iter().skip_while(is_declaration);
    let statement = statements.next().ok_or(Span::empty(program.span.end))?;
    let (module, object) = exports_assigned(statement).ok_or(statement.span())?;
    if let Some(other) = statements.next() {
        return Err(other.span());
    }
    // Other uses of `module` could change the exports, and a declaration could shadow `undefined`.
    let is_forbidden = |kind: &AstKind| match kind {
        AstKind::IdentifierReference(id) => id.name == "module" && id.span != module,
        AstKind::BindingIdentifier(id) => matches!(id.name.as_str(), "module" | "undefined"),
        _ => false,
    };
    let mut kinds = semantic.nodes().iter().map(AstNode::kind);
    let forbidden = kinds.find(is_forbidden);
    forbidden.map_or(Ok(object), |kind| Err(kind.span()))
}

/// The object of `module.exports = {...}`, and the span of its `module`.
fn exports_assigned<'a>(statement: &'a Statement<'a>) -> Option<(Span, &'a ObjectExpression<'a>)> {
    let Statement::ExpressionStatement(statement) = statement else {
        return None;
    };
    let Expression::AssignmentExpression(assignment) = statement.expression.without_parentheses()
    else {
        return None;
    };
    let member = assigned(assignment)?;
    let module = member.object().without_parentheses();
    match assignment.right.without_parentheses() {
        Expression::ObjectExpression(object)
            if assignment.operator.is_assign()
                && module.is_specific_id("module")
                && member.static_property_name() == Some("exports") =>
        {
            Some((module.span(), object))
        }
        _ => None,
    }
}
