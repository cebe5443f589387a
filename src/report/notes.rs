//! What a reviewer should see beside a line of the sources: one note for each change and cause.

use std::fmt::Write as _;

use super::changes;
use crate::bitbucket::report::Severity;
use crate::container::changes::{Cause, Change, ChangeKind, Changes, Source};
use crate::container::InvalidFile;
use crate::mojito::config_yml::Property;
use crate::mojito::experiment::{Experiment, Part, Problem, RecipeShare};
use crate::mojito::waves::{Place, SourceChange, Wave, Waves};
use crate::settings::environment::Environment;

/// A note on a change or an error, for the place that causes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    /// How much it matters to visitors.
    pub(crate) severity: Severity,
    /// One line.
    pub(crate) summary: String,
    pub(crate) details: String,
    /// `None` if it is not known, or is not in the repository.
    pub(crate) place: Option<Place>,
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
        let words = changes::for_reviewer(change.kind, &cause.detail);
        Note {
            severity: severity(change),
            summary: format!("{environment}: {subject}{words}"),
            details: details(change, changes),
            place,
        }
    };
    found.into_iter().map(note).collect()
}

/// The notes on experiments that do not do what they seem to.
pub(crate) fn of_problems(
    environment: Environment,
    experiments: &[Experiment],
    waves: &Waves,
) -> Vec<Note> {
    let of_experiment = |experiment: &'_ Experiment| {
        let Experiment {
            id, name, problems, ..
        } = experiment;
        let wave = waves.get(id);
        let note = |problem: &Problem| Note {
            severity: Severity::High,
            summary: format!("{environment}: experiment {id} {}", problem.text),
            details: format!("experiment {id} ({name}) {}", problem.text),
            place: wave.map(|wave| place_of_part(&problem.part, wave)),
        };
        problems.iter().map(note).collect::<Vec<_>>()
    };
    experiments.iter().flat_map(of_experiment).collect()
}

/// The line of a property in `config.yml`.
fn place_of_part(part: &Part, wave: &Wave) -> Place {
    let Some(id) = part.recipe() else {
        return wave.property(part.name());
    };
    let recipe = wave.config.recipes.get(id);
    wave.place(recipe.and_then(|it| it.properties.get(part.name())?.line))
}

/// The note on a file that cannot be published.
pub(crate) fn of_file(file: &InvalidFile) -> Note {
    let details = file.to_string();
    Note {
        severity: Severity::High,
        summary: details.lines().next().unwrap_or_default().to_owned(),
        details,
        place: file.place.clone(),
    }
}

fn severity(change: &Change) -> Severity {
    match change.kind {
        ChangeKind::Starts
        | ChangeKind::Diverts
        | ChangeKind::Resumes
        | ChangeKind::Stops
        | ChangeKind::Breaks
        | ChangeKind::NotComparable => Severity::High,
        ChangeKind::Ramps | ChangeKind::SharedCode => Severity::Medium,
        ChangeKind::Changes if change.is_live => Severity::Medium,
        ChangeKind::Changes
        | ChangeKind::Renamed
        | ChangeKind::Staged
        | ChangeKind::RemovedWhileStaged
        | ChangeKind::Header
        | ChangeKind::Size => Severity::Low,
    }
}

