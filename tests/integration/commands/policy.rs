//! `mojito-publish policy`: what it prints, and that users who hold exactly that can publish and do nothing else.

use std::fs::{self, File};
use std::io;
use std::process::{Command, Stdio};

use serde_json::{json, Value};
use snapbox::str;

use crate::support::harness::{Case, BINARY};
use crate::support::local_aws::python;

/// What `policy` does for the case's settings, without its credentials: the exit code and the two outputs.
fn run(case: &Case, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = case
        .command()
        .arg("policy")
        .args(arguments)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|stream| String::from_utf8(stream).unwrap());
    (output.status.code(), stdout, stderr)
}

/// The policy that is printed, and what standard error says.
#[track_caller]
fn policy_and_notes(case: &Case, arguments: &[&str]) -> (Value, String) {
    let (code, stdout, stderr) = run(case, arguments);
    assert_eq!(code, Some(0), "{stderr}");
    (serde_json::from_str(&stdout).unwrap(), stderr)
}

#[track_caller]
fn policy(case: &Case, arguments: &[&str]) -> Value {
    policy_and_notes(case, arguments).0
}

/// Nothing is printed that could be taken for a policy.
#[track_caller]
fn refused(case: &Case, arguments: &[&str], expected: &str) {
    let (code, stdout, stderr) = run(case, arguments);
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains(expected), "{stderr}");
}

#[test]
fn the_policy_is_printed_as_json_and_nothing_else() {
    let case = Case::production()
        .arg("policy")
        .env("AWS_ACCOUNT_ID", "123456789012");
    case.run().exits(0).prints(str![[r#"
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "WriteContainer",
      "Effect": "Allow",
      "Action": [
        "s3:PutObject"
      ],
      "Resource": [
        "arn:aws:s3:::[BUCKET]/js/mojito.js"
      ]
    },
    {
      "Sid": "InvalidateContainer",
      "Effect": "Allow",
      "Action": [
        "cloudfront:CreateInvalidation"
      ],
      "Resource": [
        "arn:aws:cloudfront::123456789012:distribution/[DISTRIBUTION]"
      ]
    }
  ]
}

"#]]);
    assert!(case.requests().is_empty());
}

#[test]
fn the_account_is_the_callers_where_nothing_else_names_it() {
    let case = Case::production().arg("policy");
    case.run().exits(0).contains(&format!(
        "arn:aws:cloudfront::{}:distribution/",
        case.world.account
    ));
    let case = Case::production().env("AWS_OIDC_ROLE_ARN", "arn:aws:iam::210987654321:role/mojito");
    let printed = policy(&case, &[]);
    assert!(
        printed
            .to_string()
            .contains("arn:aws:cloudfront::210987654321:distribution/"),
        "{printed}"
    );
}

#[test]
fn without_an_account_there_is_no_policy() {
    let expected = "`AWS_ACCOUNT_ID` is not set, and the account of the credentials is not known";
    refused(&Case::production(), &[], expected);
    let uuid = "11111111-1a2b-1a2b-1a2b-1a2b3c4d5e6f";
    let case = Case::development()
        .unset("DISTRIBUTION_ID")
        .env("BITBUCKET_WORKSPACE", "acme")
        .env("BITBUCKET_REPO_OWNER_UUID", uuid)
        .env("BITBUCKET_REPO_UUID", uuid);
    refused(&case, &["--trust", "--any-environment"], expected);
}

#[test]
fn a_wrong_setting_is_refused_on_standard_error() {
    let case = Case::production().env("WAIT", "yes");
    refused(&case, &[], "`WAIT` is `yes`");
}

#[test]
fn the_debug_log_does_not_mix_with_the_policy() {
    let case = Case::production().arg("policy").env("DEBUG", "true");
    let output = case.command().output().unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["Version"], "2012-10-17");
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("DEBUG POST"), "{log}");
}

#[test]
fn a_policy_that_cannot_be_written_is_an_error() {
    #[track_caller]
    fn fails(command: &mut Command, reason: &str) {
        let output = command.output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        let expected = format!("the output could not be written to standard output: {reason}");
        assert!(log.contains(&expected), "{log}");
    }
    let case = Case::production()
        .arg("policy")
        .env("AWS_ACCOUNT_ID", "123456789012");
    let full = File::options().write(true).open("/dev/full").unwrap();
    fails(case.command().stdout(full), "No space left on device");
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    fails(case.command().stdout(writer), "Broken pipe");
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        let environment = case.environment();
        shell
            .args(["-c", command, BINARY])
            .env_clear()
            .envs(environment)
            .current_dir(case.repository());
        shell
    };
    fails(&mut shell("exec \"$0\" policy >&-"), "it is closed");
    // Whoever throws it away does not want it.
    let thrown_away = shell("exec \"$0\" policy >/dev/null").status();
    assert!(thrown_away.unwrap().success());
}

