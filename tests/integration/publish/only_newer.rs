//! `ONLY_NEWER`: of two pipelines that publish at the same time, the newer one's container is what remains.

use std::fs;
use std::thread;

use serde::Deserialize;
use serde_json::{json, Value};

use crate::support::harness::{Case, Ended};
use crate::support::proxy::{Fault, Proxy, Target};
use crate::support::run::Run;

/// The upload of the container.
const PUT: Target = Target {
    method: "PUT",
    path: "/js/mojito.js",
};

/// A case whose uploads can be broken.
fn behind_proxy(allowed: &[&str]) -> (Case, Proxy) {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true");
    case.allow_on_container(allowed);
    let proxy = Proxy::start(&case.world.endpoint);
    // The first is on a condition that cannot hold.
    proxy.breaks(PUT, Fault::Nothing, 1);
    let case = case.env("AWS_ENDPOINT_URL", &proxy.endpoint);
    (case, proxy)
}

#[test]
fn an_upload_that_was_stored_and_lost_its_response_is_no_race() {
    for stored_before in [false, true] {
        let (case, proxy) = behind_proxy(&["s3:PutObject", "s3:GetObject"]);
        if stored_before {
            case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "56"}));
        }
        proxy.breaks(PUT, Fault::ResetBeforeResponse, 1);
        case.run().exits(0).contains("is published to production");
        assert!(case.is_published("js/mojito.js"));
        assert_eq!(case.invalidations().len(), 1);
        // The one on a condition that cannot hold, the one that was stored, and the one that met it.
        let requests = case.requests();
        let uploads = requests.iter().filter(|request| request.method == "PUT");
        assert_eq!(uploads.count(), 3);
    }
}

#[test]
fn an_upload_that_lost_its_response_is_not_denied_because_of_what_came_after_it() {
    // It may not look what is there, which is its own.
    let (case, proxy) = behind_proxy(&["s3:PutObject"]);
    proxy.breaks(PUT, Fault::ResetBeforeResponse, 1);
    let ended = case.run();
    assert!(case.is_published("js/mojito.js"));
    ended
        .exits(3)
        .contains("the object exists, but its build number may not be read")
        .contains("not known whether mojito was replaced")
        .does_not_contain("visitors still get the old container");
    assert_eq!(case.invalidations().len(), 1);

    // Looking what is there fails.
    let (case, proxy) = behind_proxy(&["s3:PutObject", "s3:GetObject"]);
    proxy.breaks(PUT, Fault::ResetBeforeResponse, 1);
    let head = Target {
        method: "HEAD",
        ..PUT
    };
    proxy.breaks(head, Fault::Nothing, 1);
    proxy.breaks(head, Fault::Status(503, "SlowDown"), usize::MAX);
    let ended = case.run();
    assert!(case.is_published("js/mojito.js"));
    ended
        .exits(3)
        .contains("not known whether mojito was replaced");
    assert_eq!(case.invalidations().len(), 1);
}

#[test]
fn a_conflict_is_retried_and_suggests_no_permission() {
    let (case, proxy) = behind_proxy(&["s3:PutObject"]);
    proxy.breaks(PUT, Fault::Status(409, "ConditionalRequestConflict"), 2);
    case.run().exits(0);
    assert!(case.is_published("js/mojito.js"));
}

#[test]
fn a_store_that_ignores_the_conditions_of_a_write_is_noticed() {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let warning = "WARNING: this S3 endpoint ignores the conditions of a write (`If-Match`)";
    case.run().exits(0).does_not_contain(warning);
    case.call::<()>("set_store", json!({"ignores_conditions": true}));
    for stored_before in ["56", "57"] {
        case.stored_before(
            "js/mojito.js",
            json!({"x-amz-meta-build-number": stored_before}),
        );
        case.run().exits(0).contains(warning);
        assert!(case.is_published("js/mojito.js"));
    }
    // A newer build that is there already is not replaced all the same, and nothing is tried.
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "58"}));
    let uploads = || {
        let requests = case.requests();
        requests.iter().filter(|it| it.method == "PUT").count()
    };
    let before = uploads();
    case.run().exits(6);
    assert_eq!(uploads(), before);
}

/// A case whose user may read and write production's container.
fn readable() -> Case {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case
}

