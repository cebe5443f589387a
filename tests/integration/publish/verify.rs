//! Whether visitors get the new container, and what they get in its place.

use std::time::Duration;

use serde_json::{json, Value};

use crate::support::harness::Case;
use crate::support::sample;
use crate::support::unreachable::Unreachable;

/// More than a run takes of the processor, and far less than the 30 s after which parsing is abandoned.
const PROCESSOR_TIME: Duration = Duration::from_secs(10);

#[test]
fn a_container_that_takes_long_to_parse_delays_no_poll() {
    // Each use is looked up in thousands of scopes.
    let old = [
        "Mojito={};",
        &"(()=>{".repeat(4_900),
        &"a;".repeat(450_000),
        &"})()".repeat(4_900),
    ]
    .concat();
    let case = Case::production().env("VALIDATE", "false");
    let edge = case.world.edge.clone();
    // Without a distribution, it is not compared before the upload.
    let case = case
        .unset("DISTRIBUTION_ID")
        .env("PUBLIC_URL", &edge)
        .file("dist/assets/js/mojito.js", old);
    case.run().exits(0);
    case.call::<()>("set_edge_stale", json!({"stale": true}));
    let case = case
        .unset("VALIDATE")
        .file("dist/assets/js/mojito.js", sample::minified("mojito"));
    // Once it polls again, it has seen what the first poll got.
    let second_poll = case.gate(json!({"path": "/js/mojito.js", "cdn": true, "skip": 1}));
    let run = case.start();
    second_poll.wait();
    run.signal("-TERM");
    let (ended, processor_time) = run.end_measured();
    ended
        .exits(5)
        .contains("is published to production, but visitors do not get it yet")
        .contains("/js/mojito.js: other content is served; cached by CloudFront");
    assert!(processor_time <= PROCESSOR_TIME, "{processor_time:?}");
}

#[test]
fn a_source_that_does_not_respond_is_requested_for_the_first_container_alone() {
    const NAMES: [&str; 5] = ["mojito", "shop", "blog", "news", "jobs"];
    let mut case = Case::production().list("CONTAINER_NAME", &NAMES);
    for name in NAMES {
        sample::build(case.repository(), name);
    }
    case.set_policy(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
    case.hold("GET", "/js/");
    // A dry run also finds out whether S3 can be reached, and a publish how its store keeps headers.
    for (reads_so_far, dry_run) in [(2, "true"), (4, "false")] {
        case = case.env("DRY_RUN", dry_run);
        case.run()
            .exits(0)
            .contains("changes to the live container mojito are not known: `PUBLIC_URL` is not set; S3: no response within 5 s")
            .contains("S3: not requested, as it did not respond in time for another container");
        let requests = case.requests();
        let reads = requests.iter().filter(|request| request.method == "GET");
        assert_eq!(reads.count(), reads_so_far);
    }
}

#[test]
fn a_public_url_that_cannot_be_reached_is_refused_before_anything_is_uploaded() {
    for unreachable in Unreachable::ALL {
        for dry_run in ["false", "true"] {
            let (case, address) = unreachable.address(Case::production());
            let case = case.env("PUBLIC_URL", &address).env("DRY_RUN", dry_run);
            case.run()
                .exits(2)
                .contains(&format!(
                    "✖ `PUBLIC_URL` is `{address}/`, which cannot be reached\n"
                ))
                .contains(unreachable.cause())
                .contains("nothing was uploaded; visitors still get the old container");
            assert!(case.requests().is_empty());
        }
    }
}

#[test]
fn a_public_url_that_answers_with_an_error_is_not_refused() {
    let case = Case::production();
    // Nothing is published there yet.
    let edge = case.world.edge.clone();
    case.env("PUBLIC_URL", &edge).run().exits(0);
}

#[test]
fn what_visitors_get_is_not_known_where_the_public_url_stops_to_answer() {
    let case = Case::production();
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge);
    let poll =
        case.gate(json!({"methods": ["GET"], "path": "/js/mojito.js", "cdn": true, "skip": 1}));
    let run = case.start();
    poll.wait();
    run.signal("-TERM");
    run.end()
        .exits(5)
        .contains(
            "is published to production, but not verified: it is not known what visitors get\n",
        )
        .contains("/js/mojito.js: no response yet\n")
        .does_not_contain("visitors do not get it yet");
}

#[test]
fn a_cache_that_no_invalidation_reaches_is_not_filled_by_a_look() {
    let other_caches = [
        json!({"Via": "1.1 varnish"}),
        json!({"Via": "1.1 1a2b3c.cloudfront.net (CloudFront)", "CF-Ray": "8a1b2c"}),
    ];
    for headers in other_caches {
        let case = Case::production();
        let edge = case.world.edge.clone();
        case.call::<()>("set_edge_headers", json!({"headers": headers}));
        case.stored_before("js/mojito.js", json!({}));
        let mut case = case.env("PUBLIC_URL", &edge);
        for dry_run in ["true", "false"] {
            case = case.env("DRY_RUN", dry_run);
            case.run().exits(0).contains(
                "`PUBLIC_URL` was not requested, as another cache than CloudFront answers there, which would keep the old container",
            );
        }
        // What visitors may have got is what was looked at after the upload: the new container.
        let requests: Vec<Value> = case.call("edge_requests", json!({}));
        let looks: Vec<&str> = requests
            .iter()
            .map(|it| it["method"].as_str().unwrap())
            .collect();
        assert_eq!(looks, ["HEAD", "HEAD", "GET"]);
        assert_eq!(requests[0]["path"], "/js/mojito.js.none");
    }
}

#[test]
fn a_store_that_drops_a_header_is_not_verified() {
    for header in ["content-encoding", "content-type", "cache-control"] {
        let case = Case::production();
        case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
        case.call::<()>("set_store", json!({"drops_headers": [header]}));
        case.run()
            .exits(5)
            .contains(&format!(
                "✖ s3://{}/js/mojito.js: the store ",
                case.world.bucket
            ))
            .contains("is published to production, but the store did not keep its headers");
        case.call::<()>("set_store", json!({}));
        case.run().exits(0);
    }
}

#[test]
fn a_long_cache_control_is_verified_to_its_end() {
    let long = |end: &str| format!("max-age=60, {}, {end}", vec!["no-transform"; 100].join(","));
    let case = Case::production();
    let edge = case.world.edge.clone();
    let case = case
        .env("PUBLIC_URL", &edge)
        .env("CACHE_CONTROL", &long("public"));
    case.run().exits(0).contains(" serves the new container");
    let change = "~ header  cache-control: max-age=60, no-transform,";
    let case = case.env("CACHE_CONTROL", &long("private"));
    // A change beyond what the log shows of a value is one, too.
    case.run().exits(0).contains(change);
    let ended = case.run().exits(0).does_not_contain(change);
    assert!(ended.output.len() < 20_000);
}
