//! The sources of experiments in a Mojito repository: `lib/waves/*/config.yml` and the files beside it.

/// A place in the repository.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// Relative to the working directory, with `/`: `lib/waves/w1/config.yml`.
    pub(crate) path: String,
    /// From 1. `None` stands for the whole file.
    pub(crate) line: Option<u32>,
}
