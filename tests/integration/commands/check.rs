//! `mojito-publish check`: it finds missing and excess permissions, and leaves nothing behind.

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::{json, Value};
use snapbox::str;

use crate::support::harness::{Case, Ended};
use crate::support::proxy::{Fault, Proxy, Target};

fn allow(actions: Value, resource: String) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resource})
}

/// What `policy` prints for the settings of a case.
fn printed_policy(case: &Case) -> Value {
    let output = case.command().arg("policy").output();
    let output = output.expect("the program starts");
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

fn check(case: &Case) -> Ended {
    let output = case.command().arg("check").output();
    case.ended(output.expect("the program starts"))
}

#[track_caller]
fn leaves_only(case: &Case, key: &str) {
    assert_eq!(case.keys(), [key]);
    assert!(case.invalidations().is_empty());
}

#[track_caller]
fn leaves_nothing(case: &Case) {
    assert!(case.keys().is_empty());
    assert_eq!(
        case.call::<Vec<String>>("multipart_uploads", json!({})),
        [""; 0]
    );
    assert!(case.invalidations().is_empty());
}

#[test]
fn the_documented_policies_are_right() {
    let case = Case::production().arg("check");
    case.run().exits(0).prints(str![[r#"
checking what the credentials can do in production (`ENVIRONMENT` is `production`)
credentials: [KEY]
  [USER]
✔ can write s3://[BUCKET]/js/mojito.js
✔ cannot write s3://[BUCKET]/jsdev/mojito.js (the other environment's container)
✔ cannot write s3://[BUCKET]/js/mojito-x.js (a neighbour with a similar name)
✔ cannot write s3://[BUCKET]/mojito-publish-check/mojito.js (another folder)
✔ cannot write s3://[BUCKET]/mojito.js (the bucket's root)
✔ cannot write s3://[BUCKET]/js/mojito.pretty.js (`PRETTY` is `false`)
WARNING: these credentials can write what production needs, and nothing else that was checked
  it is not known whether they can
    invalidate in [DISTRIBUTION] (`cloudfront:CreateInvalidation`): trying it would invalidate

"#]]);
    leaves_nothing(&case);
    let case = Case::development().arg("check");
    case.run()
        .exits(0)
        .contains("✔ can write s3://[BUCKET]/jsdev/mojito.pretty.js")
        .contains("✔ can write s3://[BUCKET]/jsdev/mojito.js")
        .contains("✔ cannot write s3://[BUCKET]/js/mojito.js (the other environment's container)")
        .contains(
            "✔ cannot write s3://[BUCKET]/jsdev/x-mojito.js (a neighbour with a similar name)",
        );
    leaves_nothing(&case);
}

#[test]
fn too_little_is_named_with_the_statement_that_is_missing() {
    let case = Case::production().arg("check");
    case.set_policy(json!([case.may_invalidate(&case.world.distribution)]));
    case.run().exits(3).prints(str![[r#"
checking what the credentials can do in production (`ENVIRONMENT` is `production`)
credentials: [KEY]
  [USER]
✖ missing permission: cannot write s3://[BUCKET]/js/mojito.js
  s3:PutObject on s3://[BUCKET]/js/mojito.js failed: AccessDenied (HTTP 403): Access Denied (request id [..])
✔ cannot write s3://[BUCKET]/jsdev/mojito.js (the other environment's container)
✔ cannot write s3://[BUCKET]/js/mojito-x.js (a neighbour with a similar name)
✔ cannot write s3://[BUCKET]/mojito-publish-check/mojito.js (another folder)
✔ cannot write s3://[BUCKET]/mojito.js (the bucket's root)
✔ cannot write s3://[BUCKET]/js/mojito.pretty.js (`PRETTY` is `false`)
✖ permissions are missing, and a publish would fail: is the bucket's name right?
  if so, add this statement to the user or role:
  {
    "Sid": "WriteContainer",
    "Effect": "Allow",
    "Action": [
      "s3:PutObject"
    ],
    "Resource": [
      "arn:aws:s3:::[BUCKET]/js/mojito.js"
    ]
  }

"#]]);
    leaves_nothing(&case);
}

#[test]
fn one_statement_is_for_all_keys() {
    let case = Case::development().arg("check");
    case.set_policy(json!([case.may_invalidate(&case.world.distribution)]));
    let ended = case.run().exits(3).contains(
        "\"arn:aws:s3:::[BUCKET]/jsdev/mojito.pretty.js\",\n      \"arn:aws:s3:::[BUCKET]/jsdev/mojito.js\"\n",
    );
    assert_eq!(ended.output.matches("WriteContainer").count(), 1);
}

#[test]
fn what_another_policy_denies_is_denied_but_lacks_no_statement() {
    let case = Case::production().arg("check");
    let words = "User: u is not authorized to perform: s3:PutObject with an explicit deny in a service control policy";
    let body = format!("<Error><Code>AccessDenied</Code><Message>{words}</Message></Error>");
    case.fault(json!({"method": "POST", "path": ".js", "status": 403, "body": body, "times": 9}));
    case.run()
        .exits(3)
        .contains("missing permission: cannot write s3://[BUCKET]/js/mojito.js\n")
        .contains("what to do: a policy of the AWS organization forbids this")
        .contains("✔ cannot write s3://[BUCKET]/jsdev/mojito.js")
        .does_not_contain("WriteContainer");
}

#[test]
fn too_much_is_named_key_by_key() {
    let case = Case::production().arg("check");
    case.set_policy(json!([allow(
        json!("s3:*"),
        format!("arn:aws:s3:::{}/*", case.world.bucket)
    )]));
    case.run().exits(3).prints(str![[r#"
checking what the credentials can do in production (`ENVIRONMENT` is `production`)
credentials: [KEY]
  [USER]
✔ can write s3://[BUCKET]/js/mojito.js
✖ excess permission: can write s3://[BUCKET]/jsdev/mojito.js (the other environment's container)
✖ excess permission: can write s3://[BUCKET]/js/mojito-x.js (a neighbour with a similar name)
✖ excess permission: can write s3://[BUCKET]/mojito-publish-check/mojito.js (another folder)
✖ excess permission: can write s3://[BUCKET]/mojito.js (the bucket's root)
✖ excess permission: can write s3://[BUCKET]/js/mojito.pretty.js (`PRETTY` is `false`)
✖ permissions are in excess: whoever gets hold of these credentials can write there
  give the user or role what `mojito-publish policy --production` prints, and nothing else

"#]]);
    leaves_nothing(&case);
}

#[test]
fn the_credentials_of_the_other_environment_are_recognised() {
    let case = Case::development().arg("check").arg("--production");
    case.run()
        .exits(3)
        .contains("these may be the credentials of development; `mojito-publish policy --production` prints what production needs");
    leaves_nothing(&case);
}

#[test]
fn without_credentials_or_with_wrong_ones_nothing_is_tried() {
    let case = Case::production().arg("check").without_credentials();
    case.run()
        .exits(3)
        .contains("no usable credentials")
        .does_not_contain("visitors");
    let case = Case::production()
        .arg("check")
        .env("AWS_SECRET_ACCESS_KEY", "wrong");
    case.run()
        .exits(3)
        .contains("the secret does not match this access key")
        .does_not_contain("may write");
    assert!(case.requests().iter().all(|request| request.path == "/"));
}

#[test]
fn a_key_that_cannot_be_tried_is_not_called_out_of_reach() {
    let case = Case::production()
        .arg("check")
        .env("S3_BUCKET", "acme-nowhere");
    case.set_policy(json!([allow(json!("*"), "*".to_owned())]));
    case.run()
        .exits(3)
        .contains("could not check s3://acme-nowhere/js/mojito.js")
        .contains("check `S3_BUCKET`")
        .does_not_contain("✔ may not write");
}

#[test]
fn explicit_denials_deny_what_must_be_out_of_reach() {
    let case = Case::production().arg("check");
    // The tightest set-up: whatever a user's policies allow, only this one key can be written.
    case.set_policy(json!([allow(
        json!("s3:*"),
        format!("arn:aws:s3:::{}/*", case.world.bucket)
    )]));
    let deny_all_but = |key: &str| {
        let resource = format!("arn:aws:s3:::{}/{key}", case.world.bucket);
        let denied = json!([{"Action": "s3:PutObject", "NotResource": [resource]}]);
        case.call::<()>("set_bucket_policy", json!({"denied": denied}));
    };
    deny_all_but("js/mojito.js");
    case.run()
        .exits(0)
        .contains("✔ can write s3://[BUCKET]/js/mojito.js")
        .contains(
            "✔ cannot write s3://[BUCKET]/jsdev/mojito.js (the other environment's container)",
        )
        .contains("✔ cannot write s3://[BUCKET]/js/mojito.pretty.js (`PRETTY` is `false`)");
    leaves_nothing(&case);

    // What a publish must write is missing, and no statement of the user would add it.
    deny_all_but("js/other.js");
    case.run()
        .exits(3)
        .contains("✖ missing permission: cannot write s3://[BUCKET]/js/mojito.js")
        .contains("with an explicit deny in a resource-based policy")
        .contains("what to do: a policy explicitly denies this")
        .does_not_contain("WriteContainer")
        .does_not_contain("could not check");
}

#[test]
fn a_denial_that_is_not_s3s_own_is_none() {
    let case = Case::production().arg("check");
    case.fault(
        json!({"method": "POST", "path": ".js", "status": 403, "body": "<html>", "times": 99}),
    );
    case.run()
        .exits(3)
        .contains("could not check s3://[BUCKET]/js/mojito.js")
        .contains("could not check s3://[BUCKET]/jsdev/mojito.js")
        .does_not_contain("cannot write");
}

#[test]
fn production_that_allows_the_names_that_start_with_the_containers_is_in_excess() {
    let case = Case::production().arg("check");
    case.set_policy(json!([allow(
        json!("s3:PutObject"),
        format!("arn:aws:s3:::{}/js/mojito*", case.world.bucket)
    )]));
    let excess = "✖ excess permission: can write s3://[BUCKET]/js/";
    case.run()
        .exits(3)
        .contains(&format!(
            "{excess}mojito-x.js (a neighbour with a similar name)"
        ))
        .contains(&format!("{excess}mojito.pretty.js (`PRETTY` is `false`)"));
    let case = case.env("PRETTY", "true");
    case.run()
        .exits(3)
        .contains("✔ can write s3://[BUCKET]/js/mojito.pretty.js")
        .contains(&format!(
            "{excess}mojito-x.js (a neighbour with a similar name)"
        ));
    leaves_nothing(&case);
}

#[test]
fn a_store_that_is_not_aws_has_no_identity_at_aws() {
    // Whatever goes to AWS itself would come here.
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let case = Case::production().arg("check");
    let endpoint = case.world.endpoint.clone();
    let case = case
        .unset("AWS_ENDPOINT_URL")
        .env("AWS_ENDPOINT_URL_S3", &endpoint)
        .env("HTTPS_PROXY", &address);
    case.run()
        .exits(0)
        .contains("credentials: [KEY]\nnot checked: whose they are, as AWS's STS does not know the users of the store at `AWS_ENDPOINT_URL_S3`\n")
        .contains("✔ can write s3://[BUCKET]/js/mojito.js");
    proxy.set_nonblocking(true).unwrap();
    let nobody = proxy.accept().unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
}

#[test]
fn an_upload_that_cannot_be_aborted_is_named() {
    let case = Case::production().arg("check");
    case.fault(json!({"method": "DELETE", "path": "/js/mojito.js", "status": 403, "times": 9}));
    case.run()
        .exits(0)
        .contains("WARNING: multipart uploads to s3://[BUCKET]/js/mojito.js, created to check the keys, are still there; visitors do not see them\n")
        .contains("  remove them with\n    aws s3api abort-multipart-upload --bucket [BUCKET] --key js/mojito.js --upload-id ");
    assert!(case.keys().is_empty());
}

#[test]
fn uploads_that_cannot_be_aborted_are_named_once() {
    let case = Case::production().arg("check");
    case.set_policy(json!([allow(
        json!("s3:PutObject"),
        format!("arn:aws:s3:::{}/*", case.world.bucket)
    )]));
    case.fault(json!({"method": "DELETE", "path": "/", "status": 403, "times": 99}));
    let ended = case.run().exits(3);
    assert_eq!(ended.output.matches("WARNING").count(), 1);
    assert_eq!(ended.output.matches("abort-multipart-upload").count(), 6);
    let ended = ended.contains("--key mojito.js --upload-id ");
    ended.contains("s3://[BUCKET]/jsdev/mojito.js, ");
}

#[test]
fn what_a_setting_needs_is_tried_and_what_cannot_be_known_is_in_the_last_line() {
    let case = || {
        let case = Case::production().env("ONLY_NEWER", "true");
        let case = case.env("WAIT", "true");
        let keys = format!("arn:aws:s3:::{}/js/mojito.js", case.world.bucket);
        case.set_policy(json!([allow(json!("s3:PutObject"), keys)]));
        case
    };
    let none = case();
    none.stored_before("js/mojito.js", json!({}));
    check(&none)
        .exits(3)
        .contains("✖ missing permission: cannot read the invalidations of [DISTRIBUTION] (`WAIT`)\n  cloudfront:GetInvalidation on")
        .contains("\"cloudfront:GetInvalidation\"");
    leaves_only(&none, "js/mojito.js");

    let all = case();
    all.stored_before("js/mojito.js", json!({}));
    all.set_policy(printed_policy(&all)["Statement"].clone());
    check(&all)
        .exits(0)
        .contains("✔ can read s3://[BUCKET]/js/mojito.js (`ONLY_NEWER`)\n")
        .contains("✔ can read the invalidations of [DISTRIBUTION] (`WAIT`)\n")
        .contains("WARNING: these credentials can write what production needs");
    leaves_only(&all, "js/mojito.js");

    // Without an object, S3 denies both who may not read it and who may; its message may say which.
    for (message, expected) in [
        ("Access Denied", "    read s3://[BUCKET]/js/mojito.js (`ONLY_NEWER`): S3 denies it, as it does where nothing is published yet\n"),
        ("User: u is not authorized to perform: s3:ListBucket", "✔ can read s3://[BUCKET]/js/mojito.js (`ONLY_NEWER`)\n"),
        ("User: u is not authorized to perform: s3:GetObject", "✖ missing permission: cannot read s3://[BUCKET]/js/mojito.js (`ONLY_NEWER`)\n"),
    ] {
        let case = case();
        case.set_policy(printed_policy(&case)["Statement"].clone());
        let body = format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>");
        case.fault(json!({"method": "GET", "path": "/js/mojito.js", "status": 403, "body": body}));
        check(&case).contains(expected);
    }
    // Nothing is left to be known.
    let case = Case::production().unset("DISTRIBUTION_ID").arg("check");
    case.run()
        .exits(0)
        .contains("✔ these credentials can write what production needs, and nothing else that was checked\n")
        .does_not_contain("WARNING");
}

#[test]
fn an_upload_that_could_not_be_aborted_once_is_aborted_later() {
    let case = Case::production().arg("check");
    case.fault(json!({"method": "DELETE", "path": "/js/mojito.js", "status": 403, "times": 1}));
    case.run().exits(0).does_not_contain("still there");
    leaves_nothing(&case);
}

#[test]
fn an_upload_whose_id_was_lost_is_said_to_be_possible_once() {
    for fault in [Fault::ResetBeforeResponse, Fault::MalformedDocument] {
        let case = Case::production().arg("check");
        let proxy = Proxy::start(&case.world.endpoint);
        let create = Target {
            method: "POST",
            path: "/js/mojito.js",
        };
        proxy.breaks(create, fault, 1);
        let case = case.env("AWS_ENDPOINT_URL", &proxy.endpoint);
        let ended = case.run().exits(0).contains(
            "WARNING: multipart uploads to s3://[BUCKET]/js/mojito.js may be left behind, as S3 did not confirm a request; visitors do not see them\n\
             \x20 find and remove them with\n\
             \x20   aws s3api list-multipart-uploads --bucket [BUCKET] --prefix js/mojito.js\n\
             \x20   aws s3api abort-multipart-upload --bucket [BUCKET] --key js/mojito.js --upload-id ID\n",
        );
        assert_eq!(ended.output.matches("left behind").count(), 1);
        // It lists nothing itself, and has aborted what it knows.
        assert!(case.requests().iter().all(|it| it.method != "GET"));
        let left: Vec<String> = case.call("multipart_uploads", json!({}));
        assert_eq!(left, ["js/mojito.js"], "{fault:?}");
    }
}

#[test]
fn the_id_of_an_upload_is_not_printed_as_it_comes() {
    let case = Case::production().arg("check");
    let id = "a&#10;✔ forged\u{9b}31m$(touch x)";
    let created = format!(
        "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
    );
    case.fault(json!({"method": "POST", "path": "/js/mojito.js", "status": 200, "body": created}));
    case.fault(json!({"method": "DELETE", "path": "/js/mojito.js", "status": 403, "times": 9}));
    case.run()
        .exits(0)
        .contains("are still there; visitors do not see them")
        .contains("aws s3api list-multipart-uploads --bucket [BUCKET] --prefix js/mojito.js\n")
        .does_not_contain("forged")
        .does_not_contain("touch x");
}

#[test]
fn stopped_in_the_middle_it_leaves_nothing_behind() {
    let case = Case::production().arg("check");
    let created = case.hold_response("POST", "/js/mojito.js");
    let run = case.start();
    created.wait();
    run.signal("-TERM");
    created.open();
    run.end()
        .exits(3)
        .contains("stopped by SIGTERM; nothing was changed\n");
    let requests = case.requests();
    assert!(
        requests.iter().any(|request| request.method == "DELETE"),
        "the upload was created and aborted"
    );
    leaves_nothing(&case);
}

#[test]
fn stopped_before_anything_was_tried_it_ends_at_once() {
    let case = Case::production().arg("check");
    let first = case.hold("POST", "/");
    let run = case.start();
    first.wait();
    run.signal("-INT");
    run.end()
        .exits(3)
        .contains("stopped by SIGINT; nothing was changed\n");
    assert_eq!(case.requests().len(), 1);
}
