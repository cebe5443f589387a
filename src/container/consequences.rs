//! What a change of a live experiment means for the visitors who are in it.
//!
//! Mojito decides once for each visitor, whether the visitor is in and with which recipe, and keeps that in a cookie. So most
//! changes reach new visitors only. While an experiment is diverted, it neither reads nor writes the cookie.

use std::collections::HashMap;

use serde::Serialize;

use crate::common::layout::{cut, first_ten};
use crate::mojito::experiment::{Experiment, Percent, Recipe, RecipeShare, Traffic, UNKNOWN_ID};
use crate::mojito::script::Script;
use crate::mojito::shares::NOISE;

/// How many are worth reading. The kinds are in the order of their weight.
const MAX_CONSEQUENCES: usize = 4;
/// How wide an id may be in a sentence.
const MAX_ID: usize = 40;

/// A consequence of changes, in one sentence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Consequence {
    pub(crate) kind: ConsequenceKind,
    /// The ids of the experiments that it is about.
    pub(crate) experiments: Vec<String>,
    pub(crate) sentence: String,
    /// The sentence without the ids that it begins with.
    #[serde(skip)]
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConsequenceKind {
    /// Visitors get no recipe, or a recipe gets fewer than its sample rate.
    Weights,
    RecipesRemoved,
    SampleRate,
    Code,
    /// Recipes are added or have other shares.
    Recipes,
    Diverted,
    Resumed,
    /// An experiment ends, and starts under another id.
    NewId,
}

/// The experiments of a script. `None` where several have the same id, as it is not certain which a visitor gets.
type ById<'a> = HashMap<&'a str, Option<&'a Experiment>>;

/// An experiment in both scripts.
struct Pair<'a> {
    before: &'a Experiment,
    now: &'a Experiment,
}

/// What the changes between two scripts mean, at most `MAX_CONSEQUENCES`, each of another kind.
pub(super) fn between(old: &Script, new: &Script) -> Vec<Consequence> {
    let (before, now) = (by_id(old), by_id(new));
    let of_new = new.experiments.iter();
    let certain: Vec<&Experiment> = of_new.filter_map(|it| now[&*it.id]).collect();
    let in_both = certain.iter().filter_map(|now| {
        let before = (*before.get(&*now.id)?)?;
        Some(Pair { before, now })
    });
    let in_both: Vec<Pair> = in_both.collect();
    let days = old
        .cookie_days
        .filter(|_| old.cookie_days == new.cookie_days);
    let period = &match days {
        Some(days) => format!("for up to {days} days"),
        None => "until their cookie expires".to_owned(),
    };
    let consequences = [
        weights(&certain, &before, period),
        recipes_removed(&in_both, period),
        sample_rate(&in_both, period),
        code(&in_both),
        recipes(&in_both, period),
        diverted(&in_both),
        resumed(&in_both),
        new_id(&certain, &before, &now),
    ];
    let consequences = consequences.into_iter().flatten();
    consequences.take(MAX_CONSEQUENCES).collect()
}

fn by_id(script: &Script) -> ById<'_> {
    let mut by_id = ById::new();
    for experiment in &script.experiments {
        let only = (experiment.id != UNKNOWN_ID).then_some(experiment);
        let entry = by_id.entry(&experiment.id);
        entry.and_modify(|it| *it = None).or_insert(only);
    }
    by_id
}

fn weights(certain: &[&Experiment], before: &ById, period: &str) -> Option<Consequence> {
    let was_so = |it: &Experiment| {
        let before = before.get(&*it.id).copied().flatten();
        before.is_some_and(|before| is_live(before) && before.recipes == it.recipes)
    };
    let losing = certain.iter().copied();
    let losing = losing.filter(|it| is_live(it) && it.loses_visitors && !was_so(it));
    let losing: Vec<&Experiment> = losing.collect();
    let text = match losing[..] {
        [experiment] if share_without_recipe(experiment) > NOISE => format!(
            "{} of its new visitors get no recipe, and stay without one {period}",
            Percent(share_without_recipe(experiment))
        ),
        _ => "recipes do not get the shares of their sample rates (see the warnings)".to_owned(),
    };
    consequence(ConsequenceKind::Weights, losing.into_iter(), &text)
}

fn share_without_recipe(experiment: &Experiment) -> f64 {
    let shares = experiment.recipes.iter().map(|it| it.share.into());
    let shares: Option<Vec<f64>> = shares.collect();
    shares.map_or(0.0, |shares| 1.0 - shares.iter().sum::<f64>())
}

fn recipes_removed(pairs: &[Pair], period: &str) -> Option<Consequence> {
    let text = format!("visitors of a removed recipe leave the test, and stay out {period}");
    let pairs = pairs.iter().filter(|it| it.removes_recipes());
    consequence(
        ConsequenceKind::RecipesRemoved,
        pairs.map(|it| it.now),
        &text,
    )
}

fn sample_rate(pairs: &[Pair], period: &str) -> Option<Consequence> {
    let ramps: Vec<(&Pair, f64, f64)> = pairs.iter().filter_map(Pair::ramp).collect();
    let is_all = |is: fn(f64, f64) -> bool| ramps.iter().all(|(_, before, now)| is(*before, *now));
    let text = if is_all(|before, now| now > before) {
        format!("new rate for new visitors only: those left out stay out {period}")
    } else if is_all(|_, now| now <= 0.0) {
        format!("no new visitors; those in the test stay in it {period}")
    } else if is_all(|before, now| now < before) {
        format!("new rate for new visitors only: those in the test stay in it {period}")
    } else {
        format!("new rates for new visitors only: others stay in or out {period}")
    };
    let experiments = ramps.iter().map(|(pair, ..)| pair.now);
    consequence(ConsequenceKind::SampleRate, experiments, &text)
}

