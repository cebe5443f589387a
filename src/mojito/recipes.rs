//! The recipes of an experiment: whether Mojito accepts them, and which of its visitors get each.

use std::cmp::Ordering;

use super::experiment::{Percent, Recipe, RecipeShare, Throw, Traffic};
use super::value::{Properties, Value};
use crate::common::layout::first_ten;
use crate::common::printable::sanitize;

/// The properties that decide who gets a recipe.
pub(crate) const PROPERTIES: &[&str] = &["name", "sampleRate"];

/// Sums and shares that differ by less are the same. It hides floating-point noise.
const NOISE: f64 = 1e-6;

/// The value of `recipes`.
pub(crate) enum Recipes {
    /// Missing, `null` or `undefined`.
    Nullish,
    /// In the order in which JavaScript lists them.
    Listed(Vec<WrittenRecipe>),
    /// Computed when the script runs.
    Dynamic,
}

/// A recipe as it is written.
pub(crate) struct WrittenRecipe {
    pub(crate) id: String,
    pub(crate) value: RecipeValue,
}

pub(crate) enum RecipeValue {
    /// An object. `None` if the value of a property is computed.
    Properties(Properties),
    /// Something that has no properties.
    Constant(Value),
    Dynamic,
}

impl WrittenRecipe {
    /// Its sample rate. `None` if it is computed.
    fn rate(&self) -> Option<Value> {
        match &self.value {
            RecipeValue::Properties(properties) => match properties.get("sampleRate") {
                None => Some(Value::Undefined),
                Some(rate) => rate.clone(),
            },
            RecipeValue::Constant(_) => Some(Value::Undefined),
            RecipeValue::Dynamic => None,
        }
    }

    fn name(&self) -> String {
        let properties = match &self.value {
            RecipeValue::Properties(properties) => properties.get("name"),
            _ => None,
        };
        match properties {
            Some(Some(name @ (Value::Text(_) | Value::Number(_)))) => sanitize(&name.to_text()),
            _ => sanitize(&self.id),
        }
    }

    /// Mojito takes a recipe that is `''`, `0` or `false` for a recipe that was removed.
    fn is_falsy(&self) -> bool {
        matches!(&self.value, RecipeValue::Constant(value) if !value.is_truthy())
    }
}

impl Recipes {
    /// The keys of a text are its characters.
    pub(crate) fn of_text(text: &str) -> Self {
        let units = text.encode_utf16().enumerate();
        let recipes = units.map(|(index, _)| WrittenRecipe {
            id: index.to_string(),
            value: RecipeValue::Constant(Value::Text("a".to_owned())),
        });
        Self::Listed(recipes.collect())
    }

    fn listed(&self) -> &[WrittenRecipe] {
        match self {
            Self::Listed(recipes) => recipes,
            Self::Nullish | Self::Dynamic => &[],
        }
    }

    /// `None` if they are computed.
    pub(crate) fn count(&self) -> Option<usize> {
        match self {
            Self::Dynamic => None,
            _ => Some(self.listed().len()),
        }
    }

    /// Whether there is a recipe with this id. `None` if they are computed.
    pub(crate) fn contains(&self, id: &str) -> Option<bool> {
        self.count()?;
        Some(self.listed().iter().any(|recipe| recipe.id == id))
    }

    /// Why Mojito throws at them, if it does.
    pub(crate) fn throws(&self, is_strict: bool, wants_all_rates: bool) -> Option<Throw> {
        let throw = |problem: String, remedy| Some(Throw { problem, remedy });
        let nullish = |recipe: &&WrittenRecipe| matches!(&recipe.value, RecipeValue::Constant(it) if it.is_nullish());
        if let Some(recipe) = self.listed().iter().find(nullish) {
            let name = recipe.name();
            return throw(
                format!("has the recipe `{name}`, which is blank"),
                "give the recipe its properties",
            );
        }
        let rates = || self.listed().iter().map(|recipe| (recipe, recipe.rate()));
        let (mut some, mut none, mut sum) = (false, false, Some(0.0));
        for (recipe, rate) in rates() {
            let Some(rate) = rate else {
                sum = None;
                continue;
            };
            none |= rate.is_nullish();
            some |= !rate.is_nullish();
            match &rate {
                Value::Null | Value::Undefined => {}
                // It adds to a variable without a value, which is never a number. Only text makes it compare the sum.
                Value::Number(_) | Value::Boolean(_) => sum = sum.map(|sum| sum + rate.to_number()),
                Value::Text(_) | Value::Object(_) | Value::Function => {
                    let name = recipe.name();
                    let (problem, remedy) = match &rate {
                        Value::Text(text) => (
                            format!("a quoted sample rate ('{}')", sanitize(text)),
                            "remove the quotes",
                        ),
                        _ => (
                            "a sample rate that is not a number".to_owned(),
                            "write 50% as 0.5",
                        ),
                    };
                    return throw(format!("has {problem} for the recipe `{name}`"), remedy);
                }
            }
        }
        if some && none && wants_all_rates {
            return throw(
                "has sample rates for some recipes but not for others".to_owned(),
                "give one to all or to none",
            );
        }
        #[expect(clippy::float_cmp, reason = "as Mojito compares")]
        let is_other = sum.is_some_and(|sum| sum != 1.0);
        if is_strict && some && is_other {
            let sum = rounded(sum.unwrap_or_default());
            return throw(
                format!("has recipe sample rates that add up to {sum}"),
                "make them add up to exactly 1",
            );
        }
        None
    }

