//! How a publish fails: the exit code, the state that things are left in, and that a rerun fixes it.

use serde_json::{json, Value};
use snapbox::str;

use crate::support::harness::Case;
use crate::support::sample;
use crate::support::unreachable::Unreachable;

const SLOW_DOWN: &str =
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";

fn s3_error(code: &str, message: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>")
}

fn service_error(code: &str, message: &str) -> String {
    format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>")
}

#[test]
fn a_failed_pretty_form_leaves_the_container_untouched() {
    let case = Case::development();
    case.stored_before("jsdev/mojito.js", json!({}));
    case.set_policy(json!([{"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/jsdev/mojito.js", case.world.bucket)}]));
    case.run().exits(3).prints(str![[r#"
[VERSION]
credentials: [KEY]
  [USER]
publishing container mojito to development (by hand, without `--production`)
bucket: s3://[BUCKET]/jsdev/ in ap-southeast-2
container mojito: 1 live, 1 staged
  built 2026-11-24 05:00 UTC from commit 1f2e3d4 with Mojito 2.7.1
  live    █████░░░░░  50%  w1  W1 Größere Schaltfläche  Control / Treatment
  staged                   w2  W2 Headline              Control / Treatment
tip: set `PUBLIC_URL` to see what changes for visitors
✖ s3:PutObject on s3://[BUCKET]/jsdev/mojito.pretty.js failed: AccessDenied (HTTP 403): Access Denied (request id [..])
  what to do: first, are these the credentials of development?
    [USER]
  are the bucket and the folder right (`S3_BUCKET`, `S3_PREFIX`)?
    s3://[BUCKET]/jsdev/
  if so, the credentials lack `s3:PutObject`:
  add this statement to the user or role
  {
    "Sid": "WriteContainer",
    "Effect": "Allow",
    "Action": [
      "s3:PutObject"
    ],
    "Resource": [
      "arn:aws:s3:::[BUCKET]/jsdev/mojito.pretty.js",
      "arn:aws:s3:::[BUCKET]/jsdev/mojito.js"
    ]
  }
  `mojito-publish policy` prints all that the run needs, and
  `mojito-publish check` shows what credentials can write
✖ not published to development (after [..])
  not replaced: mojito; visitors still get the old container
  next: fix the cause and re-run; re-running is safe

"#]]);
    assert_eq!(case.keys(), ["jsdev/mojito.js"]);
    assert_eq!(case.objects()[0].body(), b"the old container");
    assert!(case.invalidations().is_empty());
}

#[test]
fn a_key_out_of_reach_is_reported_with_the_statement_that_is_missing() {
    let case = Case::production().env("S3_PREFIX", "other");
    case.run()
        .exits(3)
        .contains("AccessDenied (HTTP 403)")
        .contains(&format!(
            "\"arn:aws:s3:::{}/other/mojito.js\"",
            case.world.bucket
        ))
        .contains("not replaced: mojito; visitors still get the old container");
    assert!(case.keys().is_empty());
}

#[test]
fn of_several_containers_those_that_can_be_are_published_and_invalidated() {
    let case = Case::production();
    sample::build(case.repository(), "shop");
    let case = case.list("CONTAINER_NAME", &["shop", "mojito"]);
    case.run()
        .exits(3)
        .contains("replaced: mojito\n")
        .contains("not replaced: shop; visitors still get the old container")
        // The statement is for the whole run, not for what was denied alone.
        .contains(
            "\"arn:aws:s3:::[BUCKET]/js/shop.js\",\n      \"arn:aws:s3:::[BUCKET]/js/mojito.js\"\n",
        );
    assert_eq!(case.keys(), ["js/mojito.js"]);
    assert_eq!(case.invalidations()[0].paths, ["/js/mojito.js"]);
}

#[test]
fn a_failed_invalidation_shows_how_long_the_old_container_stays_and_a_rerun_fixes_it() {
    let case = Case::production();
    let put = json!({"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/js/mojito.js", case.world.bucket)});
    case.set_policy(json!([put]));
    case.run().exits(4).prints(str![[r#"
[VERSION]
credentials: [KEY]
  [USER]
publishing container mojito to production (`ENVIRONMENT` is `production`)
bucket: s3://[BUCKET]/js/ in ap-southeast-2
container mojito: 1 live, 1 staged
  built 2026-11-24 05:00 UTC from commit 1f2e3d4 with Mojito 2.7.1
  live    █████░░░░░  50%  w1  W1 Größere Schaltfläche  Control / Treatment
  staged                   w2  W2 Headline              Control / Treatment
tip: set `PUBLIC_URL` to see what changes for visitors
✔ uploaded s3://[BUCKET]/js/mojito.js: 1,483 bytes, 807 bytes compressed
✖ cloudfront:CreateInvalidation on [DISTRIBUTION] failed: AccessDenied (HTTP 403): User: [USER] is not authorized to perform: cloudfront:CreateInvalidation (request id [..])
  what to do: first, are these the credentials of production?
    [USER]
  is `DISTRIBUTION_ID` right, and in account 123456789012?
    [DISTRIBUTION]
  if so, the credentials lack `cloudfront:CreateInvalidation`:
  add this statement to the user or role
  {
    "Sid": "InvalidateContainer",
    "Effect": "Allow",
    "Action": [
      "cloudfront:CreateInvalidation"
    ],
    "Resource": [
      "arn:aws:cloudfront::[..]:distribution/[DISTRIBUTION]"
    ]
  }
  `mojito-publish policy --production` prints all that the run needs, and
  `mojito-publish check --production` shows what credentials can write
✖ mojito is published to production, but CloudFront was not invalidated (after [..])
  CloudFront still serves the old container from [DISTRIBUTION] until its cache expires,
  at [..] at the latest (5 min after the upload),
  unless it had another Cache-Control or the distribution's minimum TTL is longer
  next: fix the cause and re-run; re-running is safe

"#]]);
    assert_eq!(case.keys(), ["js/mojito.js"]);
    assert!(case.invalidations().is_empty());

    case.set_policy(json!([put, case.may_invalidate(&case.world.distribution)]));
    case.run().exits(0);
    assert_eq!(case.invalidations()[0].paths, ["/js/mojito.js"]);
}

#[test]
fn a_failure_on_one_distribution_does_not_stop_the_other() {
    let case = Case::production();
    let other: String = case.call("add_distribution", json!({}));
    let first = case.world.distribution.clone();
    let case = case
        .unset("DISTRIBUTION_ID")
        .env("DISTRIBUTION_ID_COUNT", "2")
        .env("DISTRIBUTION_ID_0", &other)
        .env("DISTRIBUTION_ID_1", &first);
    case.run()
        .exits(4)
        .contains(&format!("cloudfront:CreateInvalidation on {other} failed"))
        .contains(&format!(
            "CloudFront still serves the old container from {other} until"
        ));
    let invalidations = case.invalidations();
    assert_eq!(
        (invalidations.len(), &invalidations[0].distribution),
        (1, &first)
    );
}

#[test]
fn each_refusal_of_s3_has_its_own_remedy() {
    #[track_caller]
    fn case(status: u16, headers: Value, code: &str, remedy: &str) {
        let case = Case::production();
        let body = s3_error(code, "In AWS's words.");
        case.fault(json!({"method": "PUT", "path": "/js/mojito.js", "status": status, "headers": headers, "body": body, "times": 99}));
        case.run()
            .exits(3)
            .contains(&format!("failed: {code} (HTTP {status}): In AWS's words. (request id TESTREQUEST, host id TESTHOST)"))
            .contains(remedy);
        assert!(case.keys().is_empty());
        assert!(case.invalidations().is_empty());
    }
    let none = json!({});
    case(
        301,
        json!({"x-amz-bucket-region": "eu-west-1"}),
        "PermanentRedirect",
        "set `AWS_DEFAULT_REGION` to `eu-west-1`",
    );
    case(
        400,
        json!({"x-amz-bucket-region": "eu-west-1"}),
        "AuthorizationHeaderMalformed",
        "set `AWS_DEFAULT_REGION` to `eu-west-1`",
    );
    case(
        400,
        none.clone(),
        "AccessControlListNotSupported",
        "leave `ACL` empty",
    );
    case(
        400,
        none.clone(),
        "ExpiredToken",
        "sign in again locally, or re-run the step in CI",
    );
    case(
        400,
        none.clone(),
        "InvalidToken",
        "check `AWS_SESSION_TOKEN`",
    );
    case(
        403,
        none.clone(),
        "RequestTimeTooSkewed",
        "this machine's clock is off",
    );
    case(
        400,
        none.clone(),
        "KMS.DisabledException",
        "kms:GenerateDataKey",
    );
    case(503, none, "SlowDown", "re-run in a few minutes");
}

#[test]
fn what_another_policy_denies_is_not_to_be_allowed_by_a_statement() {
    let case = Case::production();
    let body = s3_error("AccessDenied", "User: u is not authorized to perform: s3:PutObject with an explicit deny in a resource-based policy");
    case.fault(
        json!({"method": "PUT", "path": "/js/mojito.js", "status": 403, "body": body, "times": 9}),
    );
    case.run()
        .exits(3)
        .contains(
            "a bucket policy may require encryption, conditional writes (set `ONLY_NEWER`) or a certain network",
        )
        .does_not_contain("WriteContainer");
}

#[test]
fn a_key_of_kms_that_may_not_be_used_is_no_matter_of_the_buckets_policy() {
    let case = Case::production();
    let words = "User: u is not authorized to perform: kms:GenerateDataKey on resource: k because no identity-based policy allows the kms:GenerateDataKey action";
    let body = s3_error("AccessDenied", words);
    case.fault(
        json!({"method": "PUT", "path": "/js/mojito.js", "status": 403, "body": body, "times": 9}),
    );
    case.run()
        .exits(3)
        .contains(words)
        .contains("allow `kms:GenerateDataKey` on the key")
        .does_not_contain("WriteContainer");
}

#[test]
fn each_refusal_of_cloudfront_has_its_own_remedy() {
    #[track_caller]
    fn case(status: u16, code: &str, remedy: &str) {
        let case = Case::production();
        let body = service_error(code, "In AWS's words.");
        case.fault(json!({"method": "POST", "path": "/invalidation", "status": status, "body": body, "times": 99}));
        case.run()
            .exits(4)
            .contains(&format!(
                "failed: {code} (HTTP {status}): In AWS's words. (request id TESTREQUEST"
            ))
            .contains(remedy);
        assert_eq!(case.keys(), ["js/mojito.js"]);
    }
    case(
        404,
        "NoSuchDistribution",
        "check `DISTRIBUTION_ID` and which account the credentials belong to",
    );
    case(403, "AccessDenied", "\"cloudfront:CreateInvalidation\"");
    case(
        403,
        "AccessDenied",
        "is `DISTRIBUTION_ID` right, and in account 123456789012?",
    );
    case(
        403,
        "InvalidClientTokenId",
        "AWS does not recognize this access key",
    );
    case(
        403,
        "SignatureDoesNotMatch",
        "the secret does not match this access key",
    );
}

#[test]
fn an_unknown_key_and_a_wrong_secret_have_different_remedies() {
    let case = Case::production().env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    case.run()
        .exits(3)
        .contains("InvalidAccessKeyId (HTTP 403)")
        .contains("AWS does not recognize this access key");
    let case = Case::production().env("AWS_SECRET_ACCESS_KEY", "wrong");
    case.run()
        .exits(3)
        .contains("SignatureDoesNotMatch (HTTP 403)")
        .contains("the secret does not match this access key");
}

#[test]
fn a_bucket_or_distribution_that_does_not_exist_is_named() {
    let case = Case::production().env("S3_BUCKET", "acme-nowhere");
    case.set_policy(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
    case.run()
        .exits(3)
        .contains("s3://acme-nowhere/js/mojito.js failed: NoSuchBucket (HTTP 404)")
        .contains("check `S3_BUCKET`");
    let case = Case::production().env("DISTRIBUTION_ID", "E0000000000000");
    case.set_policy(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
    case.run()
        .exits(4)
        .contains("E0000000000000 failed: NoSuchDistribution (HTTP 404)")
        .contains("check `DISTRIBUTION_ID`");
}

#[test]
fn without_credentials_it_lists_where_it_looked() {
    let case = Case::production().without_credentials();
    case.run()
        .exits(3)
        .contains("no usable credentials: checked `AWS_ACCESS_KEY_ID`, the AWS profile")
        .contains("locally, set `AWS_PROFILE`")
        .contains("nothing was uploaded; visitors still get the old container");
    assert!(case.requests().is_empty());
}

#[test]
fn an_address_that_nobody_listens_at_is_a_failure_with_its_cause() {
    let (case, address) = Unreachable::NobodyListens.address(Case::production());
    case.env("AWS_ENDPOINT_URL", &address)
        .run()
        .exits(3)
        .contains("Connection refused")
        .contains("not replaced: mojito; visitors still get the old container")
        .contains("any `AWS_ENDPOINT_URL`");
}

#[test]
fn a_host_that_cannot_be_found_is_named_with_the_region_that_is_part_of_it() {
    let of_region = "http://s3.ap-west-9.amazonaws.invalid";
    Case::production()
        .env("AWS_ENDPOINT_URL_S3", of_region)
        .run()
        .exits(3)
        .contains("the host `s3.ap-west-9.amazonaws.invalid` cannot be found: dns error: ")
        .contains("what to do: the region `ap-west-9` may not exist: check `AWS_DEFAULT_REGION`, or `s3Region` in `config.js`");
    let (case, address) = Unreachable::NoSuchHost.address(Case::production());
    case.env("AWS_ENDPOINT_URL_S3", &address)
        .run()
        .exits(3)
        .contains("the host `nobody.invalid` cannot be found")
        .contains("what to do: check any `AWS_ENDPOINT_URL` and the network's DNS");
    let case = Case::production().env("HTTPS_PROXY", "http://nobody.invalid");
    case.env("AWS_ENDPOINT_URL_S3", "https://s3.example.com")
        .run()
        .exits(3)
        .does_not_contain("the host `s3.example.com` cannot be found")
        .contains("check the network, `HTTPS_PROXY`");
}

#[test]
fn what_passes_is_tried_again() {
    for (method, path, status, body) in [
        ("PUT", "/js/mojito.js", 503, SLOW_DOWN.to_owned()),
        (
            "PUT",
            "/js/mojito.js",
            500,
            s3_error("InternalError", "We encountered an internal error."),
        ),
        (
            "POST",
            "/invalidation",
            503,
            service_error("ServiceUnavailable", "Busy."),
        ),
        (
            "POST",
            "/invalidation",
            400,
            service_error("Throttling", "Rate exceeded"),
        ),
    ] {
        let case = Case::production();
        case.fault(
            json!({"method": method, "path": path, "status": status, "body": body, "times": 1}),
        );
        case.run().exits(0);
        assert_eq!(case.keys(), ["js/mojito.js"]);
        assert_eq!(case.invalidations().len(), 1);
        let answers: Vec<Option<u16>> = case
            .requests()
            .iter()
            .filter(|request| {
                matches!(request.method.as_str(), "PUT" | "POST") && request.path != "/"
            })
            .map(|request| request.status)
            .collect();
        assert_eq!(answers.len(), 3);
        assert!(answers.contains(&Some(status)), "{answers:?}");
    }
}

#[test]
fn too_many_invalidations_are_waited_out_with_a_word_in_the_log() {
    let case = Case::production();
    let body = service_error(
        "TooManyInvalidationsInProgress",
        "Processing your request will cause you to exceed the limit.",
    );
    case.fault(
        json!({"method": "POST", "path": "/invalidation", "status": 400, "body": body, "times": 1}),
    );
    case.run()
        .exits(0)
        .contains("CloudFront is busy (TooManyInvalidationsInProgress): retrying ")
        .contains(" in ");
    assert_eq!(case.invalidations().len(), 1);
}

#[test]
fn the_outcome_of_an_upload_without_a_response_is_unknown() {
    let case = Case::production();
    case.fault(json!({"method": "PUT", "path": "/js/mojito.js", "after": true, "hang_up": true, "times": 99}));
    case.run()
        .exits(3)
        .contains("not known whether mojito was replaced: S3 did not confirm it")
        .does_not_contain("not replaced:");
    assert_eq!(case.keys(), ["js/mojito.js"]);
    // It may be there, so it is invalidated all the same.
    assert_eq!(case.invalidations().len(), 1);
}

#[test]
fn a_refusal_after_a_lost_response_leaves_the_outcome_unknown() {
    let case = Case::production();
    case.fault(json!({"method": "PUT", "path": "/js/mojito.js", "after": true, "hang_up": true, "times": 1}));
    let body = s3_error("AccessDenied", "Access Denied");
    case.fault(
        json!({"method": "PUT", "path": "/js/mojito.js", "status": 403, "body": body, "times": 9}),
    );
    case.run()
        .exits(3)
        .contains("not known whether mojito was replaced");
}

#[test]
fn a_denial_asks_for_other_credentials_and_another_bucket_before_it_shows_one_statement() {
    let case = Case::without_rights().env("ENVIRONMENT", "production");
    sample::build(case.repository(), "shop");
    let case = case.list("CONTAINER_NAME", &["shop", "mojito"]);
    let ended = case.run().exits(3).contains(
        "what to do: first, are these the credentials of production?\n    [USER]\n  \
         are the bucket and the folder right (`S3_BUCKET`, `S3_PREFIX`)?\n    s3://[BUCKET]/js/\n  \
         if so, the credentials lack `s3:PutObject`:\n  add this statement to the user or role\n  {\n",
    );
    assert_eq!(ended.output.matches("WriteContainer").count(), 1);
    ended
        .contains("`mojito-publish policy --production` prints all that the run needs")
        .contains("`mojito-publish check --production` shows what credentials can write");
}

#[test]
fn a_statement_without_the_account_says_so() {
    let (case, address) = Unreachable::NobodyListens.address(Case::production());
    let case = case.env("AWS_ENDPOINT_URL_STS", &address);
    case.set_policy(json!([{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]));
    case.run()
        .exits(4)
        .contains("first, are these the credentials of production?\n    [KEY]\n")
        .contains("is `DISTRIBUTION_ID` right, and in their account?")
        .contains("with the 12 digits of your account in place of `AWS_ACCOUNT_ID`");
    let case = case.env("AWS_ACCOUNT_ID", "123456789012");
    case.run().exits(4).does_not_contain("in place of");
}

#[test]
fn what_is_not_aws_is_not_blamed_on_the_policy() {
    let case = Case::production();
    let page = "<html><title>Blocked by the web filter</title></html>";
    case.fault(
        json!({"method": "PUT", "path": "/js/mojito.js", "status": 403, "body": page, "times": 9}),
    );
    case.run()
        .exits(3)
        .contains("the response did not come from AWS")
        .contains("Blocked by the web filter")
        .does_not_contain("WriteContainer");
}

#[test]
fn a_secret_that_aws_quotes_is_cut_out() {
    let case = Case::production();
    let words = format!("The string was {} or so", case.world.secret_access_key);
    case.fault(json!({"method": "PUT", "path": "/js/mojito.js", "status": 400, "body": s3_error("Strange", &words), "times": 9}));
    // `run` searches the output for the secret.
    case.run().exits(3).contains("The string was *** or so");
}

#[test]
fn a_lost_response_makes_no_second_invalidation() {
    let case = Case::production();
    case.fault(json!({"method": "POST", "path": "/invalidation", "after": true, "hang_up": true, "times": 1}));
    case.run().exits(0);
    assert_eq!(case.invalidations().len(), 1);
    assert_eq!(
        case.requests()
            .iter()
            .filter(|request| request.method == "POST" && request.path != "/")
            .count(),
        2
    );
}

#[test]
fn with_only_newer_an_older_build_does_not_replace_a_newer_one() {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "58"}));
    case.run()
        .exits(6)
        .contains("WARNING: not published to production, where a newer build is live (after ")
        .contains("  not replaced: mojito; build 58 is live, which is newer than this build 57\n")
        .contains(
            "  nothing needs to be done; to go back to this build, re-run its step in Bitbucket",
        )
        .does_not_contain("✖")
        .does_not_contain("s3:PutObject")
        .does_not_contain("next: ");
    assert!(case.invalidations().is_empty());
    assert_eq!(case.objects()[0].body(), b"the old container");

    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "56"}));
    case.run().exits(0);
    assert_eq!(case.objects()[0].content(), sample::minified("mojito"));

    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "58"}));
    let case = case.env("BITBUCKET_STEP_RUN_NUMBER", "2");
    case.run().exits(0);
    assert_eq!(case.objects()[0].headers["x-amz-meta-build-number"], "57");
}

