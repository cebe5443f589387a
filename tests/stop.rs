//! SIGTERM and SIGINT: the run ends at once and says what it has done.

use std::io::{BufRead, BufReader, Read};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Case, Ended};

/// Much longer than the second within which a run must end, so that only one that waits for the answer exceeds it.
const ANSWER_TAKES: u64 = 60;

/// Starts a run, waits for a line of its output, and stops it.
#[track_caller]
fn stopped(case: &Case, signal: &str, after: &str) -> Ended {
    let mut child = case.start();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains(after) {
        assert_ne!(
            output.read_line(&mut text).unwrap(),
            0,
            "`{after}` was not printed:\n{text}"
        );
    }
    // The line is printed before the request that follows it is sent.
    let requests = case.requests().len();
    let waited = Instant::now();
    while case.requests().len() == requests && waited.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let at = Instant::now();
    assert!(Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap()
        .success());
    output.read_to_string(&mut text).unwrap();
    let mut ended = child.wait_with_output().unwrap();
    assert!(
        at.elapsed() < Duration::from_secs(ANSWER_TAKES / 2),
        "it waited for the answer"
    );
    ended.stdout = text.into_bytes();
    case.ended(ended)
}

#[test]
fn stopped_during_the_upload_it_does_not_claim_to_know() {
    let case = Case::production();
    case.fault(
        json!({"method": "PUT", "path": "/js/mojito.js", "delay": ANSWER_TAKES, "status": 500}),
    );
    stopped(&case, "-TERM", "not compared with")
        .exits(3)
        .says("✖ stopped by SIGTERM")
        .says("may or may not be replaced, as S3 has not answered: mojito")
        .says("(5 min after the upload)")
        .does_not_say("does not say");
}

#[test]
fn stopped_before_the_container_it_says_that_the_old_one_stays() {
    let case = Case::development();
    case.fault(json!({"method": "PUT", "path": "/jsdev/mojito.pretty.js", "delay": ANSWER_TAKES, "status": 500}));
    stopped(&case, "-INT", "not compared with")
        .exits(3)
        .says("✖ stopped by SIGINT")
        .says("not replaced: mojito; visitors keep the old container");
    assert!(case.keys().is_empty());
}

#[test]
fn stopped_during_the_invalidation_it_says_that_the_container_is_published() {
    let case = Case::production();
    case.fault(
        json!({"method": "POST", "path": "/invalidation", "delay": ANSWER_TAKES, "status": 500}),
    );
    stopped(&case, "-TERM", "✔ uploaded")
        .exits(4)
        .says("published to production, but the CDN was not told")
        .says("the CDN may keep the old container in ");
    assert_eq!(case.keys(), ["js/mojito.js"]);
}

#[test]
fn stopped_while_visitors_get_the_old_container_it_says_so() {
    let case = Case::production();
    case.run().exits(0);
    let edge = case.world.edge.clone();
    let case = case
        .env("PUBLIC_URL", &edge)
        .file("dist/assets/js/mojito.js", "Mojito = 'the next';");
    // Fills the cache with the container that is then published over, and keeps it.
    case.ask::<()>("visit", json!({"path": "/js/mojito.js"}));
    case.ask::<()>("set_edge_stale", json!({"stale": true}));
    stopped(&case, "-TERM", "waiting for ")
        .exits(5)
        .says("published to production, but visitors do not get it yet")
        .says("is another container than the one published")
        .says("x-cache: Hit from cloudfront");
}
