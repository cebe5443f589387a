//! Stops a publish with each signal around each request and each response, and compares what it says of the state with what the
//! local AWS holds once everything that was sent has taken effect.
//!
//! `cargo test` makes some of these stops. All of them take many minutes:
//! `cargo test --test faults -- --ignored stopped`.

use std::collections::BTreeSet;
use std::fs::File;

use serde_json::{json, Value};

use super::parallel::in_parallel;
use super::setting::versioned_before;
use crate::support::harness::{Case, Ended, Invalidated};

const SIGNALS: [&str; 4] = ["TERM", "INT", "HUP", "QUIT"];

/// Stops at the same time.
const CONCURRENT_STOPS: usize = 8;

/// What is published, with which settings.
struct Scenario {
    name: &'static str,
    case: fn() -> Case,
    /// Whether the requests that are counted are those to `PUBLIC_URL`.
    cdn: bool,
    /// After how many of them it is stopped. The last ones come after the last request, so that none is left out.
    after: &'static [usize],
}

static SCENARIOS: [Scenario; 15] = [
    Scenario {
        name: "one container",
        case: || Case::production().storing_results(),
        cdn: false,
        after: &[0, 1, 2, 3, 4, 5, 6],
    },
    Scenario {
        name: "both files of a container",
        case: || Case::development().storing_results(),
        cdn: false,
        after: &[0, 1, 2, 3, 4, 5, 6, 7],
    },
    Scenario {
        name: "three containers",
        case: || containers(3),
        cdn: false,
        after: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    },
    Scenario {
        name: "150 containers",
        case: || containers(150),
        cdn: false,
        after: &[2, 3, 50, 66, 100, 130, 149, 152, 154],
    },
    Scenario {
        name: "two distributions",
        case: two_distributions,
        cdn: false,
        after: &[2, 3, 4, 5, 6, 7],
    },
    Scenario {
        name: "only newer",
        case: only_newer,
        cdn: false,
        after: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    },
    Scenario {
        name: "with OpenID Connect, only newer, and a wait",
        case: || with_role().env("ONLY_NEWER", "true").env("WAIT", "true"),
        cdn: false,
        after: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    },
    Scenario {
        name: "public URL, stopped at AWS",
        case: public_url,
        cdn: false,
        after: &[0, 1, 2, 3, 4, 5],
    },
    Scenario {
        name: "public URL, stopped at the CDN",
        case: public_url,
        cdn: true,
        after: &[0, 1, 2, 3, 4, 5, 6],
    },
    Scenario {
        name: "debug log",
        case: || only_newer().env("DEBUG", "true"),
        cdn: false,
        after: &[0, 1, 2, 3, 4, 5, 6, 7],
    },
    Scenario {
        name: "rollback",
        case: || rollback().env("ENVIRONMENT", "production"),
        cdn: false,
        after: &[0, 1, 2, 3, 4, 5, 6, 7, 8],
    },
    Scenario {
        name: "rollback of both files, with OpenID Connect and a wait",
        case: || {
            rollback()
                .env("ENVIRONMENT", "development")
                .with_broad_role()
                .0
                .env("WAIT", "true")
        },
        cdn: false,
        after: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    },
    Scenario {
        name: "rollback by a version, by hand",
        case: rollback_by_hand,
        cdn: false,
        after: &[0, 1, 2, 3, 4, 5, 6],
    },
    Scenario {
        name: "rollback with public URL, stopped at the CDN",
        case: || {
            let case = rollback().env("ENVIRONMENT", "production");
            let edge = case.world.edge.clone();
            case.env("PUBLIC_URL", &edge)
        },
        cdn: true,
        after: &[0, 1, 2, 3],
    },
    Scenario {
        name: RESULT_BLOCKED,
        case: || {
            Case::production()
                .storing_results()
                .file("shared/.keep", "")
        },
        cdn: false,
        after: &[0, 1, 2, 3, 4],
    },
];

const RESULT_BLOCKED: &str = "a result that cannot be written";

/// When the signal comes. What is held is let go when the process has ended, or where it says so at the same time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Moment {
    /// The next request has not taken effect yet, nor do those after it.
    Requested,
    /// The next request has taken effect, and so do those after it; they are not answered.
    Answered,
    /// The next request goes on when the signal is sent.
    WhileRequested,
    /// The next response goes on when the signal is sent.
    WhileAnswered,
}

const MOMENTS: [Moment; 4] = [
    Moment::Requested,
    Moment::Answered,
    Moment::WhileRequested,
    Moment::WhileAnswered,
];

#[derive(Clone, Copy)]
struct Stop {
    scenario: &'static Scenario,
    after: usize,
    moment: Moment,
    signal: &'static str,
}