fn code(pairs: &[Pair]) -> Option<Consequence> {
    let changed = pairs.iter().filter(|it| it.is_live() && it.changes_code());
    let text = "its code changes: results from before and after are not comparable";
    consequence(ConsequenceKind::Code, changed.map(|it| it.now), text)
}

fn recipes(pairs: &[Pair], period: &str) -> Option<Consequence> {
    let text = format!("new recipes for new visitors only: others keep theirs {period}");
    let changed = pairs.iter().filter(|it| it.is_live());
    let changed = changed.filter(|it| !it.removes_recipes() && it.changes_shares());
    consequence(ConsequenceKind::Recipes, changed.map(|it| it.now), &text)
}

fn diverted(pairs: &[Pair]) -> Option<Consequence> {
    let diverted = pairs
        .iter()
        .filter(|it| is_live(it.before) && is_diverted(it.now));
    let text = "one recipe for all, also those left out; no exposures are tracked";
    consequence(ConsequenceKind::Diverted, diverted.map(|it| it.now), text)
}

fn resumed(pairs: &[Pair]) -> Option<Consequence> {
    let resumed = pairs
        .iter()
        .filter(|it| is_diverted(it.before) && is_live(it.now));
    let text = "decisions from before the divert count again; other visitors are new";
    consequence(ConsequenceKind::Resumed, resumed.map(|it| it.now), text)
}

fn new_id(certain: &[&Experiment], before: &ById, now: &ById) -> Option<Consequence> {
    let ended = before.iter().filter(|(id, _)| !now.contains_key(*id));
    let ended = ended.filter_map(|(_, it)| it.filter(|it| is_live(it)));
    let ended: Vec<&Experiment> = ended.collect();
    let started = certain.iter().copied();
    let started = started.filter(|it| is_live(it) && !before.contains_key(&*it.id));
    let same = started.filter(|it| ended.iter().any(|ended| ended.code == it.code));
    let text = "same code under a new id: all its visitors are decided anew";
    consequence(ConsequenceKind::NewId, same, text)
}

/// `None` without experiments.
fn consequence<'a>(
    kind: ConsequenceKind,
    experiments: impl Iterator<Item = &'a Experiment>,
    text: &str,
) -> Option<Consequence> {
    let experiments: Vec<String> = experiments.map(|it| it.id.clone()).collect();
    let ids: Vec<String> = experiments.iter().map(|id| cut(id, MAX_ID)).collect();
    let sentence = format!("{}: {text}", first_ten(&ids));
    (!experiments.is_empty()).then_some(Consequence {
        kind,
        experiments,
        sentence,
        text: text.to_owned(),
    })
}

fn is_live(experiment: &Experiment) -> bool {
    matches!(experiment.traffic, Traffic::Live { .. })
}

fn is_diverted(experiment: &Experiment) -> bool {
    matches!(experiment.traffic, Traffic::Diverted { .. })
}

impl<'a> Pair<'a> {
    fn is_live(&self) -> bool {
        is_live(self.before) && is_live(self.now)
    }

    /// The sample rate before and now, if it changes.
    #[expect(clippy::float_cmp, reason = "as it is written")]
    fn ramp(&'a self) -> Option<(&'a Self, f64, f64)> {
        match (&self.before.traffic, &self.now.traffic) {
            (Traffic::Live { share: before }, Traffic::Live { share: now }) if before != now => {
                Some((self, *before, *now))
            }
            _ => None,
        }
    }

    /// Whether a recipe is removed that visitors may have. Their cookies count again where a divert ends.
    fn removes_recipes(&self) -> bool {
        let was_live = self.before.traffic.reaches_visitors();
        // Without any, they are computed.
        let are_known = !self.now.recipes.is_empty();
        let has = |recipe: &Recipe| self.now.recipes.iter().any(|it| it.id == recipe.id);
        was_live && is_live(self.now) && are_known && !self.before.recipes.iter().all(has)
    }

    /// Whether the recipes that are in both change their shares, or one is added.
    fn changes_shares(&self) -> bool {
        let shares = |it: &'a Experiment| -> Vec<(&'a str, RecipeShare)> {
            it.recipes.iter().map(|it| (&*it.id, it.share)).collect()
        };
        let are_known = !self.now.recipes.is_empty() && !self.before.recipes.is_empty();
        are_known && shares(self.before) != shares(self.now)
    }

    /// Whether code changes that visitors got before, and still get.
    fn changes_code(&self) -> bool {
        let in_both = |recipe: &str| {
            let mut both = [self.before, self.now].into_iter();
            both.all(|it| it.recipes.iter().any(|it| it.id == recipe))
        };
        let (before, now) = (&self.before.code, &self.now.code);
        let mut parts = before.keys().chain(now.keys());
        parts.any(|part| part.recipe().is_none_or(in_both) && before.get(part) != now.get(part))
    }
}

#[cfg(test)]
mod tests;
