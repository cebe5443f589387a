//! What goes wrong on the way to AWS, at each stage of a publish: either the run recovers, or it ends with the right exit
//! code and says the true state, and a second run fixes it.
//!
//! `cargo test --test faults -- --nocapture` prints the table. CONTRIBUTING.md says how to
//! meet every fault under every setting.

use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use super::parallel::in_parallel;
use super::setting::{lies, Extra, Setting};
use crate::support::harness::{Case, Ended};
use crate::support::proxy::{Fault, Forged, Proxy, Target};
use crate::support::unreachable::Unreachable;

/// Rows that are tried at the same time.
const CONCURRENT_ROWS: usize = 16;
/// No run of this table may take longer. Two operations without a response take a minute each.
const RUN_TIMEOUT: Duration = Duration::from_secs(150);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    AssumeRole,
    /// Of a rollback, as the two below.
    ListVersions,
    LookAtVersion,
    ReadVersion,
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

const STAGES_OF_ROLLBACK: [Stage; 9] = [
    Stage::AssumeRole,
    Stage::ListVersions,
    Stage::LookAtVersion,
    Stage::ReadVersion,
    Stage::PutPretty,
    Stage::PutContainer,
    Stage::Invalidate,
    Stage::Poll,
    Stage::PublicUrl,
];

