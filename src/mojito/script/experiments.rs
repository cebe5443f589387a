//! Reads experiments (`Mojito.addTest`) and the build info (`Mojito.buildInfo`) from the syntax tree.

use std::collections::BTreeMap;

use oxc_ast::ast::{
    BinaryOperator, Expression, ObjectExpression, ObjectPropertyKind, UnaryOperator,
};
use oxc_span::{GetSpan, Span};

use super::fingerprint::Normalizer;
use crate::common::printable::sanitize;
use crate::mojito::experiment::{BuildInfo, Experiment, Part, Properties, Recipe, Value};

/// The name of code that is computed when the script runs.
const DYNAMIC: &str = "computed parts";

pub(super) fn read_build_info(object: &ObjectExpression) -> BuildInfo {
    let text = |name| match property(object, name).and_then(constant) {
        Some(Value::Text(text)) => Some(sanitize(&text)),
        _ => None,
    };
    BuildInfo {
        container: text("container"),
        commit: text("commitHash"),
        mojito_version: text("mojitoVersion"),
        built_at: text("timestamp"),
    }
}

pub(super) fn read_experiment(
    object: &ObjectExpression,
    call: Span,
    normalizer: &Normalizer,
) -> Experiment {
    let mut code = BTreeMap::new();
    let values = values(object, Experiment::PROPERTIES, None, normalizer, &mut code);
    let recipes = match property(object, "recipes") {
        None => Some(Vec::new()),
        Some(Expression::ObjectExpression(recipes)) => {
            // Each is read, even if some are computed, for its code.
            let read = properties(recipes);
            let read = read.map(|(id, recipe)| read_recipe(&id, recipe, normalizer, &mut code));
            let read: Vec<_> = read.collect();
            (read.len() == recipes.properties.len()).then_some(read)
        }
        Some(_) => None,
    };
    if recipes.is_none() {
        code.insert(Part::new(None, DYNAMIC), normalizer.hash(object.span));
    }
    Experiment::new(&values, recipes, code, u64::from(call.size()))
}

fn read_recipe(
    id: &str,
    recipe: &Expression,
    normalizer: &Normalizer,
    code: &mut BTreeMap<Part, u64>,
) -> Recipe {
    let values = match recipe {
        Expression::ObjectExpression(object) => {
            values(object, Recipe::PROPERTIES, Some(id), normalizer, code)
        }
        computed => {
            let part = Part::new(Some(id), DYNAMIC);
            code.insert(part, normalizer.hash(computed.span()));
            Properties::new()
        }
    };
    Recipe::new(id, &values)
}

/// The constant values of the properties with these names. Other properties and computed values are hashed into `code`.
fn values(
    object: &ObjectExpression,
    names: &[&'static str],
    recipe: Option<&str>,
    normalizer: &Normalizer,
    code: &mut BTreeMap<Part, u64>,
) -> Properties {
    let mut values = Properties::new();
    for property in &object.properties {
        let Some((name, expression)) = known_property(property) else {
            // A spread or computed name may set any property.
            values.extend(names.iter().map(|name| (*name, None)));
            code.entry(Part::new(recipe, DYNAMIC))
                .or_insert_with(|| normalizer.hash(object.span));
            continue;
        };
        let known = names.iter().find(|known| **known == name);
        let value = known.and_then(|_| constant(expression));
        let is_object = matches!(expression, Expression::ObjectExpression(_));
        if value.is_none() && !(is_object && name == "recipes") {
            let part = Part::new(recipe, &name);
            code.insert(part, normalizer.hash(expression.span()));
        }
        if let Some(known) = known {
            values.insert(known, value);
        }
    }
    values
}

/// The properties with constant names.
fn properties<'a>(
    object: &'a ObjectExpression<'a>,
) -> impl Iterator<Item = (String, &'a Expression<'a>)> {
    object.properties.iter().filter_map(known_property)
}

pub(super) fn known_property<'a>(
    property: &'a ObjectPropertyKind<'a>,
) -> Option<(String, &'a Expression<'a>)> {
    match property {
        ObjectPropertyKind::ObjectProperty(property) => {
            let value = property.value.without_parentheses();
            Some((property.key.static_name()?.into_owned(), value))
        }
        ObjectPropertyKind::SpreadProperty(_) => None,
    }
}

/// The property with that name. If there are several, the last one counts.
fn property<'a>(object: &'a ObjectExpression<'a>, name: &str) -> Option<&'a Expression<'a>> {
    let named = properties(object).filter(|(key, _)| key == name);
    named.last().map(|(_, value)| value)
}

/// The value of a constant expression, in any form that minifiers write. `None` if it is computed.
pub(super) fn constant(expression: &Expression) -> Option<Value> {
    Some(match expression.without_parentheses() {
        Expression::StringLiteral(text) => Value::Text(text.value.to_string()),
        Expression::TemplateLiteral(text) => Value::Text(text.single_quasi()?.to_string()),
        Expression::NumericLiteral(number) => Value::Number(number.value),
        Expression::BooleanLiteral(boolean) => Value::Boolean(boolean.value),
        Expression::NullLiteral(_) => Value::Null,
        Expression::Identifier(id) if id.name == "undefined" => Value::Null,
        Expression::UnaryExpression(unary) => match (unary.operator, constant(&unary.argument)?) {
            (UnaryOperator::Void, _) => Value::Null,
            (UnaryOperator::UnaryNegation, Value::Number(number)) => Value::Number(-number),
            (UnaryOperator::UnaryPlus, number @ Value::Number(_)) => number,
            (UnaryOperator::LogicalNot, Value::Boolean(boolean)) => Value::Boolean(!boolean),
            (UnaryOperator::LogicalNot, Value::Number(number)) => Value::Boolean(number == 0.0),
            _ => return None,
        },
        Expression::BinaryExpression(binary) => {
            let (left, right) = (constant(&binary.left)?, constant(&binary.right)?);
            match (binary.operator, left, right) {
                (BinaryOperator::Addition, Value::Text(a), Value::Text(b)) => Value::Text(a + &b),
                (BinaryOperator::Division, Value::Number(left), Value::Number(right)) => {
                    Value::Number(left / right)
                }
                _ => return None,
            }
        }
        _ => return None,
    })
}
