//! An experiment as Mojito runs it: its state, sample rate and recipes.
//!
//! Properties and their defaults mean what Mojito's own `lib/mojito.js` makes of them.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::common::printable::sanitize;

/// Stands for the id of an experiment that has none, or whose id is computed.
pub(crate) const UNKNOWN_ID: &str = "?";

/// A constant in the script.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(f64),
    Boolean(bool),
    /// `null` or `undefined`.
    Null,
}

/// Properties by name. `None` if the value is computed.
pub(crate) type Properties = BTreeMap<&'static str, Option<Value>>;

/// An experiment, added by one call of `Mojito.addTest`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Experiment {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) traffic: Traffic,
    pub(crate) recipes: Vec<Recipe>,
    /// Its size in the script, in bytes.
    pub(crate) size: u64,
    /// What Mojito throws on or ignores.
    #[serde(skip)]
    pub(crate) problems: Vec<String>,
    /// A hash of each part of its code.
    #[serde(skip)]
    pub(crate) code: BTreeMap<Part, u64>,
    /// The position of the innermost `try` that catches what Mojito throws when it is added.
    #[serde(skip)]
    pub(crate) caught_by: Option<u32>,
}

/// A part of an experiment's code.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Part {
    /// The id of the recipe. `None` for code of the experiment itself.
    recipe: Option<String>,
    /// The property, such as `js`, `css` or `trigger`.
    name: String,
}

impl Part {
    pub(crate) fn new(recipe: Option<&str>, name: &str) -> Self {
        Self {
            recipe: recipe.map(sanitize),
            name: sanitize(name),
        }
    }
}

/// Which visitors get an experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Traffic {
    /// A sample of them, from 0 to 1.
    Live { share: f64 },
    /// All visitors get this recipe.
    Diverted { recipe: String },
    /// No visitors, only previews.
    Staged,
    /// Computed when the script runs.
    Dynamic,
}

/// One of the variations that an experiment compares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Recipe {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its share of the experiment's visitors, from 0 to 1. `None` if the recipes share equally.
    pub(crate) share: Option<f64>,
}

impl Recipe {
    pub(crate) const PROPERTIES: &[&str] = &["name", "sampleRate"];

    pub(crate) fn new(id: &str, properties: &Properties) -> Self {
        Self {
            id: sanitize(id),
            name: text(properties.get("name")).unwrap_or_else(|| sanitize(id)),
            // `max` turns NaN into 0. NaN does not equal itself, so every build would seem to change it.
            share: number(properties.get("sampleRate")).map(|share| share.max(0.0)),
        }
    }
}

impl Experiment {
    pub(crate) const PROPERTIES: &[&str] = &["id", "name", "state", "sampleRate", "divertTo"];

    /// `recipes` is `None` if they are computed.
    pub(crate) fn new(
        properties: &Properties,
        recipes: Option<Vec<Recipe>>,
        code: BTreeMap<Part, u64>,
        size: u64,
    ) -> Self {
        let id = text(properties.get("id")).filter(|id| !id.is_empty());
        let rate = match properties.get("sampleRate") {
            None => Some(1.0),
            Some(Some(Value::Null)) => Some(0.0),
            given => number(given),
        };
        let has_no_id = id.is_none() && properties.get("id").is_none_or(Option::is_some);
        let mut problems = fatal_problems(has_no_id, recipes.as_deref(), rate);
        if rate.is_some_and(f64::is_nan) {
            problems.push("has a sample rate that is not a number, so no visitor gets it".into());
        }
        let traffic = traffic(properties, recipes.as_deref(), rate, &mut problems);
        let id = id.unwrap_or_else(|| UNKNOWN_ID.to_owned());
        Self {
            name: text(properties.get("name")).unwrap_or_else(|| id.clone()),
            id,
            traffic,
            recipes: recipes.unwrap_or_default(),
            size,
            problems,
            code,
            caught_by: None,
        }
    }

    /// Which visitors get it: `50%`, ``all get `Treatment` ``, `staged`.
    pub(crate) fn describe_traffic(&self) -> String {
        match &self.traffic {
            Traffic::Live { share } => Percent(*share).to_string(),
            Traffic::Diverted { recipe } => format!("all get `{}`", self.recipe_name(recipe)),
            Traffic::Staged => "staged".to_owned(),
            Traffic::Dynamic => "computed by code".to_owned(),
        }
    }

