//! The result as JSON, in the folders that Bitbucket gives a pipe.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;

use serde_json::{json, Value};

use crate::support::harness::Case;

fn with_folders(case: Case) -> Case {
    let own = case.repository().join("pipe/own");
    let shared = case.repository().join("pipe/shared");
    fs::create_dir_all(&shared).unwrap();
    let (own, shared) = (
        own.to_str().unwrap().to_owned(),
        shared.to_str().unwrap().to_owned(),
    );
    case.env("BITBUCKET_PIPE_STORAGE_DIR", &own)
        .env("BITBUCKET_PIPE_SHARED_STORAGE_DIR", &shared)
}

/// The result, which the harness has held to its schema.
fn own(case: &Case) -> Value {
    read(case, "pipe/own/mojito-publish.json")
}

fn read(case: &Case, path: &str) -> Value {
    serde_json::from_slice(&fs::read(case.repository().join(path)).unwrap()).unwrap()
}

#[test]
fn everything_that_was_done_is_in_the_result() {
    let case = with_folders(Case::development().in_bitbucket("BITBUCKET_BRANCH", "develop"));
    case.run().exits(0);
    let mut result = own(&case);
    let seconds = result["seconds"].take();
    assert!(seconds.as_f64().is_some_and(|seconds| seconds > 0.0));
    assert!(result["started_at"].take().is_string());
    assert!(result["summary"].take().is_string());
    let sizes: Vec<u64> = case
        .objects()
        .iter()
        .map(|object| object.body().len() as u64)
        .collect();
    let key_end = &case.world.access_key_id[case.world.access_key_id.len() - 4..];
    let invalidation = &case.invalidations()[0];
    let object = |file: &str, variant: &str, compressed_size: u64| {
        let size = fs::metadata(case.dist(file)).unwrap().len();
        json!({
            "key": format!("jsdev/{file}"), "path": format!("/jsdev/{file}"), "variant": variant, "upload": "uploaded", "version_id": null, "error": null,
            "size": size, "compressed_size": compressed_size,
        })
    };
    let recipes = json!([
        {"id": "0", "name": "Control", "share": null},
        {"id": "1", "name": "Treatment", "share": null},
    ]);
    assert_eq!(
        result,
        json!({
            "schema": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "command": "publish",
            "exit": "published",
            "exit_code": 0,
            "dry_run": false,
            "stopped_by": null,
            "error": null,
            "warnings": [],
            "started_at": null,
            "environment": "development",
            "environment_reason": "branch `develop`",
            "build": {
                "in_ci": true, "branch": "develop", "tag": null, "pull_request": null, "build_number": "57", "is_rerun": false,
                "commit": "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c", "repository": "acme/site", "deployment_environment": null,
                "url": "https://bitbucket.org/acme/site/pipelines/results/57",
            },
            "bucket": case.world.bucket,
            "region": "ap-southeast-2",
            "credentials": {"source": "access_key", "role": null, "profile": null, "access_key_id_ends_with": key_end},
            "identity": {"arn": case.world.user_arn, "account_id": case.world.account},
            "containers": [{
                "name": "mojito", "state": "published",
                "build_info": {
                    "container": "mojito", "commit": "1f2e3d4c5b6a", "mojito_version": "2.7.1",
                    "built_at": "2026-11-24T05:00:00.000Z",
                },
                "experiments": [
                    {"id": "w1", "name": "W1 Größere Schaltfläche", "state": "live", "share": 0.5, "size": 231, "recipes": recipes},
                    {"id": "w2", "name": "W2 Headline", "state": "staged", "size": 226, "recipes": recipes},
                ],
                "changes": null,
                "consequences": null,
                "compared_with": null,
                "comparison_skipped": "`PUBLIC_URL` is not set; S3: these credentials may not read it (`s3:GetObject`), \
                                    or nothing is published yet",
                "objects": [object("mojito.pretty.js", "pretty", sizes[1]), object("mojito.js", "minified", sizes[0])],
            }],
            "invalidations": [{
                "distribution_id": case.world.distribution, "ids": [invalidation.id], "status": "in_progress", "error": null,
            }],
            "verifications": [],
            "seconds": null,
            "summary": null,
        })
    );
}

