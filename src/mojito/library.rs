//! The version of Mojito's library in a container.

/// How a version of Mojito's library treats what the versions treat differently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Library {
    /// Before 2.3: throws without a name or a trigger function, or where the recipes' sample rates do not add up to 1.
    pub(crate) is_strict: bool,
    /// From 2.2.3: an error in a trigger function does not stop the later experiments.
    pub(crate) catches_errors: bool,
    /// From 2.4: throws where only some recipes have a sample rate.
    pub(crate) wants_all_rates: bool,
}

impl Library {
    /// The library in the text of a container, by the messages of its errors. Without one, the latest.
    pub(crate) fn in_script(text: &str) -> Self {
        let is_strict = text.contains("Specify a trigger function for this test");
        let is_before_2_4 = text.contains("The sum of all the simple rates must be equal")
            && !text.contains("must be defined for all recipes");
        Self {
            is_strict,
            catches_errors: !is_strict || text.contains("trigger failed, error"),
            wants_all_rates: !is_before_2_4,
        }
    }
}
