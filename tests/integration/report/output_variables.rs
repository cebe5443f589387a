//! Output variables, for the scripts and conditions of later steps.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;

use crate::support::harness::Case;
use crate::support::sample;

const PATH: &str = "variables";

fn production() -> Case {
    let case = Case::production();
    let (path, edge) = (case.repository().join(PATH), case.world.edge.clone());
    case.env("PUBLIC_URL", &edge)
        .env("BITBUCKET_PIPELINES_VARIABLES_PATH", path.to_str().unwrap())
}

fn written(case: &Case) -> String {
    fs::read_to_string(case.repository().join(PATH)).unwrap()
}

/// The lines of a run, whose file did not exist before.
#[track_caller]
fn ends(case: &Case, code: i32, changed: bool, starts: &str, stops: &str) {
    let _ = fs::remove_file(case.repository().join(PATH));
    case.run().exits(code);
    let expected = format!(
        "MOJITO_PUBLISH_EXIT={code}\nMOJITO_PUBLISH_CHANGED={changed}\nMOJITO_PUBLISH_STARTS={starts}\nMOJITO_PUBLISH_STOPS={stops}\n"
    );
    assert_eq!(written(case), expected);
}

fn build(case: &Case, experiments: &[sample::Experiment]) {
    sample::build_with(case.repository(), "mojito", experiments, "e", "1f2e3d4");
}

#[test]
fn they_say_what_starts_and_what_stops() {
    let case = production();
    build(&case, sample::BEFORE);
    // What was there before is not known.
    ends(&case, 0, true, "", "");
    ends(&case, 0, false, "", "");
    build(&case, sample::AFTER);
    let case = case.env("DRY_RUN", "true");
    ends(&case, 0, true, "w13", "w7");
    let case = case.env("DRY_RUN", "false");
    ends(&case, 0, true, "w13", "w7");
    ends(&case, 0, false, "", "");
    build(&case, &[]);
    ends(&case, 0, true, "", "w12,w9,w13");
}

#[test]
fn what_is_not_published_changes_nothing() {
    ends(&production().env("WAIT", "yes"), 2, false, "", "");
    let case = production().env("S3_PREFIX", "other");
    ends(&case, 3, false, "", "");
    let case = production().env("AWS_SECRET_ACCESS_KEY", "wrong");
    ends(&case.arg("--dry-run"), 3, false, "", "");
    let case = production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "58"}));
    ends(&case, 6, false, "", "");
    let case = production();
    let upload = case.hold("PUT", "/js/mojito.js");
    let run = case.start();
    upload.wait();
    run.signal("-TERM");
    run.end().exits(3);
    // It may have been replaced.
    let expected = "MOJITO_PUBLISH_EXIT=3\nMOJITO_PUBLISH_CHANGED=true\n";
    assert!(written(&case).starts_with(expected), "{}", written(&case));
}

#[test]
fn they_are_appended_to_what_other_tools_have_written() {
    let case = production().file(PATH, "OTHER=1");
    for _ in 0..2 {
        case.run().exits(0).does_not_contain("WARNING");
    }
    let lines = |changed: bool| {
        format!("MOJITO_PUBLISH_EXIT=0\nMOJITO_PUBLISH_CHANGED={changed}\nMOJITO_PUBLISH_STARTS=\nMOJITO_PUBLISH_STOPS=\n")
    };
    assert_eq!(
        written(&case),
        format!("OTHER=1\n{}{}", lines(true), lines(false))
    );
}

#[test]
fn a_file_that_cannot_be_written_is_a_warning() {
    let case = production().file("victim", "KEPT=1");
    let case = case.storing_results();
    let path = case.repository().join(PATH);
    let warning = "WARNING: the output variables are not in `BITBUCKET_PIPELINES_VARIABLES_PATH`: ";
    symlink(case.repository().join("victim"), &path).unwrap();
    let ended = case.run().exits(0);
    ended.contains(&format!(
        "{warning}it is a link, which is not followed here"
    ));
    assert!(case.result()["warnings"]
        .to_string()
        .contains("output variables"));
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap()
        .success());
    case.run()
        .exits(0)
        .contains(&format!("{warning}it is not a file"));
    let case = case.env("BITBUCKET_PIPELINES_VARIABLES_PATH", "/dev/full");
    case.run()
        .exits(0)
        .contains(&format!("{warning}it is not a file"));
    let case = case.env("BITBUCKET_PIPELINES_VARIABLES_PATH", "/proc/none/variables");
    case.run()
        .exits(0)
        .contains(&format!("{warning}No such file"));
    let victim = fs::read_to_string(case.repository().join("victim"));
    assert_eq!(victim.unwrap(), "KEPT=1");
}

#[test]
fn an_experiment_cannot_add_a_variable() {
    let case = production();
    let container = |experiments: &str| {
        format!("Mojito=function(){{return{{addTest:function(){{}}}}}}();{experiments}")
    };
    fs::write(case.dist("mojito.js"), container("")).unwrap();
    case.run().exits(0);
    let hostile = "Mojito.addTest({id:'w1\\nPATH=/tmp,$(id)',state:'live',recipes:{0:{},1:{}},trigger:function(){}});";
    fs::write(case.dist("mojito.js"), container(hostile)).unwrap();
    ends(&case, 0, true, "w1_PATH__tmp___id_", "");
}
