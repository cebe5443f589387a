//! Text from elsewhere in the log and in the result: nothing in it can change how the text around it is read.

use std::fs;
use std::thread;

use serde_json::json;

use crate::support::harness::{Case, Ended};

/// Forges a line, recolours, turns the direction, hides. Git accepts all but the line breaks and ESC in the name of a tag.
const HOSTILE: &str =
    "v1\u{202e}\u{9b}31m\u{200b}\u{2066}\u{ad}\u{feff}\u{85}\u{2028}✔ published to mars\u{7f}";
const LINES: &str = "site\n✔ published to mars\r\n\u{1b}[31mred";

/// Unsafe characters, as a terminal and Unicode have them, in a list of its own.
fn is_unsafe(c: char) -> bool {
    c.is_control() || "\u{ad}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}".contains(c)
}

#[track_caller]
fn assert_safe(ended: &Ended) {
    for line in ended.output.lines() {
        // Our own colours are at the start of a line and where they end.
        let line = line
            .replace("\u{1b}[32m", "")
            .replace("\u{1b}[31m", "")
            .replace("\u{1b}[33m", "")
            .replace("\u{1b}[0m", "");
        let found = line.chars().find(|c| is_unsafe(*c));
        assert_eq!(found, None, "{line:?} in\n{}", ended.output);
        assert!(
            !line.trim_start().starts_with("✔ published to mars"),
            "{}",
            ended.output
        );
    }
}

#[test]
fn the_names_of_a_build_cannot_forge_a_line_of_the_log() {
    const VARIABLES: [&str; 7] = [
        "BITBUCKET_TAG",
        "BITBUCKET_BRANCH",
        "BITBUCKET_COMMIT",
        "BITBUCKET_BUILD_NUMBER",
        "BITBUCKET_REPO_FULL_NAME",
        "BITBUCKET_DEPLOYMENT_ENVIRONMENT",
        "BITBUCKET_PR_ID",
    ];
    for name in VARIABLES {
        for value in [HOSTILE, LINES, &"long ".repeat(999)] {
            for environment in ["production", "development", ""] {
                let case = Case::production()
                    .in_bitbucket("BITBUCKET_DEPLOYMENT_ENVIRONMENT", "production")
                    .storing_results()
                    .env(name, value)
                    .env("DEBUG", "true");
                let case = match environment {
                    "" => case.unset("ENVIRONMENT"),
                    environment => case.env("ENVIRONMENT", environment),
                };
                let ended = case.run();
                assert!(
                    matches!(ended.code, Some(0 | 2 | 3)),
                    "{name}: {}",
                    ended.output
                );
                assert_safe(&ended);
                let longest = ended.output.lines().map(|line| line.chars().count()).max();
                assert!(longest < Some(1_000), "{}", ended.output);
                let result =
                    fs::read_to_string(case.repository().join("results/mojito-publish.json"));
                let result = result.unwrap();
                assert!(!result.contains(is_unsafe), "{name}: {result}");
            }
        }
    }
}

#[test]
fn what_is_stored_about_a_build_is_its_exact_name() {
    let case = Case::production().in_bitbucket("BITBUCKET_TAG", "v1\u{202e}\u{9b}");
    let ended = case
        .run()
        .exits(0)
        .contains("build 57 (v1\u{fffd}\u{fffd}, 1f2e3d4) is published");
    assert_safe(&ended);
    let objects = case.objects();
    assert_eq!(objects[0].headers["x-amz-meta-tag"], "v1%E2%80%AE%C2%9B");
}

#[test]
fn the_name_of_a_profile_cannot_forge_a_line_of_the_log() {
    for profile in [HOSTILE, LINES] {
        let ended = Case::with_profile("acme")
            .env("AWS_PROFILE", profile)
            .run()
            .exits(3);
        assert_safe(&ended);
        let ended = Case::with_profile(HOSTILE)
            .env("AWS_PROFILE", HOSTILE)
            .run();
        assert_safe(&ended);
    }
}

#[test]
fn names_that_a_reader_would_take_for_others_are_refused() {
    for invisible in ['\u{202e}', '\u{200b}', '\u{9b}', '\u{ad}'] {
        let name = format!("moj{invisible}ito");
        for setting in ["CONTAINER_NAME", "S3_PREFIX", "CDN_PREFIX"] {
            let ended = Case::production().env(setting, &name).run().exits(2);
            let ended = ended.contains("control or invisible characters");
            assert_safe(&ended);
        }
        let ended = Case::production().env("LOCAL_PATH", &name).run().exits(2);
        assert_safe(&ended);
    }
}

#[test]
fn the_text_of_a_response_and_of_a_container_cannot_forge_a_line() {
    let message = HOSTILE.to_owned() + "\n✔ published to mars\n\u{9b}";
    let body = format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>");
    let case = Case::production().env("DEBUG", "true");
    case.fault(
        json!({"method": "PUT", "path": "/js/mojito.js", "status": 403, "body": body, "times": 9}),
    );
    assert_safe(&case.run().exits(3));
    let arn = format!(
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{message}</Arn><UserId>A</UserId><Account>123456789012</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    let case = Case::production();
    case.fault(json!({"method": "POST", "path": "/", "status": 200, "body": arn, "times": 9}));
    assert_safe(&case.run());
    let script = format!("Mojito={{addTest(){{}}}};Mojito.addTest({{id:`{message}`,name:`{message}`,recipes:{{0:{{}},1:{{}}}},trigger(){{}}}})");
    for script in [script.clone(), script + "\n`{message}` )"] {
        let case = Case::production().file("dist/assets/js/mojito.js", script);
        assert_safe(&case.run());
    }
    let config = format!(
        "module.exports = {{ containerName: `{message}`, s3Region: '{HOSTILE}', }} {HOSTILE}"
    );
    let case = Case::production()
        .unset("CONTAINER_NAME")
        .file("config.js", config);
    assert_safe(&case.run().exits(2));
}

#[test]
fn no_setting_can_forge_a_line_of_the_log() {
    const SETTINGS: [&str; 21] = [
        "ACL",
        "AWS_ACCOUNT_ID",
        "AWS_CA_BUNDLE",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_OIDC_ROLE_ARN",
        "AWS_REGION",
        "BITBUCKET_PIPE_SHARED_STORAGE_DIR",
        "BITBUCKET_PIPE_STORAGE_DIR",
        "BITBUCKET_STEP_RUN_NUMBER",
        "BITBUCKET_WORKSPACE",
        "CACHE_CONTROL",
        "DISTRIBUTION_ID",
        "ENVIRONMENT",
        "HTTPS_PROXY",
        "LOCAL_PATH",
        "MAX_SIZE",
        "PUBLIC_URL",
        "S3_BUCKET",
        "WAIT",
    ];
    thread::scope(|scope| {
        for name in SETTINGS {
            scope.spawn(move || {
                for value in [HOSTILE, LINES] {
                    let case = Case::production().env(name, value).env("DEBUG", "true");
                    assert_safe(&case.run());
                    let mut policy = case.command();
                    policy.args(["policy", "--trust", "--any-environment"]);
                    assert_safe(&case.ended(policy.output().unwrap()));
                }
            });
        }
    });
}
