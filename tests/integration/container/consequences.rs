//! What the changes of live experiments mean for the visitors who are in them: in the log, and in the result.

use serde_json::{json, Value};

use crate::support::harness::{Case, Ended};
use crate::support::sample;

const RAMP_UP: &str = "new rate for new visitors only: those left out stay out for up to 60 days";

/// Builds a container of our own with these experiments. Its library keeps cookies as long as Mojito's does.
fn build(case: &Case, name: &str, experiments: &[String]) {
    sample::write_minified(case.repository(), name, &container(experiments));
}

fn container(experiments: &[String]) -> String {
    format!(
        "Mojito=function(){{var o={{cookieDuration:60}};return{{options:o,addTest:function(t){{t.trigger(t)}}}}}}();{}",
        experiments.concat()
    )
}

fn experiment(id: &str, properties: &str, recipes: &str) -> String {
    format!("Mojito.addTest({{id:'{id}',name:'{id} name',{properties},recipes:{{{recipes}}},trigger:function(t){{t.go()}}}});")
}

fn live(id: &str, rate: &str) -> String {
    let properties = format!("state:'live',sampleRate:{rate}");
    experiment(id, &properties, "0:{},1:{js:function(){a()}}")
}

/// The lines of the log below this heading.
#[track_caller]
fn below<'a>(ended: &'a Ended, heading: &str) -> Vec<&'a str> {
    let mut lines = ended.output.lines().skip_while(|line| *line != heading);
    assert!(
        lines.next().is_some(),
        "no `{heading}` in:\n{}",
        ended.output
    );
    let lines = lines.take_while(|line| line.starts_with("  "));
    lines.map(str::trim).collect()
}

fn consequences(case: &Case) -> Value {
    case.result()["containers"][0]["consequences"].clone()
}

/// A case that compares with what visitors get now.
fn comparing(case: Case) -> Case {
    let edge = case.world.edge.clone();
    case.env("PUBLIC_URL", &edge)
}

#[test]
fn changes_of_live_experiments_are_explained_below_the_changes() {
    let case = comparing(Case::production().storing_results());
    let recipe = |id: &str, recipes: &str| experiment(id, "state:'live',sampleRate:1", recipes);
    let old = [
        live("w1", ".1"),
        live("w2", "1"),
        recipe("w3", "0:{},1:{},2:{}"),
        recipe("w4", "0:{},1:{js:function(){a()}}"),
    ];
    build(&case, "mojito", &old);
    case.run().exits(0).does_not_contain("what this means");
    // There was nothing to compare it with.
    assert_eq!(consequences(&case), Value::Null);
    let new = [
        live("w1", ".5"),
        live("w2", "0"),
        recipe("w3", "0:{},1:{}"),
        recipe("w4", "0:{},1:{js:function(){b()}}"),
    ];
    build(&case, "mojito", &new);
    let expected = [
        "w3: visitors of a removed recipe leave the test, and stay out for up to 60 days",
        "w1, w2: new rates for new visitors only: others stay in or out for up to 60 days",
        "w4: its code changes: results from before and after are not comparable",
    ];
    for dry_run in ["true", "false"] {
        let case = &case;
        let mut command = case.command();
        command.env("DRY_RUN", dry_run);
        let ended = case.ended(command.output().unwrap()).exits(0);
        assert_eq!(below(&ended, "what this means for visitors:"), expected);
        let result = consequences(case);
        let sentences = result.as_array().unwrap().iter().map(|it| &it["sentence"]);
        assert_eq!(sentences.collect::<Vec<_>>(), expected);
        assert_eq!(
            result[1],
            json!({"kind": "sample_rate", "experiments": ["w1", "w2"], "sentence": expected[1]})
        );
    }
    case.run().exits(0).does_not_contain("what this means");
    assert_eq!(consequences(&case), json!([]));
}

#[test]
fn weights_that_do_not_add_up_are_a_warning_in_the_log_and_a_consequence_in_the_result() {
    let case = comparing(Case::production().storing_results());
    let with = |rate: &str| {
        let recipes = format!("0:{{sampleRate:.5}},1:{{sampleRate:{rate}}}");
        [experiment("w1", "state:'live',sampleRate:1", &recipes)]
    };
    build(&case, "mojito", &with(".5"));
    case.run().exits(0);
    build(&case, "mojito", &with(".4"));
    let ended = case.run().exits(0);
    ended
        .contains("WARNING: experiment w1 has recipe sample rates that add up to 0.9: 10% of its visitors get no recipe")
        .does_not_contain("stay without one");
    let consequences = consequences(&case);
    assert_eq!(consequences[0]["kind"], "weights");
    assert_eq!(
        consequences[0]["sentence"],
        "w1: 10% of its new visitors get no recipe, and stay without one for up to 60 days"
    );
}

#[test]
fn of_many_containers_only_those_whose_changes_are_listed_are_explained() {
    const COUNT: usize = 30;
    let case = comparing(Case::containers(COUNT, &["s3:PutObject"]));
    for (rate, explained) in [(".1", 0), (".5", 10)] {
        for number in 0..COUNT {
            build(&case, &format!("site{number}"), &[live("w1", rate)]);
        }
        let ended = case.run().exits(0);
        let headings = ended
            .output
            .matches("what this means for visitors of site")
            .count();
        assert_eq!(headings, explained, "{}", ended.output);
        assert_eq!(ended.output.matches(RAMP_UP).count(), explained);
    }
}
