//! A stand-in for Mojito's library: what it does with an experiment, for one visitor after the other.

use std::collections::HashMap;

pub(super) const VISITORS: u32 = 200;

/// A value in JavaScript.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Js {
    Undefined,
    Null,
    Bool(bool),
    Num(f64),
    Text(&'static str),
    List(Vec<Js>),
    Object(Vec<(&'static str, Js)>),
    Function,
}

use Js::{Bool, Function, List, Null, Num, Object, Text, Undefined};

impl Js {
    /// The own property with that key.
    fn get(&self, key: &str) -> &Js {
        let Object(properties) = self else {
            return &Undefined;
        };
        let mut named = properties.iter().filter(|(name, _)| *name == key);
        named.next_back().map_or(&Undefined, |(_, value)| value)
    }

    fn is_nullish(&self) -> bool {
        matches!(self, Null | Undefined)
    }

    fn is_truthy(&self) -> bool {
        let is_nan = matches!(self, Num(number) if number.is_nan());
        !(is_nan || self.is_nullish() || [Bool(false), Num(0.0), Text("")].contains(self))
    }

    fn to_text(&self) -> String {
        match self {
            Undefined => "undefined".into(),
            Null => "null".into(),
            Bool(it) => it.to_string(),
            Num(it) => it.to_string(),
            Text(it) => (*it).into(),
            List(items) => {
                let items = items.iter().map(|it| {
                    if it.is_nullish() {
                        String::new()
                    } else {
                        it.to_text()
                    }
                });
                items.collect::<Vec<_>>().join(",")
            }
            Object(_) => "[object Object]".into(),
            Function => "function () {}".into(),
        }
    }

    fn to_number(&self) -> f64 {
        match self {
            Undefined => f64::NAN,
            Null => 0.0,
            Bool(it) => f64::from(u8::from(*it)),
            Num(it) => *it,
            text => match text.to_text().trim() {
                "" => 0.0,
                "0x1" => 1.0,
                text => text.parse().unwrap_or(f64::NAN),
            },
        }
    }

    /// `Object.keys`, with the values. `None` where it throws.
    fn entries(&self) -> Option<Vec<(String, Js)>> {
        Some(match self {
            Undefined | Null => return None,
            Bool(_) | Num(_) | Function => Vec::new(),
            Text(text) => {
                let characters = text.chars().enumerate();
                characters
                    .map(|(index, _)| (index.to_string(), Text("a")))
                    .collect()
            }
            List(items) => {
                let items = items.iter().enumerate();
                items
                    .map(|(index, it)| (index.to_string(), it.clone()))
                    .collect()
            }
            Object(properties) => {
                let mut keys: Vec<&str> = Vec::new();
                for (key, _) in properties {
                    if !keys.contains(key) {
                        keys.push(key);
                    }
                }
                // Integers come first.
                keys.sort_by_key(|key| key.parse::<u32>().map_or(u64::MAX, u64::from));
                let entry = |key: &str| (key.to_owned(), self.get(key).clone());
                keys.into_iter().map(entry).collect()
            }
        })
    }
}

/// What became of an experiment for one visitor.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent observations")]
pub(super) struct Visit {
    /// `activate` ended without an error.
    pub(super) is_decided: bool,
    pub(super) is_in: bool,
    pub(super) is_diverted: bool,
    pub(super) recipe: Option<String>,
    /// An experiment with the same id had decided already.
    pub(super) is_repeated: bool,
}

/// Mojito throws, and the rest of the script does not run.
struct Thrown;

/// `Mojito.addTest` for a visitor with these random numbers and cookies.
fn add_test(
    config: &Js,
    [sample, draw]: [f64; 2],
    cookies: &mut HashMap<String, Option<String>>,
    visit: &mut Visit,
) -> Result<(), Thrown> {
    let has = |key: &str| matches!(config, Object(properties) if properties.iter().any(|(name, _)| *name == key));
    let default = |key: &str, value: Js| {
        if has(key) {
            config.get(key).clone()
        } else {
            value
        }
    };
    // `Object.keys(null)` throws.
    let recipes = default("recipes", Null).entries().ok_or(Thrown)?;
    // So does a property of `null`; on text and numbers, the adapters are lost.
    let options = default("options", Object(Vec::new()));
    if options.is_nullish() {
        return Err(Thrown);
    }
    let has_adapters = matches!(options, Object(_) | List(_) | Function);
    // An id is compared with `null` alone.
    if default("id", Null) == Null {
        return Err(Thrown);
    }
    if recipes.len() < 2 {
        return Err(Thrown);
    }
    let rate = default("sampleRate", Num(1.0)).to_number();
    if rate > 1.0 {
        return Err(Thrown);
    }
    // The sum has no first value: it becomes NaN, which passes for no sum, or a text, which is not 1.
    let mut total: Result<f64, String> = Ok(f64::NAN);
    let (mut is_set, mut is_not_set) = (false, false);
    for (_, recipe) in &recipes {
        // `recipe.id = key` throws on null.
        if recipe.is_nullish() {
            return Err(Thrown);
        }
        match recipe.get("sampleRate") {
            Null | Undefined => is_not_set = true,
            rate => {
                is_set = true;
                total = match (total, rate) {
                    (Ok(total), Num(_) | Bool(_)) => Ok(total + rate.to_number()),
                    (Ok(_), _) => Err(rate.to_text()),
                    (Err(text), _) => Err(text + &rate.to_text()),
                };
            }
        }
    }
    if is_set && is_not_set || total.is_err() {
        return Err(Thrown);
    }
    // An error in the trigger is caught and given to the storage adapter, if there is one.
    let failed = || if has_adapters { Ok(()) } else { Err(Thrown) };
    if *config.get("trigger") != Function {
        return failed();
    }

    // The trigger calls `activate`. A state that is not text has no `toLowerCase`.
    let Text(state) = default("state", Text("staging")) else {
        return failed();
    };
    let state = state.to_lowercase();
    let suffix = if state == "staging" { "-staging" } else { "" };
    // The prefix is an option too.
    let prefix = if has_adapters { "_mojito" } else { "undefined" };
    let cookie = format!("{prefix}_{}{suffix}", config.get("id").to_text());
    let is_live = state == "live";
    let divert_to = config.get("divertTo");
    let is_recipe = |id: &Js| matches!(id, Text(id) if recipes.iter().any(|(key, _)| key == id));
    if is_live && divert_to.is_truthy() && is_recipe(divert_to) {
        visit.is_decided = true;
        visit.is_diverted = true;
        visit.recipe = Some(divert_to.to_text());
        return Ok(());
    }
    let mut is_in = match cookies.get(&cookie) {
        None => false,
        Some(stored) => {
            visit.is_repeated = true;
            stored.is_some()
        }
    };
    let mut stored = cookies.get(&cookie).cloned().flatten();
    let is_new = !visit.is_repeated;
    if is_new && is_live && (rate > 0.0 || rate.is_nan()) {
        if !has_adapters {
            return failed();
        }
        is_in = sample <= rate;
    }
    visit.is_decided = true;
    visit.is_in = is_in;
    if is_in {
        let chosen = stored.take().or_else(|| choose(&recipes, draw));
        let own = recipes.iter().find(|(key, _)| Some(key) == chosen.as_ref());
        // A recipe that is falsy counts as removed. Every object inherits a `constructor`.
        let is_there = own.map_or(chosen.as_deref() == Some("constructor"), |(_, recipe)| {
            recipe.is_truthy()
        });
        if is_there {
            visit.recipe.clone_from(&chosen);
            cookies.insert(cookie, chosen);
            return Ok(());
        }
    }
    cookies.insert(cookie, None);
    Ok(())
}

/// The recipe that a visitor with this random number gets.
fn choose(recipes: &[(String, Js)], draw: f64) -> Option<String> {
    let rate = |recipe: &Js| recipe.get("sampleRate").clone();
    if recipes.iter().any(|(_, recipe)| rate(recipe).is_nullish()) {
        let part = 1.0 / f64::from(u32::try_from(recipes.len()).unwrap());
        let mut numbered = recipes.iter().zip(1_u32..);
        let chosen = numbered.find(|(_, number)| draw / part < f64::from(*number));
        return chosen.map(|((key, _), _)| key.clone());
    }
    // Sorted by insertion, where what is not a number is not less than anything.
    let mut ordered: Vec<(&str, f64)> = Vec::new();
    for (key, recipe) in recipes {
        let rate = rate(recipe).to_number();
        let higher = ordered.iter().rev().take_while(|(_, other)| rate < *other);
        let place = ordered.len() - higher.count();
        ordered.insert(place, (key, rate));
    }
    let mut sum = 0.0;
    for (key, rate) in ordered {
        sum += rate;
        if draw <= sum {
            return Some(key.to_owned());
        }
    }
    None
}

/// A visit to each experiment by each visitor.
pub(super) fn run(experiments: &[Js]) -> Vec<Vec<Visit>> {
    let mut visits: Vec<Vec<Visit>> = experiments.iter().map(|_| Vec::new()).collect();
    for visitor in 0..VISITORS {
        let sample = (f64::from(visitor) + 0.5) / f64::from(VISITORS);
        let draw = (f64::from(visitor) * 0.618_033_988_749_894_9).fract();
        let mut cookies = HashMap::new();
        let mut is_stopped = false;
        for (experiment, visits) in experiments.iter().zip(&mut visits) {
            let mut visit = Visit::default();
            if !is_stopped {
                is_stopped =
                    add_test(experiment, [sample, draw], &mut cookies, &mut visit).is_err();
            }
            visits.push(visit);
        }
    }
    visits
}
