//! An experiment as Mojito runs it: who sees it, at what share of traffic, in which recipes.
//!
//! What each property means, and what stands for one that is absent, is what Mojito's own `lib/mojito.js` makes of it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::common::printable::sanitize;

/// What stands for the id of an experiment that has none, or whose id only running the script would tell.
pub(crate) const UNKNOWN_ID: &str = "?";

/// A value that stands in the script.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(f64),
    Boolean(bool),
    /// `null` or `undefined`.
    Null,
}

/// Properties by name. `None` where only running the script would tell the value.
pub(crate) type Properties = BTreeMap<&'static str, Option<Value>>;

/// What one call of `Mojito.addTest` adds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Experiment {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) traffic: Traffic,
    pub(crate) recipes: Vec<Recipe>,
    /// Bytes of the script that it takes.
    pub(crate) size: u64,
    /// What Mojito will stumble over or ignore.
    #[serde(skip)]
    pub(crate) problems: Vec<String>,
    /// What identifies each part of its code.
    #[serde(skip)]
    pub(crate) code: BTreeMap<Part, u64>,
}

/// A part of an experiment's code.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Part {
    /// The id of the recipe that it belongs to. `None`: the experiment itself.
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
    /// A share of them, from 0 to 1.
    Live { share: f64 },
    /// All of them get this recipe.
    Diverted { recipe: String },
    /// Nobody who does not ask for a preview.
    Staged,
    /// Only running the script would tell.
    Dynamic,
}

/// One of the forms that an experiment tries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Recipe {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its share of the experiment's visitors, from 0 to 1. `None` where all recipes share alike.
    pub(crate) share: Option<f64>,
}

impl Recipe {
    pub(crate) const PROPERTIES: &[&str] = &["name", "sampleRate"];

    pub(crate) fn new(id: &str, properties: &Properties) -> Self {
        Self {
            id: sanitize(id),
            name: text(properties.get("name")).unwrap_or_else(|| sanitize(id)),
            share: number(properties.get("sampleRate").and_then(Option::as_ref))
                // NaN, which is not equal to itself, would be another share with each build.
                .map(|share| share.max(0.0)),
        }
    }
}

impl Experiment {
    pub(crate) const PROPERTIES: &[&str] = &["id", "name", "state", "sampleRate", "divertTo"];

    /// `recipes` is `None` where only running the script would tell which there are.
    pub(crate) fn new(
        properties: &Properties,
        recipes: Option<Vec<Recipe>>,
        code: BTreeMap<Part, u64>,
        size: u64,
    ) -> Self {
        let id = text(properties.get("id")).filter(|id| !id.is_empty());
        let mut problems = Vec::new();
        if id.is_none() && properties.get("id").is_none_or(Option::is_some) {
            problems.push("has no id".to_owned());
        }
        let id = id.unwrap_or_else(|| UNKNOWN_ID.to_owned());
        if let Some(recipes) = &recipes {
            if recipes.len() < 2 {
                problems.push("has fewer than 2 recipes".to_owned());
            }
            let shares = recipes
                .iter()
                .filter(|recipe| recipe.share.is_some())
                .count();
            if shares != 0 && shares != recipes.len() {
                problems.push("has a sample rate for some recipes and none for others".to_owned());
            }
        }
        let rate = match properties.get("sampleRate") {
            None => Some(1.0),
            Some(Some(Value::Null)) => Some(0.0),
            given => number(given.and_then(Option::as_ref)),
        };
        if let Some(rate) = rate.filter(|rate| *rate > 1.0) {
            problems.push(format!("has the sample rate {rate}, which is above 1"));
        }
        for problem in &mut problems {
            problem.push_str(": Mojito stops at it, and no experiment after it runs");
        }
        if rate.is_some_and(f64::is_nan) {
            problems.push("has a sample rate that is no number, so that nobody gets it".to_owned());
        }
        let divert_to = match properties.get("divertTo") {
            None | Some(Some(Value::Null)) => None,
            Some(Some(Value::Text(recipe))) => Some(Some(sanitize(recipe))),
            Some(Some(value)) => {
                problems.push(format!("has the `divertTo` {value}, which Mojito ignores: it must be the recipe's id in quotes"));
                None
            }
            Some(None) => Some(None),
        };
        let traffic = match properties.get("state") {
            Some(None) => Traffic::Dynamic,
            Some(Some(Value::Text(state))) if state.eq_ignore_ascii_case("live") => match divert_to
            {
                Some(None) => Traffic::Dynamic,
                Some(Some(recipe)) if is_one_of(recipes.as_deref(), &recipe) => {
                    Traffic::Diverted { recipe }
                }
                other => {
                    if let Some(Some(recipe)) = other {
                        problems.push(format!("has the `divertTo` `{recipe}`, which Mojito ignores: it is none of its recipes"));
                    }
                    rate.map_or(Traffic::Dynamic, |rate| Traffic::Live {
                        // Nobody gets what is no number. `clamp` keeps NaN, `max` does not.
                        share: rate.clamp(0.0, 1.0).max(0.0),
                    })
                }
            },
            Some(Some(Value::Text(state))) if !state.eq_ignore_ascii_case("staging") => {
                problems.push(format!(
                    "has the state `{}`, which Mojito takes for `staging`",
                    sanitize(state)
                ));
                Traffic::Staged
            }
            _ => Traffic::Staged,
        };
        Self {
            name: text(properties.get("name")).unwrap_or_else(|| id.clone()),
            id,
            traffic,
            recipes: recipes.unwrap_or_default(),
            size,
            problems,
            code,
        }
    }

