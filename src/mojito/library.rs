//! The version of Mojito's library in a container.

/// How a version of Mojito's library treats what the versions treat differently.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent differences")]
pub(crate) struct Library {
    /// From 2.0: gives recipes the shares of their sample rates.
    pub(crate) adds_rates_up: bool,
    /// Before 2.3: throws without a name or a trigger function, or where the recipes' sample rates do not add up to 1.
    pub(crate) is_strict: bool,
    /// From 2.2.3: an error in a trigger function does not stop the later experiments.
    pub(crate) catches_errors: bool,
    /// From 2.4: throws where only some recipes have a sample rate.
    pub(crate) wants_all_rates: bool,
}

impl Library {
    /// The library in the text of a container, by the messages of its errors and a method's name. Without them, the latest.
    pub(crate) fn in_script(text: &str) -> Self {
        let is_strict = text.contains("Specify a trigger function for this test");
        let is_before_2_4 = text.contains("The sum of all the simple rates must be equal")
            && !text.contains("must be defined for all recipes");
        Self {
            adds_rates_up: !text.contains("getSameSimpleRateValueRecipes"),
            is_strict,
            catches_errors: !is_strict || text.contains("trigger failed, error"),
            wants_all_rates: !is_before_2_4,
        }
    }
}
