//! Reporting to Bitbucket: whatever becomes of it, the run is the same, and nothing goes anywhere else.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::support::bitbucket::{Bitbucket, Fault};
use crate::support::harness::{Case, Ended};
use crate::support::run::Run;
use crate::support::unreachable::Unreachable;

/// Runs at the same time, most of which wait.
const CONCURRENT_RUNS: usize = 4;
/// Then it hangs, as a report may take 3 s.
const HANG: Duration = Duration::from_mins(1);

/// What makes a case end otherwise.
type Prepare<'a> = &'a (dyn Fn(Case) -> Case + Sync);

/// Waits for the end of a run, which must come.
#[track_caller]
fn end(run: Run<'_>) -> Ended {
    let start = Instant::now();
    while !run.has_ended() {
        assert!(start.elapsed() < HANG, "the run does not end");
        // How long is of no matter; it leaves the processor to others.
        thread::sleep(Duration::from_millis(5));
    }
    run.end()
}

/// What must be the same, whatever becomes of the report.
#[derive(Debug, PartialEq)]
struct Effect {
    code: Option<i32>,
    result: Value,
    objects: Vec<(String, BTreeMap<String, String>, String)>,
    paths: Vec<Vec<String>>,
}

/// Runs, and returns the log's lines as well.
fn effect(case: &Case) -> (Effect, Vec<String>) {
    let before = case.invalidations().len();
    let ended = end(case.start());
    let invalidations = case.invalidations().split_off(before);
    // Numbers are times, or follow from the rest.
    let masked = |text: &str| {
        let ids = invalidations.iter().map(|it| it.id.as_str());
        let text = ids.fold(text.to_owned(), |text, id| text.replace(id, "ID"));
        let text = text.replace(|c: char| c.is_ascii_digit() || c == '.', "0");
        let text: Vec<&str> = text.split('0').filter(|it| !it.is_empty()).collect();
        text.join("0").replace("0 ms", "0 s")
    };
    let mut result: Value = serde_json::from_str(&case.result().to_string()).unwrap();
    for changing in ["started_at", "seconds"] {
        result.as_object_mut().unwrap().remove(changing);
    }
    let objects = case.objects().into_iter().map(|object| {
        let mut headers = object.headers.clone();
        headers.remove("x-amz-meta-caller-reference");
        (object.key.clone(), headers, object.content())
    });
    let lines = ended.output.lines();
    let lines = lines.filter(|line| !line.starts_with("waiting for "));
    let lines = lines.map(masked).collect();
    let effect = Effect {
        code: ended.code,
        result: masked(&result.to_string()).into(),
        objects: objects.collect(),
        paths: invalidations.into_iter().map(|it| it.paths).collect(),
    };
    (effect, lines)
}

/// The second run differs from the first in the last line of its log alone.
#[track_caller]
fn assert_same_but_for_one_line(
    (whole, whole_lines): &(Effect, Vec<String>),
    (broken, mut broken_lines): (Effect, Vec<String>),
    what: &str,
) {
    let mut whole_lines = whole_lines.clone();
    let (reported, problem) = (whole_lines.pop().unwrap(), broken_lines.pop().unwrap());
    assert_ne!(reported, problem, "{what}");
    // Nothing of what was answered passes for another line, or fills the screen.
    assert!(
        problem.starts_with("not reported to Bitbucket: "),
        "{what}: {problem}"
    );
    assert!(
        !problem.contains(['\u{1b}', '\u{202e}']),
        "{what}: {problem}"
    );
    assert!(problem.chars().count() < 300, "{what}: {problem}");
    // What is done at the same time is logged in any order.
    whole_lines.sort();
    broken_lines.sort();
    assert_eq!(whole_lines, broken_lines, "{what}: {problem}");
    assert_eq!(*whole, broken, "{what}");
}

/// A build that has published before, so that every further run does the same.
fn published_before(bitbucket: &Bitbucket) -> Case {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .storing_results();
    case.run().exits(0);
    case.reporting(bitbucket)
}

fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    for items in items.chunks(CONCURRENT_RUNS) {
        thread::scope(|scope| {
            for item in items {
                scope.spawn(|| work(item));
            }
        });
    }
}

#[test]
fn a_publish_is_the_same_whatever_bitbucket_answers() {
    let bitbucket = Bitbucket::start();
    let case = published_before(&bitbucket);
    let whole = effect(&case);
    assert_eq!(whole.0.code, Some(0), "{:#?}", whole.1);
    bitbucket.assert_accepted_all();
    for fault in Fault::ALL {
        let before = bitbucket.requests().len();
        bitbucket.breaks(fault);
        let broken = effect(&case);
        let requests = bitbucket.requests().split_off(before);
        assert!(!requests.is_empty(), "{fault:?}");
        for request in requests {
            let target = request.target;
            assert!(
                target.starts_with("http://api.bitbucket.org/"),
                "{fault:?}: {target}"
            );
        }
        assert_same_but_for_one_line(&whole, broken, &format!("{fault:?}"));
    }
}

