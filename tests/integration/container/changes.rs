//! What changes for visitors: printed by a dry run, and by a publish before it changes it.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{json, Value};
use snapbox::{assert_data_eq, file};

use crate::support::harness::{with_credentials_second, Case, Ended};
use crate::support::sample::{self, Experiment};
use crate::support::unreachable::Unreachable;

const HERO: Experiment = Experiment {
    id: "w1",
    name: "W1 Hero",
    properties: "\"state\":\"live\",\"sampleRate\":0.1",
    headline: "Welcome",
};
const HEADLINE: Experiment = Experiment {
    id: "w2",
    name: "W2 Headline",
    properties: "\"state\":\"live\",\"sampleRate\":0.5",
    headline: "Hello",
};
const FOOTER: Experiment = Experiment {
    id: "w3",
    name: "W3 Footer",
    properties: "\"state\":\"staging\",\"sampleRate\":1",
    headline: "Bye",
};
const DELIVERY: Experiment = Experiment {
    id: "w4",
    name: "W4 Free delivery",
    properties: "\"state\":\"live\",\"sampleRate\":0.25",
    headline: "Free",
};

/// Builds these experiments; each build calls its variables otherwise, as minifiers do.
fn build(case: &Case, experiments: &[Experiment], variable: &str) {
    sample::build_with(
        case.repository(),
        "mojito",
        experiments,
        variable,
        "1f2e3d4",
    );
}

fn ramped() -> Experiment {
    Experiment {
        properties: "\"state\":\"live\",\"sampleRate\":0.5",
        ..HERO
    }
}

/// What is listed of the difference.
#[track_caller]
fn changes(ended: &Ended) -> Vec<String> {
    let mut lines = ended
        .output
        .lines()
        .skip_while(|line| !line.starts_with("changes to the live container ("));
    assert!(lines.next().is_some(), "no changes in:\n{}", ended.output);
    let lines = lines.take_while(|line| line.starts_with("  ") && !line.starts_with("    size"));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn one_more_one_ramped_and_one_stopped_is_exactly_that() {
    let case = Case::production();
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge);
    build(&case, &[HERO, HEADLINE, FOOTER], "e");
    case.run().exits(0);
    build(&case, &[ramped(), FOOTER, DELIVERY], "t");
    let expected = [
        "+ starts  w4  W4 Free delivery  25%",
        "↗ ramps   w1  W1 Hero           10% → 50%",
        "- stops   w2  W2 Headline       50% → removed",
    ];
    let case = case.env("DRY_RUN", "true");
    assert_eq!(changes(&case.run().exits(0)), expected);
    let case = case.env("DRY_RUN", "false");
    let ended = case.run().exits(0);
    assert_eq!(changes(&ended), expected);
    // It is known before anything is changed, and is part of the report.
    let at = |text: &str| ended.output.find(text).unwrap();
    assert!(at("changes to the live container (") < at("✔ uploaded"));
    ended.contains("mojito: w4 starts, w1 ramps 10% → 50%, w2 stops");
}

/// As some minifiers write it, the first experiment is added to the value of the assignment to `Mojito`.
#[test]
fn the_first_experiment_is_found_wherever_it_is_added() {
    let minified = |experiments: &[Experiment]| {
        let added = experiments.iter().map(|it| it.added("e"));
        let added = added.collect::<Vec<_>>().join(",");
        let library = "Mojito=function(){return{addTest:function(e){}}}()";
        match added.strip_prefix("Mojito") {
            Some(first) => format!("({library}){first};"),
            None => format!("{library};"),
        }
    };
    let case = Case::production();
    let edge = case.world.edge.clone();
    let mut case = case.env("PUBLIC_URL", &edge);
    let mut live: &[Experiment] = &[];
    for (next, expected) in [
        (
            &[HERO, HEADLINE][..],
            &[
                "+ starts  w1  W1 Hero      10%",
                "+ starts  w2  W2 Headline  50%",
            ][..],
        ),
        (&[ramped(), HEADLINE], &["↗ ramps  w1  W1 Hero  10% → 50%"]),
        (&[HEADLINE], &["- stops  w1  W1 Hero  50% → removed"]),
        (
            &[DELIVERY, HEADLINE],
            &["+ starts  w4  W4 Free delivery  25%"],
        ),
        // As with `nuke.lock`.
        (
            &[],
            &[
                "- stops  w4  W4 Free delivery  25% → removed",
                "- stops  w2  W2 Headline       50% → removed",
            ],
        ),
    ] {
        case = case.file("dist/assets/js/mojito.js", minified(live));
        case.run().exits(0);
        case = case.file("dist/assets/js/mojito.js", minified(next));
        assert_eq!(changes(&case.run().exits(0)), expected);
        live = next;
    }
}

