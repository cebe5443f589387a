//! `mojito-publish policy`: what it prints, and that users who hold exactly that can publish and do nothing else.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{json, Value};
use snapbox::str;

use crate::support::harness::Case;
use crate::support::local_aws::python;

/// The policy that is printed for the case's settings, without its credentials.
#[track_caller]
fn policy(case: &Case, arguments: &[&str]) -> Value {
    let output = case
        .command()
        .arg("policy")
        .args(arguments)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    serde_json::from_slice(&output.stdout).unwrap()
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
    let printed = policy(&Case::production(), &[]);
    assert!(
        printed
            .to_string()
            .contains("arn:aws:cloudfront::AWS_ACCOUNT_ID:distribution/"),
        "{printed}"
    );
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
fn a_wrong_setting_is_refused_here_too() {
    Case::production()
        .arg("policy")
        .env("WAIT", "yes")
        .run()
        .exits(2)
        .contains("`WAIT` is `yes`");
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
    case.arg("policy")
        .arg("--trust")
        .run()
        .exits(2)
        .contains("`--environment-uuid` is missing");
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
