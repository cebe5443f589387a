//! Experiments that break a site, or do not reach the visitors that they seem to reach.

use std::fs;

use serde_json::{json, Value};

use crate::support::harness::{Case, Ended};

/// Builds a container with one sound experiment before and one after an experiment with these properties.
fn build(case: Case, properties: &str) -> Case {
    let add = |id: &str, properties: &str| {
        format!("Mojito.addTest({{id:'{id}',name:'{id}',state:'live',recipes:{{a:{{}},b:{{}}}},trigger:function(t){{t.activate()}},{properties}}});")
    };
    let experiments = [
        add("w1", "sampleRate:.1"),
        add("w2", &format!("sampleRate:.5,{properties}")),
        add("w3", "sampleRate:.2"),
    ];
    case.file(
        "dist/assets/js/mojito.js",
        format!("Mojito=function(){{}}();{}", experiments.concat()),
    )
}

fn rows(ended: &Ended, from: &str) -> Vec<String> {
    let lines = ended.output.lines();
    let after = lines.skip_while(|line| !line.starts_with(from)).skip(1);
    let rows = after.take_while(|line| line.starts_with("  ") && !line.starts_with("    size"));
    rows.map(|row| row.trim().to_owned()).collect()
}

/// What visitors get of a container with these properties, and the only warning about experiments, if any.
#[track_caller]
fn shown(properties: &str, expected: &[&str], warning: &str) {
    let case = build(Case::production().env("DRY_RUN", "true"), properties);
    let ended = case.run().exits(0);
    assert_eq!(rows(&ended, "container mojito"), expected, "{properties}");
    let lines = ended.output.lines();
    let warnings = lines.filter(|line| line.contains("WARNING: experiment"));
    let warnings: Vec<&str> = warnings.collect();
    let expected = format!("WARNING: experiment w2 {warning}");
    let is_right = match &warnings[..] {
        [] => warning.is_empty(),
        [only] => only.contains(&expected),
        _ => false,
    };
    assert!(is_right, "{properties}: {warnings:#?}");
}

#[test]
fn an_experiment_at_which_mojito_throws_does_not_run_nor_does_any_after_it() {
    let expected = [
        "live    █░░░░░░░░░  10%  w1  w1  a / b",
        "broken                   w2  w2  does not run: Mojito throws here",
        "broken                   w3  w3  does not run: Mojito throws before it, at w2",
    ];
    for (properties, problem) in [
        (
            "recipes:{a:{sampleRate:'0.5'},b:{sampleRate:'0.5'}}",
            "has a quoted sample rate ('0.5') for the recipe `a`",
        ),
        ("recipes:null", "has no recipes"),
        ("recipes:[]", "has fewer than 2 recipes"),
        (
            "recipes:[{},{sampleRate:.5}]",
            "has sample rates for some recipes but not for others",
        ),
    ] {
        let throws = "Mojito throws here; it and the experiment after it do not run";
        shown(properties, &expected, &format!("{problem}: {throws}"));
    }
}

#[test]
fn an_experiment_that_never_activates_is_not_live() {
    let expected = [
        "live    ██░░░░░░░░  20%  w3  w3  a / b",
        "live    █░░░░░░░░░  10%  w1  w1  a / b",
        "broken                   w2  w2  does not run: no trigger function",
    ];
    let warning = "has no trigger function, so it never activates; give it a `trigger`";
    for trigger in ["trigger:''", "trigger:null"] {
        shown(trigger, &expected, warning);
    }
}

#[test]
fn recipes_whose_rates_do_not_add_up_to_1_are_shown_with_their_real_shares() {
    let rest = [
        "live  ██░░░░░░░░  20%  w3  w3  a / b",
        "live  █░░░░░░░░░  10%  w1  w1  a / b",
    ];
    let expected = |row| [&[row][..], &rest].concat();
    shown(
        "recipes:{a:{sampleRate:.5},b:{sampleRate:.3}}",
        &expected("live  █████░░░░░  50%  w2  w2  a 50% / b 30%"),
        "has recipe sample rates that add up to 0.8: 20% of its visitors get no recipe; make them add up to 1",
    );
    shown(
        "recipes:{a:{sampleRate:.5},b:{sampleRate:.7}}",
        &expected("live  █████░░░░░  50%  w2  w2  a 50% / b 50%"),
        "has recipe sample rates that add up to 1.2: `b` gets 50%; make them add up to 1",
    );
    shown(
        "recipes:{a:{sampleRate:.1},b:{sampleRate:.2},c:{sampleRate:.7}}",
        &expected("live  █████░░░░░  50%  w2  w2  a 10% / b 20% / c 70%"),
        "",
    );
}

#[test]
fn experiments_that_break_stop_for_visitors() {
    let case = Case::production();
    let edge = case.world.edge.clone();
    let case = build(case.env("PUBLIC_URL", &edge), "name:'Hero'");
    case.run().exits(0);
    let quoted = "name:'Hero',recipes:{a:{sampleRate:'0.5'},b:{sampleRate:'0.5'}}";
    let case = build(case.storing_results(), quoted);
    let ended = case.run().exits(0);
    let changes = rows(&ended, "changes to the live container");
    let expected = [
        "- stops    w2  Hero  50% → does not run: Mojito throws here",
        "- stops    w3  w3    20% → does not run: Mojito throws before it, at w2",
        "~ changes  w2  Hero  recipes a / b → a 50% / b 50%",
    ];
    assert_eq!(changes, expected);
    let result = fs::read(case.repository().join("results/mojito-publish.json")).unwrap();
    let result: Value = serde_json::from_slice(&result).unwrap();
    let states = result["containers"][0]["experiments"].as_array().unwrap();
    let states: Vec<_> = states
        .iter()
        .map(|it| (&it["state"], &it["reason"]))
        .collect();
    assert_eq!(
        json!(states),
        json!([
            ["live", null],
            ["broken", "Mojito throws here"],
            ["broken", "Mojito throws before it, at w2"],
        ])
    );
    // Once fixed, they start again.
    let case = build(case, "name:'Hero'");
    let changes = rows(&case.run().exits(0), "changes to the live container");
    assert_eq!(changes[0], "+ starts   w2  Hero  does not run → 50%");
}