const FAULTS: [Fault; 33] = [
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
    Fault::Gateway(408),
    Fault::Gateway(429),
    Fault::Gateway(502),
    Fault::Gateway(503),
    Fault::Gateway(504),
    Fault::Gateway(520),
    Fault::Gateway(524),
    Fault::Forged(Forged::Page),
    Fault::Forged(Forged::Status(202)),
    Fault::Forged(Forged::Status(204)),
    Fault::Forged(Forged::Status(206)),
    Fault::Forged(Forged::Bare),
    Fault::Forged(Forged::ErrorDocument),
    Fault::Forged(Forged::OfAnotherRequest),
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
    fn target(self, setting: Setting) -> Target {
        let (method, path) = match (self, setting.production) {
            (Self::AssumeRole, _) => ("POST", "/"),
            (Self::ListVersions, _) => ("GET", "?versions"),
            (Self::LookAtVersion, _) => ("HEAD", "?versionId"),
            (Self::ReadVersion, _) => ("GET", "?versionId"),
            (Self::PutPretty, false) => ("PUT", "/jsdev/mojito.pretty.js"),
            (Self::PutPretty, true) => ("PUT", "/js/mojito.pretty.js"),
            (Self::PutContainer, false) => ("PUT", "/jsdev/mojito.js"),
            (Self::PutContainer, true) => ("PUT", "/js/mojito.js"),
            (Self::Invalidate, _) => ("POST", "/invalidation"),
            (Self::Poll, _) => ("GET", "/invalidation/"),
            (Self::PublicUrl, false) => ("GET", "/jsdev/mojito.js"),
            (Self::PublicUrl, true) => ("GET", "/js/mojito.js"),
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
            Self::PutPretty
            | Self::Poll
            | Self::ListVersions
            | Self::LookAtVersion
            | Self::ReadVersion => None,
        }
    }

    /// The exit code of a run that fails here.
    fn exit(self) -> i32 {
        match self {
            Self::AssumeRole
            | Self::ListVersions
            | Self::LookAtVersion
            | Self::ReadVersion
            | Self::PutPretty
            | Self::PutContainer => 3,
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
        // An upload to a store that sends no more than that is not repeated.
        Fault::Forged(Forged::Bare) => false,
        _ => true,
    }
}

/// Whether the request takes effect, although the response does not show it.
fn takes_effect(fault: Fault) -> bool {
    !matches!(
        fault,
        Fault::ResetInRequest | Fault::NoResponse | Fault::Status(..) | Fault::Forged(_)
    )
}

/// The exit codes that a run may end with.
fn expected(stage: Stage, fault: Fault, always: bool, setting: Setting) -> Vec<i32> {
    let failed = stage.exit();
    if fault == Fault::SlowResponse {
        return vec![0];
    }
    // What cannot be looked at is not shown, and `NAME.pretty.js` stays as it is.
    if stage == Stage::LookAtVersion {
        return vec![0];
    }
    // Visitors are looked after for a while, and CloudFront is waited for, whatever the answer was.
    let waits = stage == Stage::PublicUrl
        || fault == Fault::Status(400, "TooManyInvalidationsInProgress")
            && stage == Stage::Invalidate;
    match (always, passes(fault) || waits) {
        (false, true) => vec![0],
        (false, false) => vec![0, failed],
        // What matters of an answer may be in the half that arrived, or an upload is looked up.
        (true, _) if !is_refusal(fault) || setting.may_read(stage) && takes_effect(fault) => {
            vec![0, failed]
        }
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

/// A request that is broken, once or always.
#[derive(Clone, Copy)]
struct Broken {
    stage: Stage,
    fault: Fault,
    always: bool,
    setting: Setting,
}

#[derive(Clone, Copy)]
enum Row {
    Broken(Broken),
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
        (stage, fault, times): (&str, impl Debug, &str),
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
            "{stage:<41} {:<54} {times:<7} {:>4}  {:>7.1}  {}",
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

/// Every fault at every stage.
fn broken(setting: Setting) -> impl Iterator<Item = Broken> {
    let stages = if setting.rollback {
        &STAGES_OF_ROLLBACK[..]
    } else {
        &STAGES
    };
    stages
        .iter()
        .flat_map(|stage| FAULTS.into_iter().map(move |fault| (*stage, fault)))
        .flat_map(|(stage, fault)| [false, true].map(|always| (stage, fault, always)))
        // CloudFront is retried for 15 minutes while it is busy, and visitors are waited for 5 minutes where nothing is
        // invalidated.
        .filter(move |(stage, fault, always)| {
            let is_busy = match fault {
                Fault::Status(status, code) => {
                    matches!(status, 429 | 503)
                        || ["Throttling", "TooManyInvalidationsInProgress"].contains(code)
                }
                _ => false,
            };
            let fails = *always || !passes(*fault);
            let waits = *always && is_busy || fails && setting.extra == Extra::PublicUrl;
            !(waits && *stage == Stage::Invalidate)
        })
        .map(move |(stage, fault, always)| Broken {
            stage,
            fault,
            always,
            setting,
        })
}

#[test]
fn after_each_fault_the_report_is_true_and_a_rerun_fixes_it() {
    let setting = Setting {
        production: false,
        extra: Extra::OidcAndWait,
        rollback: false,
    };
    let unreachable = STAGES
        .into_iter()
        .filter(|stage| stage.service().is_some())
        .flat_map(|stage| Unreachable::ALL.map(|it| Row::Unreachable(stage, it)));
    let rows: Vec<Row> = broken(setting)
        .map(Row::Broken)
        .chain(unreachable)
        .collect();
    assert!(rows.len() >= 400);
    run(&rows);
}

/// Every fault at every stage of a rollback.
fn of_rollback() -> impl Iterator<Item = Row> {
    let setting = Setting {
        production: false,
        extra: Extra::OidcAndWait,
        rollback: true,
    };
    broken(setting).map(Row::Broken)
}

#[test]
fn after_a_fault_of_a_rollback_the_report_is_true_and_a_rerun_fixes_it() {
    // Coprime to the numbers of stages and faults.
    const EVERY: usize = 7;
    let rows: Vec<Row> = of_rollback().step_by(EVERY).collect();
    assert!(rows.len() >= 80);
    run(&rows);
}

#[test]
#[ignore = "it takes minutes"]
fn after_each_fault_of_a_rollback_the_report_is_true_and_a_rerun_fixes_it() {
    run(&of_rollback().collect::<Vec<Row>>());
}

#[test]
#[ignore = "it takes over an hour"]
fn under_every_setting_the_report_is_true_after_each_fault() {
    let rows: Vec<Row> = Setting::all().flat_map(broken).map(Row::Broken).collect();
    assert!(rows.len() >= 5_000);
    run(&rows);
}

#[test]
#[ignore = "it takes minutes"]
fn a_sample_of_all_settings_and_faults_is_reported_truly() {
    // Coprime to the numbers of stages, faults and settings, so that it meets all of them.
    const EVERY: usize = 31;
    let rows = Setting::all().flat_map(broken).map(Row::Broken);
    run(&rows.step_by(EVERY).collect::<Vec<Row>>());
}

/// Tries all rows, prints the table, and fails if anything in it is wrong.
fn run(rows: &[Row]) {
    let outcomes = in_parallel(CONCURRENT_ROWS, rows, |row| match *row {
        Row::Broken(row) => of_broken(row),
        Row::Unreachable(stage, unreachable) => of_unreachable(stage, unreachable),
    });
    let mut table = format!(
        "{:<41} {:<54} times   exit  seconds  second run\n",
        "stage and setting", "fault"
    );
    for outcome in &outcomes {
        let _ = writeln!(table, "{}", outcome.line);
    }
    let _ = write!(io::stdout(), "{table}");
    let wrong: Vec<&str> = outcomes
        .iter()
        .flat_map(|outcome| outcome.wrong.iter().map(String::as_str))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn of_broken(row: Broken) -> Outcome {
    let Broken {
        stage,
        fault,
        always,
        setting,
    } = row;
    let case = setting.case(stage);
    let proxy = Proxy::start(&case.world.endpoint);
    let edge = Proxy::start(&case.world.edge);
    let mut case = case.env("AWS_ENDPOINT_URL", &proxy.endpoint);
    if stage == Stage::PublicUrl || setting.extra == Extra::PublicUrl {
        case = case.env("PUBLIC_URL", &edge.endpoint);
    }
    let broken = if stage == Stage::PublicUrl {
        &edge
    } else {
        &proxy
    };
    // The container is read from the public URL before the publish as well.
    let once = if stage == Stage::PublicUrl { 2 } else { 1 };
    broken.breaks(
        stage.target(setting),
        fault,
        if always { usize::MAX } else { once },
    );

    let (ended, took) = run_within(&case, RUN_TIMEOUT);
    let mut wrong = wrong(row, &case, &ended, took);
    let made = case.invalidations().len();

    broken.heals();
    let distributions = if setting.extra == Extra::TwoDistributions {
        2
    } else {
        1
    };
    let second = second_run(&case, made, distributions, &mut wrong);
    if !setting.keys().iter().all(|key| case.is_published(key)) {
        wrong.push("the second run did not publish".to_owned());
    }
    let stage = format!("{stage:?}");
    let command = if setting.rollback { " rollback" } else { "" };
    let setting = match (setting.production, setting.extra) {
        (true, extra) => format!("{stage} production {extra:?}{command}"),
        (false, extra) => format!("{stage} development {extra:?}{command}"),
    };
    Outcome::new(
        (&setting, fault, if always { "always" } else { "once" }),
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
    let second = second_run(&case, made, 1, &mut wrong);
    if case.keys() != ["js/mojito.js"] {
        wrong.push("the second run did not publish".to_owned());
    }
    Outcome::new(
        (&format!("{stage:?}"), unreachable, "always"),
        (&ended, took),
        &second,
        wrong,
    )
}

/// A run where nothing is broken any more, after as many invalidations.
fn second_run(case: &Case, made: usize, distributions: usize, wrong: &mut Vec<String>) -> Ended {
    let second = case.run();
    if second.code != Some(0) {
        wrong.push(format!("the second run did not fix it:\n{}", second.output));
    }
    if case.invalidations().len() != made + distributions {
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
fn wrong(row: Broken, case: &Case, ended: &Ended, took: Duration) -> Vec<String> {
    let Broken {
        stage,
        fault,
        always,
        setting,
    } = row;
    if !case.has_result() {
        return vec!["it stored no result".to_owned()];
    }
    let mut wrong = lies(case, &case.result());
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let contains = |text: &str| ended.output.contains(text);
    let code = ended.code.unwrap_or(-1);
    let expected = expected(stage, fault, always, setting);
    must(
        expected.contains(&code),
        &format!("it must end with {expected:?}"),
    );
    must(took < RUN_TIMEOUT, "it took too long");
    must(
        !contains("panicked") && !contains("internal error"),
        "it has an internal error",
    );
    let mut keys = setting.keys();
    if stage == Stage::LookAtVersion && contains("mojito.pretty.js stays as it is") {
        keys.retain(|key| !key.ends_with(".pretty.js"));
    }
    let published = case.is_published(&format!("{}/mojito.js", setting.folder()));
    let invalidations = case.invalidations();
    if matches!(code, 0 | 4 | 5) {
        must(
            keys.iter().all(|key| case.is_published(key)),
            "it is not published",
        );
    }
    if contains("not replaced: mojito") || contains("nothing was uploaded") {
        must(!published, "the container was replaced");
    }
    let is_unknown = contains("not known whether mojito was replaced");
    if code == 3 {
        must(
            contains("not replaced: mojito") || contains("nothing was uploaded") || is_unknown,
            "it does not say what visitors get",
        );
    }
    if is_unknown {
        must(
            !invalidations.is_empty(),
            "what may be replaced is not invalidated",
        );
    }
    if contains("visitors do not get it yet") {
        must(
            !always || is_answered(fault),
            "it cannot know what visitors get",
        );
    }
    let mut distributions: Vec<&str> = invalidations
        .iter()
        .map(|made| made.distribution.as_str())
        .collect();
    distributions.sort_unstable();
    distributions.dedup();
    must(
        distributions.len() == invalidations.len(),
        "it invalidated twice",
    );
    let old = if setting.rollback {
        "the container that was live"
    } else {
        "the old container"
    };
    for distribution in distributions {
        must(
            !contains(&format!(
                "CloudFront still serves {old} from {distribution}"
            )),
            "it was invalidated",
        );
    }
    if matches!(code, 0 | 5) {
        for made in &invalidations {
            let mut paths = made.paths.clone();
            let mut expected: Vec<String> = keys.iter().map(|key| format!("/{key}")).collect();
            paths.sort_unstable();
            expected.sort_unstable();
            must(paths == expected, "it did not invalidate what it published");
        }
        must(!invalidations.is_empty(), "it did not invalidate");
    }
    wrong
}
