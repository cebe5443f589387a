//! What Mojito makes of an experiment: the checks and defaults of its own `lib/mojito.js`.
//!
//! Where it throws, the rest of the container does not run. Where it only catches an error, or ignores a value, the
//! experiment does something else than it seems to.

use std::collections::BTreeMap;

use super::experiment::{Experiment, Part, Place, Problem, Throw, Traffic, UNKNOWN_ID};
use super::library::Library;
use super::recipes::Recipes;
use super::value::{Properties, Value};
use super::words::CodeDigest;
use crate::common::printable::sanitize;

/// The properties that decide whether an experiment runs, and for whom.
pub(crate) const PROPERTIES: &[&str] = &[
    "id",
    "name",
    "state",
    "sampleRate",
    "divertTo",
    "trigger",
    "options",
];

/// An experiment as it is written.
pub(crate) struct Written {
    /// `None` if the value is computed.
    pub(crate) properties: Properties,
    pub(crate) recipes: Recipes,
    pub(crate) code: BTreeMap<Part, CodeDigest>,
    pub(crate) size: u64,
}

impl Written {
    fn get(&self, name: &str) -> Option<&Option<Value>> {
        self.properties.get(name)
    }

    /// The constant value of a property that is there.
    fn constant(&self, name: &str) -> Option<&Value> {
        self.get(name)?.as_ref()
    }

    /// The experiment, as the library runs it where nothing before it throws.
    pub(crate) fn run(self, library: Library) -> Experiment {
        let mut problems = Vec::new();
        let throws = self.throws(library);
        let traffic = match &throws {
            Some(_) => Traffic::broken("Mojito throws here"),
            None => self.traffic(library, &mut problems),
        };
        let (recipes, lost) = self.recipes.shared(library, &traffic);
        let loses_visitors = lost.is_some();
        problems.extend(lost);
        let id = match self.constant("id") {
            None | Some(Value::Null) => UNKNOWN_ID.to_owned(),
            Some(id) if id.to_text().is_empty() => "''".to_owned(),
            Some(id) => sanitize(&id.to_text()),
        };
        let name = match self.constant("name") {
            Some(name @ (Value::Text(_) | Value::Number(_))) => sanitize(&name.to_text()),
            _ => id.clone(),
        };
        let keeps_decisions = match traffic {
            // The cookie has another name, or an unknown one.
            _ if self.options_are_primitive() || self.get("id").is_some_and(Option::is_none) => {
                false
            }
            Traffic::Live { .. } | Traffic::Dynamic => true,
            Traffic::Staged => !self
                .state(library)
                .is_some_and(|it| is_state(&it, "staging")),
            Traffic::Diverted { .. } | Traffic::Broken { .. } => false,
        };
        Experiment {
            id,
            name,
            traffic,
            recipes,
            size: self.size,
            problems,
            loses_visitors,
            throws,
            keeps_decisions,
            code: self.code,
            place: Place::default(),
        }
    }

    /// Why Mojito throws, if it does. In the order of its checks.
    fn throws(&self, library: Library) -> Option<Throw> {
        let throw = |property, problem: &str, remedy| {
            Some(Throw {
                part: Part::new(None, property),
                problem: problem.to_owned(),
                remedy,
            })
        };
        if matches!(self.recipes, Recipes::Nullish) {
            return throw("recipes", "has no recipes", "give it at least 2");
        }
        if self.has_unusable_options(library) {
            return throw(
                "options",
                "has `options` that are not an object",
                "remove them",
            );
        }
        // Mojito compares with `null` alone.
        if matches!(self.get("id"), None | Some(Some(Value::Null))) {
            return throw("id", "has no id", "give it an `id`");
        }
        if library.is_strict && matches!(self.get("name"), None | Some(Some(Value::Null))) {
            return throw("name", "has no name", "give it a `name`");
        }
        if self.recipes.count().is_some_and(|count| count < 2) {
            return throw("recipes", "has fewer than 2 recipes", "give it at least 2");
        }
        if library.is_strict && self.has_no_trigger() {
            return throw("trigger", "has no trigger function", "give it a `trigger`");
        }
        let rate = self.constant("sampleRate");
        if let Some(rate) = rate.filter(|rate| rate.to_number() > 1.0) {
            return throw(
                "sampleRate",
                &format!("has a sample rate of {rate}, which is above 1"),
                "write 50% as 0.5",
            );
        }
        let throw = self.recipes.throws(library);
        let fails = || {
            matches!(
                self.traffic(library, &mut Vec::new()),
                Traffic::Broken { .. }
            )
        };
        throw.or_else(|| {
            (!library.catches_errors && fails()).then(|| Throw {
                part: Part::new(None, "state"),
                problem: "has a state that is not a text".to_owned(),
                remedy: "write `live` or `staging`",
            })
        })
    }

