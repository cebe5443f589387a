//! An experiment as Mojito runs it: its state, sample rate and recipes.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use borsh::{BorshDeserialize, BorshSerialize};
use serde::Serialize;

use super::words::CodeDigest;
use crate::common::printable::sanitize;

/// Stands for the id of an experiment that has none, or whose id is computed.
pub(crate) const UNKNOWN_ID: &str = "?";

/// An experiment, added by one call of `Mojito.addTest`.
///
/// What is skipped by `borsh` counts only until all experiments of a script are known.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Experiment {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) traffic: Traffic,
    pub(crate) recipes: Vec<Recipe>,
    /// Its size in the script, in bytes.
    pub(crate) size: u64,
    #[serde(skip)]
    pub(crate) problems: Vec<Problem>,
    /// Whether one of these is that visitors get no recipe, or that a recipe gets fewer than its sample rate.
    #[serde(skip)]
    pub(crate) loses_visitors: bool,
    /// Why Mojito throws when it is added.
    #[borsh(skip)]
    #[serde(skip)]
    pub(crate) throws: Option<Throw>,
    /// Whether it decides for new visitors in the cookie of a live experiment.
    #[borsh(skip)]
    #[serde(skip)]
    pub(crate) keeps_decisions: bool,
    #[serde(skip)]
    pub(crate) code: BTreeMap<Part, CodeDigest>,
    #[borsh(skip)]
    #[serde(skip)]
    pub(crate) place: Place,
}

/// Where in the script an experiment is added.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Place {
    pub(crate) at: u32,
    /// Whether a condition, a loop or an earlier `return` decides whether it is added.
    pub(crate) is_conditional: bool,
    /// The end of what an error stops here. `None` if it stops all.
    pub(crate) stops_until: Option<u32>,
    /// Whether an error may also stop what follows that.
    pub(crate) may_stop_more: bool,
}

/// A part of an experiment's code.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
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

    /// The id of the recipe whose code this is.
    pub(crate) fn recipe(&self) -> Option<&str> {
        self.recipe.as_deref()
    }

    /// The name of the property.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Which visitors get an experiment.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Traffic {
    /// A sample of them, from 0 to 1.
    Live { share: f64 },
    /// All visitors get this recipe.
    Diverted { recipe: String },
    /// No visitors, only previews.
    Staged,
    /// Nobody, not even in a preview.
    Broken { reason: String },
    /// Computed when the script runs.
    Dynamic,
}

/// One of the variations that an experiment compares.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Recipe {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) share: RecipeShare,
}

/// The share of the experiment's visitors that get a recipe.
#[derive(BorshDeserialize, BorshSerialize, Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(into = "Option<f64>")]
pub(crate) enum RecipeShare {
    /// The same as the other recipes'.
    Equal,
    /// From 0 to 1.
    Exact(f64),
    /// Computed when the script runs.
    Dynamic,
}

impl From<RecipeShare> for Option<f64> {
    fn from(share: RecipeShare) -> Self {
        match share {
            RecipeShare::Exact(share) => Some(share),
            RecipeShare::Equal | RecipeShare::Dynamic => None,
        }
    }
}

impl Display for RecipeShare {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal => f.write_str("an equal share"),
            Self::Exact(share) => Percent(*share).fmt(f),
            Self::Dynamic => f.write_str("computed by code"),
        }
    }
}

/// What does not do what it seems to.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    /// The property that is wrong, or missing.
    pub(crate) part: Part,
    /// What is wrong, what Mojito makes of it, and what to do.
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(property: &str, text: impl Into<String>) -> Self {
        Self {
            part: Part::new(None, property),
            text: text.into(),
        }
    }
}

/// Why Mojito throws at an experiment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Throw {
    /// The property that is wrong, or missing.
    pub(crate) part: Part,
    pub(crate) problem: String,
    pub(crate) remedy: &'static str,
}

impl Traffic {
    pub(crate) fn broken(reason: &str) -> Self {
        Self::Broken {
            reason: reason.to_owned(),
        }
    }

    /// Whether visitors may get the experiment.
    pub(crate) fn reaches_visitors(&self) -> bool {
        !matches!(self, Self::Staged | Self::Broken { .. })
    }
}

impl Experiment {
    /// Which visitors get it: `50%`, ``all get `Treatment` ``, `staged`.
    pub(crate) fn describe_traffic(&self) -> String {
        match &self.traffic {
            Traffic::Live { share } => Percent(*share).to_string(),
            Traffic::Diverted { recipe } => format!("all get `{}`", self.recipe_name(recipe)),
            Traffic::Staged => "staged".to_owned(),
            Traffic::Broken { .. } => "does not run".to_owned(),
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

/// The recipes, with sample rates if they have them: `Control 25% / Treatment 75%`.
pub(crate) fn describe_recipes(recipes: &[Recipe]) -> String {
    let recipe = |recipe: &Recipe| match recipe.share {
        RecipeShare::Exact(share) => format!("{} {}", recipe.name, Percent(share)),
        RecipeShare::Equal => recipe.name.clone(),
        RecipeShare::Dynamic => format!("{} ?", recipe.name),
    };
    recipes.iter().map(recipe).collect::<Vec<_>>().join(" / ")
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
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, Default, PartialEq, Serialize)]
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
    fn shares_are_displayed_as_percentages() {
        let shares = [0.5, 1.0, 0.0, 0.125, 0.1 + 0.2, 1.0 / 3.0];
        let shown = shares.map(|share| Percent(share).to_string()).join(" ");
        assert_eq!(shown, "50% 100% 0% 12.5% 30% 33.3333%");
    }
}