    /// The recipes with their shares. Visitors who get none, and recipes that get fewer than they should, are a problem.
    pub(crate) fn shared(&self, traffic: &Traffic, problems: &mut Vec<String>) -> Vec<Recipe> {
        let written = self.listed();
        let rates = rates(written);
        let shares = match &rates {
            Rates::Equal => equal_shares(written),
            Rates::Exact(rates) => shares_of(rates),
            Rates::Dynamic => vec![RecipeShare::Dynamic; written.len()],
        };
        let recipes = written.iter().zip(shares).map(|(recipe, share)| Recipe {
            id: sanitize(&recipe.id),
            name: recipe.name(),
            share,
        });
        let recipes: Vec<Recipe> = recipes.collect();
        if !matches!(traffic, Traffic::Broken { .. } | Traffic::Diverted { .. }) {
            problems.extend(lost(written, &rates, &recipes));
        }
        recipes
    }
}

/// The sample rates of all recipes.
enum Rates {
    /// None has one, or not all.
    Equal,
    Exact(Vec<f64>),
    Dynamic,
}

fn rates(recipes: &[WrittenRecipe]) -> Rates {
    let rates: Vec<Option<Value>> = recipes.iter().map(WrittenRecipe::rate).collect();
    if rates.is_empty() || rates.iter().flatten().any(Value::is_nullish) {
        return Rates::Equal;
    }
    let rates: Option<Vec<f64>> = rates
        .iter()
        .map(|rate| Some(rate.as_ref()?.to_number()))
        .collect();
    rates.map_or(Rates::Dynamic, Rates::Exact)
}

fn equal_shares(recipes: &[WrittenRecipe]) -> Vec<RecipeShare> {
    if !recipes.iter().any(WrittenRecipe::is_falsy) {
        return vec![RecipeShare::Equal; recipes.len()];
    }
    #[expect(clippy::cast_precision_loss, reason = "as JavaScript counts")]
    let equal = 1.0 / recipes.len() as f64;
    let share = |recipe: &WrittenRecipe| if recipe.is_falsy() { 0.0 } else { equal };
    recipes
        .iter()
        .map(|recipe| RecipeShare::Exact(share(recipe)))
        .collect()
}

/// The shares of recipes with these sample rates.
///
/// Mojito adds the rates up, from the lowest to the highest. A visitor gets the recipe at which the sum first reaches
/// the visitor's random number, which is below 1.
fn shares_of(rates: &[f64]) -> Vec<RecipeShare> {
    let Some(order) = ascending(rates) else {
        return vec![RecipeShare::Dynamic; rates.len()];
    };
    let mut shares = vec![RecipeShare::Exact(0.0); rates.len()];
    let (mut sum, mut given) = (0.0, 0.0);
    for index in order {
        sum += rates[index];
        // No random number reaches a sum that is not a number.
        let reached = if sum > given {
            f64::min(sum, 1.0)
        } else {
            given
        };
        let share = reached - given;
        let is_whole = (share - rates[index]).abs() < NOISE;
        shares[index] = RecipeShare::Exact(if is_whole { rates[index] } else { share });
        given = reached;
    }
    shares
}

/// The indices of the rates from the lowest to the highest, equal ones in their order.
fn ascending(rates: &[f64]) -> Option<Vec<usize>> {
    /// Where something is not a number, it depends on how the browser sorts, and all sort a few by insertion.
    const MAX_INSERTIONS: usize = 10;
    let mut order: Vec<usize> = (0..rates.len()).collect();
    if !rates.iter().any(|rate| rate.is_nan()) {
        let compare = |one: &usize, other: &usize| rates[*one].partial_cmp(&rates[*other]);
        order.sort_by(|one, other| compare(one, other).unwrap_or(Ordering::Equal));
        return Some(order);
    }
    if rates.len() > MAX_INSERTIONS {
        return None;
    }
    for inserted in 1..order.len() {
        let mut at = inserted;
        while at > 0 && rates[order[at]] < rates[order[at - 1]] {
            order.swap(at, at - 1);
            at -= 1;
        }
    }
    Some(order)
}

/// A problem if visitors get no recipe, or a recipe gets fewer than its sample rate.
fn lost(written: &[WrittenRecipe], rates: &Rates, recipes: &[Recipe]) -> Option<String> {
    if let Some(recipe) = written.iter().find(|recipe| recipe.is_falsy()) {
        let name = recipe.name();
        return Some(format!(
            "has the recipe `{name}`, which is blank: visitors who draw it see nothing; give it its properties"
        ));
    }
    let Rates::Exact(rates) = rates else {
        return None;
    };
    let shares: Option<Vec<f64>> = recipes.iter().map(|recipe| recipe.share.into()).collect();
    let shares = shares?;
    let without = 1.0 - shares.iter().sum::<f64>();
    let mut effects = Vec::new();
    if without > NOISE {
        effects.push(format!(
            "{} of its visitors get no recipe",
            Percent(without)
        ));
    }
    for ((recipe, rate), share) in recipes.iter().zip(rates).zip(&shares) {
        if (rate - share).abs() > NOISE {
            effects.push(format!("`{}` gets {}", recipe.name, Percent(*share)));
        }
    }
    if effects.is_empty() {
        return None;
    }
    let effects: Vec<&str> = effects.iter().map(String::as_str).collect();
    let effects = first_ten(&effects);
    let sum: f64 = rates.iter().sum();
    Some(if sum.is_nan() {
        format!("has a recipe sample rate that is not a number: {effects}; write 50% as 0.5")
    } else if rates.iter().any(|rate| *rate < 0.0) {
        format!("has a recipe sample rate below 0: {effects}; write 50% as 0.5")
    } else {
        let sum = rounded(sum);
        format!("has recipe sample rates that add up to {sum}: {effects}; make them add up to 1")
    })
}

fn rounded(sum: f64) -> f64 {
    (sum * 1e6).round() / 1e6
}
