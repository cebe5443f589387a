//! What a publish stores, invalidates and prints.

use std::fs;

use serde_json::json;
use snapbox::str;

use crate::support::harness::{Case, Stored};
use crate::support::sample;

const PROVENANCE: [(&str, &str); 3] = [
    ("build-number", "57"),
    ("commit", "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c"),
    ("repository", "acme/site"),
];

#[track_caller]
fn assert_objects(case: &Case, expected: &[(&str, String)], provenance: &[(&str, &str)]) {
    let objects = case.objects();
    assert_eq!(
        objects
            .iter()
            .map(|object| object.key.as_str())
            .collect::<Vec<_>>(),
        expected.iter().map(|(key, _)| *key).collect::<Vec<_>>()
    );
    for (object, (key, content)) in objects.iter().zip(expected) {
        object.assert(key, content, provenance);
    }
}

#[track_caller]
fn assert_invalidated(case: &Case, expected: &[(&str, &[&str])]) {
    let invalidations = case.invalidations();
    let made: Vec<(&str, Vec<&str>)> = invalidations
        .iter()
        .map(|made| {
            (
                made.distribution.as_str(),
                made.paths.iter().map(String::as_str).collect(),
            )
        })
        .collect();
    let expected: Vec<(&str, Vec<&str>)> = expected
        .iter()
        .map(|(id, paths)| (*id, paths.to_vec()))
        .collect();
    assert_eq!(made, expected);
}