    /// A part of its code: ``trigger``, ``js of `Treatment` ``.
    pub(crate) fn describe_part(&self, part: &Part) -> String {
        match &part.recipe {
            Some(recipe) => format!("{} of `{}`", part.name, self.recipe_name(recipe)),
            None => part.name.clone(),
        }
    }

    /// The name of a recipe, or its id if it has none.
    pub(crate) fn recipe_name<'a>(&'a self, id: &'a str) -> &'a str {
        let recipe = self.recipes.iter().find(|recipe| recipe.id == id);
        recipe.map_or(id, |recipe| &recipe.name)
    }
}

/// The problems that make Mojito throw.
fn fatal_problems(has_no_id: bool, recipes: Option<&[Recipe]>, rate: Option<f64>) -> Vec<String> {
    let mut problems = Vec::new();
    if has_no_id {
        problems.push("has no id".to_owned());
    }
    if let Some(recipes) = recipes {
        if recipes.len() < 2 {
            problems.push("has fewer than 2 recipes".to_owned());
        }
        let mut has_share = recipes.iter().map(|recipe| recipe.share.is_some());
        let first = has_share.next();
        if has_share.any(|other| Some(other) != first) {
            problems.push("has sample rates for some recipes but not for others".to_owned());
        }
    }
    if let Some(rate) = rate.filter(|rate| *rate > 1.0) {
        problems.push(format!("has a sample rate of {rate}, which is above 1"));
    }
    for problem in &mut problems {
        problem.push_str(": Mojito throws here; later experiments do not run");
    }
    problems
}

/// Which visitors get an experiment, adding what Mojito ignores to `problems`.
fn traffic(
    properties: &Properties,
    recipes: Option<&[Recipe]>,
    rate: Option<f64>,
    problems: &mut Vec<String>,
) -> Traffic {
    let divert_to = match properties.get("divertTo") {
        None | Some(Some(Value::Null)) => None,
        Some(Some(Value::Text(recipe))) => Some(Some(sanitize(recipe))),
        Some(Some(value)) => {
            problems.push(format!("has the `divertTo` {value}, which Mojito ignores: it must be a recipe's id in quotes"));
            None
        }
        Some(None) => Some(None),
    };
    match properties.get("state") {
        Some(None) => return Traffic::Dynamic,
        Some(Some(Value::Text(state))) if state.eq_ignore_ascii_case("live") => {}
        Some(Some(Value::Text(state))) if !state.eq_ignore_ascii_case("staging") => {
            let state = Value::Text(state.clone());
            problems.push(format!(
                "has the state {state}, which Mojito treats as `staging`"
            ));
            return Traffic::Staged;
        }
        _ => return Traffic::Staged,
    }
    let may_be_recipe = |id: &str| recipes.is_none_or(|known| known.iter().any(|it| it.id == id));
    match divert_to {
        Some(None) => return Traffic::Dynamic,
        Some(Some(recipe)) if may_be_recipe(&recipe) => return Traffic::Diverted { recipe },
        Some(Some(recipe)) => problems.push(format!(
            "has the `divertTo` `{recipe}`, which Mojito ignores: there is no such recipe"
        )),
        None => {}
    }
    rate.map_or(Traffic::Dynamic, |rate| Traffic::Live {
        // No visitor gets a rate that is not a number. `clamp` keeps NaN, `max` does not.
        share: rate.clamp(0.0, 1.0).max(0.0),
    })
}

fn text(value: Option<&Option<Value>>) -> Option<String> {
    match value? {
        Some(Value::Text(text)) => Some(sanitize(text)),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    }
}

fn number(value: Option<&Option<Value>>) -> Option<f64> {
    match value?.as_ref()? {
        Value::Number(number) => Some(*number),
        // JavaScript parses the same text as Rust, apart from `Infinity`, and takes an empty string for 0.
        Value::Text(text) if text.trim().is_empty() => Some(0.0),
        Value::Text(text) => Some(text.trim().parse().unwrap_or(f64::NAN)),
        Value::Boolean(boolean) => Some(f64::from(u8::from(*boolean))),
        Value::Null => None,
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "`{}`", sanitize(text)),
            Self::Number(number) => write!(f, "{number}"),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::Null => write!(f, "null"),
        }
    }
}

