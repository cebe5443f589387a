//! `summary` of the result, for every way to end.

use std::fs;

use serde_json::json;
use snapbox::{assert_data_eq, str, IntoData};

use crate::support::harness::Case;
use crate::support::sample;

const MAX_CHARS: usize = 4_000;

fn production() -> Case {
    Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1.4.0")
        .storing_results()
}

#[track_caller]
fn summary(case: &Case) -> String {
    let summary = case.result()["summary"].as_str().unwrap().to_owned();
    assert!(summary.chars().count() <= MAX_CHARS, "{summary}");
    summary
}

/// The summary of a run. `[..]` stands for what differs from world to world.
#[track_caller]
fn ends(case: &Case, code: i32, expected: impl IntoData) {
    let ended = case.run().exits(code);
    assert_data_eq!(ended.redact(&summary(case)), expected);
}

/// A case that compares with what visitors get now.
fn comparing(case: Case) -> Case {
    let edge = case.world.edge.clone();
    case.env("PUBLIC_URL", &edge)
}

/// With what visitors get now, and what they are to get.
fn changing() -> Case {
    let case = comparing(production());
    let build = |experiments| {
        sample::build_with(case.repository(), "mojito", experiments, "e", "1f2e3d4");
    };
    build(sample::BEFORE);
    case.run().exits(0);
    build(sample::AFTER);
    case
}

