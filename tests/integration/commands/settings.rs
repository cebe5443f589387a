//! `mojito-publish settings`: every setting with its value and where it comes from.

use serde_json::{json, Value};

use crate::support::harness::{Case, OIDC_TOKEN};
use crate::support::settings::names;

/// The exit code, and what is on standard output and on standard error.
fn run(case: &Case) -> (Option<i32>, String, String) {
    let output = case.command().output().unwrap();
    let code = output.status.code();
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|it| String::from_utf8(it.clone()).unwrap());
    // No secret may be in it.
    case.ended(output);
    assert!(case.requests().is_empty());
    (code, stdout, stderr)
}

/// A repository with a `config.js`, and no variable but these.
fn case(variables: &[(&str, &str)]) -> Case {
    let config_js = "module.exports = {\n  containerName: 'mojito',\n  s3BucketPRD: 'acme/js',\n  s3BucketDev: 'acme/jsdev',\n  \
                     s3Region: 'ap-southeast-2',\n  distributionIdPRD: ['E1A2B3C4D5E6F7', 'E1A2B3C4D5E6F8'],\n};\n";
    let case = Case::without_rights().file("config.js", config_js);
    let set: Vec<String> = case.environment().keys().cloned().collect();
    let case = set.iter().fold(case, |case, name| case.unset(name));
    let case = case.arg("settings");
    variables
        .iter()
        .fold(case, |case, (name, value)| case.env(name, value))
}

#[test]
fn every_setting_is_shown_with_its_source_and_nothing_is_needed_or_sent() {
    let (code, stdout, stderr) = run(&case(&[("CACHE_CONTROL", "no-store")]).arg("--production"));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for line in [
        "AWS_SECRET_ACCESS_KEY: not set",
        "AWS_DEFAULT_REGION: ap-southeast-2 (config.js s3Region)",
        "ENVIRONMENT: production (`--production`)",
        "CONTAINER_NAME: mojito (config.js containerName)",
        "COMMAND: publish (default)",
        "S3_BUCKET: acme (config.js s3BucketPRD)",
        "DISTRIBUTION_ID: E1A2B3C4D5E6F7, E1A2B3C4D5E6F8 (config.js distributionIdPRD)",
        "CACHE_CONTROL: no-store (variable)",
        "METADATA: true (default)",
    ] {
        assert!(stdout.lines().any(|it| it == line), "{line}:\n{stdout}");
    }
    let shown = stdout
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0));
    assert_eq!(shown.collect::<Vec<_>>(), names());
}

#[test]
fn settings_as_json_have_the_documented_shape() {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let case = case(&[
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("CACHE_CONTROL", &format!("no-store, x={secret}")),
        ("BITBUCKET_STEP_OIDC_TOKEN", OIDC_TOKEN),
    ]);
    let (code, stdout, _) = run(&case.arg("--production").arg("--json"));
    assert_eq!(code, Some(0));
    assert!(!stdout.contains(secret), "{stdout}");
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    let schema = serde_json::from_str(include_str!("../../../docs/settings.schema.json")).unwrap();
    let errors = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = errors
        .iter_errors(&shown)
        .map(|it| it.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(
        shown["AWS_SECRET_ACCESS_KEY"],
        json!({"value": "(secret)", "source": "variable"})
    );
    assert_eq!(shown["ACL"], json!({"value": null, "source": null}));
    assert_eq!(
        shown["DISTRIBUTION_ID"],
        json!({"value": ["E1A2B3C4D5E6F7", "E1A2B3C4D5E6F8"], "source": "config.js distributionIdPRD"})
    );
}

#[test]
fn what_is_invalid_is_on_standard_error_and_the_rest_is_shown() {
    let case = case(&[("WAIT", "yes"), ("ACL", "all")]);
    let (code, stdout, stderr) = run(&case);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("`WAIT` is `yes`, expected `true` or `false`"),
        "{stderr}"
    );
    assert!(stderr.contains("`ACL` is `all`"), "{stderr}");
    assert!(
        !stdout.contains("WAIT") && !stdout.contains("\nACL:"),
        "{stdout}"
    );
    assert!(
        stdout.contains("S3_BUCKET: acme (config.js s3BucketDev)\n"),
        "{stdout}"
    );
    // Without a bucket, nothing that follows from it is known.
    let case = case.env("S3_BUCKET", "A").arg("--json");
    let (code, stdout, stderr) = run(&case);
    assert_eq!((code, stdout.as_str()), (Some(2), "{}\n"));
    assert!(stderr.contains("`S3_BUCKET` is `A`"), "{stderr}");
}
