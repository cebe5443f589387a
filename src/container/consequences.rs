//! What a change of a live experiment means for the visitors who are in it.

/// A consequence of changes, in one sentence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Consequence {
    /// The ids of the experiments that it is about.
    pub(crate) experiments: Vec<String>,
    pub(crate) sentence: String,
}
