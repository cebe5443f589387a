//! What a reviewer should see beside a line of the sources: one note for each change and cause.

use crate::container::changes::Changes;
use crate::mojito::waves::Place;

/// A note on a change or an error, for the place that causes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    pub(crate) weight: Weight,
    /// One line.
    pub(crate) summary: String,
    pub(crate) details: String,
    /// `None` if it is not known, or is not in the repository.
    pub(crate) place: Option<Place>,
}

/// How much a note matters to visitors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Weight {
    Low,
    Medium,
    High,
}

/// The notes on the changes for visitors.
pub(crate) fn of_changes(_: &Changes) -> Vec<Note> {
    Vec::new()
}