    /// Who gets it: `50%`, ``all get `Treatment` ``, `staged`.
    pub(crate) fn traffic_shown(&self) -> String {
        match &self.traffic {
            Traffic::Live { share } => Percent(*share).to_string(),
            Traffic::Diverted { recipe } => format!("all get `{}`", self.recipe_name(recipe)),
            Traffic::Staged => "staged".to_owned(),
            Traffic::Dynamic => "computed by code".to_owned(),
        }
    }

    /// A part of its code, for people: ``trigger``, ``js of `Treatment` ``.
    pub(crate) fn part_shown(&self, part: &Part) -> String {
        match &part.recipe {
            Some(recipe) => format!("{} of `{}`", part.name, self.recipe_name(recipe)),
            None => part.name.clone(),
        }
    }

    /// The name of a recipe, for people.
    pub(crate) fn recipe_name<'a>(&'a self, id: &'a str) -> &'a str {
        let recipe = self.recipes.iter().find(|recipe| recipe.id == id);
        recipe.map_or(id, |recipe| &recipe.name)
    }
}

fn is_one_of(recipes: Option<&[Recipe]>, id: &str) -> bool {
    recipes.is_none_or(|recipes| recipes.iter().any(|recipe| recipe.id == id))
}

fn text(value: Option<&Option<Value>>) -> Option<String> {
    match value? {
        Some(Value::Text(text)) => Some(sanitize(text)),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    }
}

fn number(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Number(number) => Some(*number),
        // JavaScript takes no text for a number that Rust does not, but for `Infinity`, and an empty one for 0.
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

/// A share from 0 to 1 as people say it: `50%`, `12.5%`.
pub(crate) struct Percent(pub(crate) f64);

impl Percent {
    /// The share that some bytes are of others, to a tenth of a percent.
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
        // Rounded to what a share is ever given in; a float's `{}` drops what is not needed.
        let percent = (self.0 * 1e6).round() / 1e4;
        // Little is not nothing, and much is not all.
        if percent <= 0.0 && self.0 > 0.0 {
            write!(f, "<0.0001%")
        } else if percent >= 100.0 && self.0 < 1.0 {
            write!(f, ">99.9999%")
        } else {
            write!(f, "{percent}%")
        }
    }
}

/// What a script says of itself in `Mojito.buildInfo`, where Mojito's build wrote it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct BuildInfo {
    pub(crate) container: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) mojito_version: Option<String>,
    /// When it was built, in ISO 8601.
    pub(crate) built_at: Option<String>,
}

impl BuildInfo {
    /// When it was built, for people: `2026-11-24 05:00 UTC`.
    pub(crate) fn built_at(&self) -> Option<String> {
        let built_at = self.built_at.as_deref()?;
        let minutes = built_at.get(..16).filter(|_| built_at.ends_with('Z'));
        Some(match minutes {
            Some(minutes) => format!("{} UTC", minutes.replace('T', " ")),
            None => built_at.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An experiment with these properties and recipes, and what Mojito would stumble over.
    fn problems(properties: &[(&'static str, Value)], shares: &[Option<f64>]) -> Vec<String> {
        let properties = properties.iter().cloned();
        let properties = properties
            .map(|(name, value)| (name, Some(value)))
            .collect();
        let recipes = shares.iter().enumerate().map(|(number, share)| Recipe {
            id: number.to_string(),
            name: format!("Recipe {number}"),
            share: *share,
        });
        Experiment::new(&properties, Some(recipes.collect()), BTreeMap::new(), 0).problems
    }

    #[test]
    fn what_mojito_stumbles_over_is_known() {
        #[track_caller]
        fn case(property: (&'static str, Value), shares: &[Option<f64>], expected: &str) {
            let id = ("id", Value::Text("w1".to_owned()));
            let found = problems(&[id, property], shares);
            assert!(
                matches!(&found[..], [one] if one.starts_with(expected)),
                "{found:?}"
            );
        }
        let live = || ("state", Value::Text("live".to_owned()));
        let two = &[None, None];
        case(("id", Value::Null), two, "has no id: Mojito stops at it");
        case(
            live(),
            &[None],
            "has fewer than 2 recipes: Mojito stops at it",
        );
        case(
            live(),
            &[Some(0.5), None],
            "has a sample rate for some recipes",
        );
        case(
            ("sampleRate", Value::Number(50.0)),
            two,
            "has the sample rate 50, which is above 1: Mojito stops at it",
        );
        case(
            ("divertTo", Value::Number(1.0)),
            two,
            "has the `divertTo` 1, which Mojito ignores",
        );
        case(
            ("state", Value::Text("paused".to_owned())),
            two,
            "has the state `paused`, which Mojito takes for `staging`",
        );
        let to_nowhere = ("divertTo", Value::Text("9".to_owned()));
        let id = ("id", Value::Text("w1".to_owned()));
        assert_eq!(
            problems(&[id.clone(), live(), to_nowhere], two),
            ["has the `divertTo` `9`, which Mojito ignores: it is none of its recipes"]
        );
        assert!(problems(&[id, live()], two).is_empty());
    }

    #[test]
    fn shares_are_shown_as_people_say_them() {
        for (share, shown) in [
            (0.5, "50%"),
            (1.0, "100%"),
            (0.0, "0%"),
            (0.125, "12.5%"),
            (0.1 + 0.2, "30%"),
            (1.0 / 3.0, "33.3333%"),
        ] {
            assert_eq!(Percent(share).to_string(), shown);
        }
    }
}
