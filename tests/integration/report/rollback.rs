//! What a rollback says to people who read no log, and to later steps.

use std::fs;

use serde_json::{json, Value};

use crate::commands::rollback::{kept, live, publish_script, versioned, KEY};
use crate::support::bitbucket::{Bitbucket, Report};
use crate::support::harness::Case;
use crate::support::sample;

/// The source of an experiment that build 57 ramps.
const CONFIG: &str = "state: live\nsampleRate: 0.5\nid: w12\nname: Larger buy button\nrecipes:\n  '0':\n    name: Control\n";

/// A pipe of build 61 that rolls back, after the builds 56 and 57.
fn pipe() -> Case {
    let case = versioned().without_arguments();
    for (build, experiments) in [(56, sample::BEFORE), (57, sample::AFTER)] {
        sample::build_with(case.repository(), "mojito", experiments, "e", "1f2e3d4");
        let script = fs::read_to_string(case.dist("mojito.js")).unwrap();
        publish_script(&case, build, "mojito", &script);
    }
    assert_eq!(live(&case), "57");
    let edge = case.world.edge.clone();
    case.in_bitbucket("BITBUCKET_TAG", "v57")
        .file("lib/waves/w12/config.yml", CONFIG)
        .env("BITBUCKET_BUILD_NUMBER", "61")
        .env("PUBLIC_URL", &edge)
        .env("COMMAND", "rollback")
}

/// The case, which reports as build 61.
fn reporting(case: Case, bitbucket: &Bitbucket) -> Case {
    case.reporting(bitbucket)
        .env("BITBUCKET_BUILD_NUMBER", "61")
}

/// What was reported, by its title and its details.
fn said(report: &Report) -> (&str, &str) {
    let text = |name: &str| report.content[name].as_str().unwrap();
    (text("title"), text("details"))
}

#[test]
fn the_report_says_what_was_put_back_and_what_that_changes() {
    let bitbucket = Bitbucket::start();
    let case = reporting(pipe(), &bitbucket);
    let versions = kept(&case, KEY);
    case.run()
        .exits(0)
        .contains("reported to Bitbucket: 1 report on commit ");
    assert_eq!(live(&case), "56");
    bitbucket.assert_accepted_all();
    let report = bitbucket.report();
    assert_eq!(report.content["result"], "PASSED");
    let link = "https://bitbucket.org/acme/site/pipelines/results/61";
    assert_eq!(report.content["link"], link);
    let (title, details) = said(&report);
    let expected = "mojito → production: build 56 (v56, 0000000) put back, 5 experiments change";
    assert_eq!(title, expected);
    for expected in [
        "build 56 (v56, 0000000) is put back in production; CloudFront invalidation ",
        &format!("an earlier version: {}, stored 20", versions[0].id),
        &format!(" UTC, in place of version {}\n", versions[1].id),
        "• stops w13 ",
        "• starts w7 ",
    ] {
        assert!(details.contains(expected), "{expected} is not in {details}");
    }
    let rows = report.content["data"].to_string();
    assert!(rows.contains("Put back by"), "{rows}");
    let annotations: Vec<(&Value, &Value, &Value)> = report
        .annotations
        .iter()
        .map(|it| (&it["summary"], &it["path"], &it["line"]))
        .collect();
    let ramps = (
        &json!("production: 50% → 10% of new visitors"),
        &json!("lib/waves/w12/config.yml"),
        &json!(2),
    );
    assert!(annotations.contains(&ramps), "{annotations:#?}");
    let stops = json!("production: w13 stops (25% → removed)");
    let all: Vec<_> = annotations.iter().map(|(summary, ..)| *summary).collect();
    assert!(all.contains(&&stops), "{all:#?}");
}