#[test]
fn what_the_policy_does_not_allow_is_said() {
    let case = Case::production().unset("DISTRIBUTION_ID");
    let (printed, notes) = policy_and_notes(&case, &[]);
    assert_eq!(printed["Statement"].as_array().unwrap().len(), 1);
    let expected = "does not allow invalidating: `DISTRIBUTION_ID` is not set";
    assert!(notes.contains(expected), "{notes}");
    let case = Case::production()
        .env("AWS_DEFAULT_REGION", "us-gov-west-1")
        .env("AWS_ACCOUNT_ID", "123456789012");
    refused(&case, &[], "`DISTRIBUTION_ID` is set, but the bucket's region `us-gov-west-1` is in AWS GovCloud, which has no CloudFront");
    let (printed, notes) = policy_and_notes(&case.unset("DISTRIBUTION_ID"), &[]);
    let arn = printed["Statement"][0]["Resource"][0].as_str().unwrap();
    assert!(arn.starts_with("arn:aws-us-gov:s3:::"), "{arn}");
    assert!(notes.contains("AWS GovCloud has no CloudFront"), "{notes}");
}

#[test]
fn a_policy_that_is_too_large_for_iam_says_where_it_fits() {
    #[track_caller]
    fn case(containers: usize, expected: &[&str]) {
        let names: Vec<String> = (0..containers)
            .map(|it| format!("a container {it}"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let case = Case::production()
            .list("CONTAINER_NAME", &names)
            .env("AWS_ACCOUNT_ID", "123456789012");
        let (printed, notes) = policy_and_notes(&case, &[]);
        let printed = printed.to_string();
        let size = printed.chars().filter(|c| !c.is_whitespace()).count();
        let size = size.to_string();
        let warned = notes.contains("more than IAM takes");
        assert_eq!(warned, !expected.is_empty(), "{size}: {notes}");
        for expected in expected {
            assert!(notes.contains(expected), "{size}: {notes}");
        }
    }
    case(20, &[]);
    let fits = "it fits: inline for a group (5,120), managed (6,144), inline for a role (10,240)";
    case(60, &["too large: inline for a user (2,048)\n", fits]);
    let too_large = "too large: inline for a user (2,048), inline for a group (5,120)\n";
    case(
        120,
        &[
            too_large,
            "it fits: managed (6,144), inline for a role (10,240)",
        ],
    );
    case(
        400,
        &["it fits nowhere: publish fewer containers with one user or role"],
    );
}

#[test]
fn the_trust_policy_comes_from_bitbuckets_variables_and_flags() {
    let case = Case::production()
        .env("AWS_ACCOUNT_ID", "123456789012")
        .env("BITBUCKET_WORKSPACE", "acme")
        .env(
            "BITBUCKET_REPO_OWNER_UUID",
            "{11111111-1a2b-1a2b-1a2b-1a2b3c4d5e6f}",
        )
        .env(
            "BITBUCKET_REPO_UUID",
            "{22222222-1a2b-1a2b-1a2b-1a2b3c4d5e6f}",
        );
    let environment = "33333333-1a2b-1a2b-1a2b-1a2b3c4d5e6f";
    let printed = policy(&case, &["--trust", "--environment-uuid", environment]);
    let subject = &printed["Statement"][0]["Condition"]["StringLike"];
    let subject =
        &subject["api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc:sub"];
    assert_eq!(
        subject,
        &format!("{{22222222-1a2b-1a2b-1a2b-1a2b3c4d5e6f}}:{{{environment}}}:*")
    );
    refused(&case, &["--trust"], "`--environment-uuid` is missing");
    for workspace in ["", ".", "..", "acme/site"] {
        let arguments = ["--trust", "--any-environment", "--workspace", workspace];
        let expected =
            format!("`--workspace` is `{workspace}`, expected a workspace id such as `acme`");
        refused(&case, &arguments, &expected);
    }
}

#[test]
fn a_role_for_every_step_of_a_repository_must_be_asked_for() {
    let uuid = "11111111-1a2b-1a2b-1a2b-1a2b3c4d5e6f";
    for case in [Case::production(), Case::development()] {
        let case = case
            .env("AWS_ACCOUNT_ID", "123456789012")
            .env("BITBUCKET_WORKSPACE", "acme")
            .env("BITBUCKET_REPO_OWNER_UUID", uuid)
            .env("BITBUCKET_REPO_UUID", uuid);
        refused(&case, &["--trust"], "give `--any-environment` instead");
        let (trust, notes) = policy_and_notes(&case, &["--trust", "--any-environment"]);
        let subject = format!("\"{{{uuid}}}:*\"");
        assert!(trust.to_string().contains(&subject), "{trust}");
        let expected = "note: every step of the repository may assume the role";
        assert!(notes.contains(expected), "{notes}");
        let (_, notes) = policy_and_notes(&case, &["--trust", "--environment-uuid", uuid]);
        for expected in [
            "AWS cannot see the\n  branch of a step",
            "Secured variables of the environment are no different",
            "whoever may invalidate may invalidate `/*`",
        ] {
            assert!(notes.contains(expected), "{notes}");
        }
    }
    let both = ["--trust", "--any-environment", "--environment-uuid", uuid];
    refused(&Case::production(), &both, "cannot be used with");
}

/// Every shape of policy, by cfn-lint, which knows the grammar of IAM and every action of AWS.
#[test]
fn the_policies_are_valid_by_a_linter() {
    let uuid = "11111111-1a2b-1a2b-1a2b-1a2b3c4d5e6f";
    let trust = [
        "--trust",
        "--workspace=acme",
        "--workspace-uuid",
        uuid,
        "--repository-uuid",
        uuid,
        "--environment-uuid",
        uuid,
    ];
    let all = Case::development()
        .env("AWS_ACCOUNT_ID", "123456789012")
        .env("WAIT", "true")
        .env("ACL", "public-read")
        .env("ONLY_NEWER", "true")
        .in_bitbucket("BITBUCKET_BRANCH", "develop");
    let plain = Case::production().env("AWS_ACCOUNT_ID", "123456789012");
    let template = |policy: &Value, trust: &Value| {
        json!({"Resources": {
            "Policy": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": policy}},
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}},
        }})
    };
    let lint = |template: &Value| {
        let file = all.repository().join("template.json");
        fs::write(&file, template.to_string()).unwrap();
        let linter = python().with_file_name("cfn-lint");
        let output = Command::new(linter)
            .arg(&file)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let trust = policy(&all, &trust);
    for case in [&all, &plain] {
        assert_eq!(
            lint(&template(&policy(case, &[]), &trust)),
            (true, String::new())
        );
    }
    // The linter does find what is wrong.
    let mut wrong = policy(&plain, &[]);
    wrong["Statement"][0]["Effect"] = "Perhaps".into();
    assert!(!lint(&template(&wrong, &trust)).0);
}

#[test]
fn users_who_hold_the_printed_policy_publish_and_are_denied_everything_else() {
    for (case, keys) in [
        (Case::production(), &["js/mojito.js"][..]),
        (
            Case::development(),
            &["jsdev/mojito.js", "jsdev/mojito.pretty.js"],
        ),
    ] {
        let case = case.env("AWS_ACCOUNT_ID", "123456789012");
        case.set_policy(policy(&case, &[])["Statement"].clone());
        case.run().exits(0);
        assert_eq!(case.keys(), keys);
        assert_eq!(case.invalidations().len(), 1);

        let other: String = case.call("add_distribution", json!({}));
        let may: Vec<String> = case.call(
            "what_the_user_may_do",
            json!({"key": keys[0], "distribution": other}),
        );
        assert_eq!(may, ["put the container"], "these were tried and allowed");
        assert_eq!(case.keys(), keys);
        assert_eq!(case.invalidations().len(), 1);
    }
}

#[test]
fn waiting_acls_and_only_newer_work_under_the_policy_that_is_printed_for_them() {
    let case = Case::production()
        .env("AWS_ACCOUNT_ID", "123456789012")
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("WAIT", "true")
        .env("ACL", "bucket-owner-full-control")
        .env("ONLY_NEWER", "true");
    case.set_policy(policy(&case, &[])["Statement"].clone());
    for _ in 0..2 {
        case.run()
            .exits(0)
            .does_not_contain("WARNING")
            .contains("completed");
    }
}
