//! Whether visitors get the new container, and what they get in its place.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};

use serde_json::json;

use crate::support::harness::{Case, Ended};
use crate::support::sample;

/// How long a response of the CDN may take. Only a poll that parses what is served takes longer.
const RESPONSE_TIMEOUT: u64 = 10;

/// Stops a run once it has printed this.
#[track_caller]
fn stopped_after(case: &Case, mut child: Child, printed: &str) -> Ended {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains(printed) {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "{text}");
    }
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status();
    assert!(sent.unwrap().success());
    output.read_to_string(&mut text).unwrap();
    let mut ended = child.wait_with_output().unwrap();
    ended.stdout = text.into_bytes();
    case.ended(ended)
}

#[test]
fn a_container_that_takes_long_to_parse_delays_no_poll() {
    // Each use is looked up in thousands of scopes. Parsing is abandoned after 30 s.
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
    case.ask::<()>("set_edge_stale", json!({"stale": true}));
    let case = case
        .unset("VALIDATE")
        .file("dist/assets/js/mojito.js", sample::minified("mojito"));
    let ended = stopped_after(&case, case.start(), "waiting for ")
        .exits(5)
        .contains("was not the new container: other content is served; cached by CloudFront");
    // `waiting for URL to be the new container (0 s): ...`
    let waited = ended.output.split("to be the new container (").nth(1);
    let waited = waited.and_then(|text| text.split(" s)").next());
    let waited: u64 = waited.unwrap().parse().unwrap();
    assert!(waited <= RESPONSE_TIMEOUT, "{}", ended.output);
}

#[test]
fn a_source_that_does_not_respond_is_requested_for_the_first_container_alone() {
    const NAMES: [&str; 5] = ["mojito", "shop", "blog", "news", "jobs"];
    let mut case = Case::production().list("CONTAINER_NAME", &NAMES);
    for name in NAMES {
        sample::build(case.repository(), name);
    }
    case.set_policy(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
    case.fault(json!({"method": "GET", "path": "/js/", "delay": 600, "times": 100}));
    for (run, dry_run) in (1..).zip(["true", "false"]) {
        case = case.env("DRY_RUN", dry_run);
        case.run()
            .exits(0)
            .contains("mojito: not compared with what visitors get now: `PUBLIC_URL` is not set; S3: no response within 5 s")
            .contains("S3: not requested, as it did not respond in time for another container");
        let requests = case.requests();
        let reads = requests.iter().filter(|request| request.method == "GET");
        assert_eq!(reads.count(), run);
    }
}