fn details(change: &Change, changes: &Changes) -> String {
    let Change { subject, name, .. } = change;
    let mut details = format!("experiment {subject}");
    if name != subject {
        let _ = write!(details, " ({name})");
    }
    let _ = write!(details, ": {}", change.detail);
    let consequences = changes.consequences.iter();
    for consequence in consequences.filter(|it| it.experiments.contains(subject)) {
        let _ = write!(details, "\n{}", consequence.sentence);
    }
    details
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
        Source::NoLine => None,
        Source::RecipeName(id) => in_recipe(id, "name").and_then(|it| it.line),
        Source::RecipeShare(id, share) => in_recipe(id, "sampleRate")
            .filter(|rate| is_share(rate, *share))
            .and_then(|it| it.line),
        Source::Code(part, _) => {
            if let Some(SourceChange { path, .. }) = source_change(cause, wave) {
                return Some(Place { path, line: None });
            }
            return Some(place_of_part(part, wave));
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use tempfile::TempDir;

    use super::*;
    use crate::container::consequences::{Consequence, ConsequenceKind};
    use crate::mojito::script;

    const CONFIG: &str = "state: live
sampleRate: 0.5
id: w1
name: Hero
recipes:
  '0':
    name: Control
    sampleRate: 0.5
  '1':
    name: Blue
    js: 1.js
    css: 1.css
    sampleRate: 0.5
trigger: trigger.js
divertTo: null
note: a
";

    const BLUE: &str = "js:function(e){e.text='a'},css:'a{top:1px}',sampleRate:.5";

    fn experiment(properties: &str, control: &str, blue: &str) -> String {
        format!("Mojito.addTest({{id:'w1',name:'Hero',{properties},recipes:{{0:{{name:'Control',{control}}},1:{{name:'Blue',{blue}}}}},trigger:function(e){{e.load()}}}});")
    }

    fn live(blue: &str) -> String {
        experiment("state:'live',sampleRate:.5,note:'a'", "sampleRate:.5", blue)
    }

    /// A repository with this `config.yml` of an experiment.
    fn repository(config: &str) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("lib/waves/hero");
        fs::create_dir_all(&folder).unwrap();
        for (name, content) in [
            ("config.yml", config),
            ("1.js", "function (e) {\n  // b\n  e.text = 'b';\n}\n"),
            ("1.css", "a {\n  top: 2px;\n}\n"),
            ("trigger.js", "function (e) {\n  e.load();\n}\n"),
        ] {
            fs::write(folder.join(name), content).unwrap();
        }
        root
    }

    /// The notes on the change from one container to another, in a repository with this `config.yml`.
    fn notes_with(old: &str, new: &str, config: &str, consequences: Vec<Consequence>) -> Vec<Note> {
        let root = repository(config);
        let [old, new] = [old, new].map(|it| format!("window.Mojito||(Mojito={{}});{it}"));
        let changes = Changes {
            consequences,
            ..Changes::of_texts(&old, &new)
        };
        let deadline = Instant::now() + Duration::from_hours(1);
        let waves = Waves::read(root.path(), deadline);
        of_changes(Environment::Production, &changes, &waves)
    }

    #[track_caller]
    fn case(old: &str, new: &str, config: &str, expected: &[&str]) {
        let notes = notes_with(old, new, config, Vec::new());
        let shown = |note: &Note| {
            let place = note
                .place
                .as_ref()
                .map_or("-".to_owned(), ToString::to_string);
            let place = place.replace("lib/waves/hero/", "");
            let summary = note.summary.strip_prefix("production: ").unwrap();
            format!("{place} {:?} {summary}", note.severity)
        };
        let shown: Vec<String> = notes.iter().map(shown).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_change_of_traffic_stands_at_the_property_that_causes_it() {
        let with = |properties: &str| experiment(properties, "sampleRate:.5", BLUE);
        let tenth = with("state:'live',sampleRate:.1");
        let half = with("state:'live',sampleRate:.5");
        let staged = with("state:'staging',sampleRate:.5");
        let diverted = with("state:'live',sampleRate:.5,divertTo:'1'");
        case("", &half, CONFIG, &["config.yml:1 High starts (50%)"]);
        case(
            "",
            &staged,
            CONFIG,
            &["config.yml:1 Low staged (new; no visitor has it)"],
        );
        case(
            &staged,
            &half,
            CONFIG,
            &["config.yml:1 High starts (staged → 50%)"],
        );
        case(
            &half,
            &staged,
            CONFIG,
            &["config.yml:1 High stops (50% → staged)"],
        );
        case(
            &tenth,
            &half,
            CONFIG,
            &["config.yml:2 Medium 10% → 50% of new visitors"],
        );
        let diverts = "config.yml:15 High diverts (50% → all get `Blue`)";
        case(&half, &diverted, CONFIG, &[diverts]);
        let resumes = "High resumes (all get `Blue` → 50%)";
        case(
            &diverted,
            &half,
            CONFIG,
            &[&format!("config.yml:15 {resumes}")],
        );
        let without = CONFIG.replace("divertTo: null\n", "");
        case(
            &diverted,
            &half,
            &without,
            &[&format!("config.yml {resumes}")],
        );
        // Its problem has a note.
        let broken = with("state:'live',sampleRate:50");
        case(&half, &broken, CONFIG, &[]);
        case(&half, &half, CONFIG, &[]);
    }

    #[test]
    fn a_problem_stands_at_the_property_that_is_wrong() {
        #[track_caller]
        fn case(properties: &str, control: &str, expected: &[&str]) {
            let root = repository(CONFIG);
            let text = experiment(properties, control, BLUE);
            let script = script::read(&format!("window.Mojito||(Mojito={{}});{text}")).unwrap();
            let deadline = Instant::now() + Duration::from_hours(1);
            let waves = Waves::read(root.path(), deadline);
            let notes = of_problems(Environment::Production, &script.experiments, &waves);
            let shown = notes.iter().map(|note| {
                let place = note.place.as_ref().unwrap().to_string();
                let place = place.replace("lib/waves/hero/", "");
                format!("{place} {:?} {}", note.severity, note.summary)
            });
            assert_eq!(shown.collect::<Vec<_>>(), expected);
        }
        case("state:'live',sampleRate:.5", "sampleRate:.5", &[]);
        case(
            "state:'live',sampleRate:50",
            "sampleRate:.5",
            &["config.yml:2 High production: experiment w1 has a sample rate of 50, which is above 1: Mojito throws here, so it \
               does not run; write 50% as 0.5"],
        );
        case(
            "state:'live',divertTo:'7'",
            "sampleRate:.5",
            &["config.yml:15 High production: experiment w1 has the `divertTo` `7`, which Mojito ignores: there is no such recipe"],
        );
        case(
            "state:'live'",
            "sampleRate:'.5'",
            &["config.yml:8 High production: experiment w1 has a quoted sample rate ('.5') for the recipe `Control`: Mojito throws \
               here, so it does not run; remove the quotes"],
        );
        case(
            "state:'live'",
            "sampleRate:.9",
            &["config.yml High production: experiment w1 has recipe sample rates that add up to 1.4: `Control` gets 50%; make them \
               add up to 1"],
        );
    }

    #[test]
    fn an_experiment_that_is_removed_stands_where_its_sources_say_so_or_nowhere() {
        let inactive = CONFIG.replace("state: live", "state: inactive");
        let stops = "High stops (50% → removed)";
        case(
            &live(BLUE),
            "",
            &inactive,
            &[&format!("config.yml:1 {stops}")],
        );
        // The file belongs to another one, or was not built.
        case(
            &live(BLUE),
            "",
            "id: w2\nstate: inactive\n",
            &[&format!("- High w1 {}", &stops[5..])],
        );
        case(
            &live(BLUE),
            "",
            CONFIG,
            &[&format!("- High w1 {}", &stops[5..])],
        );
        let staged = experiment("state:'staging'", "", "");
        let removed = "config.yml:1 Low removed; no visitor had it";
        case(&staged, "", &inactive, &[removed]);
    }

    #[test]
    fn each_changed_part_of_the_code_stands_in_its_own_file() {
        let old = live(BLUE);
        let new = old
            .replace("'a'}", "'b'}")
            .replace("1px", "2px")
            .replace("load", "wait");
        let expected = [
            // The word is not in the source, so the line is not certain.
            "trigger.js Medium changes trigger",
            "1.css:2 Medium changes css of `Blue`",
            "1.js:3 Medium changes js of `Blue`",
        ];
        case(&old, &new, CONFIG, &expected);
        let staged = |script: &str| script.replace("'live'", "'staging'");
        case(
            &staged(&old),
            &staged(&old.replace("1px", "2px")),
            CONFIG,
            &["1.css:2 Low changes css of `Blue`"],
        );
        // The property that is added or removed is in `config.yml`.
        let without = live(&BLUE.replace("css:'a{top:1px}',", ""));
        case(
            &without,
            &old,
            CONFIG,
            &["config.yml:12 Medium changes css of `Blue`"],
        );
        let config = CONFIG.replace("    css: 1.css\n", "");
        case(
            &old,
            &without,
            &config,
            &["config.yml Medium changes css of `Blue`"],
        );
        case(
            &old,
            &old.replace("note:'a'", "note:'b'"),
            CONFIG,
            &["config.yml:16 Medium changes note"],
        );
        // Nothing outside the folder is read.
        let outside = CONFIG.replace("1.css", "../1.css");
        case(
            &old,
            &old.replace("1px", "2px"),
            &outside,
            &["config.yml:12 Medium changes css of `Blue`"],
        );
    }

    #[test]
    fn changes_of_recipes_stand_at_their_own_lines() {
        let old = live(BLUE);
        let weights = |control: &str, blue: &str| {
            let blue = BLUE.replace(".5", blue);
            experiment(
                "state:'live',sampleRate:.5,note:'a'",
                &format!("sampleRate:{control}"),
                &blue,
            )
        };
        let expected = [
            "config.yml:8 Medium changes recipe `Control` (30% → 50%)",
            "config.yml:13 Medium changes recipe `Blue` (70% → 50%)",
        ];
        case(&weights(".3", ".7"), &old, CONFIG, &expected);
        case(&old, &weights(".50000000001", ".5"), CONFIG, &[]);
        // The rate of the other one is not in its own line.
        let expected = [
            "config.yml:8 Medium changes recipe `Control` (30% → 50%)",
            "config.yml Medium changes recipe `Blue` (70% → 50%)",
        ];
        let other = CONFIG.replace(
            "css: 1.css\n    sampleRate: 0.5",
            "css: 1.css\n    sampleRate: 0.7",
        );
        case(&weights(".3", ".7"), &old, &other, &expected);
        let renamed = old.replace("'Blue'", "'Red'");
        case(
            &renamed,
            &old,
            CONFIG,
            &["config.yml:10 Medium changes recipe `Blue` (was `Red`)"],
        );
        let added = old.replace("1:{name:'Blue'", "2:{name:'Blue'");
        let expected = [
            "config.yml:9 Medium changes recipe `Blue` (added)",
            "config.yml Medium changes recipe `Blue` (removed)",
        ];
        case(&added, &old, CONFIG, &expected);
        let name = old.replace("'Hero'", "'Footer'");
        case(
            &name,
            &old,
            CONFIG,
            &["config.yml:4 Low renamed (was Footer)"],
        );
    }

    #[test]
    fn the_details_name_the_experiment_and_what_the_change_means() {
        let consequence = |id: &str, sentence: &str| Consequence {
            experiments: vec![id.to_owned()],
            sentence: sentence.to_owned(),
            kind: ConsequenceKind::Code,
            text: String::new(),
        };
        let consequences = vec![
            consequence("w1", "new visitors only"),
            consequence("w2", "other"),
        ];
        let notes = notes_with("", &live(BLUE), CONFIG, consequences);
        assert_eq!(
            notes[0].details,
            "experiment w1 (Hero): 50%\nnew visitors only"
        );
    }
}