#[test]
fn a_preview_and_a_publish_say_what_changes_for_visitors_and_what_that_means() {
    let case = changing().env("DRY_RUN", "true");
    ends(
        &case,
        0,
        str![[r#"
**Preview of a publish to production: nothing is written**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

What changes for visitors:

- **starts** `w13` `Free delivery above 50 €`: `25%`
- **ramps** `w12` `Larger buy button`: `10% → 50%`
- **diverts** `w9` `Shorter checkout`: `50% → all get 'Treatment'`
- **stops** `w7` `Free returns in the footer`: `50% → removed`
- **changes** `w14` `Gift wrapping`: `js of 'Treatment'`

What this means:

- `w12`: new rate for new visitors only: those left out stay out until their cookie expires
- `w9`: one recipe for all, also those left out; no exposures are tracked
"#]],
    );
    let case = case.env("DRY_RUN", "false");
    ends(
        &case,
        0,
        str![[r#"
**Published to production**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

Visitors get it from now on.

What changes for visitors:

- **starts** `w13` `Free delivery above 50 €`: `25%`
- **ramps** `w12` `Larger buy button`: `10% → 50%`
- **diverts** `w9` `Shorter checkout`: `50% → all get 'Treatment'`
- **stops** `w7` `Free returns in the footer`: `50% → removed`
- **changes** `w14` `Gift wrapping`: `js of 'Treatment'`

What this means:

- `w12`: new rate for new visitors only: those left out stay out until their cookie expires
- `w9`: one recipe for all, also those left out; no exposures are tracked
"#]],
    );
    ends(
        &case,
        0,
        str![[r#"
**Published to production**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

Visitors get it from now on.

Nothing changes for visitors.
"#]],
    );
}

#[test]
fn what_another_file_changes_is_not_known_without_validation() {
    let case = changing().env("VALIDATE", "false").env("DRY_RUN", "true");
    case.run().exits(0);
    let summary = summary(&case);
    assert!(
        summary.contains("\n\nWhat changes for visitors is not known."),
        "{summary}"
    );
}

#[test]
fn a_first_publish_says_that_the_changes_are_not_known() {
    ends(
        &production(),
        0,
        str![[r#"
**Published to production**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

Visitors get it from now on.

What changes for visitors is not known.
"#]],
    );
    let by_hand = Case::development()
        .unset("DISTRIBUTION_ID")
        .storing_results();
    ends(
        &by_hand,
        0,
        str![[r#"
**Published to development**

container `mojito`

Visitors get it when the CDN's cache expires, as nothing is invalidated.

What changes for visitors is not known.

Warnings:

- `nothing is invalidated, as 'DISTRIBUTION_ID' is not set: the CDN serves the old container until its cache expires`
"#]],
    );
}

#[test]
fn a_refusal_says_what_is_wrong() {
    ends(
        &production().env("WAIT", "yes"),
        2,
        str![[r#"
**Refused, and not published**

`build 57 (v1.4.0, 1f2e3d4)`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

Nothing was replaced: visitors still get the old container.

What failed:

```
`WAIT` is `yes`, expected `true` or `false`
```
"#]],
    );
    let case = production().file("dist/assets/js/mojito.js", "Mojito={};a(");
    ends(
        &case,
        2,
        str![[r#"
**Refused, and not published**

`build 57 (v1.4.0, 1f2e3d4)`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

Nothing was replaced: visitors still get the old container.

What failed:

```
`dist/assets/js/mojito.js` is truncated, or has an unclosed bracket, string or comment: Expected `)` but found `EOF`
 --> dist/assets/js/mojito.js:1:13
  |
1 | Mojito={};a(
  |             ^
check its sources and rebuild
to publish it anyway, set `VALIDATE` to `false`
```
"#]],
    );
}

#[test]
fn a_failure_says_what_to_do() {
    let denied = production().env("S3_PREFIX", "other");
    ends(
        &denied,
        3,
        str![[r#"
**Not published to production**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

Nothing was replaced: visitors still get the old container.

What failed:

```
s3:PutObject on s3://[BUCKET]/other/mojito.js failed: AccessDenied (HTTP 403): Access Denied (request id [..])
```

What to do:

```
first, are these the credentials of production?
  [USER]
are the bucket and the folder right (`S3_BUCKET`, `S3_PREFIX`)?
  s3://[BUCKET]/other/
if so, the credentials lack `s3:PutObject`:
add this statement to the user or role
{
  "Sid": "WriteContainer",
  "Effect": "Allow",
  "Action": [
    "s3:PutObject"
  ],
  "Resource": [
    "arn:aws:s3:::[BUCKET]/other/mojito.js"
  ]
}
`mojito-publish policy --production` prints all that the run needs, and
`mojito-publish check --production` shows what credentials can write
```
"#]],
    );
    let case = production()
        .env("AWS_SECRET_ACCESS_KEY", "wrong")
        .arg("--dry-run");
    ends(
        &case,
        3,
        str![[r#"
**Preview: a publish to production would fail**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

What failed:

```
s3:GetObject on s3://[BUCKET]/js/mojito.js failed: SignatureDoesNotMatch (HTTP 403): The request signature we calculated does not match the signature you provided. Check your key and signing method. (request id [..])
```

What to do:

```
the secret does not match this access key: `AWS_SECRET_ACCESS_KEY` of this deployment environment may be truncated or contain a space
```
"#]],
    );
    let case = production().unset("AWS_SECRET_ACCESS_KEY");
    ends(
        &case,
        2,
        str![[r#"
**Refused, and not published**

`build 57 (v1.4.0, 1f2e3d4)`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

Nothing was replaced: visitors still get the old container.

What failed:

```
`AWS_SECRET_ACCESS_KEY` is not set, but `AWS_ACCESS_KEY_ID` is
in Bitbucket, a secured variable of another deployment environment is empty here
```
"#]],
    );
}

#[test]
fn a_run_that_ends_before_it_has_begun_says_that_nothing_changed() {
    let case = Case::production()
        .with_broad_role()
        .0
        .in_bitbucket("BITBUCKET_TAG", "v1.4.0")
        .storing_results();
    let body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message></Error></ErrorResponse>";
    case.fault(json!({"method": "POST", "path": "/", "status": 403, "body": body, "times": 9}));
    ends(
        &case,
        3,
        str![[r#"
**Not published**

`build 57 (v1.4.0, 1f2e3d4)`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

Nothing was replaced: visitors still get the old container.

What failed:

```
sts:AssumeRoleWithWebIdentity on arn:aws:iam::123456789012:role/role-[..] failed: AccessDenied (HTTP 403): Not authorized (request id TESTREQUEST, host id TESTHOST)
```

What to do:

```
the role does not trust this step: its trust policy must name Bitbucket's identity provider, the workspace's audience, and this repository (and deployment environment) as the subject
```
"#]],
    );
}

#[test]
fn an_unknown_outcome_is_not_a_failure() {
    let case = production();
    case.fault(json!({"method": "PUT", "path": "/js/mojito.js", "after": true, "hang_up": true, "times": 99}));
    ends(
        &case,
        3,
        str![[r#"
**Not known whether this is published to production: S3 did not confirm it**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

What failed:

```
s3:PutObject on s3://[BUCKET]/js/mojito.js was not confirmed: dispatch failure: other: connection closed before message completed
```

What to do:

```
AWS was unreachable or did not respond: check the network, `HTTPS_PROXY` and any `AWS_ENDPOINT_URL`, then re-run
```

What changes for visitors is not known.
"#]],
    );
}

#[test]
fn of_several_containers_each_is_named_with_what_became_of_it() {
    let case = Case::containers(3, &["s3:PutObject"]).storing_results();
    let body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    case.fault(
        json!({"method": "PUT", "path": "/js/site1.js", "status": 403, "body": body, "times": 9}),
    );
    case.run().exits(3);
    let summary = summary(&case);
    assert!(
        summary.starts_with("**Not everything is published to production**\n\ncontainers `site0`, `site1`, `site2`\n\n"),
        "{summary}"
    );
    assert!(
        summary.contains("\n\nStill the old container: `site1`\n\n"),
        "{summary}"
    );
}

#[test]
fn what_is_not_invalidated_or_not_verified_is_said() {
    let case = production();
    case.set_policy(json!([
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/js/mojito.js", case.world.bucket)},
    ]));
    ends(
        &case,
        4,
        str![[r#"
**Published to production, but CloudFront was not invalidated**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

Visitors may get the old container until the CDN's cache expires.

What failed:

```
cloudfront:CreateInvalidation on [DISTRIBUTION] failed: AccessDenied (HTTP 403): User: [USER] is not authorized to perform: cloudfront:CreateInvalidation (request id [..])
```

What to do:

```
first, are these the credentials of production?
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
    "arn:aws:cloudfront::123456789012:distribution/[DISTRIBUTION]"
  ]
}
`mojito-publish policy --production` prints all that the run needs, and
`mojito-publish check --production` shows what credentials can write
```

What changes for visitors is not known.
"#]],
    );
    let case = production();
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.call::<()>("set_store", json!({"drops_headers": ["content-encoding"]}));
    ends(
        &case,
        5,
        str![[r#"
**Published to production, but not verified**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

It is not certain that visitors get it.

What failed:

```
s3://[BUCKET]/js/mojito.js: the store drops its Content-Encoding, which was sent as `gzip`
```

What to do:

```
have the store keep the headers of an upload; browsers cannot read the container without them
```

What changes for visitors is not known.
"#]],
    );
}

#[test]
fn a_superseded_build_needs_nothing() {
    let mut case = production().env("ONLY_NEWER", "true");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "58"}));
    ends(
        &case,
        6,
        str![[r#"
**Not published to production: a newer build is live**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

Nothing needs to be done.
"#]],
    );
    case = case.env("DRY_RUN", "true");
    ends(
        &case,
        6,
        str![[r#"
**Preview: a newer build is live, which a publish to production would not replace**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)
"#]],
    );
}

#[test]
fn a_run_that_is_stopped_says_what_is_known() {
    let case = production();
    let upload = case.hold("PUT", "/js/mojito.js");
    let run = case.start();
    upload.wait();
    run.signal("-TERM");
    let ended = run.end().exits(3);
    assert_data_eq!(
        ended.redact(&summary(&case)),
        str![[r#"
**Not known whether this is published to production: S3 did not confirm it (stopped by SIGTERM)**

`build 57 (v1.4.0, 1f2e3d4)`, container `mojito`, [pipeline](https://bitbucket.org/acme/site/pipelines/results/57)

What to do: re-run the step, which is safe at any time.

What changes for visitors is not known.
"#]]
    );
}

/// Markdown, HTML, links, mentions and table cells in all that a container names.
const HOSTILE: &str =
    "`` ` ``` **b** <img src=x onerror=a()> [a](http://e.example) @all | # &lt; ~~x~~ \\\\";

#[test]
fn names_from_a_container_are_text_and_nothing_else() {
    let case = comparing(production());
    let container = |rate: &str| {
        let name = HOSTILE.replace('\'', "");
        format!(
            "Mojito=function(){{return{{addTest:function(){{}}}}}}();Mojito.addTest({{id:'{name}\\n# a',name:'{name}',state:'live',\
             sampleRate:{rate},recipes:{{0:{{name:'{name}'}},1:{{}}}},trigger:function(){{}}}});"
        )
    };
    for rate in [".1", ".5"] {
        fs::write(case.dist("mojito.js"), container(rate)).unwrap();
        case.run().exits(0);
    }
    let summary = summary(&case);
    assert!(summary.contains("**ramps** `"), "{summary}");
    assert!(
        summary.contains("new rate for new visitors only"),
        "{summary}"
    );
    // Outside of code spans, nothing of the names is left.
    for line in summary.lines() {
        let outside: String = line.split('`').step_by(2).collect();
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
        for hostile in [
            "<",
            "img",
            "http://e.example",
            "@",
            "|",
            "&",
            "~",
            "\\",
            "# a",
        ] {
            assert!(!outside.contains(hostile), "{line}");
        }
    }
}

#[test]
fn what_aws_says_stays_in_its_block() {
    let case = production();
    let words = "no ``` end <b>@all</b> | \n# heading";
    let body = format!(
        "<Error><Code>Strange</Code><Message>{}</Message></Error>",
        words.replace('<', "&lt;")
    );
    case.fault(
        json!({"method": "PUT", "path": "/js/mojito.js", "status": 400, "body": body, "times": 9}),
    );
    case.run().exits(3);
    let summary = summary(&case);
    let fences = summary.lines().filter(|line| line.contains("```"));
    assert!(fences.clone().all(|line| line == "```"), "{summary}");
    assert_eq!(fences.count() % 2, 0, "{summary}");
    let outside: String = summary.split("\n```\n").step_by(2).collect();
    assert!(
        !outside.contains("heading") && !outside.contains("@all"),
        "{summary}"
    );
}

#[test]
fn a_summary_is_short_whatever_the_containers_hold() {
    let case = comparing(Case::containers(4, &["s3:PutObject"]).storing_results());
    for rate in [".1", ".5"] {
        let experiment = |number: usize| {
            let name = "x".repeat(2_000);
            format!("Mojito.addTest({{id:'{number}{name}',name:'{name}',state:'live',sampleRate:{rate},recipes:{{0:{{}},1:{{}}}},trigger:function(){{}}}});")
        };
        let experiments: String = (0..300).map(experiment).collect();
        let library = "Mojito=function(){return{addTest:function(){}}}();";
        for number in 0..4 {
            let file = case.dist(&format!("site{number}.js"));
            fs::write(file, format!("{library}{experiments}")).unwrap();
        }
        case.run().exits(0);
    }
    let summary = summary(&case);
    assert!(summary.contains("\n- and 288 more\n"), "{summary}");
    assert!(summary.contains(" and 290 more: new rate"), "{summary}");
    let end = "\n\nWhat else changes is in the log of the step.";
    assert!(summary.ends_with(end), "{summary}");
}

#[test]
fn of_many_containers_those_that_fit_are_listed_and_the_others_counted() {
    let case = comparing(Case::containers(30, &["s3:PutObject"]).storing_results());
    case.run().exits(0);
    for number in 0..15 {
        let file = case.dist(&format!("site{number}.js"));
        let content = fs::read_to_string(&file).unwrap();
        fs::write(&file, content.replacen("activate", "activated", 1)).unwrap();
    }
    case.run().exits(0);
    let summary = summary(&case);
    assert!(summary.contains(" and 20 more\n"), "{summary}");
    assert!(summary.contains("Something else changes for visitors: 5 of 30 containers.\n\nNothing changes for visitors: 15 of 30 containers."), "{summary}");
}

#[test]
fn a_secret_is_recognized_before_it_is_shown_in_another_form() {
    let case = production();
    let secret = case.world.secret_access_key.clone();
    let body = format!("<Error><Code>Strange</Code><Message>{secret} and more</Message></Error>");
    case.fault(
        json!({"method": "PUT", "path": "/js/mojito.js", "status": 400, "body": body, "times": 9}),
    );
    case.run().exits(3);
    let summary = summary(&case);
    assert!(
        summary.contains("*** and more") && !summary.contains(&secret),
        "{summary}"
    );
}
