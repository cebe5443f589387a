//! What goes wrong on the way to AWS, at each stage of a publish: either the run recovers, or it ends with the right exit
//! code and says the true state, and a second run fixes it.
//!
//! `cargo test --test faults -- --nocapture` prints the table.

use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::harness::{Case, Ended};
use crate::support::proxy::{Fault, Proxy, Target};
use crate::support::unreachable::Unreachable;

/// Rows that are tried at the same time; most of their time is waiting.
const CONCURRENT_ROWS: usize = 24;
/// No run of this table may take longer. Two operations without a response take a minute each.
const RUN_TIMEOUT: Duration = Duration::from_secs(150);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    AssumeRole,
    PutPretty,
    PutContainer,
    Invalidate,
    Poll,
    PublicUrl,
}

const STAGES: [Stage; 6] = [
    Stage::AssumeRole,
    Stage::PutPretty,
    Stage::PutContainer,
    Stage::Invalidate,
    Stage::Poll,
    Stage::PublicUrl,
];

const FAULTS: [Fault; 21] = [
    Fault::ResetInRequest,
    Fault::ResetBeforeResponse,
    Fault::ClosedBeforeResponse,
    Fault::ResetInResponse,
    Fault::NoResponse,
    Fault::StalledResponse,
    Fault::SlowResponse,
    Fault::CutDocument,
    Fault::MalformedDocument,
    Fault::TooLongLength,
    Fault::Gateway(502),
    Fault::Gateway(504),
    Fault::Status(500, "InternalError"),
    Fault::Status(503, "SlowDown"),
    Fault::Status(429, "TooManyRequests"),
    Fault::Status(400, "Throttling"),
    Fault::Status(400, "TooManyInvalidationsInProgress"),
    Fault::Status(403, "AccessDenied"),
    Fault::Status(404, "NoSuchResource"),
    Fault::Status(409, "ConditionalRequestConflict"),
    Fault::Status(412, "PreconditionFailed"),
];

impl Stage {
    fn target(self) -> Target {
        let (method, path) = match self {
            Self::AssumeRole => ("POST", "/"),
            Self::PutPretty => ("PUT", "/jsdev/mojito.pretty.js"),
            Self::PutContainer => ("PUT", "/jsdev/mojito.js"),
            Self::Invalidate => ("POST", "/invalidation"),
            Self::Poll => ("GET", "/invalidation/"),
            Self::PublicUrl => ("GET", "/jsdev/mojito.js"),
        };
        Target { method, path }
    }

    /// What says where the service is, and what a production run says of the state that does not get there. `None` where an
    /// earlier stage needs the same service.
    fn service(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::AssumeRole => Some((
                "AWS_ENDPOINT_URL_STS",
                "nothing was uploaded; visitors still get the old container",
            )),
            Self::PutContainer => Some((
                "AWS_ENDPOINT_URL_S3",
                "not replaced: mojito; visitors still get the old container",
            )),
            Self::Invalidate => Some((
                "AWS_ENDPOINT_URL_CLOUDFRONT",
                "CloudFront still serves the old container",
            )),
            Self::PublicUrl => Some((
                "PUBLIC_URL",
                "nothing was uploaded; visitors still get the old container",
            )),
            Self::PutPretty | Self::Poll => None,
        }
    }

    /// The exit code of a run that fails here.
    fn exit(self) -> i32 {
        match self {
            Self::AssumeRole | Self::PutPretty | Self::PutContainer => 3,
            Self::Invalidate => 4,
            // It is not known whether visitors get it everywhere.
            Self::Poll | Self::PublicUrl => 5,
        }
    }
}

/// Whether the next attempt may well succeed.
fn passes(fault: Fault) -> bool {
    match fault {
        Fault::Status(status, code) => matches!(status, 429 | 500 | 503) || code == "Throttling",
        Fault::CutDocument | Fault::MalformedDocument => false,
        _ => true,
    }
}

/// The exit codes that a run may end with.
fn expected(stage: Stage, fault: Fault, always: bool) -> Vec<i32> {
    let failed = stage.exit();
    if fault == Fault::SlowResponse {
        return vec![0];
    }
    // Visitors are looked after for a while, and CloudFront is waited for, whatever the answer was.
    let waits = stage == Stage::PublicUrl
        || fault == Fault::Status(400, "TooManyInvalidationsInProgress")
            && stage == Stage::Invalidate;
    match (always, passes(fault) || waits) {
        (false, true) => vec![0],
        (false, false) => vec![0, failed],
        // What matters of an answer may be in the half that arrived.
        (true, _) if !is_refusal(fault) => vec![0, failed],
        (true, _) => vec![failed],
    }
}

