//! SIGTERM and SIGINT: the run ends at once and says what it has done.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::harness::{Case, Ended};
use crate::support::proxy::{Fault, Proxy, Target};

/// Much longer than the second within which a run must end, so that only one that waits for the answer exceeds it.
const ANSWER_TAKES: u64 = 60;

/// Starts a run, waits for a line of its output, and stops it.
#[track_caller]
fn stopped(case: &Case, signal: &str, after: &str) -> Ended {
    stopped_when(case, signal, after, |_| {})
}

/// The same, and does something just before it is stopped.
#[track_caller]
fn stopped_when(case: &Case, signal: &str, after: &str, before: impl FnOnce(&Child)) -> Ended {
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
    before(&child);
    let at = Instant::now();
    terminate(&child, signal);
    output.read_to_string(&mut text).unwrap();
    let mut ended = child.wait_with_output().unwrap();
    assert!(
        at.elapsed() < Duration::from_secs(ANSWER_TAKES / 2),
        "it waited for the answer"
    );
    ended.stdout = text.into_bytes();
    case.ended(ended)
}

fn terminate(child: &Child, signal: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn stopped_during_the_upload_it_does_not_claim_to_know() {
    let case = Case::production();
    case.fault(
        json!({"method": "PUT", "path": "/js/mojito.js", "delay": ANSWER_TAKES, "status": 500}),
    );
    stopped(&case, "-TERM", "not compared with")
        .exits(3)
        .contains("✖ stopped by SIGTERM")
        .contains("may or may not be replaced, as S3 has not answered: mojito")
        .contains("(5 min after the upload)")
        .does_not_contain("does not say");
}

#[test]
fn stopped_before_the_container_it_says_that_the_old_one_stays() {
    let case = Case::development();
    case.fault(json!({"method": "PUT", "path": "/jsdev/mojito.pretty.js", "delay": ANSWER_TAKES, "status": 500}));
    stopped(&case, "-INT", "not compared with")
        .exits(3)
        .contains("✖ stopped by SIGINT")
        .contains("not replaced: mojito; visitors keep the old container");
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
        .contains("published to production, but the CDN was not told")
        .contains("the CDN may keep the old container in ");
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
        .contains("published to production, but visitors do not get it yet")
        .contains("was not the new container: other content is served; ")
        .contains("x-cache: Hit from cloudfront");
}

/// A case whose old container is this script, and that may read it.
fn over(old: String) -> Case {
    let case = Case::production().env("VALIDATE", "false");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let new = std::fs::read(case.dist("mojito.js")).unwrap();
    std::fs::write(case.dist("mojito.js"), old).unwrap();
    case.run().exits(0);
    std::fs::write(case.dist("mojito.js"), new).unwrap();
    case.unset("VALIDATE")
}

#[test]
fn stopped_while_it_compares_it_knows_what_was_uploaded() {
    // As large as is looked into, in a form that takes seconds.
    let case = over(format!("Mojito={{}};{}a", "a=>".repeat(330_000)));
    case.stores_late();
    let child = case.start();
    case.wait_for_uploads(2);
    // The answer arrives.
    std::thread::sleep(Duration::from_millis(200));
    terminate(&child, "-TERM");
    case.ended(child.wait_with_output().unwrap())
        .exits(4)
        .contains("published to production, but the CDN was not told")
        .does_not_contain("compared with");
}

#[test]
fn stopped_where_nobody_reads_it_ends_with_the_code_of_the_state() {
    // To list these takes more than a pipe holds.
    let case = over("Mojito.addTest({id:'a',name:'b'});".repeat(20_000));
    let proxy = Proxy::start(&case.world.endpoint);
    let get = Target {
        method: "GET",
        path: "/js/mojito.js",
    };
    // What was there is compared when the upload is done.
    proxy.breaks(get, Fault::SlowAnswer, 1);
    case.stores_late();
    let case = case.env("AWS_ENDPOINT_URL", &proxy.endpoint);
    let mut child = case.start();
    case.wait_for_uploads(2);
    std::thread::sleep(Duration::from_secs(5));
    terminate(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn stopped_and_kept_from_storing_the_result_it_ends_with_the_code_of_the_state() {
    let case = Case::production();
    let results = case.repository().join("results");
    std::fs::create_dir(&results).unwrap();
    let case = case
        .env("WAIT", "true")
        .env("BITBUCKET_PIPE_STORAGE_DIR", results.to_str().unwrap());
    case.fault(
        json!({"method": "GET", "path": "/invalidation/", "delay": ANSWER_TAKES, "status": 500}),
    );
    // The result goes through this file, which takes nothing, as nobody reads from it.
    let block = |child: &Child| {
        let pipe = results.join(format!("mojito-publish.json.{}.tmp", child.id()));
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
    };
    stopped_when(&case, "-TERM", "is on its way", block)
        .exits(0)
        .contains("stopped by SIGTERM while waiting")
        .contains("published to production");
    assert!(!results.join("mojito-publish.json").exists());
}

/// A run each of whose requests takes long enough to be stopped before, in and after it.
fn slow_case() -> Case {
    let case = Case::development().in_bitbucket("BITBUCKET_BRANCH", "develop");
    for key in ["jsdev/mojito.pretty.js", "jsdev/mojito.js"] {
        case.stored_before(key, json!({"x-amz-meta-build-number": "56"}));
    }
    for method in ["PUT", "POST"] {
        case.fault(json!({"method": method, "path": "/", "delay": 0.1, "times": 100}));
    }
    case
}

/// Stops a run at some moment within a time, and compares what it says with what it did.
fn stop_somewhere(round: u64, within: Duration) -> Option<i32> {
    let case = slow_case();
    let child = case.start();
    std::thread::sleep(within.mul_f64(fastrand::Rng::with_seed(round).f64()));
    Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let ended = case.ended(child.wait_with_output().unwrap());
    // What was under way when it ended takes effect or not.
    std::thread::sleep(Duration::from_millis(400));
    let published = case.is_published("jsdev/mojito.js");
    let told = case.invalidations().len();
    let contains = |text: &str| ended.output.contains(text);
    let must = |holds: bool, what: &str| {
        assert!(holds, "round {round}: {what}\n{}", ended.output);
    };
    match ended.code {
        // Before it can listen to signals, it has done nothing either.
        None => must(!published && told == 0, "it was ended in the middle"),
        Some(0) => must(published && told == 1, "it says that it is done"),
        Some(3) => {
            let open = contains("may or may not be replaced");
            let denies = contains("visitors keep the old container");
            must(open || denies, "it does not say what visitors get");
            must(!denies || !published, "it denies what it did");
        }
        Some(4) => {
            must(published, "it says that it is published");
            must(
                contains("may keep") || told == 0,
                "it denies that the CDN was told",
            );
        }
        code => panic!("round {round}: exit {code:?}\n{}", ended.output),
    }
    ended.code
}

#[test]
fn stopped_at_200_moments_it_never_denies_what_it_did() {
    const ROUNDS: u64 = 200;
    // As long as a run takes here and now, and half as long again.
    let started = Instant::now();
    slow_case().run().exits(0);
    let within = started.elapsed().mul_f64(1.5);
    let next = AtomicU64::new(0);
    let codes: Mutex<BTreeSet<Option<i32>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| loop {
                let round = next.fetch_add(1, Ordering::Relaxed);
                if round >= ROUNDS {
                    break;
                }
                let code = stop_somewhere(round, within);
                codes.lock().unwrap().insert(code);
            });
        }
    });
    // It was stopped before, in the middle and after.
    let codes = codes.into_inner().unwrap();
    for code in [0, 3, 4] {
        assert!(codes.contains(&Some(code)), "{codes:?}");
    }
}
