//! The README's chapter on credentials, followed word for word: its commands make users and roles, `check` proves them, and
//! they publish.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{json, Value};

use crate::support::harness::{oidc_token, Case, BINARY};
use crate::support::local_aws::python_environment;

const README: &str = include_str!("../../README.md");

/// The block of commands below a heading of the README; of several, the last, as the first ones set the reader's names.
fn commands(heading: &str) -> &'static str {
    let chapter = README
        .split_once(heading)
        .expect("the README has the heading")
        .1;
    let chapter = chapter.split("\n### ").next().unwrap_or_default();
    let block = chapter
        .rsplit("```bash\n")
        .next()
        .expect("the chapter has commands");
    block.split("```").next().unwrap_or_default()
}

/// Runs commands of the README as somebody who may use IAM.
#[track_caller]
fn run(case: &Case, commands: &str, names: &[(&str, &str)]) {
    let output = run_with(case, &["-e", "-u", "-c", commands], names);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn run_with(case: &Case, arguments: &[&str], names: &[(&str, &str)]) -> Output {
    let administrator: Value = case.call("make_administrator", json!({}));
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/requirements.txt");
    let aws = python_environment("benches", &requirements).join("bin");
    let program = Path::new(BINARY).parent().unwrap();
    let path = format!("{}:{}:/usr/bin:/bin", aws.display(), program.display());
    Command::new("bash")
        .args(arguments)
        .current_dir(case.repository())
        .env_clear()
        .envs(
            case.environment()
                .iter()
                .filter(|(name, _)| *name != "ENVIRONMENT"),
        )
        .env("PATH", path)
        .env("AWS_ACCOUNT_ID", &case.world.account)
        .env(
            "AWS_ACCESS_KEY_ID",
            administrator["access_key_id"].as_str().unwrap(),
        )
        .env(
            "AWS_SECRET_ACCESS_KEY",
            administrator["secret_access_key"].as_str().unwrap(),
        )
        .envs(names.iter().copied())
        .output()
        .unwrap()
}

#[track_caller]
fn check_and_publish(case: Case, environment: &str, keys: &[&str]) {
    let case = case.env("ENVIRONMENT", environment);
    let mut check = case.command();
    check.arg("check");
    case.ended(check.output().unwrap())
        .exits(0)
        .contains(&format!(
            "these credentials can write what {environment} needs, and nothing else"
        ));
    case.run().exits(0);
    assert_eq!(case.keys(), keys);
    assert_eq!(case.invalidations().len(), 1);
}

const PRODUCTION: (&str, &[&str]) = ("production", &["js/mojito.js"]);
const DEVELOPMENT: (&str, &[&str]) = (
    "development",
    &["jsdev/mojito.js", "jsdev/mojito.pretty.js"],
);

#[test]
fn the_users_that_the_readme_makes_are_right_and_publish() {
    for (environment, keys) in [PRODUCTION, DEVELOPMENT] {
        let case = Case::without_rights();
        // Names of users are one for all worlds.
        let commands = commands("### A user for each environment").replace(
            "-name mojito-",
            &format!("-name {environment}-{}-", case.world.bucket),
        );
        run(&case, &commands, &[]);
        let key = fs::read(case.repository().join(format!("key-{environment}.json"))).unwrap();
        let key: Value = serde_json::from_slice(&key).unwrap();
        let case = case
            .env(
                "AWS_ACCESS_KEY_ID",
                key["AccessKey"]["AccessKeyId"].as_str().unwrap(),
            )
            .env(
                "AWS_SECRET_ACCESS_KEY",
                key["AccessKey"]["SecretAccessKey"].as_str().unwrap(),
            );
        check_and_publish(case, environment, keys);
    }
}

#[test]
fn the_roles_that_the_readme_makes_are_right_and_publish() {
    let names = [
        ("WORKSPACE", ""),
        ("WORKSPACE_UUID", "11111111-2222-3333-4444-555555555555"),
        ("REPOSITORY_UUID", "66666666-7777-8888-9999-000000000000"),
        ("STAGING_UUID", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"),
        ("PRODUCTION_UUID", "ffffffff-0000-1111-2222-333333333333"),
    ];
    for (environment, keys) in [PRODUCTION, DEVELOPMENT] {
        let case = Case::without_rights();
        let prefix = format!("{environment}-{}", case.world.bucket);
        let commands = commands("### Or a role for each environment, without keys")
            .replace("--role-name mojito-", &format!("--role-name {prefix}-"));
        // Each has an identity provider of its own.
        let mut names = names;
        names[0].1 = &prefix;
        run(&case, &commands, &names);
        let trust = fs::read_to_string(case.repository().join(format!("trust-{environment}.json")))
            .unwrap();
        let uuid = if environment == "production" {
            names[4].1
        } else {
            names[3].1
        };
        assert!(
            trust.contains(&format!(
                "{{66666666-7777-8888-9999-000000000000}}:{{{uuid}}}:*"
            )),
            "{trust}"
        );
        let role = format!(
            "arn:aws:iam::{}:role/{prefix}-{environment}",
            case.world.account
        );
        let case = case
            .unset("AWS_ACCESS_KEY_ID")
            .unset("AWS_SECRET_ACCESS_KEY")
            .env("AWS_OIDC_ROLE_ARN", &role)
            .env("BITBUCKET_STEP_OIDC_TOKEN", &oidc_token(&json!({
                "iss": format!("https://api.bitbucket.org/2.0/workspaces/{prefix}/pipelines-config/identity/oidc"),
                "aud": "ari:cloud:bitbucket::workspace/11111111-2222-3333-4444-555555555555",
                "sub": format!("{{66666666-7777-8888-9999-000000000000}}:{{{uuid}}}:{{{}}}", names[1].1),
                "exp": 4_000_000_000_u64,
            })));
        check_and_publish(case, environment, keys);
    }
}

/// As in a terminal, where a failed command does not end the shell.
#[test]
fn no_policy_that_could_not_be_printed_reaches_iam() {
    let names = [
        "WORKSPACE",
        "WORKSPACE_UUID",
        "REPOSITORY_UUID",
        "STAGING_UUID",
        "PRODUCTION_UUID",
    ];
    let names = names.map(|name| (name, "11111111-2222-3333-4444-555555555555"));
    for heading in [
        "### A user for each environment",
        "### Or a role for each environment, without keys",
    ] {
        let commands = commands(heading);
        let case = Case::without_rights().env("WAIT", "yes");
        // The provider is registered before any policy is printed.
        let printing = commands.find("create_role()").unwrap_or_default();
        let output = run_with(&case, &["-u", "-c", &commands[printing..]], &names);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains("`WAIT` is `yes`"), "{log}");
        let requests = case.requests();
        assert!(requests.is_empty(), "{requests:?}");
    }
}
