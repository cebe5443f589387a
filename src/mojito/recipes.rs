//! The recipes of an experiment: whether Mojito accepts them, and which of its visitors get each.

use super::experiment::{Part, Percent, Problem, Recipe, RecipeShare, Throw, Traffic};
use super::library::Library;
use super::shares::{shares_of, NOISE};
use super::value::{Properties, Value};
use crate::common::layout::first_ten;
use crate::common::printable::sanitize;

/// The properties that decide who gets a recipe.
pub(crate) const PROPERTIES: &[&str] = &["name", "sampleRate"];

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
        /// Nobody means a longer text, which would take much memory.
        const MAX_RECIPES: usize = 100;
        let count = text.encode_utf16().take(MAX_RECIPES + 1).count();
        if count > MAX_RECIPES {
            return Self::Dynamic;
        }
        let recipes = (0..count).map(|index| WrittenRecipe {
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
    pub(crate) fn throws(&self, library: Library) -> Option<Throw> {
        let throw = |part, problem: String, remedy| {
            Some(Throw {
                part,
                problem,
                remedy,
            })
        };
        let recipes = || Part::new(None, "recipes");
        let nullish = |recipe: &&WrittenRecipe| matches!(&recipe.value, RecipeValue::Constant(it) if it.is_nullish());
        if let Some(recipe) = self.listed().iter().find(nullish) {
            let name = recipe.name();
            return throw(
                recipes(),
                format!("has the recipe `{name}`, which is blank"),
                "give the recipe its properties",
            );
        }
        let rates: Vec<Option<Value>> = self.listed().iter().map(WrittenRecipe::rate).collect();
        // Mojito adds the rates to a variable without a value: numbers never make a number, and it compares only text.
        for (recipe, rate) in self.listed().iter().zip(&rates) {
            let (what, remedy) = match rate {
                Some(Value::Text(text)) => {
                    let rate = format!("a quoted sample rate ('{}')", sanitize(text));
                    (rate, "remove the quotes")
                }
                Some(Value::Object(_) | Value::Function) => {
                    let rate = "a sample rate that is not a number".to_owned();
                    (rate, "write 50% as 0.5")
                }
                _ => continue,
            };
            let name = recipe.name();
            let part = Part::new(Some(&recipe.id), "sampleRate");
            return throw(part, format!("has {what} for the recipe `{name}`"), remedy);
        }
        let has_rate = |rate: &Value| !rate.is_nullish();
        let some = rates.iter().flatten().any(has_rate);
        if library.wants_all_rates && some && !rates.iter().flatten().all(has_rate) {
            return throw(
                recipes(),
                "has sample rates for some recipes but not for others".to_owned(),
                "give one to all or to none",
            );
        }
        let sum: Option<f64> = rates.iter().map(|rate| rate.as_ref().map(added)).sum();
        #[expect(clippy::float_cmp, reason = "as Mojito compares")]
        let other_sum = sum.filter(|sum| *sum != 1.0);
        match other_sum {
            Some(sum) if library.is_strict && some => throw(
                recipes(),
                format!("has recipe sample rates that add up to {sum}"),
                "make them add up to exactly 1",
            ),
            _ => None,
        }
    }

    /// The recipes with their shares, and a problem if visitors get none or a recipe gets fewer than it should.
    pub(crate) fn shared(
        &self,
        library: Library,
        traffic: &Traffic,
    ) -> (Vec<Recipe>, Option<Problem>) {
        let written = self.listed();
        let rates = rates(written);
        let shares = match &rates {
            Rates::Equal => equal_shares(written),
            Rates::Exact(rates) => shares_of(rates, library),
            Rates::Dynamic => vec![RecipeShare::Dynamic; written.len()],
        };
        let recipes = written.iter().zip(shares).map(|(recipe, share)| Recipe {
            id: sanitize(&recipe.id),
            name: recipe.name(),
            share,
        });
        let recipes: Vec<Recipe> = recipes.collect();
        let problem = match traffic {
            Traffic::Broken { .. } | Traffic::Diverted { .. } => None,
            _ => lost(library, written, &rates, &recipes),
        };
        let problem = problem.map(|text| Problem::new("recipes", text));
        (recipes, problem)
    }
}

/// What a sample rate adds to a sum: nothing if there is none.
fn added(rate: &Value) -> f64 {
    if rate.is_nullish() {
        0.0
    } else {
        rate.to_number()
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

/// A problem if visitors get no recipe, or a recipe gets fewer than its sample rate.
fn lost(
    library: Library,
    written: &[WrittenRecipe],
    rates: &Rates,
    recipes: &[Recipe],
) -> Option<String> {
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
    let effects = first_ten(&effects);
    let sum: f64 = rates.iter().sum();
    Some(if sum.is_nan() {
        format!("has a recipe sample rate that is not a number: {effects}; write 50% as 0.5")
    } else if rates.iter().any(|rate| *rate < 0.0) {
        format!("has a recipe sample rate below 0: {effects}; write 50% as 0.5")
    } else if !library.adds_rates_up {
        format!("has recipe sample rates that this version of Mojito does not add up: {effects}; upgrade Mojito")
    } else {
        let sum = Value::Number((sum * 1e6).round() / 1e6);
        format!("has recipe sample rates that add up to {sum}: {effects}; make them add up to 1")
    })
}
