//! Reads experiments (`Mojito.addTest`) and the build info (`Mojito.buildInfo`) from the syntax tree.

use std::collections::{BTreeMap, HashMap};

use oxc_ast::ast::{
    ArrayExpressionElement, BinaryOperator, Expression, ObjectExpression, ObjectPropertyKind,
    PropertyKind, UnaryOperator,
};
use oxc_span::{GetSpan, Span};

use super::fingerprint::Normalizer;
use crate::common::printable::sanitize;
use crate::mojito::experiment::{BuildInfo, Experiment, Part};
use crate::mojito::library::Library;
use crate::mojito::recipes::{self, RecipeValue, Recipes, WrittenRecipe};
use crate::mojito::rules::{self, Written};
use crate::mojito::value::{Properties, Value};
use crate::mojito::words::CodeDigest;

/// The name of code that is computed when the script runs.
const DYNAMIC: &str = "computed parts";

pub(super) fn read_build_info(object: &ObjectExpression) -> BuildInfo {
    let text = |name| {
        let Property::Given(value) = property(object, name) else {
            return None;
        };
        match constant(value) {
            Some(Value::Text(text)) => Some(sanitize(&text)),
            _ => None,
        }
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
    library: Library,
    normalizer: &Normalizer,
) -> Experiment {
    let mut code = BTreeMap::new();
    let properties = values(object, rules::PROPERTIES, None, normalizer, &mut code);
    let recipes = match property(object, "recipes") {
        Property::Missing => Recipes::Nullish,
        Property::Given(recipes) => read_recipes(recipes, normalizer, &mut code),
        Property::Dynamic => Recipes::Dynamic,
    };
    if matches!(recipes, Recipes::Dynamic) {
        code.insert(Part::new(None, DYNAMIC), normalizer.code(object.span));
    }
    let written = Written {
        properties,
        recipes,
        code,
        size: u64::from(call.size()),
    };
    written.run(library)
}

fn read_recipes(
    recipes: &Expression,
    normalizer: &Normalizer,
    code: &mut BTreeMap<Part, CodeDigest>,
) -> Recipes {
    let (entries, is_complete) = match recipes {
        Expression::ObjectExpression(object) => {
            let known: Vec<_> = object.properties.iter().filter_map(entry).collect();
            let is_complete = known.len() == object.properties.len();
            (in_order_of_keys(known), is_complete)
        }
        Expression::ArrayExpression(array) => {
            let elements = array.elements.iter().enumerate();
            let present = elements.filter(|(_, element)| !element.is_elision());
            let known = present.map(|(index, it)| (index.to_string(), it.as_expression()));
            let is_complete = !array.elements.iter().any(ArrayExpressionElement::is_spread);
            (known.collect(), is_complete)
        }
        _ => match literal(recipes) {
            Some(Value::Null | Value::Undefined) => return Recipes::Nullish,
            Some(Value::Text(text)) => return Recipes::of_text(&text),
            // It has no keys of its own.
            Some(_) => return Recipes::Listed(Vec::new()),
            None => return Recipes::Dynamic,
        },
    };
    // Each is read, even if some are computed, for its code.
    let read = entries.into_iter().map(|(id, recipe)| {
        let value = recipe.map_or(RecipeValue::Dynamic, |recipe| {
            read_recipe(&id, recipe, normalizer, code)
        });
        WrittenRecipe { id, value }
    });
    let read: Vec<_> = read.collect();
    if is_complete {
        Recipes::Listed(read)
    } else {
        Recipes::Dynamic
    }
}

fn read_recipe(
    id: &str,
    recipe: &Expression,
    normalizer: &Normalizer,
    code: &mut BTreeMap<Part, CodeDigest>,
) -> RecipeValue {
    if let Expression::ObjectExpression(object) = recipe {
        let names = recipes::PROPERTIES;
        return RecipeValue::Properties(values(object, names, Some(id), normalizer, code));
    }
    let part = Part::new(Some(id), DYNAMIC);
    code.insert(part, normalizer.code(recipe.span()));
    literal(recipe).map_or(RecipeValue::Dynamic, RecipeValue::Constant)
}

/// The entries in the order in which JavaScript lists an object's keys: integers first. Of the same key, the last counts.
fn in_order_of_keys<T>(entries: Vec<(String, T)>) -> Vec<(String, T)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut ordered: Vec<(String, T)> = Vec::new();
    for (key, value) in entries {
        if let Some(place) = places.get(&key) {
            ordered[*place].1 = value;
        } else {
            places.insert(key.clone(), ordered.len());
            ordered.push((key, value));
        }
    }
    let integer = |key: &str| {
        let number = key.parse::<u32>().ok().filter(|it| *it < u32::MAX);
        number.filter(|number| number.to_string() == key)
    };
    ordered.sort_by_key(|(key, _)| integer(key).map_or(u64::MAX, u64::from));
    ordered
}

