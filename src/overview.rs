//! The picture of a container: its experiments and what a publish changes, laid out to be read at a glance.

use std::fmt::Write as _;

use crate::columns::{columns, first_ten};
use crate::difference::{recipes_shown, ChangeKind, Difference};
use crate::experiment::{Experiment, Percent, Traffic};
use crate::object::Container;
use crate::reporter::{Row, Tone};
use crate::script::Script;

/// Cells of the bar that shows a share.
const BAR: usize = 10;

/// A heading, and a row for each experiment: those that visitors have first.
pub(crate) fn experiments(container: &Container, script: &Script) -> (String, Vec<Row>) {
    let mut experiments: Vec<&Experiment> = script.experiments.iter().collect();
    experiments.sort_by(|one, other| order(one).total_cmp(&order(other)));
    let shares = experiments.iter().map(|it| share(&it.traffic).len());
    let widest = shares.max().unwrap_or_default();
    let cells: Vec<Vec<String>> = experiments
        .iter()
        .map(|experiment| {
            vec![
                state(&experiment.traffic).to_owned(),
                bar(&experiment.traffic),
                format!("{:>widest$}", share(&experiment.traffic)),
                experiment.id.clone(),
                experiment.name.clone(),
                recipes(experiment),
            ]
        })
        .collect();
    let tone = |experiment: &&Experiment| match experiment.traffic {
        Traffic::Live { .. } => Tone::Good,
        Traffic::Diverted { .. } | Traffic::Computed => Tone::Notable,
        Traffic::Staged => Tone::Plain,
    };
    let heading = format!("{}: {}", built(container, script), counted(&experiments));
    (heading, rows(&cells, experiments.iter().map(tone)))
}

/// What the container says of itself: `mojito, commit 1f2e3d4, built at ...`.
fn built(container: &Container, script: &Script) -> String {
    let mut built = format!("container {}", container.name);
    if let Some(info) = &script.build_info {
        for (what, value) in [
            ("commit", info.commit.clone()),
            ("built", info.built_at()),
            ("with Mojito", info.mojito_version.clone()),
        ] {
            if let Some(value) = value {
                let _ = write!(built, ", {what} {value}");
            }
        }
    }
    built
}

fn counted(experiments: &[&Experiment]) -> String {
    if experiments.is_empty() {
        return "no experiments".to_owned();
    }
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for experiment in experiments {
        let state = state(&experiment.traffic);
        match counts.last_mut() {
            Some((last, count)) if *last == state => *count += 1,
            _ => counts.push((state, 1)),
        }
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    counts.join(", ")
}

/// The more visitors have it, the further up.
fn order(experiment: &Experiment) -> f64 {
    match experiment.traffic {
        Traffic::Live { share } => 1.0 - share,
        Traffic::Diverted { .. } => 2.0,
        Traffic::Computed => 3.0,
        Traffic::Staged => 4.0,
    }
}

fn state(traffic: &Traffic) -> &'static str {
    match traffic {
        Traffic::Live { .. } => "live",
        Traffic::Diverted { .. } => "diverted",
        Traffic::Staged => "staged",
        Traffic::Computed => "computed",
    }
}

fn bar(traffic: &Traffic) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "from 0 to 10"
    )]
    let filled = match traffic {
        Traffic::Live { share } => {
            let filled = (share * BAR as f64).round() as usize;
            // Little is not nothing, and much is not all.
            let least = usize::from(*share > 0.0);
            filled.clamp(least, BAR - usize::from(*share < 1.0))
        }
        Traffic::Diverted { .. } => BAR,
        Traffic::Staged | Traffic::Computed => return String::new(),
    };
    "█".repeat(filled) + &"░".repeat(BAR - filled)
}

fn share(traffic: &Traffic) -> String {
    match traffic {
        Traffic::Live { share } => Percent(*share).to_string(),
        Traffic::Diverted { .. } => "all".to_owned(),
        Traffic::Staged | Traffic::Computed => String::new(),
    }
}

fn recipes(experiment: &Experiment) -> String {
    match &experiment.traffic {
        Traffic::Diverted { recipe } => format!("→ {}", experiment.recipe_name(recipe)),
        Traffic::Computed => "only running the container would tell who has it".to_owned(),
        Traffic::Live { .. } | Traffic::Staged => recipes_shown(&experiment.recipes),
    }
}

/// A heading, and a row for each change.
pub(crate) fn difference(difference: &Difference) -> (String, Vec<Row>) {
    let mut heading = format!(
        "compared with what visitors get now ({}):",
        difference.against
    );
    if difference.is_nothing() {
        heading.push_str(if difference.is_same {
            " the same"
        } else if difference.is_looked_into {
            " no experiment, shared code or header changes"
        } else {
            " another file; what is in it is not compared, as `VALIDATE` is off"
        });
    }
    let cells: Vec<Vec<String>> = difference
        .changes
        .iter()
        .map(|change| {
            let word = format!("{} {}", mark(change.kind), change.kind.word());
            let (subject, name, detail) = (&change.subject, &change.name, &change.detail);
            match change.kind {
                ChangeKind::Header => vec![word, format!("{subject}: {detail}")],
                _ if subject.is_empty() => vec![word, detail.clone()],
                _ => vec![word, subject.clone(), name.clone(), detail.clone()],
            }
        })
        .collect();
    let tones = difference.changes.iter().map(|change| match change.kind {
        ChangeKind::Starts | ChangeKind::Resumes => Tone::Good,
        ChangeKind::Stops | ChangeKind::Unsound => Tone::Bad,
        ChangeKind::Size => Tone::Plain,
        _ => Tone::Notable,
    });
    (heading, rows(&cells, tones))
}

fn mark(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Starts | ChangeKind::Staged => '+',
        ChangeKind::Stops | ChangeKind::Unstaged => '-',
        ChangeKind::Ramps => '↗',
        ChangeKind::Diverts => '→',
        ChangeKind::Resumes => '←',
        ChangeKind::Unsound => '!',
        ChangeKind::Size => ' ',
        ChangeKind::Changes | ChangeKind::Renamed | ChangeKind::SharedCode | ChangeKind::Header => {
            '~'
        }
    }
}

/// All that changes, in one line: `w3 starts, w1 ramps 10% → 50%`. `None` if nothing does.
pub(crate) fn summary(difference: &Difference) -> Option<String> {
    let changes = difference
        .changes
        .iter()
        .filter(|change| change.kind != ChangeKind::Size);
    let changes: Vec<String> = changes
        .map(|change| match change.kind {
            ChangeKind::Ramps => format!("{} ramps {}", change.subject, change.detail),
            ChangeKind::Header => format!("{} changes", change.subject),
            ChangeKind::SharedCode => "the shared code changes".to_owned(),
            ChangeKind::Unsound => "what was served before could not be compared".to_owned(),
            kind => format!("{} {}", change.subject, kind.word()),
        })
        .collect();
    let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
    (!changes.is_empty()).then(|| first_ten(&changes))
}

fn rows(cells: &[Vec<String>], tones: impl Iterator<Item = Tone>) -> Vec<Row> {
    columns(cells)
        .into_iter()
        .zip(cells)
        .zip(tones)
        .map(|((text, cells), tone)| Row {
            tone,
            toned: cells[0].len(),
            text,
        })
        .collect()
}