#[test]
fn a_rebuild_with_other_variables_changes_no_experiment() {
    let case = Case::production();
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge);
    build(&case, &[HERO, FOOTER], "e");
    case.run().exits(0);
    build(&case, &[HERO, FOOTER], "t");
    case.run()
        .exits(0)
        .contains("): none to experiments, shared code or headers");
}

#[test]
fn it_is_read_from_s3_where_that_is_permitted() {
    let case = Case::production().in_bitbucket("BITBUCKET_TAG", "v1");
    build(&case, &[HERO, HEADLINE], "e");
    case.run()
        .exits(0)
        .contains("tip: set `PUBLIC_URL` to see what changes for visitors");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let other = Experiment {
        headline: "Hi",
        ..HEADLINE
    };
    build(&case, &[HERO, other], "t");
    let case = case.env("CACHE_CONTROL", "max-age=60");
    case.stores_after_reading("/js/");
    case.run()
        .exits(0)
        .contains(
            r#"changes to the live container (build 57, commit 1f2e3d4):
  [33m~ changes[0m  w2  W2 Headline  js of `Treatment`
  [33m~ header[0m   cache-control: public, max-age=300, s-maxage=300, must-revalidate → max-age=60
    size     749 bytes → 747 bytes compressed (-0.3%)
"#,
        )
        .contains("mojito: w2 changes, cache-control changes");
}

#[test]
fn no_upload_waits_for_what_is_read_meanwhile() {
    let case = Case::development();
    case.set_policy(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
    let read = case.hold("GET", "/jsdev/mojito.js");
    let run = case.start();
    case.wait_for_responses("PUT", "/jsdev/", 2);
    read.wait();
    read.open();
    run.end().exits(0).contains("✔ uploaded");
}

/// A second run, to which S3 responds with the live container when that is already its own upload.
#[track_caller]
fn read_after_upload(case: &Case) -> Ended {
    let read = case.hold("GET", "/js/mojito.js");
    let run = case.start();
    case.wait_for_responses("PUT", "/js/mojito.js", 2);
    read.open();
    run.end()
}

#[test]
fn a_store_that_drops_metadata_is_not_compared_with_what_was_just_uploaded() {
    let case = Case::production();
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let dropped = ["x-amz-meta-caller-reference", "content-encoding"];
    case.call::<()>("set_store", json!({"drops_headers": dropped}));
    case.run().exits(5);
    build(&case, &[HERO], "e");
    read_after_upload(&case)
        .exits(5)
        .contains("S3: it returned what this run had just uploaded")
        .does_not_contain("~ header");
}

#[test]
fn of_many_changes_the_last_line_names_ten() {
    let case = Case::production();
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.stores_after_reading("/js/");
    let ids = [
        "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9", "f1", "f2", "f3",
    ];
    build(&case, &[], "e");
    case.run().exits(0);
    let many = ids.map(|id| Experiment { id, ..HERO });
    build(&case, &many, "e");
    case.run()
        .exits(0)
        .contains("e9 starts, f1 starts and 2 more\n");
}

#[test]
fn a_run_does_not_compare_with_its_own_upload() {
    let case = Case::production();
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.run().exits(0);
    build(&case, &[HERO], "e");
    read_after_upload(&case)
        .exits(0)
        .contains("changes to the live container are not known: `PUBLIC_URL` is not set; S3: it returned what this run had just uploaded");
    // Another run of the same content is known from this one.
    case.stores_after_reading("/js/");
    case.run().exits(0).contains("): none\n");
}

#[test]
fn a_session_that_may_not_read_from_s3_does_not_try() {
    let (case, _) = Case::production().with_broad_role();
    case.run()
        .exits(0)
        .contains("tip: set `PUBLIC_URL` to see what changes for visitors");
    assert!(case
        .requests()
        .iter()
        .all(|request| request.method != "GET"));
    let case = case
        .env("ONLY_NEWER", "true")
        .in_bitbucket("BITBUCKET_TAG", "v1");
    case.stores_after_reading("/js/");
    case.run()
        .exits(0)
        .contains("changes to the live container (commit ");
}

#[test]
fn it_is_read_from_s3_where_the_public_url_does_not_serve_it() {
    let case = Case::production();
    let edge = case.world.edge.clone();
    let case = case
        .env("PUBLIC_URL", &edge)
        .env("CDN_PREFIX", "elsewhere")
        .env("DRY_RUN", "true");
    case.set_policy(json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]));
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "56"}));
    case.run()
        .exits(0)
        .contains("changes to the live container (build 56):")
        .contains("! not comparable  the live file is not a valid script: ")
        .contains("~ header          content-encoding: none → gzip");
}

