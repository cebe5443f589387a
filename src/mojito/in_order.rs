//! What the experiments of a container do to each other.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::experiment::{Experiment, Part, Problem, Throw, Traffic};
use super::words::CodeDigest;

/// Runs them one after the other.
///
/// Where Mojito throws, no later one runs. Two live ones with one id have one cookie, so the first decides for both.
pub(crate) fn run_in_order(experiments: &mut [Experiment]) {
    let mut decided = HashSet::new();
    // The id of the last one at which Mojito threw, and how many after it do not run.
    let (mut thrower, mut stopped) = (String::new(), 0_usize);
    // Whether one may have thrown that is not certain to be added, or not to stop this one.
    let mut may_be_stopped = false;
    for index in 0..experiments.len() {
        let is_stopped = stopped > 0;
        let later = match experiments[index].throws {
            Some(_) if !is_stopped => count_stopped(&experiments[index..]),
            _ => 0,
        };
        let experiment = &mut experiments[index];
        stopped = stopped.saturating_sub(1);
        if let Some(Throw {
            part,
            problem,
            remedy,
        }) = &experiment.throws
        {
            let consequence = match later {
                _ if is_stopped => "Mojito would throw here too".to_owned(),
                0 => "Mojito throws here, so it does not run".to_owned(),
                1 => "Mojito throws here; it and the experiment after it do not run".to_owned(),
                _ => format!(
                    "Mojito throws here; it and the {later} experiments after it do not run"
                ),
            };
            let problem = Problem {
                part: part.clone(),
                text: format!("{problem}: {consequence}; {remedy}"),
            };
            experiment.problems.insert(0, problem);
        }
        if is_stopped {
            experiment.traffic = Traffic::broken(&format!("Mojito throws before it, at {thrower}"));
        } else if experiment.throws.is_some() {
            thrower.clone_from(&experiment.id);
            stopped = later;
            may_be_stopped |= experiment.place.may_stop_more;
        } else {
            let is_repeated = experiment.keeps_decisions && !decided.insert(experiment.id.clone());
            let is_uncertain = may_be_stopped || experiment.place.is_conditional;
            if is_repeated || (is_uncertain && experiment.traffic.reaches_visitors()) {
                keep_changes_visible(experiment);
                experiment.traffic = Traffic::Dynamic;
            }
        }
    }
}

/// What is not certain counts as code, so that a change of it is noticed.
fn keep_changes_visible(experiment: &mut Experiment) {
    let name = match &experiment.traffic {
        Traffic::Live { .. } => "sampleRate",
        Traffic::Diverted { .. } => "divertTo",
        _ => return,
    };
    let mut hasher = DefaultHasher::new();
    format!("{:?}", experiment.traffic).hash(&mut hasher);
    let part = Part::new(None, name);
    let code = CodeDigest {
        hash: hasher.finish(),
        words: Vec::new(),
    };
    experiment.code.insert(part, code);
}

/// How many experiments after the first of these do not run if Mojito throws at it.
fn count_stopped(experiments: &[Experiment]) -> usize {
    let Some((thrower, later)) = experiments.split_first() else {
        return 0;
    };
    let end = thrower.place.stops_until.unwrap_or(u32::MAX);
    later.partition_point(|it| it.place.at < end)
}
