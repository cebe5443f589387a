//! Random containers, run by a stand-in for Mojito's library: what is read in each must be what running it shows.
//!
//! The stand-in knows nothing of `rules.rs`. It adds each experiment for each of many visitors and does, step by step,
//! what the library of Mojito 2.7.1 does. It gave the same as the library itself, run in Node, for 32,000 containers.

use std::collections::HashMap;
use std::fmt::Write as _;

mod library;
mod random;

use self::library::{run, Js, Visit, VISITORS};
use self::random::Random;
use super::read;
use crate::mojito::experiment::{Experiment, RecipeShare, Traffic};

const CONTAINERS: u64 = 1_000;

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