#[test]
fn a_push_to_develop_publishes_both_files_to_development() {
    let case = Case::development().in_bitbucket("BITBUCKET_BRANCH", "develop");
    case.run().exits(0).prints(str![[r#"
[VERSION]
credentials: [KEY]
  [USER]
publishing container mojito to development (branch `develop`)
build 57, commit 1f2e3d4, of acme/site
bucket: s3://[BUCKET]/jsdev/ in ap-southeast-2
container mojito: 1 live, 1 staged
  built 2026-11-24 05:00 UTC from commit 1f2e3d4 with Mojito 2.7.1
  [32mlive[0m    █████░░░░░  50%  w1  W1 Größere Schaltfläche  Control / Treatment
  staged                   w2  W2 Headline              Control / Treatment
tip: set `PUBLIC_URL` to see what changes for visitors
[32m✔ uploaded s3://[BUCKET]/jsdev/mojito.pretty.js: 2,573 bytes, 968 bytes compressed[0m
[32m✔ uploaded s3://[BUCKET]/jsdev/mojito.js: 1,483 bytes, 807 bytes compressed[0m
[32m✔ created invalidation [INVALIDATION] of [DISTRIBUTION]: /jsdev/mojito.pretty.js, /jsdev/mojito.js[0m
[32m✔ build 57 (develop, 1f2e3d4) is published to development; CloudFront invalidation [INVALIDATION] in progress ([..])[0m

"#]]);
    let mut provenance = PROVENANCE.to_vec();
    provenance.push(("branch", "develop"));
    assert_objects(
        &case,
        &[
            ("jsdev/mojito.js", sample::minified("mojito")),
            ("jsdev/mojito.pretty.js", sample::pretty("mojito")),
        ],
        &provenance,
    );
    assert_invalidated(
        &case,
        &[(
            &case.world.distribution,
            &["/jsdev/mojito.pretty.js", "/jsdev/mojito.js"],
        )],
    );
}

#[test]
fn a_tag_publishes_one_file_to_production_with_the_right_to_one_key() {
    let case = Case::production()
        .unset("ENVIRONMENT")
        .in_bitbucket("BITBUCKET_TAG", "v1.4.0");
    case.run().exits(0).contains("publishing container mojito to production (tag `v1.4.0`)\nbuild 57, commit 1f2e3d4, of acme/site\n");
    let mut provenance = PROVENANCE.to_vec();
    provenance.push(("tag", "v1.4.0"));
    assert_objects(
        &case,
        &[("js/mojito.js", sample::minified("mojito"))],
        &provenance,
    );
    assert_invalidated(&case, &[(&case.world.distribution, &["/js/mojito.js"])]);
}

#[test]
fn by_hand_a_mojito_repository_needs_no_setting_but_credentials() {
    let case = Case::development()
        .unset("S3_BUCKET")
        .unset("CONTAINER_NAME")
        .unset("AWS_DEFAULT_REGION")
        .unset("DISTRIBUTION_ID");
    let config = sample::config_js("mojito", &case.world.bucket, &case.world.region);
    let case = case.file("config.js", config);
    case.run().exits(0).contains("publishing container mojito to development (by hand, without `--production`)").contains("bucket: s3://[BUCKET]/jsdev/ in ap-southeast-2").contains("WARNING: nothing is invalidated, as `DISTRIBUTION_ID` is not set\n  the CDN serves the old container until its cache expires");
    assert_objects(
        &case,
        &[
            ("jsdev/mojito.js", sample::minified("mojito")),
            ("jsdev/mojito.pretty.js", sample::pretty("mojito")),
        ],
        &[],
    );
    assert_invalidated(&case, &[]);
}

#[test]
fn production_by_hand_needs_the_flag() {
    for flags in [&["--production"][..], &["publish", "--production"]] {
        let mut case = Case::production().unset("ENVIRONMENT");
        for flag in flags {
            case = case.arg(flag);
        }
        case.run()
            .exits(0)
            .contains("publishing container mojito to production (`--production`)");
        assert_eq!(case.keys(), ["js/mojito.js"]);
    }
}

#[test]
fn several_containers_go_to_several_distributions_each_script_after_its_pretty_form() {
    let case = Case::development();
    let second: String = case.call("add_distribution", json!({}));
    case.set_policy(json!([
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/sites/acme/*", case.world.bucket)},
        case.may_invalidate(&case.world.distribution),
        case.may_invalidate(&second),
    ]));
    sample::build(case.repository(), "shop");
    sample::build(case.repository(), "blog und mehr");
    let first = case.world.distribution.clone();
    let case = case
        .unset("CONTAINER_NAME")
        .unset("DISTRIBUTION_ID")
        .env("CONTAINER_NAME_COUNT", "3")
        .env("CONTAINER_NAME_0", "mojito")
        .env("CONTAINER_NAME_1", "shop")
        .env("CONTAINER_NAME_2", "blog und mehr")
        .env("DISTRIBUTION_ID_COUNT", "2")
        .env("DISTRIBUTION_ID_0", &first)
        .env("DISTRIBUTION_ID_1", &second)
        .env("S3_PREFIX", "/sites/acme/")
        .env("CDN_PREFIX", "acme");
    case.run()
        .exits(0)
        .contains("publishing containers mojito, shop, blog und mehr to development");
    let names = ["blog und mehr", "mojito", "shop"];
    let expected: Vec<(String, String)> = names
        .iter()
        .flat_map(|name| {
            [
                (format!("sites/acme/{name}.js"), sample::minified(name)),
                (format!("sites/acme/{name}.pretty.js"), sample::pretty(name)),
            ]
        })
        .collect();
    let expected: Vec<(&str, String)> = expected
        .iter()
        .map(|(key, content)| (key.as_str(), content.clone()))
        .collect();
    assert_objects(&case, &expected, &[]);
    let paths: &[&str] = &[
        "/acme/mojito.pretty.js",
        "/acme/mojito.js",
        "/acme/shop.pretty.js",
        "/acme/shop.js",
        "/acme/blog%20und%20mehr.pretty.js",
        "/acme/blog%20und%20mehr.js",
    ];
    assert_invalidated(&case, &[(&first, paths), (&second, paths)]);
    let uploads: Vec<String> = case
        .requests()
        .into_iter()
        .filter(|request| request.method == "PUT")
        .map(|request| request.path)
        .collect();
    for name in ["mojito", "shop", "blog%20und%20mehr"] {
        let position = |file: &str| {
            uploads
                .iter()
                .position(|path| path.contains(&format!("/{name}{file}?")))
                .unwrap()
        };
        assert!(position(".pretty.js") < position(".js"), "{uploads:?}");
    }
}

#[test]
fn the_pretty_file_is_published_as_set() {
    let case = Case::development().env("PRETTY", "False");
    case.run().exits(0);
    assert_eq!(case.keys(), ["jsdev/mojito.js"]);

    let case = Case::production().env("PRETTY", "true");
    case.set_policy(json!([
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/js/mojito*", case.world.bucket)},
        case.may_invalidate(&case.world.distribution),
    ]));
    case.run().exits(0);
    assert_eq!(case.keys(), ["js/mojito.js", "js/mojito.pretty.js"]);
}

#[test]
fn headers_and_acl_are_as_set() {
    let case = Case::production()
        .env("CACHE_CONTROL", "public, max-age=60")
        .env("ACL", "public-read");
    case.allow_on_container(&["s3:PutObject", "s3:PutObjectAcl"]);
    case.run().exits(0);
    let objects: Vec<Stored> = case.objects();
    assert_eq!(objects[0].headers["cache-control"], "public, max-age=60");
    assert!(
        objects[0]
            .acl
            .iter()
            .any(|grant| grant.contains("AllUsers")),
        "{:?}",
        objects[0].acl
    );

    let case = Case::production();
    case.run().exits(0);
    assert!(!case.objects()[0]
        .acl
        .iter()
        .any(|grant| grant.contains("AllUsers")));
}

#[test]
fn the_prefix_comes_from_setting_bucket_and_environment_in_this_order() {
    #[track_caller]
    fn case(bucket_suffix: &str, prefix: Option<&str>, key: &str) {
        let mut case = Case::production();
        case.set_policy(json!([{"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/{key}", case.world.bucket)}]));
        let bucket = format!("{}{bucket_suffix}", case.world.bucket);
        case = case.env("S3_BUCKET", &bucket).unset("DISTRIBUTION_ID");
        if let Some(prefix) = prefix {
            case = case.env("S3_PREFIX", prefix);
        }
        case.run().exits(0);
        assert_eq!(case.keys(), [key]);
    }
    case("", None, "js/mojito.js");
    case("/sites/acme", None, "sites/acme/mojito.js");
    case("/sites/acme", Some("other"), "other/mojito.js");
    case("/sites/acme", Some("/"), "mojito.js");
}

#[test]
fn publishing_the_same_again_stores_the_same_bytes_and_invalidates_again() {
    let case = Case::production();
    case.run().exits(0);
    let first = case.objects();
    case.run().exits(0);
    let second = case.objects();
    assert_eq!(second[0].body(), first[0].body());
    // An object leads to its invalidation.
    let invalidations = case.invalidations();
    assert_eq!(invalidations.len(), 2);
    for (object, invalidation) in [first, second].concat().iter().zip(&invalidations) {
        assert_eq!(object.caller_reference(), invalidation.caller_reference);
    }
    assert_ne!(
        invalidations[0].caller_reference,
        invalidations[1].caller_reference
    );
    assert_eq!(invalidations[0].paths, invalidations[1].paths);
}

#[test]
fn other_folders_are_read_where_they_are() {
    let case = Case::production().env("LOCAL_PATH", "elsewhere");
    fs::rename(
        case.repository().join("dist/assets/js"),
        case.repository().join("elsewhere"),
    )
    .unwrap();
    case.run().exits(0);
    assert_eq!(case.objects()[0].content(), sample::minified("mojito"));
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    for dry in ["--dry-run", "DRY_RUN"] {
        let mut case = Case::development().in_bitbucket("BITBUCKET_BRANCH", "develop");
        case = if dry == "DRY_RUN" {
            case.env("DRY_RUN", "true")
        } else {
            case.arg(dry)
        };
        case.run().exits(0).prints(str![[r#"
[VERSION]
credentials: [KEY]
dry run: would publish container mojito to development (branch `develop`)
build 57, commit 1f2e3d4, of acme/site
bucket: s3://[BUCKET]/jsdev/ in ap-southeast-2
container mojito: 1 live, 1 staged
  built 2026-11-24 05:00 UTC from commit 1f2e3d4 with Mojito 2.7.1
  [32mlive[0m    █████░░░░░  50%  w1  W1 Größere Schaltfläche  Control / Treatment
  staged                   w2  W2 Headline              Control / Treatment
would upload s3://[BUCKET]/jsdev/mojito.pretty.js: 2,573 bytes, 968 bytes compressed
would upload s3://[BUCKET]/jsdev/mojito.js: 1,483 bytes, 807 bytes compressed
each with
  Content-Type: application/javascript; charset=utf-8
  Content-Encoding: gzip
  Cache-Control: public, max-age=300, s-maxage=300, must-revalidate
  x-amz-meta-branch: develop
  x-amz-meta-build-number: 57
  x-amz-meta-commit: 1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c
  x-amz-meta-published-by: mojito-publish/0.1.0
  x-amz-meta-repository: acme/site
would invalidate in [DISTRIBUTION]:
  /jsdev/mojito.pretty.js
  /jsdev/mojito.js
1,775 bytes in all
tip: set `PUBLIC_URL` to see what changes for visitors
[32m✔ dry run: nothing was written[0m

"#]]);
        case.assert_nothing_written();
    }
}

#[test]
fn with_wait_and_public_url_it_waits_until_visitors_get_the_container() {
    let case = Case::production().env("WAIT", "true");
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge);
    case.set_policy(json!([
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/js/mojito.js", case.world.bucket)},
        {"Effect": "Allow", "Action": ["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"],
         "Resource": format!("arn:aws:cloudfront::{}:distribution/{}", case.world.account, case.world.distribution)},
    ]));
    case.run()
        .exits(0)
        .contains("waiting for invalidation [INVALIDATION] of [DISTRIBUTION] to complete (")
        .contains("✔ invalidation [INVALIDATION] of [DISTRIBUTION] completed")
        .contains("✔ [EDGE]/js/mojito.js serves the new container")
        // Once is enough.
        .does_not_contain("\n  [EDGE]/js/mojito.js\n");
    let polls = case
        .requests()
        .iter()
        .filter(|request| request.method == "GET")
        .count();
    assert!(
        polls >= 2,
        "the first look finds it in progress, and there were {polls}"
    );
}

#[test]
fn waiting_without_the_permission_is_not_verified_and_names_it() {
    let case = Case::production().env("WAIT", "true");
    case.run().exits(5).contains("✖ cloudfront:GetInvalidation on [DISTRIBUTION] failed: AccessDenied").contains("is published to production and invalidated, but CloudFront was not seen to complete the invalidation (after ").contains("\n  the invalidation continues by itself\n").contains(r#"  what to do: `WAIT` needs `cloudfront:GetInvalidation`: leave `WAIT` off, or
  add this statement to the user or role
  {
    "Sid": "InvalidateContainer",
    "Effect": "Allow",
    "Action": [
      "cloudfront:CreateInvalidation",
      "cloudfront:GetInvalidation"
    ],
    "Resource": [
"#).contains(":distribution/[DISTRIBUTION]\"\n    ]\n  }\n");
    assert_eq!(case.keys(), ["js/mojito.js"]);
}

#[test]
fn the_public_url_is_polled_until_it_serves_the_new_container() {
    let case = Case::production();
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge);
    case.run().exits(0);
    // The edge has it now, and keeps it until the next invalidation is finished.
    let case = case.file(
        "dist/assets/js/mojito.js",
        sample::minified("mojito") + "\n// the next build",
    );
    case.run().exits(0).contains(&format!(
        "waiting for {edge}/js/mojito.js to serve the new container"
    ));
}

#[test]
fn colours_are_for_ci_unless_no_color_is_set() {
    let green = "\u{1b}[32m✔ uploaded";
    let case = Case::production();
    case.run()
        .exits(0)
        .contains("✔ uploaded")
        .does_not_contain("\u{1b}");
    let case = case.env("CI", "true");
    case.run().exits(0).contains(green);
    let case = case.env("NO_COLOR", "1");
    case.run()
        .exits(0)
        .contains("✔ uploaded")
        .does_not_contain("\u{1b}");
}

#[test]
fn the_debug_log_has_a_line_for_every_response_and_no_secret() {
    let case = Case::production()
        .env("DEBUG", "true")
        .env("AWS_SESSION_TOKEN", "");
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge);
    case.fault(json!({"method": "PUT", "path": "/js/mojito.js", "status": 503, "body": "<Error><Code>SlowDown</Code></Error>"}));
    let ended = case.run().exits(0);
    let (endpoint, bucket) = (&case.world.endpoint, &case.world.bucket);
    let distribution = &case.world.distribution;
    for (response, times) in [
        (
            format!("PUT {endpoint}/{bucket}/js/mojito.js?x-id=PutObject: HTTP 503 SlowDown in "),
            1,
        ),
        (
            format!("PUT {endpoint}/{bucket}/js/mojito.js?x-id=PutObject: HTTP 200 in "),
            1,
        ),
        (
            format!(
                "POST {endpoint}/2020-05-31/distribution/{distribution}/invalidation: HTTP 201 in "
            ),
            1,
        ),
        (format!("POST {endpoint}/: HTTP 200 in "), 1),
        (format!("GET {edge}/js/mojito.js: HTTP 403"), 1),
        (format!("GET {edge}/js/mojito.js: HTTP 200 in "), 1),
    ] {
        let lines = ended.output.lines().filter(|line| line.contains(&response));
        assert_eq!(lines.count(), times, "{response}:\n{}", ended.output);
    }
    for setting in [
        "S3_PREFIX: js (default)",
        "AWS_SECRET_ACCESS_KEY: (secret) (variable)",
        "ENVIRONMENT: production (variable)",
    ] {
        let ending = format!(" s DEBUG {setting}");
        let mut lines = ended.output.lines();
        assert!(
            lines.any(|line| line.ends_with(&ending)),
            "{setting}:\n{}",
            ended.output
        );
    }
    let retried = ended
        .output
        .lines()
        .find(|line| line.contains(", attempt 2, request id "));
    assert!(
        retried.is_some_and(|line| line.contains(" s DEBUG PUT ")),
        "{}",
        ended.output
    );
}