#[test]
fn of_several_containers_one_that_is_superseded_hides_no_failure_and_no_success() {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true")
        .list("CONTAINER_NAME", &["mojito", "shop"]);
    sample::build(case.repository(), "shop");
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "58"}));
    // Another container cannot be written.
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.run()
        .exits(3)
        .contains("not replaced: shop; visitors still get the old container")
        .contains("not replaced: mojito; build 58 is live");
    // Another container is not invalidated.
    let write =
        json!({"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "*"});
    case.set_policy(json!([write]));
    case.run()
        .exits(4)
        .contains("replaced: shop\n")
        .contains("not replaced: mojito; build 58 is live");
    // All else is well.
    case.set_policy(json!([
        write,
        case.may_invalidate(&case.world.distribution)
    ]));
    case.run()
        .exits(6)
        .contains("is published to production, except where a newer build is live")
        .contains("replaced: shop\n")
        .contains("not replaced: mojito; build 58 is live");
    assert_eq!(case.invalidations()[0].paths, ["/js/shop.js"]);
    assert_eq!(case.objects()[0].body(), b"the old container");
}

#[test]
fn only_newer_without_the_permission_to_read_is_an_error() {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true");
    case.run().exits(0);
    case.run()
        .exits(3)
        .contains("the object exists, but its build number may not be read")
        .contains("`ONLY_NEWER` needs `s3:GetObject`: leave `ONLY_NEWER` off, or\n  add this statement to the user or role\n")
        .contains("      \"s3:PutObject\",\n      \"s3:GetObject\"\n    ],\n    \"Resource\": [\n      \"arn:aws:s3:::[BUCKET]/js/mojito.js\"\n");
}

#[test]
fn a_role_is_assumed_with_a_session_policy_of_exactly_this_run() {
    let case = Case::production().in_bitbucket("BITBUCKET_TAG", "v1");
    let (case, role) = case.with_broad_role();
    let case = case
        // They must not be used.
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    case.run().exits(0).contains(&format!(
        "credentials: role {role}, assumed with OpenID Connect"
    ));
    assert_eq!(case.keys(), ["js/mojito.js"]);
    let requests = case.requests();
    let assume = requests
        .iter()
        .find(|request| request.body.contains("AssumeRoleWithWebIdentity"))
        .unwrap();
    assert_eq!(assume.authorization, "");
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "WriteContainer", "Effect": "Allow", "Action": ["s3:PutObject"],
         "Resource": [format!("arn:aws:s3:::{}/js/mojito.js", case.world.bucket)]},
        {"Sid": "InvalidateContainer", "Effect": "Allow", "Action": ["cloudfront:CreateInvalidation"],
         "Resource": [format!("arn:aws:cloudfront::{}:distribution/{}", case.world.account, case.world.distribution)]},
    ]});
    let sent = form_field(&assume.body, "Policy");
    assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), policy);
    assert_eq!(form_field(&assume.body, "RoleSessionName"), "acme-site-57");
}

fn form_field(body: &str, name: &str) -> String {
    let field = body
        .split('&')
        .find_map(|field| field.strip_prefix(&format!("{name}=")))
        .expect("the form has the field");
    percent_encoding::percent_decode_str(&field.replace('+', " "))
        .decode_utf8()
        .expect("the form is UTF-8")
        .into_owned()
}
