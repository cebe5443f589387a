//! `--json`: the result on standard output, for another program, and the log on standard error.

use std::fs::File;
use std::process::Output;

use serde_json::{json, Value};

use crate::commands::rollback::{publish, versioned, with_printed_policy};
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

/// The exit code and the result of a check, held to its schema.
#[track_caller]
fn check(case: &Case) -> (Option<i32>, Value) {
    let (code, result, _) = run(case);
    let schema = serde_json::from_str(include_str!("../../../docs/check.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors = validator.iter_errors(&result).map(|it| it.to_string());
    let errors: Vec<String> = errors.collect();
    assert!(errors.is_empty(), "{errors:?}: {result:#}");
    (code, result)
}

#[test]
fn a_check_has_a_result_with_every_key_that_was_tried() {
    let case = Case::production().arg("check").arg("--json");
    let (code, result) = check(&case);
    assert_eq!(code, Some(0));
    let keys = result["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 6);
    assert_eq!(keys[0]["key"], "js/mojito.js");
    for (number, key) in keys.iter().enumerate() {
        let expected = if number == 0 { "allowed" } else { "denied" };
        assert_eq!(
            (&key["expected"], &key["access"]),
            (&expected.into(), &expected.into())
        );
        assert_eq!(key["error"].is_null(), number == 0);
    }
    assert_eq!(result["identity"]["arn"], *case.world.user_arn);
    assert_eq!(
        result["distributions_not_checked"][0],
        *case.world.distribution
    );

    let denied = Case::without_rights().env("ENVIRONMENT", "production");
    let (code, result) = check(&denied.arg("check").arg("--json"));
    assert_eq!(code, Some(3));
    assert_eq!(result["keys"][0]["access"], "denied");
    assert_eq!(result["keys"][0]["error"]["code"], "AccessDenied");
}

#[test]
fn a_check_has_what_else_was_tried_for_settings_and_for_a_rollback() {
    let case = versioned().without_arguments();
    publish(&case, 56);
    let case = case.env("WAIT", "true").arg("check").arg("--json");
    let case = case.arg("--rollback");
    with_printed_policy(&case);
    let (code, result) = check(&case);
    assert_eq!(code, Some(0));
    let uri = format!("s3://{}/js/mojito.js", case.world.bucket);
    let read = |action: &str, resource: &str, needed_by: &str, access: &str| {
        json!([action, resource, needed_by, access])
    };
    let reads = |result: &Value| -> Vec<Value> {
        let reads = result["reads"].as_array().unwrap().iter();
        let read =
            |it: &Value| json!([it["action"], it["resource"], it["needed_by"], it["access"]]);
        reads.map(read).collect()
    };
    let distribution = &case.world.distribution;
    let expected = |of_versions: &str| {
        [
            read("s3:GetObject", &uri, "--rollback", "allowed"),
            read("s3:ListBucketVersions", &uri, "--rollback", of_versions),
            read("s3:GetObjectVersion", &uri, "--rollback", "allowed"),
            read(
                "cloudfront:GetInvalidation",
                distribution,
                "WAIT",
                "allowed",
            ),
        ]
    };
    assert_eq!(reads(&result), expected("allowed"));
    case.allow_on_container(&["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"]);
    let (code, result) = check(&case);
    assert_eq!(code, Some(3));
    let denied = &result["reads"][1];
    assert_eq!(
        (&denied["access"], &denied["error"]["code"]),
        (&"denied".into(), &"AccessDenied".into())
    );
    // It is not known which there are.
    assert_eq!(result["reads"][2]["access"], "unknown");
    assert_eq!(result["reads"][2]["reason"], "none is known");
}

#[test]
fn a_rollback_and_the_status_have_a_result() {
    let case = versioned().arg("--json");
    publish(&case, 56);
    publish(&case, 57);
    let (code, result, log) = run(&case);
    assert_eq!((code, &result["command"]), (Some(0), &"rollback".into()));
    assert!(log.contains("is put back in production"), "{log}");
    assert_eq!(result, case.result());
    let case = case
        .without_arguments()
        .arg("--json")
        .env("COMMAND", "status");
    let (code, result, log) = run(&case);
    assert_eq!(
        (code, &result["environment"]),
        (Some(0), &"production".into())
    );
    assert!(log.contains("status of production ("), "{log}");
}

#[test]
fn a_check_that_ends_early_has_a_result() {
    let (code, result) = check(
        &Case::production()
            .env("WAIT", "yes")
            .arg("check")
            .arg("--json"),
    );
    assert_eq!(
        (code, &result["error"]["kind"]),
        (Some(2), &"invalid_settings".into())
    );
    let unknown = Case::production().env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    let (code, result) = check(&unknown.arg("check").arg("--json"));
    assert_eq!(
        (code, &result["error"]["code"]),
        (Some(3), &"InvalidClientTokenId".into())
    );
    assert_eq!(result["environment"], "production");
    assert_eq!(result["keys"], Value::Array(Vec::new()));
}