/// The values of the properties with these names. Other properties, computed values and code are added to `code`.
fn values(
    object: &ObjectExpression,
    names: &[&'static str],
    recipe: Option<&str>,
    normalizer: &Normalizer,
    code: &mut BTreeMap<Part, CodeDigest>,
) -> Properties {
    let mut values = Properties::new();
    for property in &object.properties {
        let Some((name, expression)) = entry(property) else {
            // A spread or computed name may set any property.
            values.extend(names.iter().map(|name| (*name, None)));
            code.entry(Part::new(recipe, DYNAMIC))
                .or_insert_with(|| normalizer.code(object.span));
            continue;
        };
        let known = names.iter().find(|known| **known == name);
        let value = known.and_then(|_| literal(expression?));
        let is_plain = !matches!(&value, None | Some(Value::Object(_) | Value::Function));
        let is_recipes = recipe.is_none()
            && name == "recipes"
            && matches!(
                expression,
                Some(Expression::ObjectExpression(_) | Expression::ArrayExpression(_))
            );
        if !is_plain && !is_recipes {
            let part = Part::new(recipe, &name);
            let span = expression.map_or(property.span(), GetSpan::span);
            code.insert(part, normalizer.code(span));
        }
        if let Some(known) = known {
            values.insert(known, value);
        }
    }
    values
}

/// The name and value of a property. The value is `None` if a getter computes it. `None` if it may set any property.
fn entry<'a>(property: &'a ObjectPropertyKind<'a>) -> Option<(String, Option<&'a Expression<'a>>)> {
    let (name, value) = known_property(property)?;
    let ObjectPropertyKind::ObjectProperty(property) = property else {
        return None;
    };
    let is_inherited =
        name == "__proto__" && !(property.computed || property.shorthand || property.method);
    let is_value = property.kind == PropertyKind::Init;
    (!is_inherited).then(|| (name, is_value.then_some(value)))
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

/// The value of a property.
enum Property<'a> {
    Missing,
    Given(&'a Expression<'a>),
    Dynamic,
}

/// The property with that name. If there are several, the last one counts.
fn property<'a>(object: &'a ObjectExpression<'a>, name: &str) -> Property<'a> {
    let mut found = Property::Missing;
    for property in &object.properties {
        match entry(property) {
            Some((key, _)) if key != name => {}
            Some((_, Some(value))) => found = Property::Given(value),
            Some((_, None)) | None => found = Property::Dynamic,
        }
    }
    found
}

/// The value of a constant expression, in any form that minifiers write. `None` if it is computed.
pub(super) fn constant(expression: &Expression) -> Option<Value> {
    Some(match expression.without_parentheses() {
        Expression::StringLiteral(text) => Value::Text(text.value.to_string()),
        Expression::TemplateLiteral(text) => Value::Text(text.single_quasi()?.to_string()),
        Expression::NumericLiteral(number) => Value::Number(number.value),
        Expression::BooleanLiteral(boolean) => Value::Boolean(boolean.value),
        Expression::NullLiteral(_) => Value::Null,
        Expression::Identifier(id) => match id.name.as_str() {
            "undefined" => Value::Undefined,
            "NaN" => Value::Number(f64::NAN),
            "Infinity" => Value::Number(f64::INFINITY),
            _ => return None,
        },
        Expression::UnaryExpression(unary) => match (unary.operator, constant(&unary.argument)?) {
            (UnaryOperator::Void, _) => Value::Undefined,
            (UnaryOperator::UnaryNegation, Value::Number(number)) => Value::Number(-number),
            (UnaryOperator::UnaryPlus, number @ Value::Number(_)) => number,
            (UnaryOperator::LogicalNot, value) => Value::Boolean(!value.is_truthy()),
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

/// A constant, or the value of an array, object or function that is written out. `None` if it is computed.
fn literal(expression: &Expression) -> Option<Value> {
    let text = match expression.without_parentheses() {
        Expression::ArrowFunctionExpression(_) => return Some(Value::Function),
        // Calling a generator runs nothing of it.
        Expression::FunctionExpression(function) if !function.generator => {
            return Some(Value::Function);
        }
        // A class cannot be called.
        Expression::FunctionExpression(_) | Expression::ClassExpression(_) => "function".to_owned(),
        Expression::RegExpLiteral(regex) => regex.regex.to_string(),
        Expression::ObjectExpression(object) => {
            let converts = |name: &str| matches!(name, "toString" | "valueOf");
            let mut entries = object.properties.iter().map(entry);
            let is_plain = entries.all(|it| it.is_some_and(|(name, _)| !converts(&name)));
            is_plain.then(|| "[object Object]".to_owned())?
        }
        Expression::ArrayExpression(array) => {
            let elements = array.elements.iter().map(|element| {
                if element.is_elision() {
                    return Some(String::new());
                }
                let value = literal(element.as_expression()?)?;
                Some(if value.is_nullish() {
                    String::new()
                } else {
                    value.to_text()
                })
            });
            elements.collect::<Option<Vec<_>>>()?.join(",")
        }
        expression => return constant(expression),
    };
    Some(Value::Object(text))
}