fn all_stops() -> Vec<Stop> {
    let mut stops = Vec::new();
    for scenario in &SCENARIOS {
        for after in scenario.after {
            for moment in MOMENTS {
                for signal in SIGNALS {
                    stops.push(Stop {
                        scenario,
                        after: *after,
                        moment,
                        signal,
                    });
                }
            }
        }
    }
    stops
}

fn containers(number: usize) -> Case {
    Case::containers(number, &["s3:PutObject"]).storing_results()
}

fn two_distributions() -> Case {
    let case = Case::production().storing_results();
    let first = case.world.distribution.clone();
    let second: String = case.call("add_distribution", json!({}));
    case.set_policy(json!([
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/js/mojito.js", case.world.bucket)},
        case.may_invalidate(&first),
        case.may_invalidate(&second),
    ]));
    case.list("DISTRIBUTION_ID", &[&first, &second])
}

fn only_newer() -> Case {
    let case = Case::development()
        .in_bitbucket("BITBUCKET_BRANCH", "develop")
        .storing_results();
    let case = case.env("ONLY_NEWER", "true");
    case.set_policy(json!([
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": format!("arn:aws:s3:::{}/jsdev/mojito*", case.world.bucket)},
        case.may_invalidate(&case.world.distribution),
    ]));
    for key in ["jsdev/mojito.pretty.js", "jsdev/mojito.js"] {
        case.stored_before(key, json!({"x-amz-meta-build-number": "56"}));
    }
    case
}

/// Build 61 puts build 57 back in place of build 58.
fn rollback() -> Case {
    let case = rollback_of_versions();
    let case = case.in_bitbucket("BITBUCKET_COMMIT", "2a3b4c5");
    case.env("BITBUCKET_BUILD_NUMBER", "61").arg("rollback")
}