#[test]
fn a_stored_file_that_is_cut_off_or_lacks_its_header_is_not_compared_but_explained() {
    let case = Case::production();
    case.run().exits(0);
    let whole = case.objects()[0].body();
    let cut = &whole[..whole.len() / 2];
    let case = case.env("DRY_RUN", "true");
    case.set_policy(json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]));
    for (body, metadata, expected) in [
        (
            cut,
            json!({"content-encoding": "x-gzip"}),
            "! not comparable  the live file is truncated or damaged gzip",
        ),
        (
            &whole,
            json!({}),
            "! not comparable  the live file is gzip, but has no `Content-Encoding: gzip`",
        ),
        (
            &whole,
            json!({"content-encoding": "GZIP"}),
            "content-encoding: GZIP → gzip",
        ),
    ] {
        let body = STANDARD.encode(body);
        let object = json!({"key": "js/mojito.js", "body": body, "metadata": metadata});
        case.call::<()>("put_object", object);
        let ended = case.run().exits(0).contains(expected);
        if !expected.contains("not comparable") {
            ended.does_not_contain("not comparable");
        }
    }
}

#[test]
fn before_the_first_publish_there_is_nothing_to_compare_with() {
    let case = Case::production();
    case.set_policy(json!([
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        case.may_invalidate(&case.world.distribution),
    ]));
    case.stores_after_reading("/js/");
    case.run()
        .exits(0)
        .contains("\nno live container to compare with (nothing is published yet)\n");
}

#[test]
fn a_dry_run_of_which_only_a_part_is_superseded_says_so() {
    let case = Case::production()
        .list("CONTAINER_NAME", &["mojito", "shop"])
        .file("dist/assets/js/shop.js", "Mojito = 'the shop';")
        .env("ONLY_NEWER", "true")
        .in_bitbucket("BITBUCKET_TAG", "v1");
    case.set_policy(json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]));
    case.stored_before("js/shop.js", json!({"x-amz-meta-build-number": "58"}));
    case.env("DRY_RUN", "true")
        .run()
        .exits(6)
        .contains("dry run: nothing was written, and a publish would not replace everything")
        .contains("  not replaced: shop; build 58 is live")
        .does_not_contain("nor would it be");
}

#[test]
fn a_dry_run_writes_nothing_even_with_the_right_to() {
    let (case, _) = Case::production().with_broad_role();
    let edge = case.world.edge.clone();
    let case = case
        .env("PUBLIC_URL", &edge)
        .env("DRY_RUN", "true")
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true");
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "58"}));
    let before = case.objects();
    case.run()
        .exits(6)
        .contains("would upload")
        .contains("dry run: nothing was written, nor would it be")
        .contains("  not replaced: mojito; build 58 is live, which is newer than this build 57\n");
    assert_eq!(case.objects(), before);
    assert!(case.invalidations().is_empty());
    let (mut reads, mut roles) = (0, 0);
    for request in case.requests() {
        match request.method.as_str() {
            "GET" | "HEAD" => reads += 1,
            // A role is assumed, which writes nothing.
            "POST" if request.body.contains("AssumeRoleWithWebIdentity") => roles += 1,
            method => panic!("{method} {}", request.path),
        }
    }
    assert_eq!((reads > 0, roles), (true, 1));
}

#[test]
fn a_dry_run_without_credentials_shows_the_plan_and_fails_as_the_publish_would() {
    let case = Case::production()
        .without_credentials()
        .env("DRY_RUN", "true");
    case.run()
        .exits(3)
        .contains("would upload")
        .contains("✖ no usable credentials: checked `AWS_ACCESS_KEY_ID`")
        // One reason is enough.
        .does_not_contain("are not known")
        .contains("dry run: nothing was written; a publish would fail for this reason");
    assert!(case.requests().is_empty());
}