/// Whether the public URL answers, whatever it may be.
fn is_answered(fault: Fault) -> bool {
    !matches!(
        fault,
        Fault::ResetInRequest
            | Fault::ResetBeforeResponse
            | Fault::ClosedBeforeResponse
            | Fault::ResetInResponse
            | Fault::NoResponse
            | Fault::StalledResponse
            | Fault::TooLongLength
    )
}

fn is_refusal(fault: Fault) -> bool {
    !matches!(
        fault,
        Fault::CutDocument
            | Fault::MalformedDocument
            | Fault::TooLongLength
            | Fault::ResetInResponse
    )
}

#[derive(Clone, Copy)]
enum Row {
    /// A request is broken, once or always.
    Broken {
        stage: Stage,
        fault: Fault,
        always: bool,
    },
    /// The service that is needed cannot be reached or trusted.
    Unreachable(Stage, Unreachable),
}

/// How a row ended: its line in the table, and what is wrong with it.
struct Outcome {
    line: String,
    wrong: Vec<String>,
}

impl Outcome {
    fn new(
        (stage, fault, times): (Stage, impl Debug, &str),
        (first, took): (&Ended, Duration),
        second: &Ended,
        wrong: Vec<String>,
    ) -> Self {
        let code = |ended: &Ended| {
            ended
                .code
                .map_or("none".to_owned(), |code| code.to_string())
        };
        let line = format!(
            "{:<13} {:<54} {times:<7} {:>4}  {:>7.1}  {}",
            format!("{stage:?}"),
            format!("{fault:?}"),
            code(first),
            took.as_secs_f64(),
            code(second),
        );
        let wrong = wrong
            .into_iter()
            .map(|wrong| format!("{line}\n{wrong}\n{}", first.output))
            .collect();
        Self { line, wrong }
    }
}

fn rows() -> Vec<Row> {
    let broken = STAGES
        .into_iter()
        .flat_map(|stage| FAULTS.into_iter().map(move |fault| (stage, fault)))
        .flat_map(|(stage, fault)| [false, true].map(|always| (stage, fault, always)))
        // CloudFront is waited for: some ten minutes while it is busy, 15 while it does not say that it has finished.
        .filter(|(stage, fault, always)| {
            let waits = match (stage, fault) {
                (Stage::Invalidate, Fault::Status(status, code)) => {
                    matches!(status, 429 | 503)
                        || ["Throttling", "TooManyInvalidationsInProgress"].contains(code)
                }
                (Stage::Poll, Fault::CutDocument) => true,
                _ => false,
            };
            !(*always && waits)
        })
        .map(|(stage, fault, always)| Row::Broken {
            stage,
            fault,
            always,
        });
    let unreachable = STAGES
        .into_iter()
        .filter(|stage| stage.service().is_some())
        .flat_map(|stage| Unreachable::ALL.map(|it| Row::Unreachable(stage, it)));
    broken.chain(unreachable).collect()
}