#[test]
fn a_dry_run_and_a_refusal_are_reported() {
    let bitbucket = Bitbucket::start();
    let case = reporting(pipe(), &bitbucket);
    let case = case.env("DRY_RUN", "true");
    case.run().exits(0);
    bitbucket.assert_accepted_all();
    let report = bitbucket.report();
    let (title, details) = said(&report);
    let expected =
        "mojito → production: build 56 (v56, 0000000) would be put back, 5 experiments change";
    assert_eq!(title, expected);
    let headline = "preview of a rollback to build 56 (v56, 0000000) for production: nothing is put back by it\n";
    assert!(details.starts_with(headline), "{details}");

    let bitbucket = Bitbucket::start();
    let case = reporting(case.env("DRY_RUN", "false"), &bitbucket).env("ROLLBACK_TO", "12");
    case.run().exits(3);
    bitbucket.assert_accepted_all();
    let report = bitbucket.report();
    assert_eq!(report.content["result"], "FAILED");
    let (title, details) = said(&report);
    assert_eq!(title, "mojito → production: not put back");
    assert!(details.contains("is of build 12"), "{details}");
    assert_eq!(live(&case), "57");
}

#[test]
fn a_rollback_that_is_not_invalidated_says_so() {
    let bitbucket = Bitbucket::start();
    let case = reporting(pipe(), &bitbucket);
    let body = "<ErrorResponse><Error><Code>AccessDenied</Code></Error><Code>AccessDenied</Code></ErrorResponse>";
    case.fault(json!({"method": "POST", "path": "/invalidation", "status": 403, "times": 99, "body": body}));
    case.run().exits(4);
    bitbucket.assert_accepted_all();
    let report = bitbucket.report();
    let expected =
        "mojito → production: build 56 (v56, 0000000) put back, but CloudFront was not invalidated";
    assert_eq!(said(&report).0, expected);
    let summary = case.result()["summary"].clone();
    let summary = summary.as_str().unwrap();
    assert!(
        summary.starts_with("**Put back in production, but CloudFront was not invalidated**"),
        "{summary}"
    );
    let expected = "Visitors may get the container that was live until the CDN's cache expires.";
    assert!(summary.contains(expected), "{summary}");
}

#[test]
fn the_summary_and_the_output_variables_hold_for_a_rollback() {
    let case = pipe();
    let path = case.repository().join("variables");
    let case = case.env("BITBUCKET_PIPELINES_VARIABLES_PATH", path.to_str().unwrap());
    case.run().exits(0);
    let written = fs::read_to_string(path).unwrap();
    let expected = "MOJITO_PUBLISH_EXIT=0\nMOJITO_PUBLISH_CHANGED=true\nMOJITO_PUBLISH_STARTS=w7\nMOJITO_PUBLISH_STOPS=w13\n";
    assert!(written.ends_with(expected), "{written}");
    let result = case.result();
    assert_eq!(result["command"], "rollback");
    assert_eq!(result["build"]["build_number"], "61");
    let summary = result["summary"].as_str().unwrap();
    let expected = "**Put back in production**\n\n`build 56 (v56, 0000000)`, container `mojito`, \
                    [pipeline](https://bitbucket.org/acme/site/pipelines/results/61)\n\nVisitors get it from now on.\n\n\
                    What changes for visitors:\n\n";
    assert!(summary.starts_with(expected), "{summary}");
    assert!(summary.contains("- **stops** `w13`"), "{summary}");
    // Nothing is left to roll back to.
    let case = case.env("BITBUCKET_BUILD_NUMBER", "62");
    case.run().exits(3);
    let summary = case.result()["summary"].clone();
    let summary = summary.as_str().unwrap();
    let expected = "**Not put back**\n\n[pipeline](https://bitbucket.org/acme/site/pipelines/results/62)\n\nNothing was replaced: visitors still get the container that was live.\n\nWhat failed";
    assert!(summary.starts_with(expected), "{summary}");
    assert!(
        summary.contains("What to do:\n\n```\nchoose another one with"),
        "{summary}"
    );
}

#[test]
fn objects_of_every_query_string_are_invalidated_where_that_is_set() {
    let case = pipe().env("INVALIDATE_VARIANTS", "true");
    let preview = case.env("DRY_RUN", "true");
    preview
        .run()
        .exits(0)
        .contains("would invalidate in [DISTRIBUTION]:\n  /js/mojito.js*\n");
    let case = preview.env("DRY_RUN", "false");
    case.run().exits(0);
    assert_eq!(case.invalidations()[0].paths, ["/js/mojito.js*"]);
}
