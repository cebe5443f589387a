//! Signals: the run ends at once and says what it has done. `tests/faults/stops.rs` stops it everywhere.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use snapbox::str;

use crate::support::gate::Gate;
use crate::support::harness::{Case, Ended, Request, BINARY};
use crate::support::peak::children;
use crate::support::run::{self, Run};

/// Starts a run, and stops it when the gate holds a request. What it waits for is never answered.
#[track_caller]
fn stopped(case: &Case, signal: &str, at: &Gate) -> Ended {
    let run = case.start();
    at.wait();
    run.signal(signal);
    run.end()
}

fn count(case: &Case, method: &str, path: &str) -> usize {
    let requests = case.requests();
    let alike = |it: &&Request| it.method == method && it.path.contains(path);
    requests.iter().filter(alike).count()
}

#[test]
fn stopped_during_the_upload_the_outcome_is_unknown() {
    let case = Case::production();
    let upload = case.hold("PUT", "/js/mojito.js");
    stopped(&case, "-TERM", &upload)
        .exits(3)
        .contains("✖ stopped by SIGTERM after ")
        .contains(": not known whether mojito was replaced: no response from S3\n  next: re-run")
        .does_not_contain("not published")
        .does_not_contain("fix the cause");
    // It did not wait for an answer until it had to try again.
    assert_eq!(count(&case, "PUT", "/js/mojito.js"), 1);
}

#[test]
fn each_signal_that_is_to_end_a_process_ends_it_by_name() {
    for name in ["TERM", "INT", "HUP", "QUIT"] {
        let case = Case::production().storing_results();
        let upload = case.hold("PUT", "/js/mojito.js");
        stopped(&case, &format!("-{name}"), &upload)
            .exits(3)
            .contains(&format!("✖ stopped by SIG{name} after "));
        let result = case.result();
        assert_eq!(result["stopped_by"], format!("SIG{name}"));
        let case = Case::production().arg("check");
        let sts = case.hold("POST", "/");
        stopped(&case, &format!("-{name}"), &sts)
            .exits(3)
            .contains(&format!("✖ stopped by SIG{name}; nothing was changed\n"));
    }
}

#[test]
fn started_with_nohup_it_survives_its_terminal() {
    let case = Case::production();
    let upload = case.hold("PUT", "/js/mojito.js");
    let mut nohup = Command::new("/usr/bin/nohup");
    nohup
        .arg(BINARY)
        .env_clear()
        .envs(case.environment())
        .current_dir(case.repository())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let run = Run::start(&case, nohup);
    upload.wait();
    run.signal("-HUP");
    upload.open();
    run.end().exits(0).does_not_contain("SIGHUP");
}

#[test]
fn stopped_before_it_has_begun_it_does_not_begin_afterwards() {
    let case = takes_to_parse(20_000);
    let results = case.repository().join("results");
    fs::create_dir(&results).unwrap();
    let case = case.env(
        "BITBUCKET_PIPE_SHARED_STORAGE_DIR",
        results.to_str().unwrap(),
    );
    // The result cannot be written, so that the run has time to do what it must not.
    let locked = fs::File::open(&results).unwrap();
    locked.lock().unwrap();
    let run = case.start();
    let parser = hold_parser(&run);
    run.signal("-TERM");
    run.wait_for("stopped by SIGTERM");
    send(parser, "-CONT");
    run.end()
        .exits(3)
        .contains("✖ stopped by SIGTERM: nothing was uploaded; visitors still get the old container\n  next: re-run")
        .does_not_contain("publishing container");
    case.wait_until_disconnected();
    assert!(case.keys().is_empty());
    assert!(case.invalidations().is_empty());
}

#[test]
fn stopped_before_the_container_the_old_one_stays() {
    let case = Case::development();
    let upload = case.hold("PUT", "/jsdev/mojito.pretty.js");
    stopped(&case, "-INT", &upload)
        .exits(3)
        .contains("✖ stopped by SIGINT after ")
        .contains(
            ": not published to development; visitors still get the old container\n  next: re-run",
        )
        .does_not_contain("fix the cause");
    assert!(case.keys().is_empty());
}

