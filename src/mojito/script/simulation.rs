//! Random containers, run by a stand-in for Mojito's library: what is read in each must be what running it shows.
//!
//! The stand-in knows nothing of `rules.rs`. It adds each experiment for each of many visitors and does, step by step,
//! what the library of Mojito 2.7.1 does. It gave the same as the library itself, run in Node, for 20,000 containers.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::read;
use crate::mojito::experiment::{Experiment, RecipeShare, Traffic};

const CONTAINERS: u64 = 1_000;
const VISITORS: u32 = 200;

/// A value in JavaScript.
#[derive(Clone, Debug, PartialEq)]
enum Js {
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
struct Visit {
    /// `activate` ended without an error.
    is_decided: bool,
    is_in: bool,
    is_diverted: bool,
    recipe: Option<String>,
    /// An experiment with the same id had decided already.
    is_repeated: bool,
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
fn run(experiments: &[Js]) -> Vec<Vec<Visit>> {
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

/// A small generator of random numbers (`SplitMix64`), the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % count as u64).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// A value of any type.
    fn any(&mut self) -> Js {
        let numbers = [0.0, -0.5, 0.3, 0.5, 1.0, 1.5, 50.0, f64::NAN, f64::INFINITY];
        let texts = [
            "",
            "0",
            "1",
            "0.5",
            "0.3",
            " 1 ",
            "0x1",
            "50%",
            "live",
            "Staging",
            "toString",
            "constructor",
        ];
        match self.below(9) {
            0 => Undefined,
            1 => Null,
            2 => Bool(self.one_in(2)),
            3 | 4 => Num(self.pick(&numbers)),
            5 | 6 => Text(self.pick(&texts)),
            7 => self.pick(&[
                List(vec![]),
                List(vec![Num(0.5)]),
                List(vec![Null, Text("a")]),
            ]),
            _ => self.pick(&[Object(vec![]), Function]),
        }
    }

    /// The values, of which a few are left out or replaced by something odd.
    fn object(&mut self, usual: Vec<(&'static str, Js)>) -> Js {
        let mut properties = Vec::new();
        for (name, value) in usual {
            if self.one_in(24) {
                properties.push((name, self.any()));
            } else if !self.one_in(40) {
                properties.push((name, value));
            }
            if self.one_in(100) {
                properties.push((name, self.any()));
            }
        }
        if self.one_in(3) {
            properties.reverse();
        }
        Object(properties)
    }

    fn recipes(&mut self) -> Js {
        let usual: &[&[f64]] = &[
            &[0.5, 0.5],
            &[0.1, 0.2, 0.7],
            &[0.25, 0.75],
            &[1.0 / 3.0; 3],
            &[0.0, 1.0],
        ];
        let odd: &[&[f64]] = &[
            &[0.5, 0.3],
            &[0.2, 0.2, 0.2],
            &[0.7, 0.6, 0.3],
            &[50.0, 50.0],
            &[-0.5, 1.5],
            &[0.5, f64::NAN, 0.2],
        ];
        let rates = if self.one_in(3) {
            self.pick(odd)
        } else {
            self.pick(usual)
        };
        let has_rates = self.one_in(2);
        let keys = self.pick(&[
            ["0", "1", "2"],
            ["b", "a", "1"],
            ["constructor", "2", "0"],
            ["a", "b", "a"],
        ]);
        let recipes: Vec<(&'static str, Js)> = keys
            .into_iter()
            .zip(rates)
            .map(|(key, rate)| {
                let mut properties = vec![("name", Text("Treatment"))];
                if has_rates {
                    properties.push(("sampleRate", Num(*rate)));
                }
                (key, self.object(properties))
            })
            .collect();
        if self.one_in(10) {
            List(recipes.into_iter().map(|(_, recipe)| recipe).collect())
        } else {
            self.object(recipes)
        }
    }

    fn experiment(&mut self, ids: &[&'static str]) -> Js {
        let mut usual = vec![
            ("id", Text(self.pick(ids))),
            ("name", Text("Hero")),
            (
                "state",
                Text(self.pick(&["live", "live", "Live", "staging", "paused"])),
            ),
            ("sampleRate", Num(self.pick(&[0.0, 0.1, 0.25, 0.5, 1.0]))),
            ("recipes", self.recipes()),
            ("trigger", Function),
        ];
        if self.one_in(6) {
            usual.push(("divertTo", Text(self.pick(&["0", "1", "a", "toString"]))));
        }
        if self.one_in(6) {
            usual.push(("options", Object(vec![("cookieDuration", Num(90.0))])));
        }
        self.object(usual)
    }

    /// A value as a person or a minifier writes it.
    fn written(&mut self, value: &Js) -> String {
        let quote = |text: &str, mark: &str| format!("{mark}{text}{mark}");
        match value {
            Undefined => self.pick(&["undefined", "void 0"]).into(),
            Null => "null".into(),
            Bool(true) => self.pick(&["true", "!0"]).into(),
            Bool(false) => self.pick(&["false", "!1"]).into(),
            Num(number) if number.is_nan() => self.pick(&["NaN", "0/0"]).into(),
            Num(number) if number.is_infinite() => self.pick(&["Infinity", "1/0"]).into(),
            Num(number) if (number * 3.0 - 1.0).abs() < 1e-9 => "1/3".into(),
            Num(number) if self.one_in(2) => number.to_string().replacen("0.", ".", 1),
            Num(number) => number.to_string(),
            Text(text) => {
                let mark = self.pick(&["'", "\"", "`"]);
                quote(text, mark)
            }
            List(items) => {
                let items: Vec<String> = items.iter().map(|it| self.written(it)).collect();
                format!("[{}]", items.join(","))
            }
            Object(properties) => {
                let (open, between) = self.pick(&[("{", ","), ("{\n    ", ",\n    ")]);
                let mark = self.pick(&["", "'", "\""]);
                let mut text = open.to_owned();
                for (name, value) in properties {
                    let value = self.written(value);
                    let _ = write!(text, "{}:{value}{between}", quote(name, mark));
                }
                text + "}"
            }
            Function => self
                .pick(&["function(t){t.activate()}", "t=>t.activate()"])
                .into(),
        }
    }
}

/// The share of the visitors for whom it holds.
fn share_of(visits: &[Visit], holds: impl Fn(&Visit) -> bool) -> f64 {
    let count = visits.iter().filter(|visit| holds(visit)).count();
    f64::from(u32::try_from(count).unwrap()) / f64::from(VISITORS)
}

/// Whether what is read is what the visits show, and whether it is said where visitors do not get what they should.
fn check(read: &Experiment, visits: &[Visit]) -> Result<(), String> {
    const TOLERANCE: f64 = 0.02;
    let all = |holds: fn(&Visit) -> bool| visits.iter().all(holds);
    let expect = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    let is_about = |one: f64, other: f64| (one - other).abs() < TOLERANCE;
    let is_running = all(|visit| visit.is_decided);
    match &read.traffic {
        Traffic::Broken { .. } => return expect(all(|it| !it.is_decided), "it runs"),
        Traffic::Dynamic => return expect(all(|it| it.is_repeated), "it decides"),
        _ => expect(is_running, "it does not run")?,
    }
    match &read.traffic {
        Traffic::Diverted { recipe } => {
            let gets = |it: &Visit| it.is_diverted && it.recipe.as_ref() == Some(recipe);
            expect(visits.iter().all(gets), "not all get it")
        }
        Traffic::Live { share } => {
            expect(all(|it| !it.is_diverted), "it is diverted")?;
            let is_in = share_of(visits, |it| it.is_in);
            expect(is_about(is_in, *share), &format!("{is_in} are in"))?;
            for recipe in &read.recipes {
                let recipe_share = match recipe.share {
                    RecipeShare::Exact(share) => share,
                    RecipeShare::Equal => {
                        1.0 / f64::from(u32::try_from(read.recipes.len()).unwrap())
                    }
                    RecipeShare::Dynamic => return Err("nothing is computed".to_owned()),
                };
                let get = share_of(visits, |it| it.recipe.as_ref() == Some(&recipe.id));
                let expected = share * recipe_share;
                let what = format!("{get} get `{}`, not {expected}", recipe.id);
                expect(is_about(get, expected), &what)?;
            }
            let loses = visits.iter().any(|it| it.is_in && it.recipe.is_none());
            expect(
                !loses || !read.problems.is_empty(),
                "visitors without a recipe",
            )
        }
        _ => expect(
            all(|it| !it.is_in && it.recipe.is_none()),
            "visitors get it",
        ),
    }
}

#[test]
fn what_is_read_is_what_running_the_container_shows() {
    let mut counts: HashMap<String, u32> = HashMap::new();
    for seed in 0..CONTAINERS {
        let mut random = Random(seed << 32);
        let ids = ["w1", "w2", "w3", "w4", "w5", "w6"];
        let count = 1 + random.below(4);
        let experiments: Vec<Js> = (0..count).map(|_| random.experiment(&ids)).collect();
        let mut text = String::from("Mojito={};");
        for experiment in &experiments {
            let end = random.pick(&[";", ";\n"]);
            let _ = write!(text, "Mojito.addTest({}){end}", random.written(experiment));
        }
        let script = read(&text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let visits = run(&experiments);
        assert_eq!(script.experiments.len(), visits.len(), "{text}");
        for (read, visits) in script.experiments.iter().zip(&visits) {
            if let Err(problem) = check(read, visits) {
                panic!("seed {seed}: {problem}: {read:#?}\n{text}");
            }
            let state = serde_json::to_value(&read.traffic).unwrap()["state"].to_string();
            *counts.entry(state).or_default() += 1;
        }
    }
    // The generator reaches every state often.
    assert!(
        counts.len() == 5 && counts.values().all(|count| *count > 20),
        "{counts:?}"
    );
}