#[test]
fn a_dry_run_fails_with_whatever_no_publish_can_do_with() {
    let case = || {
        let case = Case::production().env("DRY_RUN", "true");
        case.set_policy(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
        case
    };
    let fails = |case: &Case, reason: &str| {
        case.run()
            .exits(3)
            .contains("would upload")
            .contains(reason)
            .contains("what to do: ")
            .contains("a publish would fail for this reason");
        case.assert_nothing_written();
    };
    let unknown = case().env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    fails(&unknown, "InvalidAccessKeyId (HTTP 403)");
    let wrong = case().env("AWS_SECRET_ACCESS_KEY", "wrong");
    fails(&wrong, "SignatureDoesNotMatch (HTTP 403)");
    let expired = case();
    let body = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";
    expired.fault(
        json!({"method": "GET", "path": "/js/mojito.js", "status": 400, "body": body, "times": 9}),
    );
    fails(&expired, "ExpiredToken (HTTP 400)");
    let nowhere = case().env("S3_BUCKET", "acme-nowhere");
    fails(&nowhere, "NoSuchBucket (HTTP 404)");
    let (unreachable, address) = Unreachable::NobodyListens.address(case());
    let unreachable = unreachable.env("AWS_ENDPOINT_URL_S3", &address);
    fails(&unreachable, "Connection refused");
}

#[test]
fn a_dry_run_with_the_right_to_write_alone_succeeds_and_calls_s3_alone() {
    let case = Case::production().env("DRY_RUN", "true");
    let (sts, endpoint) = Unreachable::NobodyListens.address(case);
    let endpoint_of_s3 = sts.world.endpoint.clone();
    sts.unset("AWS_ENDPOINT_URL")
        .env("AWS_ENDPOINT_URL_S3", &endpoint_of_s3)
        .env("AWS_ENDPOINT_URL_CLOUDFRONT", &endpoint)
        .run()
        .exits(0)
        .contains("✔ dry run: nothing was written");
}

#[test]
fn a_preview_needs_only_the_public_url_and_requests_nothing_of_aws() {
    let case = Case::production();
    let world = &case.world;
    let (edge, endpoint) = (world.edge.clone(), world.endpoint.clone());
    let config_js = sample::config_js("mojito", &world.bucket, &world.region);
    let case = case.env("PUBLIC_URL", &edge);
    build(&case, &[HERO], "e");
    case.run().exits(0);
    build(&case, &[ramped()], "t");
    let before = (case.requests().len(), case.objects());
    // No variable of AWS, but addresses where requests would be seen, to an instance's metadata too.
    let case = case
        .in_bitbucket("BITBUCKET_BRANCH", "feature/hero")
        .env("BITBUCKET_PR_ID", "12")
        .file("config.js", config_js)
        .without_credentials()
        .unset("AWS_EC2_METADATA_DISABLED")
        .unset("AWS_DEFAULT_REGION")
        .unset("CONTAINER_NAME")
        .unset("DISTRIBUTION_ID")
        .unset("ENVIRONMENT")
        .unset("S3_BUCKET")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)
        .env("DRY_RUN", "true");
    case.run()
        .exits(0)
        .contains(
            "dry run: would publish container mojito to production (preview of pull request 12)",
        )
        .contains("w1  W1 Hero  10% → 50%")
        .contains("✔ dry run: nothing was written")
        .does_not_contain("WARNING");
    assert_eq!((case.requests().len(), case.objects()), before);
    case.file("dist/assets/js/mojito.js", "Mojito=f(")
        .run()
        .exits(2)
        .contains("is truncated");
}

#[test]
fn the_result_holds_the_changes() {
    let case = Case::production();
    let (edge, folder) = (case.world.edge.clone(), case.repository().join("result"));
    let case = case
        .env("PUBLIC_URL", &edge)
        .env("BITBUCKET_PIPE_STORAGE_DIR", folder.to_str().unwrap());
    build(&case, &[HERO], "e");
    case.run().exits(0);
    build(&case, &[ramped()], "t");
    let case = case.arg("--dry-run");
    case.run().exits(0);
    let result: Value =
        serde_json::from_slice(&std::fs::read(folder.join("mojito-publish.json")).unwrap())
            .unwrap();
    assert_eq!(result["dry_run"], true);
    let container = &result["containers"][0];
    assert_eq!(container["experiments"][0]["share"], 0.5);
    assert_eq!(
        container["changes"][0],
        json!({"kind": "ramps", "subject": "w1", "name": "W1 Hero", "detail": "10% → 50%"})
    );
}

