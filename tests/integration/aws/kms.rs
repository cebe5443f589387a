//! A bucket that is encrypted with a customer managed key of KMS, which S3 uses with the permissions of whoever uploads.

use serde_json::{json, Value};

use crate::commands::rollback::{
    live, publish, versioned, with_printed_policy as with_rollback_policy,
};
use crate::support::harness::Case;

const KEY: &str =
    "arn:aws:kms:ap-southeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A build of production whose bucket is encrypted with the key.
fn case() -> Case {
    let case = Case::production().in_bitbucket("BITBUCKET_TAG", "v1");
    case.call::<()>("set_kms_key", json!({"key": KEY}));
    case
}

/// Gives the user what `policy` prints for the case.
fn with_printed_policy(case: Case) -> Case {
    let account = case.world.account.clone();
    let case = case.env("AWS_ACCOUNT_ID", &account).arg("policy");
    let printed = case.command().output().unwrap().stdout;
    let printed: Value = serde_json::from_slice(&printed).unwrap();
    case.set_policy(printed["Statement"].clone());
    case.without_arguments()
}

#[test]
fn the_printed_policy_allows_publishing_with_the_key() {
    let without = case();
    let ended = without.run().exits(3);
    let ended = ended.contains("is not authorized to perform: kms:GenerateDataKey on resource: ");
    ended.contains("allow `kms:GenerateDataKey` on the key, and set `KMS_KEY_ARN` to its ARN");
    let case = with_printed_policy(case().env("KMS_KEY_ARN", KEY));
    case.run().exits(0);
    let checked = case.arg("check");
    checked.run().exits(0);
}

#[test]
fn only_newer_reads_with_the_key() {
    let case = case().env("ONLY_NEWER", "true").env("KMS_KEY_ARN", KEY);
    let case = with_printed_policy(case);
    case.run().exits(0);
    case.run().exits(0);
    let older = case.env("BITBUCKET_BUILD_NUMBER", "56");
    older.run().exits(6);
    // Without the key, what is stored cannot be compared.
    older.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let statement = "\"kms:GenerateDataKey\",\n      \"kms:Decrypt\"\n";
    older.run().exits(3).contains(statement);
}

#[test]
fn the_session_of_a_role_may_use_the_key_that_is_named() {
    let (case, _) = case().with_broad_role();
    let ended = case.run().exits(3);
    ended.contains(
        "set `KMS_KEY_ARN` to its ARN, so that `policy` and the session of a role include it",
    );
    case.env("KMS_KEY_ARN", KEY).run().exits(0);
}

/// A case whose bucket is encrypted with the key, with the builds 56 and 57, whose user has what `policy --rollback` prints.
fn rollback() -> Case {
    let case = versioned();
    case.call::<()>("set_kms_key", json!({"key": KEY}));
    let case = case.env("KMS_KEY_ARN", KEY);
    with_rollback_policy(&case);
    publish(&case, 56);
    publish(&case, 57);
    case
}

#[test]
fn a_rollback_and_the_status_decrypt_with_the_key() {
    let case = rollback();
    case.run().exits(0);
    assert_eq!(live(&case), "56");
    let status = case.without_arguments().arg("status").arg("--production");
    status.run().exits(0).contains("build 56");
}

#[test]
fn the_session_of_a_rollback_and_of_the_status_may_decrypt() {
    let (case, _) = rollback().with_broad_role();
    let case = case
        .unset("AWS_ACCESS_KEY_ID")
        .unset("AWS_SECRET_ACCESS_KEY");
    case.run().exits(0);
    assert_eq!(live(&case), "56");
    let status = case.without_arguments().arg("status").arg("--production");
    status.run().exits(0).contains("build 56");
    let unnamed = status.unset("KMS_KEY_ARN");
    unnamed.run().exits(3).contains("kms:Decrypt");
}

#[test]
fn a_rollback_that_may_not_decrypt_says_which_statement_is_missing() {
    let case = rollback();
    let case = case.unset("KMS_KEY_ARN");
    with_rollback_policy(&case);
    let case = case.env("KMS_KEY_ARN", KEY);
    let statement = format!("\"Sid\": \"DecryptVersions\",\n    \"Effect\": \"Allow\",\n    \"Action\": [\n      \"kms:Decrypt\"\n    ],\n    \"Resource\": [\n      \"{KEY}\"\n    ]");
    case.run().exits(3).contains(&statement);
    let check = case
        .without_arguments()
        .arg("check")
        .arg("--rollback")
        .arg("--production");
    check
        .run()
        .exits(3)
        .contains("\"DecryptVersions\"")
        .contains("\"EncryptContainer\"");
}

#[test]
fn a_key_that_may_not_be_used_is_shown_with_the_statement_that_is_missing() {
    let case = case().env("KMS_KEY_ARN", KEY).storing_results();
    let statement = format!(
        "\"Action\": [\n      \"kms:GenerateDataKey\"\n    ],\n    \"Resource\": [\n      \"{KEY}\"\n    ]"
    );
    let ended = case.run().exits(3).contains(&statement);
    ended.contains("add this statement to the user or role; the key's own policy must allow it");
    let remedy = case.result()["error"]["remedy"].clone();
    assert!(
        remedy.as_str().unwrap().contains("EncryptContainer"),
        "{remedy}"
    );
    let checked = case.arg("check").run().exits(3);
    checked
        .contains("missing permission: cannot write s3://[BUCKET]/js/mojito.js")
        .contains(&statement);
}

#[test]
fn another_key_than_the_one_that_is_named_is_pointed_out() {
    let other = KEY.replace("1234abcd-", "9999abcd-");
    let ended = case().env("KMS_KEY_ARN", &other).run().exits(3);
    ended.contains(&format!(
        "encrypted with another key than `KMS_KEY_ARN` ({other})"
    ));
}

#[test]
fn a_key_that_no_policy_or_bucket_takes_is_refused() {
    for (value, problem) in [
        ("alias/mojito", "IAM policies do not take an alias"),
        (
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "IAM policies do not take its ID alone",
        ),
        (
            &*KEY.replace("ap-southeast-2", "us-east-1"),
            "but the bucket is in `ap-southeast-2`",
        ),
        (
            &*KEY.replace("arn:aws:", "arn:aws-cn:"),
            "but the bucket is in `ap-southeast-2`",
        ),
    ] {
        let case = case().env("KMS_KEY_ARN", value);
        case.run()
            .exits(2)
            .contains(&format!("✖ `KMS_KEY_ARN` is `{value}`"))
            .contains(problem);
        assert!(case.requests().is_empty());
    }
}