#[test]
fn builds_of_two_repositories_are_not_compared_but_a_rerun_replaces_them() {
    for build in ["12", "99"] {
        let case = readable().storing_results();
        let metadata = json!({
            "x-amz-meta-build-number": build, "x-amz-meta-repository": "acme/g%C3%B6teborg"
        });
        case.stored_before("js/mojito.js", metadata);
        let refusal = format!(
            "build {build} of acme/g%C3%B6teborg is live, and this is build 57, commit 1f2e3d4, of acme/site: \
             the builds of two repositories cannot be compared"
        );
        case.run()
            .exits(3)
            .contains(&refusal)
            .contains("publish each repository to a key of its own")
            .contains("not replaced: mojito; visitors still get the old container")
            .does_not_contain("next: fix the cause");
        let case = case.env("DRY_RUN", "true");
        case.run().exits(3).contains(&refusal);
        assert!(!case.is_published("js/mojito.js"));
        let requests = case.requests();
        assert!(requests.iter().all(|it| it.method != "PUT"));

        let case = case.env("BITBUCKET_STEP_RUN_NUMBER", "2");
        let of = format!(
            "s3://{}/js/mojito.js of build {build} of another repository, acme/g%C3%B6teborg",
            case.world.bucket
        );
        let warning = format!("WARNING: this re-run would replace {of}");
        case.run().exits(0).contains(&warning);
        let case = case.unset("DRY_RUN");
        let warning = format!("this re-run replaced {of}");
        case.run().exits(0).contains(&warning);
        assert!(case.is_published("js/mojito.js"));
        assert_eq!(case.invalidations().len(), 1);
        assert!(warnings(&case).contains(&warning));
    }
}

/// The warnings of the result.
fn warnings(case: &Case) -> Vec<String> {
    let result = fs::read(case.repository().join("results/mojito-publish.json")).unwrap();
    let result: Value = serde_json::from_slice(&result).unwrap();
    serde_json::from_value(result["warnings"].clone()).unwrap()
}

#[test]
fn a_rerun_says_which_newer_build_it_replaces() {
    let case = readable()
        .storing_results()
        .env("BITBUCKET_STEP_RUN_NUMBER", "2");
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "58"}));
    let warning = format!(
        "this re-run replaced s3://{}/js/mojito.js of build 58, which is newer than this build 57",
        case.world.bucket
    );
    case.run().exits(0).contains(&format!("WARNING: {warning}"));
    assert!(warnings(&case).contains(&warning));
    // Now its own build is there.
    case.run().exits(0).does_not_contain("this re-run");
}

#[test]
fn a_store_that_sends_no_etag_is_not_written_to_without_a_condition() {
    let case = readable();
    case.call::<()>("set_store", json!({"omits_headers": ["etag"]}));
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "56"}));
    case.run()
        .exits(3)
        .contains("the store returned no ETag of the stored object, so a newer build might be replaced unnoticed")
        .contains("leave `ONLY_NEWER` off, or use a store that returns an ETag")
        .contains("not replaced: mojito; visitors still get the old container");
    assert!(!case.is_published("js/mojito.js"));
    assert!(case.requests().iter().all(|it| it.method != "PUT"));
}

