//! What a reviewer should see beside a line of the sources: one note for each change and cause.

use super::tables::change_in_words;
use crate::container::changes::{Cause, Change, ChangeKind, Changes, Source};
use crate::container::InvalidFile;
use crate::mojito::config_yml::Property;
use crate::mojito::experiment::RecipeShare;
use crate::mojito::waves::{Place, SourceChange, Wave, Waves};
use crate::settings::environment::Environment;

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

/// The notes on the changes of experiments, in the order of the changes.
pub(crate) fn of_changes(environment: Environment, changes: &Changes, waves: &Waves) -> Vec<Note> {
    let causes = changes.list.iter();
    let causes = causes.flat_map(|change| change.causes.iter().map(move |cause| (change, cause)));
    let mut found: Vec<(&Change, &Cause, Option<Place>)> = causes
        .map(|(change, cause)| (change, cause, place(change, cause, waves)))
        .collect();
    add_changed_lines(&mut found, waves);
    let note = |(change, cause, place): (&Change, &Cause, Option<Place>)| {
        // The place's path mostly has the id.
        let subject = match &place {
            Some(_) => String::new(),
            None => format!("{} ", change.subject),
        };
        let words = change_in_words(change.kind, &cause.detail);
        Note {
            weight: weight(change),
            summary: format!("{environment}: {subject}{words}"),
            details: details(change, changes),
            place,
        }
    };
    found.into_iter().map(note).collect()
}

/// The note on a file that cannot be published.
pub(crate) fn of_file(file: &InvalidFile) -> Note {
    let details = file.to_string();
    Note {
        weight: Weight::High,
        summary: details.lines().next().unwrap_or_default().to_owned(),
        details,
        place: file.place.clone(),
    }
}

fn weight(change: &Change) -> Weight {
    match change.kind {
        ChangeKind::Starts
        | ChangeKind::Diverts
        | ChangeKind::Resumes
        | ChangeKind::Stops
        | ChangeKind::Breaks
        | ChangeKind::NotComparable => Weight::High,
        ChangeKind::Ramps | ChangeKind::SharedCode => Weight::Medium,
        ChangeKind::Changes if change.is_live => Weight::Medium,
        ChangeKind::Changes
        | ChangeKind::Renamed
        | ChangeKind::Staged
        | ChangeKind::RemovedWhileStaged
        | ChangeKind::Header
        | ChangeKind::Size => Weight::Low,
    }
}

fn details(change: &Change, changes: &Changes) -> String {
    let Change {
        subject,
        name,
        detail,
        ..
    } = change;
    let name = if name == subject {
        String::new()
    } else {
        format!(" ({name})")
    };
    let consequences = changes.consequences.iter();
    let sentences = consequences.filter(|it| it.experiments.contains(subject));
    let first = format!("experiment {subject}{name}: {detail}");
    let lines = sentences.map(|it| it.sentence.clone());
    [first]
        .into_iter()
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The place of a cause, without the line in a source file.
fn place(change: &Change, cause: &Cause, waves: &Waves) -> Option<Place> {
    let wave = waves.get(&change.subject)?;
    let in_recipe = |id: &str, name: &str| wave.config.recipes.get(id)?.properties.get(name);
    let line = match &cause.source {
        Source::State => return Some(wave.property("state")),
        Source::Removed => {
            let is_inactive = wave.text("state") == Some("inactive");
            return is_inactive.then(|| wave.property("state"));
        }
        Source::SampleRate => return Some(wave.property("sampleRate")),
        Source::DivertTo => return Some(wave.property("divertTo")),
        Source::Name => return Some(wave.property("name")),
        Source::RecipeAdded(id) => wave.config.recipes.get(id).map(|recipe| recipe.line),
        Source::RecipeRemoved | Source::Unknown => None,
        Source::RecipeName(id) => in_recipe(id, "name").and_then(|it| it.line),
        Source::RecipeShare(id, share) => in_recipe(id, "sampleRate")
            .filter(|rate| is_share(rate, *share))
            .and_then(|it| it.line),
        Source::Code(part, _) => {
            if let Some(SourceChange { path, .. }) = source_change(cause, wave) {
                return Some(Place { path, line: None });
            }
            match part.recipe() {
                Some(id) => in_recipe(id, part.name()).and_then(|it| it.line),
                None => return Some(wave.property(part.name())),
            }
        }
    };
    Some(wave.place(line))
}

/// The rate of another recipe may change what this one gets.
fn is_share(rate: &Property, share: RecipeShare) -> bool {
    let rate = rate.text.as_ref().and_then(|it| it.parse::<f64>().ok());
    matches!((rate, share), (Some(rate), RecipeShare::Exact(share)) if (rate - share).abs() < 1e-9)
}

/// The source file that a change of code is in. `None` if it is, or may be, in `config.yml`, which names the file.
fn source_change<'a>(cause: &'a Cause, wave: &Wave) -> Option<SourceChange<'a>> {
    let Source::Code(part, Some(words)) = &cause.source else {
        return None;
    };
    matches!(part.name(), "js" | "css" | "trigger").then_some(())?;
    Some(SourceChange {
        path: wave.source(part.recipe(), part.name())?,
        is_css: part.name() == "css",
        words,
    })
}

/// Adds the lines in source files, all together, as a process of its own parses them.
fn add_changed_lines(found: &mut [(&Change, &Cause, Option<Place>)], waves: &Waves) {
    let (mut places, mut changes) = (Vec::new(), Vec::new());
    for (change, cause, place) in found {
        let wave = waves.get(&change.subject);
        let source = wave.and_then(|wave| source_change(cause, wave));
        if let (Some(source), Some(place)) = (source, place) {
            places.push(place);
            changes.push(source);
        }
    }
    for (place, line) in places.into_iter().zip(waves.changed_lines(&changes)) {
        place.line = line;
    }
}