#[test]
fn a_failure_is_in_the_result_with_awss_words() {
    let case = with_folders(Case::production()).env("S3_PREFIX", "other");
    case.run().exits(3);
    let result = own(&case);
    assert_eq!(result["exit"], "not_published");
    assert_eq!(result["containers"][0]["state"], "not_published");
    let error = &result["containers"][0]["objects"][0]["error"];
    assert_eq!(
        (&error["code"], &error["status"], &error["action"]),
        (&json!("AccessDenied"), &json!(403), &json!("s3:PutObject"))
    );
    assert!(error["request_id"].is_string());
    let first = &result["error"];
    assert_eq!(
        (&first["kind"], &first["code"], &first["remedy"]),
        (&json!("access_denied"), &error["code"], &error["remedy"])
    );
    assert!(first["message"]
        .as_str()
        .unwrap()
        .contains("s3:PutObject on s3://"));
}

#[test]
fn warnings_and_times_are_in_the_result_of_every_end() {
    #[track_caller]
    fn case(case: Case, code: i32) -> Value {
        let case = with_folders(case.env("VALIDATE", "false"));
        case.run().exits(code);
        let result = own(&case);
        assert!(result["started_at"].as_str().unwrap().starts_with("20"));
        assert!(result["seconds"].as_f64().unwrap() > 0.0);
        result
    }
    let warned = |result: &Value| {
        let warnings = result["warnings"].as_array().unwrap();
        let is_expected = |it: &Value| it.as_str().unwrap().starts_with("`VALIDATE` is `false`");
        warnings.iter().any(is_expected)
    };
    assert!(warned(&case(Case::production(), 0)));
    assert!(warned(&case(Case::production().arg("--dry-run"), 0)));
    assert!(warned(&case(
        Case::without_rights().env("ENVIRONMENT", "production"),
        3
    )));
    assert!(!warned(&case(Case::production().env("WAIT", "yes"), 2)));
}

#[test]
fn a_refusal_is_in_the_result_too() {
    let case = with_folders(Case::production()).env("WAIT", "yes");
    case.run().exits(2);
    let result = own(&case);
    assert_eq!(
        (&result["exit"], &result["exit_code"]),
        (&json!("refused"), &json!(2))
    );
    assert_eq!(
        result["error"],
        json!({
            "kind": "invalid_settings", "code": null, "remedy": null,
            "message": "`WAIT` is `yes`, expected `true` or `false`",
        })
    );
    assert_eq!(result["containers"], json!([]));
}

#[test]
fn what_other_pipes_share_is_kept_to_the_byte() {
    let case = with_folders(Case::production());
    // Another pipe's credentials are no matter of this one, even if they are the same.
    let others = format!(
        "{{\n\t\"other\": {{\"key\": [1 , 1E+2]}},\n\t\"secret\": \"{}\",\n\t\"id\": 12345678901234567890.1234567890",
        case.world.secret_access_key
    );
    let path = "pipe/shared/_shared_variables.json";
    let case = case.file(path, format!("{others}\n}}\n"));
    for _ in 0..2 {
        case.run().exits(0);
        let shared = fs::read_to_string(case.repository().join(path)).unwrap();
        let own = fs::read_to_string(case.repository().join("pipe/own/mojito-publish.json"));
        let expected = format!("{others}, \"mojito_publish\": {}\n}}\n", own.unwrap());
        assert_eq!(shared, expected);
    }
}