#[test]
fn of_two_reruns_that_race_one_leaves_both_files() {
    let case = Case::development()
        .in_bitbucket("BITBUCKET_BRANCH", "develop")
        .env("ONLY_NEWER", "true")
        .env("BITBUCKET_STEP_RUN_NUMBER", "2");
    case.set_policy(json!([
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": format!("arn:aws:s3:::{}/jsdev/*", case.world.bucket)},
        case.may_invalidate(&case.world.distribution),
    ]));
    // One is between its two files when the other publishes both.
    let endpoint: Endpoint = case.call("add_endpoint", json!({}));
    let first = case.gate(json!({
        "methods": ["PUT"], "path": "/jsdev/mojito.pretty.js", "via": endpoint.number, "at": "answer",
    }));
    let mut command = case.command();
    command.env("AWS_ENDPOINT_URL", &endpoint.address);
    let run = Run::start(&case, command);
    first.wait();
    let mut other = case.command();
    other.env("BITBUCKET_BUILD_NUMBER", "58");
    Run::start(&case, other).end().exits(0);
    first.open();
    run.end().exits(0).contains("this re-run replaced");
    let objects = case.objects();
    let builds = objects
        .iter()
        .map(|it| &it.headers["x-amz-meta-build-number"]);
    assert_eq!(builds.collect::<Vec<_>>(), ["57", "57"]);
    assert_eq!(objects[0].caller_reference(), objects[1].caller_reference());
}

/// The builds that race.
const OLDER: u64 = 57;
const NEWER: u64 = 58;

/// Two builds that publish to one key, each through an address of its own, where its requests are held until their turn.
struct Race {
    case: Case,
    older: Racer,
    newer: Racer,
}

struct Racer {
    build: u64,
    endpoint: Endpoint,
}

/// An address of a world by whose number its requests are known.
#[derive(Deserialize)]
struct Endpoint {
    number: u64,
    address: String,
}

/// How a race went: who went on at each point at which both could, and the ends of the older and the newer build.
struct Raced {
    turns: Vec<bool>,
    older: Ended,
    newer: Ended,
}

impl Race {
    fn new(stored_before: Option<u64>) -> Self {
        let case = Case::production()
            .in_bitbucket("BITBUCKET_TAG", "v1")
            .env("ONLY_NEWER", "true");
        case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
        if let Some(build) = stored_before {
            let metadata = json!({"x-amz-meta-build-number": build.to_string()});
            case.stored_before("js/mojito.js", metadata);
        }
        let racer = |build| Racer {
            build,
            endpoint: case.call("add_endpoint", json!({})),
        };
        let (older, newer) = (racer(OLDER), racer(NEWER));
        Self { case, older, newer }
    }

    /// Lets one request through at a time: at each point at which both have one, the newer build's if the turn says so, and
    /// beyond the turns that are given, the older build's.
    fn run(&self, given: &[bool]) -> Raced {
        let [(older, at_older), (newer, at_newer)] = [&self.older, &self.newer].map(|racer| {
            let mut command = self.case.command();
            command
                .env("BITBUCKET_BUILD_NUMBER", racer.build.to_string())
                .env("AWS_ENDPOINT_URL", &racer.endpoint.address);
            let gate = self.case.gate(json!({
                "methods": ["HEAD", "PUT"], "path": "/js/mojito.js", "via": racer.endpoint.number,
            }));
            (Run::start(&self.case, command), gate)
        });
        let mut turns = Vec::new();
        loop {
            let can_go_on = (
                at_older.is_holding_before_end(&older),
                at_newer.is_holding_before_end(&newer),
            );
            let is_newers = match can_go_on {
                (false, false) => break,
                (true, true) => {
                    let turn = given.get(turns.len()).copied().unwrap_or_default();
                    turns.push(turn);
                    turn
                }
                (_, is_newers) => is_newers,
            };
            if is_newers {
                at_newer.let_through();
            } else {
                at_older.let_through();
            }
        }
        Raced {
            turns,
            older: older.end(),
            newer: newer.end(),
        }
    }
}

/// The turns after these, as one counts: the last that was the older build's is the newer one's. `None` after the last.
fn next(mut turns: Vec<bool>) -> Option<Vec<bool>> {
    while turns.pop()? {}
    turns.push(true);
    Some(turns)
}

/// Races in every order in which two builds' requests can come to S3. Returns how often the older build was there first, and
/// how often it came too late.
fn race_in_every_order(stored_before: Option<u64>) -> (usize, usize) {
    let (mut published, mut refused) = (0, 0);
    let mut turns = Some(Vec::new());
    while let Some(given) = turns {
        let race = Race::new(stored_before);
        let raced = race.run(&given);
        raced.newer.exits(0);
        let objects = race.case.objects();
        assert_eq!(
            objects[0].headers["x-amz-meta-build-number"],
            NEWER.to_string(),
            "{:?}",
            raced.turns
        );
        if raced.older.code == Some(0) {
            published += 1;
        } else {
            refused += 1;
            raced
                .older
                .exits(6)
                .contains(&format!(
                    "not replaced: mojito; build {NEWER} is live, which is newer than this build {OLDER}"
                ));
        }
        turns = next(raced.turns);
    }
    (published, refused)
}

#[test]
fn in_every_order_of_a_race_the_newer_build_remains_and_the_older_one_fails() {
    thread::scope(|scope| {
        for stored_before in [None, Some(56)] {
            scope.spawn(move || {
                let (published, refused) = race_in_every_order(stored_before);
                // A look and an upload of each: six orders, and in half of them the older build's upload is first. Whoever
                // meets the other's upload looks again.
                assert_eq!((published, refused), (3, 3));
            });
        }
    });
}
