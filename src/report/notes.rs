//! What a reviewer should see beside a line of the sources: one note for each change and cause.

use super::tables;
use crate::container::changes::{Change, ChangeKind, Changes};
use crate::container::InvalidFile;
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
pub(crate) fn of_changes(changes: &Changes) -> Vec<Note> {
    let changes = changes.list.iter();
    let changes = changes.filter(|change| change.kind != ChangeKind::Size);
    let note = |change: &Change| Note {
        weight: match change.kind {
            ChangeKind::Starts | ChangeKind::Stops | ChangeKind::Breaks => Weight::High,
            ChangeKind::Header | ChangeKind::Renamed | ChangeKind::Staged => Weight::Low,
            _ => Weight::Medium,
        },
        summary: tables::change(change),
        details: change.detail.clone(),
        place: None,
    };
    changes.map(note).collect()
}

/// The note on a file that cannot be published.
pub(crate) fn of_file(file: &InvalidFile) -> Note {
    let problem = file.to_string();
    Note {
        weight: Weight::High,
        summary: problem.lines().next().unwrap_or_default().to_owned(),
        details: problem,
        place: None,
    }
}