#[test]
fn neither_links_nor_pipes_in_the_place_of_the_files_are_opened() {
    let case = with_folders(Case::production()).file("victim", r#"{"victim": 1}"#);
    let victim = case.repository().join("victim");
    let own = case.repository().join("pipe/own/mojito-publish.json");
    let shared = case.repository().join("pipe/shared/_shared_variables.json");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    symlink(&victim, &own).unwrap();
    symlink(&victim, &shared).unwrap();
    case.run()
        .exits(0)
        .contains("_shared_variables.json`: it is a link, which is not followed here");
    assert!(fs::symlink_metadata(&own).unwrap().is_file());
    for path in [&own, &shared] {
        fs::remove_file(path).unwrap();
        let made = Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }
    case.run()
        .exits(0)
        .contains("_shared_variables.json`: it is not a file");
    assert_eq!(self::own(&case)["exit"], "published");
    let victim = fs::read_to_string(&victim).unwrap();
    assert_eq!(victim, r#"{"victim": 1}"#);
}

#[test]
fn runs_at_the_same_time_store_whole_results() {
    let case = with_folders(Case::production()).env("WAIT", "yes");
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                case.run().exits(2).does_not_contain("WARNING");
            });
        }
    });
    let shared = read(&case, "pipe/shared/_shared_variables.json");
    assert_eq!(shared["mojito_publish"]["exit"], "refused");
    for folder in ["own", "shared"] {
        let folder = case.repository().join("pipe").join(folder);
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_a_warning() {
    let case = with_folders(Case::production().file("pipe/own", "a file, not a folder"))
        .file("pipe/shared/_shared_variables.json", "[]");
    case.run()
        .exits(0)
        .contains("WARNING: the result is not in `BITBUCKET_PIPE_STORAGE_DIR`")
        .contains("_shared_variables.json`: it does not hold one JSON object");
    assert_eq!(read(&case, "pipe/shared/_shared_variables.json"), json!([]));
    let left: Vec<_> = fs::read_dir(case.repository().join("pipe/shared"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn a_result_of_an_earlier_run_does_not_stay() {
    let case = with_folders(Case::production())
        .file("pipe/own/mojito-publish.json", "{}")
        .arg("--dry-run");
    case.run().exits(0);
    assert_eq!(own(&case)["dry_run"], true);
}

#[test]
fn a_superseded_build_is_no_error_in_the_result() {
    let mut case = with_folders(Case::production().in_bitbucket("BITBUCKET_TAG", "v1"))
        .env("ONLY_NEWER", "true");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "58"}));
    for dry_run in ["false", "true"] {
        case = case.env("DRY_RUN", dry_run);
        case.run().exits(6);
        let result = own(&case);
        assert_eq!(
            (&result["exit"], &result["exit_code"]),
            (&json!("superseded"), &json!(6))
        );
        assert_eq!(result["error"], Value::Null);
        let container = &result["containers"][0];
        assert_eq!(container["state"], "superseded");
        assert_eq!(container["objects"][0]["upload"], "superseded");
        assert_eq!(container["objects"][0]["error"], Value::Null);
    }
}

#[test]
fn what_a_publish_would_fail_for_is_in_the_result_of_a_dry_run() {
    let case = with_folders(Case::production().env("AWS_SECRET_ACCESS_KEY", "wrong"));
    let case = case.arg("--dry-run");
    case.run().exits(3);
    let result = own(&case);
    assert_eq!(result["exit"], "not_published");
    let error = result["error"]["message"].as_str().unwrap();
    assert!(error.contains("SignatureDoesNotMatch"), "{error}");
}

#[test]
fn why_an_invalidation_was_not_seen_to_complete_is_in_the_result() {
    let case = with_folders(Case::production().env("WAIT", "true"));
    case.run().exits(5);
    let result = own(&case);
    assert_eq!(result["exit"], "not_verified");
    let invalidation = &result["invalidations"][0];
    assert_eq!(invalidation["status"], "in_progress");
    assert_eq!(
        invalidation["error"]["action"],
        "cloudfront:GetInvalidation"
    );
}

#[test]
fn why_a_run_is_not_verified_is_in_the_result_with_what_to_do() {
    let case = with_folders(Case::production());
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.call::<()>("set_store", json!({"drops_headers": ["content-encoding"]}));
    case.run().exits(5);
    let result = own(&case);
    let error = &result["error"];
    assert_eq!(error["kind"], "not_verified");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("/js/mojito.js: the store "), "{message}");
    let remedy = error["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("have the store keep"), "{remedy}");
}
