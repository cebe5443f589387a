//! Whether visitors get the new container, and what they get in its place.

use std::time::Duration;

use serde_json::json;

use crate::support::harness::Case;
use crate::support::sample;

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
        .contains("did not serve the new container: other content is served; cached by CloudFront");
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
    for (run, dry_run) in (1..).zip(["true", "false"]) {
        case = case.env("DRY_RUN", dry_run);
        case.run()
            .exits(0)
            .contains("changes to the live container of mojito are not known: `PUBLIC_URL` is not set; S3: no response within 5 s")
            .contains("S3: not requested, as it did not respond in time for another container");
        let requests = case.requests();
        let reads = requests.iter().filter(|request| request.method == "GET");
        assert_eq!(reads.count(), run);
    }
}