#[test]
fn every_end_is_the_same_while_bitbucket_does_not_answer() {
    let refuse_upload = |case: Case| {
        case.fault(json!({"method": "PUT", "path": "/js/mojito.js", "status": 403, "times": 99, "body": "<Error><Code>AccessDenied</Code></Error>"}));
        case
    };
    let refuse_invalidation = |case: Case| {
        case.fault(json!({"method": "POST", "path": "/invalidation", "status": 403, "times": 99, "body": "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"}));
        case
    };
    let ends: [(&str, Prepare, i32); 6] = [
        ("dry run", &|case| case.env("DRY_RUN", "true"), 0),
        ("refused setting", &|case| case.env("S3_BUCKET", "a b"), 2),
        ("no container", &|case| case.env("LOCAL_PATH", "nowhere"), 2),
        (
            "syntax error",
            &|case| case.file("dist/assets/js/mojito.js", "Mojito={};("),
            2,
        ),
        ("denied", &refuse_upload, 3),
        ("not invalidated", &refuse_invalidation, 4),
    ];
    in_parallel(&ends, |(what, prepare, code)| {
        let bitbucket = Bitbucket::start();
        let case = prepare(published_before(&bitbucket));
        let whole = effect(&case);
        assert_eq!(whole.0.code, Some(*code), "{what}: {:#?}", whole.1);
        bitbucket.assert_accepted_all();
        bitbucket.breaks(Fault::NoResponse);
        assert_same_but_for_one_line(&whole, effect(&case), what);
    });
}

#[test]
fn annotations_that_are_refused_leave_the_report() {
    for fault in [Fault::Status(400), Fault::Status(500), Fault::NoResponse] {
        let bitbucket = Bitbucket::start();
        let case = published_before(&bitbucket).file("dist/assets/js/mojito.js", "Mojito={};(");
        bitbucket.breaks_at("POST", fault);
        end(case.start()).exits(2);
        let report = bitbucket.report();
        assert_eq!(report.content["result"], "FAILED", "{fault:?}");
        assert!(report.annotations.is_empty(), "{fault:?}");
    }
}

#[test]
fn a_proxy_that_is_not_there_is_one_line() {
    let bitbucket = Bitbucket::start();
    let case = published_before(&bitbucket);
    let whole = effect(&case);
    let (case, address) = Unreachable::NobodyListens.address(case);
    let case = case.env("CODE_INSIGHTS_PROXY", &address);
    assert_same_but_for_one_line(&whole, effect(&case), &address);
    let whole = effect(&case.reporting(&bitbucket));
    assert_eq!(whole.0.code, Some(0));
    // The address of the pipeline's own proxy, from a pipe: no such host here.
    let case = published_before(&bitbucket);
    let whole = effect(&case);
    let case = case.unset("CODE_INSIGHTS_PROXY");
    assert_same_but_for_one_line(&whole, effect(&case), "host.docker.internal");
}

#[test]
fn reports_pass_no_other_proxy_and_have_no_credentials() {
    for no_proxy in ["127.0.0.1", "127.0.0.1,api.bitbucket.org", "127.0.0.1,*"] {
        let (bitbucket, other) = (Bitbucket::start(), Bitbucket::start());
        let mut case = published_before(&bitbucket).env("NO_PROXY", no_proxy);
        for name in [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
        ] {
            case = case.env(name, &other.address);
        }
        end(case.start()).exits(0);
        // It refuses credentials.
        bitbucket.assert_accepted_all();
        assert!(other.requests().is_empty(), "{:#?}", other.requests());
    }
}

#[test]
fn switched_off_or_by_hand_nothing_is_reported() {
    let bitbucket = Bitbucket::start();
    published_before(&bitbucket)
        .env("CODE_INSIGHTS", "false")
        .run()
        .exits(0);
    for missing in [
        "BITBUCKET_BUILD_NUMBER",
        "BITBUCKET_COMMIT",
        "BITBUCKET_REPO_FULL_NAME",
    ] {
        published_before(&bitbucket).unset(missing).run().exits(0);
    }
    for command in ["check", "policy"] {
        published_before(&bitbucket).arg(command).run().exits(0);
    }
    assert!(
        bitbucket.requests().is_empty(),
        "{:#?}",
        bitbucket.requests()
    );
}

#[test]
fn a_signal_while_it_is_reported_ends_the_process_with_the_code_that_was_decided() {
    for (signal, is_denied, code) in [("-TERM", false, 0), ("-INT", true, 3)] {
        let bitbucket = Bitbucket::start();
        let case = published_before(&bitbucket);
        if is_denied {
            case.set_policy(json!([case.may_invalidate(&case.world.distribution)]));
        }
        bitbucket.breaks(Fault::NoResponse);
        let run = case.start();
        bitbucket.wait_for_requests(1);
        run.signal(signal);
        let ended = end(run).exits(code);
        // It waited for nothing more.
        assert!(!ended.output.contains("Bitbucket"), "{}", ended.output);
        assert_eq!(case.result()["exit_code"], code);
        assert_eq!(case.result()["stopped_by"], Value::Null);
    }
}
