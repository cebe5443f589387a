//! `--json`: the result on standard output, for another program, and the log on standard error.

use std::fs::File;
use std::process::Output;

use serde_json::Value;

use crate::support::harness::Case;

/// The exit code, the only JSON on standard output, and the log.
#[track_caller]
fn run(case: &Case) -> (Option<i32>, Value, String) {
    let output = case.command().output().unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = output.clone();
    // No secret may be in either.
    case.ended(output);
    let result = serde_json::from_slice(&stdout).unwrap();
    (status.code(), result, String::from_utf8(stderr).unwrap())
}

#[test]
fn the_result_of_a_publish_is_the_one_that_is_stored() {
    let case = Case::production().storing_results().arg("--json");
    let (code, result, log) = run(&case);
    assert_eq!(code, Some(0));
    assert!(log.contains("is published to production"), "{log}");
    assert_eq!(result, case.result());
    assert_eq!(result["containers"][0]["state"], "published");
}

#[test]
fn every_end_of_a_publish_has_a_result() {
    let case = Case::production().arg("publish").arg("--json");
    let (code, result, _) = run(&case);
    assert_eq!((code, &result["exit"]), (Some(0), &"published".into()));
    let (code, result, log) = run(&case.env("WAIT", "yes"));
    assert_eq!((code, &result["exit"]), (Some(2), &"refused".into()));
    assert_eq!(result["error"]["kind"], "invalid_settings");
    assert!(log.contains("✖ `WAIT` is `yes`"), "{log}");
    let (code, result, _) = run(&Case::production().arg("--dry-run").arg("--json"));
    assert_eq!((code, &result["dry_run"]), (Some(0), &true.into()));
    let denied = Case::without_rights().env("ENVIRONMENT", "production");
    let (code, result, _) = run(&denied.arg("--json"));
    assert_eq!(
        (code, &result["error"]["code"]),
        (Some(3), &"AccessDenied".into())
    );
}

#[test]
fn a_result_that_cannot_be_written_is_a_warning_and_the_container_is_published() {
    let case = Case::production().arg("--json");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = case.command().stdout(full).output().unwrap();
    let ended = case.ended(output).exits(0);
    ended.contains("WARNING: the result could not be written to standard output");
    assert_eq!(case.keys(), ["js/mojito.js"]);
}