#[test]
fn after_each_fault_the_report_is_true_and_a_rerun_fixes_it() {
    let rows = rows();
    assert!(rows.len() >= 250);
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Outcome)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..CONCURRENT_ROWS {
            scope.spawn(|| loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(row) = rows.get(number) else { break };
                let outcome = match *row {
                    Row::Broken {
                        stage,
                        fault,
                        always,
                    } => of_broken(stage, fault, always),
                    Row::Unreachable(stage, unreachable) => of_unreachable(stage, unreachable),
                };
                outcomes.lock().unwrap().push((number, outcome));
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|(number, _)| *number);
    let mut table = String::from("stage         fault                                                  times   exit  seconds  second run\n");
    for (_, outcome) in &outcomes {
        let _ = writeln!(table, "{}", outcome.line);
    }
    let _ = write!(io::stdout(), "{table}");
    let wrong: Vec<&str> = outcomes
        .iter()
        .flat_map(|(_, outcome)| outcome.wrong.iter().map(String::as_str))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn of_broken(stage: Stage, fault: Fault, always: bool) -> Outcome {
    let (case, _) = Case::development()
        .in_bitbucket("BITBUCKET_BRANCH", "develop")
        .with_broad_role();
    let proxy = Proxy::start(&case.world.endpoint);
    let edge = Proxy::start(&case.world.edge);
    let mut case = case
        .env("AWS_ENDPOINT_URL", &proxy.endpoint)
        .env("WAIT", "true")
        .storing_results();
    if stage == Stage::PublicUrl {
        case = case.env("PUBLIC_URL", &edge.endpoint);
    }
    for key in ["jsdev/mojito.pretty.js", "jsdev/mojito.js"] {
        case.stored_before(key, json!({"x-amz-meta-build-number": "56"}));
    }
    let broken = if stage == Stage::PublicUrl {
        &edge
    } else {
        &proxy
    };
    // The container is read from the public URL before the publish as well.
    let once = if stage == Stage::PublicUrl { 2 } else { 1 };
    broken.breaks(
        stage.target(),
        fault,
        if always { usize::MAX } else { once },
    );

    let (ended, took) = run_within(&case, RUN_TIMEOUT);
    let mut wrong = wrong(stage, fault, always, &case, &ended, took);
    let made = case.invalidations().len();

    broken.heals();
    let second = second_run(&case, made, &mut wrong);
    if !case.is_published("jsdev/mojito.js") {
        wrong.push("the second run did not publish".to_owned());
    }
    Outcome::new(
        (stage, fault, if always { "always" } else { "once" }),
        (&ended, took),
        &second,
        wrong,
    )
}

/// All else is well, and what the first run leaves undone is done by a second one that reaches it.
fn of_unreachable(stage: Stage, unreachable: Unreachable) -> Outcome {
    let (setting, consequence) = stage.service().unwrap();
    let (case, _) = Case::production().with_broad_role();
    let (case, address) = unreachable.address(case.env("WAIT", "true").storing_results());
    let case = case.env(setting, &address);
    let (ended, took) = run_within(&case, RUN_TIMEOUT);
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let exit = match stage {
        // Known before the upload.
        Stage::PublicUrl => 2,
        stage => stage.exit(),
    };
    must(ended.code == Some(exit), "it has another exit code");
    must(took < RUN_TIMEOUT, "it took too long");
    for words in [unreachable.cause(), consequence] {
        must(
            ended.output.contains(words),
            &format!("it does not say `{words}`"),
        );
    }
    let made = case.invalidations().len();
    must(made == 0, "it has invalidated");

    let case = case.unset(setting);
    let second = second_run(&case, made, &mut wrong);
    if case.keys() != ["js/mojito.js"] {
        wrong.push("the second run did not publish".to_owned());
    }
    Outcome::new(
        (stage, unreachable, "always"),
        (&ended, took),
        &second,
        wrong,
    )
}

/// A run where nothing is broken any more, after as many invalidations.
fn second_run(case: &Case, made: usize, wrong: &mut Vec<String>) -> Ended {
    let second = case.run();
    if second.code != Some(0) {
        wrong.push(format!("the second run did not fix it:\n{}", second.output));
    }
    if case.invalidations().len() != made + 1 {
        wrong.push("the second run did not invalidate once".to_owned());
    }
    second
}

/// Runs, and ends what does not end by itself. Says how long it took as well.
fn run_within(case: &Case, longest: Duration) -> (Ended, Duration) {
    let run = case.start();
    let started = Instant::now();
    while !run.has_ended() {
        if started.elapsed() > longest {
            run.signal("-KILL");
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let took = started.elapsed();
    (run.end(), took)
}

/// What a run did that it must not do, or said that is not true.
fn wrong(
    stage: Stage,
    fault: Fault,
    always: bool,
    case: &Case,
    ended: &Ended,
    took: Duration,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let contains = |text: &str| ended.output.contains(text);
    let code = ended.code.unwrap_or(-1);
    let expected = expected(stage, fault, always);
    must(
        expected.contains(&code),
        &format!("it must end with {expected:?}"),
    );
    must(took < RUN_TIMEOUT, "it took too long");
    must(
        !contains("panicked") && !contains("internal error"),
        "it has an internal error",
    );
    must(case.has_result(), "it stored no result");
    let published = case.is_published("jsdev/mojito.js");
    let invalidations = case.invalidations();
    if matches!(code, 0 | 4 | 5) {
        must(
            published && case.is_published("jsdev/mojito.pretty.js"),
            "it is not published",
        );
    }
    if contains("not replaced: mojito") || contains("nothing was uploaded") {
        must(!published, "the container was replaced");
    }
    if code == 3 {
        must(
            contains("not replaced: mojito")
                || contains("nothing was uploaded")
                || contains("not known whether mojito was replaced"),
            "it does not say what visitors get",
        );
    }
    if contains("visitors do not get it yet") {
        must(
            !always || is_answered(fault),
            "it cannot know what visitors get",
        );
    }
    must(invalidations.len() <= 1, "it invalidated twice");
    if contains("CloudFront still serves the old container") {
        must(invalidations.is_empty(), "it was invalidated");
    }
    if matches!(code, 0 | 5) {
        let paths: Vec<&String> = invalidations.iter().flat_map(|made| &made.paths).collect();
        must(
            paths == ["/jsdev/mojito.pretty.js", "/jsdev/mojito.js"],
            "it did not invalidate what it published",
        );
    }
    wrong
}
