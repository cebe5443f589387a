//! Which of an experiment's visitors get a recipe, where the recipes have sample rates.

use std::cmp::Ordering;

use super::experiment::RecipeShare;
use super::library::Library;

/// Sums and shares that differ by less are the same. It hides floating-point noise.
pub(crate) const NOISE: f64 = 1e-6;

/// The shares of recipes with these sample rates.
///
/// Mojito adds the rates up, from the lowest to the highest. A visitor gets the recipe at which the sum first reaches
/// the visitor's random number, which is below 1. Version 1 does not add them up: there, the highest rate gets the rest,
/// and equal ones share what they get.
pub(crate) fn shares_of(rates: &[f64], library: Library) -> Vec<RecipeShare> {
    let Some(order) = ascending(rates) else {
        return vec![RecipeShare::Dynamic; rates.len()];
    };
    let mut shares = vec![0.0; rates.len()];
    let (mut sum, mut given) = (0.0, 0.0);
    for index in &order {
        sum = match library.adds_rates_up {
            true => sum + rates[*index],
            false if Some(index) == order.last() => 1.0,
            false => rates[*index],
        };
        // No random number reaches a sum that is not a number.
        let reached = if sum > given {
            f64::min(sum, 1.0)
        } else {
            given
        };
        shares[*index] = reached - given;
        given = reached;
    }
    if !library.adds_rates_up {
        share_equally(rates, &order, &mut shares);
    }
    let exact = shares.into_iter().zip(rates).map(|(share, rate)| {
        let is_rate = (share - rate).abs() < NOISE;
        RecipeShare::Exact(if is_rate { *rate } else { share })
    });
    exact.collect()
}

#[expect(clippy::float_cmp, reason = "as Mojito compares")]
fn share_equally(rates: &[f64], order: &[usize], shares: &mut [f64]) {
    for alike in order.chunk_by(|one, other| rates[*one] == rates[*other]) {
        let sum: f64 = alike.iter().map(|index| shares[*index]).sum();
        #[expect(clippy::cast_precision_loss, reason = "as JavaScript counts")]
        let equal = sum / alike.len() as f64;
        for index in alike {
            shares[*index] = equal;
        }
    }
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