/// A share from 0 to 1, displayed as `50%` or `12.5%`.
pub(crate) struct Percent(pub(crate) f64);

impl Percent {
    /// `part` as a share of `whole`, to a tenth of a percent.
    pub(crate) fn of_bytes(part: u64, whole: u64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "files have at most ten million bytes"
        )]
        let share = part as f64 / whole as f64;
        Self((share * 1e3).round() / 1e3)
    }
}

impl Display for Percent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Hides floating-point noise; `{}` drops trailing zeros.
        let percent = (self.0 * 1e6).round() / 1e4;
        // Do not round a share to none or all.
        if percent <= 0.0 && self.0 > 0.0 {
            write!(f, "<0.0001%")
        } else if percent >= 100.0 && self.0 < 1.0 {
            write!(f, ">99.9999%")
        } else {
            write!(f, "{percent}%")
        }
    }
}

/// `Mojito.buildInfo`, which Mojito's build writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct BuildInfo {
    pub(crate) container: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) mojito_version: Option<String>,
    /// In ISO 8601.
    pub(crate) built_at: Option<String>,
}

impl BuildInfo {
    /// In readable form: `2026-11-24 05:00 UTC`.
    pub(crate) fn built_at(&self) -> Option<String> {
        let built_at = self.built_at.as_deref()?;
        let minutes = built_at.get(..16).filter(|_| built_at.ends_with('Z'));
        let readable = minutes.map(|minutes| format!("{} UTC", minutes.replace('T', " ")));
        Some(readable.unwrap_or_else(|| built_at.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mojito_throws_on_or_ignores_is_a_problem() {
        /// `expected` is the start of the problem that the properties and the recipes' shares cause.
        #[track_caller]
        fn case(properties: &[(&'static str, Value)], shares: &[Option<f64>], expected: &str) {
            let id = ("id", Value::Text("w1".to_owned()));
            let given = [id].into_iter().chain(properties.iter().cloned());
            let properties = given.map(|(name, value)| (name, Some(value))).collect();
            let recipes = shares.iter().enumerate().map(|(number, share)| Recipe {
                id: number.to_string(),
                name: format!("Recipe {number}"),
                share: *share,
            });
            let recipes = Some(recipes.collect());
            let problems = Experiment::new(&properties, recipes, BTreeMap::new(), 0).problems;
            assert_eq!(problems.is_empty(), expected.is_empty(), "{problems:?}");
            assert!(problems.len() < 2, "{problems:?}");
            assert!(problems.concat().starts_with(expected), "{problems:?}");
        }
        let text = |name, value: &str| (name, Value::Text(value.to_owned()));
        let number = |name, value| [(name, Value::Number(value))];
        let live = [text("state", "live")];
        let two = &[None, None];
        case(&live, two, "");
        case(&[("id", Value::Null)], two, "has no id: Mojito throws here");
        case(
            &live,
            &[None],
            "has fewer than 2 recipes: Mojito throws here",
        );
        case(
            &live,
            &[Some(0.5), None],
            "has sample rates for some recipes",
        );
        let above = "has a sample rate of 50, which is above 1: Mojito throws here";
        case(&number("sampleRate", 50.0), two, above);
        let ignored = "has the `divertTo` 1, which Mojito ignores";
        case(&number("divertTo", 1.0), two, ignored);
        let nowhere = "has the `divertTo` `9`, which Mojito ignores: there is no such recipe";
        case(&[live[0].clone(), text("divertTo", "9")], two, nowhere);
        let paused = "has the state `paused`, which Mojito treats as `staging`";
        case(&[text("state", "paused")], two, paused);
    }

    #[test]
    fn shares_are_displayed_as_percentages() {
        let shares = [0.5, 1.0, 0.0, 0.125, 0.1 + 0.2, 1.0 / 3.0];
        let shown = shares.map(|share| Percent(share).to_string()).join(" ");
        assert_eq!(shown, "50% 100% 0% 12.5% 30% 33.3333%");
    }
}