    /// Which visitors get it, where Mojito does not throw. Adds what it ignores to `problems`.
    fn traffic(&self, library: Library, problems: &mut Vec<Problem>) -> Traffic {
        if self.has_no_trigger() {
            problems.push(Problem::new(
                "trigger",
                "has no trigger function, so it never activates; give it a `trigger`",
            ));
            return Traffic::broken("no trigger function");
        }
        let divert_to = self.divert_to(problems);
        let Some(state) = self.state(library) else {
            return Traffic::Dynamic;
        };
        if is_state(&state, "staging") {
            return Traffic::Staged;
        }
        if !is_state(&state, "live") {
            let is_text = matches!(state, Value::Text(_));
            let meaning = if is_text {
                "which Mojito does not know: no new visitor gets it"
            } else {
                "so it never activates"
            };
            let text = format!("has the state {state}, {meaning}; write `live` or `staging`");
            problems.push(Problem::new("state", text));
            return if is_text {
                Traffic::Staged
            } else {
                Traffic::broken("its state is not a text")
            };
        }
        match divert_to {
            Divert::Nowhere => self.sampled(problems),
            Divert::Dynamic => Traffic::Dynamic,
            Divert::To(recipe) => match self.recipes.contains(&recipe) {
                None => Traffic::Dynamic,
                Some(true) => Traffic::Diverted {
                    recipe: sanitize(&recipe),
                },
                Some(false) => {
                    let text = format!(
                        "has the `divertTo` {}, which Mojito ignores: there is no such recipe",
                        Value::Text(recipe)
                    );
                    problems.push(Problem::new("divertTo", text));
                    self.sampled(problems)
                }
            },
        }
    }

    fn divert_to(&self, problems: &mut Vec<Problem>) -> Divert {
        match self.get("divertTo") {
            Some(None) => Divert::Dynamic,
            Some(Some(Value::Text(recipe))) if !recipe.is_empty() => Divert::To(recipe.clone()),
            // A recipe may have the id 0, though Mojito takes the number for nothing.
            Some(Some(value)) if value.is_truthy() || *value == Value::Number(0.0) => {
                let text = format!(
                    "has the `divertTo` {value}, which Mojito ignores: it must be a recipe's id in quotes"
                );
                problems.push(Problem::new("divertTo", text));
                Divert::Nowhere
            }
            _ => Divert::Nowhere,
        }
    }

    fn sampled(&self, problems: &mut Vec<Problem>) -> Traffic {
        let share = match self.get("sampleRate") {
            None => 1.0,
            Some(None) => return Traffic::Dynamic,
            Some(Some(rate)) => {
                let number = rate.to_number();
                if number.is_nan() {
                    problems.push(Problem::new(
                        "sampleRate",
                        "has a sample rate that is not a number, so no visitor gets it; write 50% as 0.5",
                    ));
                } else if *rate == Value::Null || *rate == Value::Text(String::new()) {
                    problems.push(Problem::new(
                        "sampleRate",
                        "has a blank sample rate, so no visitor gets it; write 50% as 0.5",
                    ));
                }
                number
            }
        };
        // `max` turns NaN into 0, `clamp` keeps it. NaN does not equal itself, so every build would seem to change it.
        let share = share.clamp(0.0, 1.0).max(0.0);
        Traffic::Live { share }
    }

    fn options_are_primitive(&self) -> bool {
        let options = self.constant("options");
        options.is_some_and(|it| !matches!(it, Value::Object(_) | Value::Function))
    }

    /// Mojito keeps its adapters in `options`, where a test's own or an empty object holds them.
    fn has_unusable_options(&self, library: Library) -> bool {
        match self.constant("options") {
            None | Some(Value::Object(_) | Value::Function) => false,
            Some(options) if library.is_strict => options.is_truthy(),
            Some(Value::Null | Value::Undefined) => true,
            // Adapters cannot be set on text or numbers. Mojito throws where it calls one: to decide, or to report an error.
            Some(_) => match self.traffic(library, &mut Vec::new()) {
                Traffic::Live { .. } => {
                    let rate = self.constant("sampleRate").map_or(1.0, Value::to_number);
                    rate > 0.0 || rate.is_nan()
                }
                traffic => matches!(traffic, Traffic::Broken { .. }),
            },
        }
    }

    /// Without a function to call, Mojito catches the error. The experiment is there but never activates.
    fn has_no_trigger(&self) -> bool {
        match self.get("trigger") {
            None => true,
            Some(trigger) => trigger.as_ref().is_some_and(|it| *it != Value::Function),
        }
    }

    /// Its state, or what Mojito takes for it. `None` if it is computed.
    fn state(&self, library: Library) -> Option<Value> {
        let staging = || Value::Text("staging".to_owned());
        match self.get("state") {
            None => Some(staging()),
            Some(state) => {
                let state = state.clone()?;
                let is_default = library.is_strict && !state.is_truthy();
                Some(if is_default { staging() } else { state })
            }
        }
    }
}

/// The value of `divertTo`.
enum Divert {
    Nowhere,
    To(String),
    Dynamic,
}

/// Mojito compares states in lower case.
fn is_state(value: &Value, state: &str) -> bool {
    matches!(value, Value::Text(text) if text.eq_ignore_ascii_case(state))
}