/// The README's picture is the real output, with the names of its examples in the place of the world's.
#[test]
fn the_picture_in_the_readme_is_the_real_output() {
    let case = Case::production()
        .unset("ENVIRONMENT")
        .in_bitbucket("BITBUCKET_TAG", "v1.4.0");
    let world = &case.world;
    let names = [
        (world.edge.clone(), "https://d111111abcdef8.cloudfront.net"),
        (world.bucket.clone(), "acme-mojito"),
        (world.distribution.clone(), "E1A2B3C4D5E6F7"),
        (
            world.user_arn.clone(),
            "arn:aws:iam::123456789012:user/mojito-ci-production",
        ),
        (
            world.access_key_id[world.access_key_id.len() - 4..].to_owned(),
            "QW3T",
        ),
    ];
    let case = case
        .env("PUBLIC_URL", &names[0].0.clone())
        .env("BITBUCKET_BUILD_NUMBER", "56");
    sample::build_with(case.repository(), "mojito", sample::BEFORE, "e", "0a1b2c3");
    let commit = case.environment()["BITBUCKET_COMMIT"].clone();
    let case = case.env("BITBUCKET_COMMIT", "0a1b2c3");
    case.run().exits(0);
    let case = case
        .env("BITBUCKET_COMMIT", &commit)
        .env("BITBUCKET_BUILD_NUMBER", "57");
    sample::build_with(case.repository(), "mojito", sample::AFTER, "t", "1f2e3d4");
    let mut output = with_credentials_second(&case.run().exits(0).output);
    for (name, shown) in names {
        output = output.replace(&name, shown);
    }
    let invalidation = case.invalidations().pop().unwrap().id;
    output = output.replace(&invalidation, "I2J0EXAMPLE");
    // What depends on the machine's speed is left out.
    let lines = output
        .lines()
        .filter(|line| !line.starts_with("waiting for "));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    for line in &mut lines {
        if let (Some(start), Some(end)) = (line.find(", cached "), line.find(" ago):")) {
            line.replace_range(start..end + " ago".len(), "");
        }
        if let Some((before, _)) = line.split_once(" in progress (") {
            *line = format!("{before} in progress (1.6 s)\u{1b}[0m");
        }
    }
    assert_data_eq!(lines.join("\n"), file!["../../picture/publish.term.svg"]);
}

#[test]
fn without_a_distribution_the_cdn_is_not_requested_as_it_would_cache_the_old_container() {
    let case = Case::production();
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge).unset("DISTRIBUTION_ID");
    case.stored_before("js/mojito.js", json!({}));
    case.run()
        .exits(0)
        .contains("changes to the live container are not known: `PUBLIC_URL` was not requested, as `DISTRIBUTION_ID` is not set")
        .contains(&format!("✔ {edge}/js/mojito.js serves the new container"));
}

#[test]
fn without_validation_scripts_are_not_compared() {
    let case = Case::production().env("VALIDATE", "false");
    let edge = case.world.edge.clone();
    let case = case
        .env("PUBLIC_URL", &edge)
        .file("dist/assets/js/mojito.js", "alert(1)");
    case.run().exits(0);
    let case = case.file("dist/assets/js/mojito.js", "alert(2)");
    case.run()
        .exits(0)
        .contains("): another file; its experiments are not compared, as `VALIDATE` is `false`");
    case.run().exits(0).contains("): none\n");
}

#[test]
fn of_several_containers_each_reason_is_said_once() {
    let case = Case::production().list("CONTAINER_NAME", &["mojito", "shop", "blog", "news"]);
    sample::build(case.repository(), "shop");
    sample::build(case.repository(), "blog");
    sample::build(case.repository(), "news");
    case.set_policy(json!([
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{}/js/mojito.js", case.world.bucket)},
        case.may_invalidate(&case.world.distribution),
    ]));
    case.stored_before("js/mojito.js", json!({}));
    case.fault(
        json!({"method": "GET", "path": "/js/shop.js", "status": 500, "body": "", "times": 9}),
    );
    case.stores_after_reading("/js/mojito.js");
    let ended = case.run().exits(0);
    let reasons = |text: &str| ended.output.matches(text).count();
    assert_eq!(
        reasons("tip: set `PUBLIC_URL` to see what changes for visitors"),
        1
    );
    assert_eq!(reasons(" are not known: "), 1);
    ended.contains("changes to the live container shop are not known: ");
}