#[test]
fn stopped_during_the_invalidation_the_container_is_published() {
    let case = Case::production();
    let invalidation = case.hold("POST", "/invalidation");
    stopped(&case, "-TERM", &invalidation)
        .exits(4)
        .contains("published to production, but it is not known whether CloudFront was invalidated")
        .contains("CloudFront may still serve the old container from ");
    assert_eq!(case.keys(), ["js/mojito.js"]);
}

#[test]
fn stopped_while_visitors_get_the_old_container_it_is_not_verified() {
    let case = Case::production();
    case.run().exits(0);
    let edge = case.world.edge.clone();
    let case = case
        .env("PUBLIC_URL", &edge)
        .file("dist/assets/js/mojito.js", "Mojito = 'the next';");
    // Fills the cache with the container that is then published over, and keeps it.
    case.call::<String>("visit", json!({"path": "/js/mojito.js"}));
    case.call::<()>("set_edge_stale", json!({"stale": true}));
    // What visitors got before, then twice what they get of this run: the first answer was read before the second look.
    let second_look =
        case.gate(json!({"methods": ["GET"], "path": "/js/mojito.js", "cdn": true, "skip": 2}));
    stopped(&case, "-TERM", &second_look)
        .exits(5)
        .prints(str![[r#"
[VERSION]
credentials: [KEY]
  [USER]
publishing container mojito to production (`ENVIRONMENT` is `production`)
bucket: s3://[BUCKET]/js/ in ap-southeast-2
container mojito: no experiments found
WARNING: mojito has no experiments, and no `addTest`, which Mojito's library has: check whether it is obfuscated
changes to the live container (commit 1f2e3d4, built 2026-11-24 05:00 UTC, cached [..] ago):
  - stops        w1  W1 Größere Schaltfläche  50% → removed
  - removed      w2  W2 Headline              removed; no visitor had it
  ~ shared code  the library or the shared code changed
    size         807 bytes → 40 bytes compressed (-95%)
✔ uploaded s3://[BUCKET]/js/mojito.js: 20 bytes, 40 bytes compressed
✔ created invalidation [INVALIDATION] of [DISTRIBUTION]: /js/mojito.js
waiting for [EDGE]/js/mojito.js to serve the new container ([..] s): other content is served; cached by CloudFront for [..] (age: [..], x-cache: Hit from cloudfront, via: [..])
✖ stopped by SIGTERM after [..]: mojito is published to production, but visitors do not get it yet
  mojito: w1 stops, w2 removed, the shared code changes
  [EDGE]/js/mojito.js: other content is served; cached by CloudFront for [..] (age: [..], x-cache: Hit from cloudfront, via: [..])
  next: re-run, which is safe at any time

"#]]);
}

/// Holds the parser of a run, as soon as it has limited itself, so that it neither answers nor ends.
fn hold_parser(run: &Run) -> u32 {
    let file = |id: u32, name: &str| fs::read_to_string(format!("/proc/{id}/{name}"));
    let is_limited = |id: &u32| file(*id, "oom_score_adj").is_ok_and(|it| it.trim() == "1000");
    let parser = loop {
        assert!(!run.has_ended(), "it has parsed already");
        if let Some(parser) = children(run.id()).into_iter().find(is_limited) {
            break parser;
        }
        thread::sleep(Duration::from_millis(1));
    };
    send(parser, "-STOP");
    parser
}

fn send(process: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Whether a process is there, and not merely one that nobody has waited for.
fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some(Some('Z' | 'X')))
}

/// A script that takes a second to parse.
fn slow() -> Case {
    takes_to_parse(190_000)
}

fn takes_to_parse(operators: usize) -> Case {
    let script = format!("Mojito={{}};{}", "a.b||".repeat(operators) + "a");
    Case::production().file("dist/assets/js/mojito.js", script)
}

#[test]
fn stopped_while_it_parses_it_leaves_no_process_behind() {
    for signal in ["-TERM", "-INT"] {
        let case = slow();
        let run = case.start();
        let parser = hold_parser(&run);
        assert!(is_alive(parser));
        // It has no secrets.
        let environment = fs::read(format!("/proc/{parser}/environ")).unwrap();
        assert_eq!(environment, b"");
        run.signal(signal);
        run.end()
            .exits(3)
            .contains("nothing was uploaded; visitors still get the old container");
        // The system has killed it, but does not wait for it to end.
        let deadline = Instant::now() + Duration::from_secs(30);
        while is_alive(parser) {
            assert!(Instant::now() < deadline, "process {parser} is left");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_parser_that_is_killed_or_takes_too_long_means_that_the_script_is_not_checked() {
    let case = slow();
    let run = case.start();
    let parser = hold_parser(&run);
    send(parser, "-KILL");
    run.end().exits(2).contains(
        "cannot be checked: the system killed its parser, as it does when memory runs out\n  to publish it anyway",
    );
    let run = case.start();
    hold_parser(&run);
    let ended = run.end().exits(2);
    ended.contains("cannot be checked: parsing it takes longer than 30 s\n  to publish it anyway");
}

/// A case whose old container is this script, and that may read it.
fn over(old: String) -> Case {
    let case = Case::production().env("VALIDATE", "false");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let new = fs::read(case.dist("mojito.js")).unwrap();
    fs::write(case.dist("mojito.js"), old).unwrap();
    case.run().exits(0);
    fs::write(case.dist("mojito.js"), new).unwrap();
    case.unset("VALIDATE")
}

#[test]
fn stopped_while_it_compares_it_reports_what_was_uploaded() {
    // As large as is looked into, in a form that takes seconds.
    let case = over(format!("Mojito={{}};{}a", "a=>".repeat(330_000)));
    // Its log has each answer that has come: what was there, then that of the upload.
    let case = case.env("DEBUG", "true");
    let upload = case.hold("PUT", "/js/mojito.js");
    let run = case.start();
    run.wait_for("/js/mojito.js?x-id=GetObject: HTTP 200");
    upload.open();
    run.wait_for("/js/mojito.js?x-id=PutObject: HTTP 200");
    case.wait_for_responses("PUT", "/js/mojito.js", 2);
    run.wait_until_idle();
    run.signal("-TERM");
    run.end()
        .exits(4)
        .contains("published to production, but CloudFront was not invalidated")
        .does_not_contain("changes to the live container");
}

#[test]
fn stopped_while_nobody_reads_its_log_it_ends_with_the_right_code() {
    let case = Case::production().storing_results();
    let invalidation = case.hold("POST", "/invalidation");
    let (output, reader) = run::full_output(false);
    let mut child = case.command().stdout(output).spawn().unwrap();
    invalidation.wait();
    run::send(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(4));
    let result = case.result();
    assert_eq!(result["stopped_by"], "SIGTERM");
    assert_eq!(result["invalidations"][0]["status"], "unknown");
    drop(reader);
}

#[test]
fn stopped_while_the_result_cannot_be_written_it_ends_with_the_right_code() {
    let case = Case::production();
    let results = case.repository().join("results");
    fs::create_dir(&results).unwrap();
    let case = case.env("WAIT", "true").env(
        "BITBUCKET_PIPE_SHARED_STORAGE_DIR",
        results.to_str().unwrap(),
    );
    let look = case.hold("GET", "/invalidation/");
    let run = case.start();
    look.wait();
    // Another program has locked the folder, for longer than a stopped run may take.
    let locked = fs::File::open(&results).unwrap();
    locked.lock().unwrap();
    run.signal("-TERM");
    run.end()
        .exits(5)
        .contains("✖ stopped by SIGTERM after ")
        .contains("is published to production and invalidated, but CloudFront was not seen to complete the invalidation");
    assert!(!results.join("_shared_variables.json").exists());
}