fn rollback_of_versions() -> Case {
    let case = Case::without_rights().storing_results();
    let bucket = &case.world.bucket;
    case.set_policy(json!([
        {"Effect": "Allow", "Action": "s3:ListBucketVersions", "Resource": format!("arn:aws:s3:::{bucket}")},
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"], "Resource": format!("arn:aws:s3:::{bucket}/*")},
        case.may_invalidate(&case.world.distribution),
    ]));
    let keys = ["js/mojito.js", "jsdev/mojito.js", "jsdev/mojito.pretty.js"];
    versioned_before(&case, &keys.map(str::to_owned));
    case
}

fn rollback_by_hand() -> Case {
    let case = rollback_of_versions().arg("rollback").arg("--production");
    let versions: Value = case.call("versions", json!({"key": "js/mojito.js"}));
    let first = versions[1]["id"].as_str().expect("it has an ID").to_owned();
    case.arg("--to").arg(&first)
}

fn with_role() -> Case {
    let (case, _) = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .storing_results()
        .with_broad_role();
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "56"}));
    case
}

fn public_url() -> Case {
    let case = Case::production().storing_results();
    let edge = case.world.edge.clone();
    case.env("PUBLIC_URL", &edge)
}

/// What came of a stop: whether there was such a request, and what the run said that is not true.
struct Outcome {
    code: Option<i32>,
    stopped: bool,
    wrong: Vec<String>,
}

fn outcome(stop: &Stop) -> Outcome {
    let Stop {
        scenario,
        after,
        moment,
        signal,
    } = *stop;
    let case = (scenario.case)().env("NO_COLOR", "true");
    let is_blocked = scenario.name == RESULT_BLOCKED;
    let at = match moment {
        Moment::Requested | Moment::WhileRequested => "request",
        Moment::Answered | Moment::WhileAnswered => "answer",
    };
    let gate = case.gate(json!({"skip": after, "at": at, "cdn": scenario.cdn}));
    let shared = case.repository().join("shared");
    let case = if is_blocked {
        case.env(
            "BITBUCKET_PIPE_SHARED_STORAGE_DIR",
            shared.to_str().expect("it is UTF-8"),
        )
    } else {
        case
    };
    let run = case.start();
    let stopped = gate.is_holding_before_end(&run);
    let blocked = (is_blocked && stopped).then(|| block_result(&case));
    if stopped {
        if moment == Moment::WhileAnswered {
            gate.open();
        }
        run.signal(&format!("-{signal}"));
        if moment == Moment::WhileRequested {
            gate.open();
        }
    }
    let ended = run.end();
    drop(blocked);
    gate.open();
    case.wait_until_disconnected();
    let mut evidence = Evidence::of_first_run(&case);
    evidence.compare_with_log(&ended, signal);
    if let Some(result) = case.stored_result() {
        let waits = case.environment().contains_key("WAIT");
        evidence.compare_with_result(&result, &ended, signal, waits);
    }
    let mut wrong = evidence.wrong;
    if !stopped && ended.code != Some(0) {
        wrong.push("it does not succeed by itself".to_owned());
    }
    if case.stored_result().is_none() {
        wrong.push("it stored no result".to_owned());
    }
    // Where the machine is busy, many uploads at a time may take longer than each of them may.
    if !case.dist("site99.js").exists() {
        let second = case.run();
        if second.code != Some(0) {
            wrong.push(format!(
                "the second run does not fix it:\n{}",
                second.output
            ));
        }
        let is_back = ["js/mojito.js", "jsdev/mojito.js"].map(|key| case.is_published(key));
        if scenario.name.starts_with("rollback") && !is_back.contains(&true) {
            wrong.push("the second run does not leave the version put back".to_owned());
        }
    }
    if !wrong.is_empty() {
        wrong.push(ended.output);
    }
    Outcome {
        code: ended.code,
        stopped,
        wrong,
    }
}

/// Another program has locked the folder of the result, for longer than a stopped run may take.
fn block_result(case: &Case) -> File {
    let folder = File::open(case.repository().join("shared")).expect("the case has made it");
    folder.lock().expect("nobody else has locked it");
    folder
}

/// What the local AWS holds of a run, and what the run said of it that is not true, or did not say.
struct Evidence {
    stored: BTreeSet<String>,
    invalidations: Vec<Invalidated>,
    wrong: Vec<String>,
}

impl Evidence {
    fn of_first_run(case: &Case) -> Self {
        // What was there before the run has no reference.
        let objects = case.objects().into_iter();
        let objects = objects.filter(|it| it.headers.contains_key("x-amz-meta-caller-reference"));
        Self {
            stored: objects.map(|object| object.key).collect(),
            invalidations: case.invalidations(),
            wrong: Vec::new(),
        }
    }

    fn must(&mut self, holds: bool, what: &str) {
        if !holds {
            self.wrong.push(what.to_owned());
        }
    }

    fn is_stored(&self, container: &str) -> bool {
        let file = format!("/{container}.js");
        self.stored.iter().any(|key| key.ends_with(&file))
    }

    fn is_invalidated(&self, distribution: &str) -> bool {
        let mut made = self.invalidations.iter();
        made.any(|made| made.distribution == distribution)
    }

    fn compare_with_log(&mut self, ended: &Ended, signal: &str) {
        let stopped_by = format!("stopped by SIG{signal}");
        let says = |text: &str| ended.output.contains(text);
        match ended.code {
            Some(0) => self.must(!self.stored.is_empty(), "it has stored nothing"),
            Some(3..=5) => self.must(says(&stopped_by), "it does not say why it ended"),
            _ => self.must(false, "no stop has this exit code"),
        }
        if let Some((_, statement)) = ended.output.split_once(&stopped_by) {
            let mut after = statement.lines().skip(1);
            let is_of_end = |line: &str| {
                let starts = ["  ", "✔", "WARNING: the result"];
                starts.iter().any(|start| line.starts_with(start))
            };
            self.must(after.all(is_of_end), "it goes on after its statement");
        }
        if says("nothing was uploaded") {
            self.must(self.stored.is_empty(), "something was uploaded");
            self.must(self.invalidations.is_empty(), "something was invalidated");
        }
        if says(": not published to ") || says(": not put back in ") {
            let mut keys = self.stored.iter();
            let none = keys.all(|key| key.ends_with(".pretty.js"));
            self.must(none, "a container was replaced");
        }
        for line in ended.output.lines() {
            if let Some(names) = line.trim().strip_prefix("not replaced: ") {
                let names = names.split("; ").next().unwrap_or_default();
                for name in names.split([',', ' ']).filter(|name| !name.is_empty()) {
                    self.must(!self.is_stored(name), &format!("{name} was replaced"));
                }
            }
            let old = ["the old container", "the container that was live"];
            let mut stale = old
                .iter()
                .filter_map(|old| line.split_once(&format!("still serves {old} from ")));
            if let Some((_, ids)) = stale.next() {
                for id in ids.split([',', ' ']) {
                    self.must(!self.is_invalidated(id), &format!("{id} was invalidated"));
                }
            }
        }
    }

    fn compare_with_result(&mut self, result: &Value, ended: &Ended, signal: &str, waits: bool) {
        let stopped_by = result["stopped_by"].as_str();
        self.must(
            stopped_by.is_none() && ended.code == Some(0)
                || stopped_by == Some(&format!("SIG{signal}")),
            "the result does not say what stopped it",
        );
        let exit = result["exit_code"].as_i64();
        self.must(
            exit == ended.code.map(i64::from),
            "the result has another exit code",
        );
        let expected = exit_of_result(result, waits);
        self.must(
            ended.code == Some(expected),
            "the exit code does not follow from the result",
        );
        for container in items(result, "containers") {
            let name = container["name"].as_str().unwrap_or_default();
            let is_stored = self.is_stored(name);
            self.must(
                match container["state"].as_str() {
                    Some("published") => is_stored,
                    Some("not_published") => !is_stored,
                    state => state == Some("unknown"),
                },
                &format!("{container}: is stored: {is_stored}"),
            );
            for object in items(container, "objects") {
                let is_stored = self
                    .stored
                    .contains(object["key"].as_str().unwrap_or_default());
                self.must(
                    match object["upload"].as_str() {
                        Some("uploaded") => is_stored,
                        Some("not_started") => !is_stored,
                        upload => upload == Some("unknown"),
                    },
                    &format!("{object}: is stored: {is_stored}"),
                );
            }
        }
        for invalidation in items(result, "invalidations") {
            let distribution = invalidation["distribution_id"].as_str().unwrap_or_default();
            let ids = items(invalidation, "ids");
            let exists = |id: &Value| self.invalidations.iter().any(|made| made.id == *id);
            self.must(
                match invalidation["status"].as_str() {
                    Some("in_progress" | "completed") => !ids.is_empty() && ids.iter().all(exists),
                    Some("not_started") => !self.is_invalidated(distribution),
                    status => status == Some("unknown"),
                },
                &format!("{invalidation}: {:?}", self.invalidations),
            );
        }
    }
}

fn items<'a>(of: &'a Value, list: &str) -> &'a [Value] {
    of[list].as_array().map_or(&[], Vec::as_slice)
}

/// The exit code that the README gives to the state in a result.
fn exit_of_result(result: &Value, waits: bool) -> i32 {
    let all = |list: &str, name: &str, words: &[Value]| {
        let mut items = items(result, list).iter();
        items.all(|item| words.contains(&item[name]))
    };
    let is_early = items(result, "containers").is_empty();
    if is_early || !all("containers", "state", &["published".into()]) {
        3
    } else if !all(
        "invalidations",
        "status",
        &["in_progress".into(), "completed".into()],
    ) {
        4
    } else if !all("verifications", "verified", &[true.into()])
        || waits && !all("invalidations", "status", &["completed".into()])
    {
        5
    } else {
        0
    }
}

/// Makes the stops, of which none may find a lie, and returns how many found a run to stop, and how these ended.
fn make(stops: &[Stop]) -> (usize, BTreeSet<Option<i32>>) {
    let (mut stopped, mut codes, mut wrong) = (0, BTreeSet::new(), Vec::new());
    for (stop, outcome) in stops
        .iter()
        .zip(in_parallel(CONCURRENT_STOPS, stops, outcome))
    {
        if outcome.stopped {
            stopped += 1;
            codes.insert(outcome.code);
        }
        if !outcome.wrong.is_empty() {
            wrong.push(format!(
                "{}, SIG{} after {} {:?}: {}",
                stop.scenario.name,
                stop.signal,
                stop.after,
                stop.moment,
                outcome.wrong.join("\n")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {stopped}:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    (stopped, codes)
}

#[test]
fn stopped_around_some_requests_it_reports_what_it_did() {
    // A prime, so that each scenario, moment and signal has its turn.
    let stops: Vec<Stop> = all_stops().into_iter().step_by(23).collect();
    let (stopped, codes) = make(&stops);
    assert!(stopped >= 45, "{stopped}");
    assert!(
        codes.is_superset(&[Some(3), Some(4), Some(5)].into()),
        "{codes:?}"
    );
}

#[test]
fn a_rollback_that_is_stopped_around_any_request_reports_what_it_did_and_a_rerun_finishes_it() {
    let is_rollback = |stop: &Stop| stop.scenario.name.starts_with("rollback");
    // Coprime to the numbers of moments and signals.
    let stops = all_stops().into_iter().filter(is_rollback).step_by(5);
    let (stopped, codes) = make(&stops.collect::<Vec<_>>());
    assert!(stopped >= 50, "{stopped}");
    assert!(
        codes.is_superset(&[Some(3), Some(4), Some(5)].into()),
        "{codes:?}"
    );
}

#[test]
#[ignore = "takes many minutes"]
fn stopped_around_every_request_it_reports_what_it_did() {
    let (stopped, codes) = make(&all_stops());
    assert!(stopped >= 1_000, "{stopped}");
    assert_eq!(codes, [Some(0), Some(3), Some(4), Some(5)].into());
}
