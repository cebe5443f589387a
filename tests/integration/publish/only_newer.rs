//! `ONLY_NEWER`: of two pipelines that publish at the same time, the newer one's container is what remains.

use std::time::Duration;

use serde_json::json;

use crate::support::harness::Case;
use crate::support::proxy::{Fault, Proxy, Target};

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
    let case = case.env("AWS_ENDPOINT_URL", &proxy.endpoint);
    (case, proxy)
}

#[test]
fn an_upload_that_was_stored_and_lost_its_answer_is_no_race() {
    for stored_before in [false, true] {
        let (case, proxy) = behind_proxy(&["s3:PutObject", "s3:GetObject"]);
        if stored_before {
            case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "56"}));
        }
        proxy.breaks(PUT, Fault::ResetBeforeAnswer, 1);
        case.run().exits(0).contains("✔ published to production");
        assert!(case.is_published("js/mojito.js"));
        assert_eq!(case.invalidations().len(), 1);
        // The one that was stored, and the one that met it.
        let requests = case.requests();
        let uploads = requests.iter().filter(|request| request.method == "PUT");
        assert_eq!(uploads.count(), 2);
    }
}

#[test]
fn an_upload_that_lost_its_answer_is_not_denied_because_of_what_came_after_it() {
    // It may not look what is there, which is its own.
    let (case, proxy) = behind_proxy(&["s3:PutObject"]);
    proxy.breaks(PUT, Fault::ResetBeforeAnswer, 1);
    let ended = case.run();
    assert!(case.is_published("js/mojito.js"));
    ended
        .exits(3)
        .contains("the object exists, but its build number may not be read")
        .contains("may or may not be replaced")
        .does_not_contain("visitors keep the old container");
    assert_eq!(case.invalidations().len(), 1);

    // Looking what is there fails.
    let (case, proxy) = behind_proxy(&["s3:PutObject", "s3:GetObject"]);
    proxy.breaks(PUT, Fault::ResetBeforeAnswer, 1);
    let head = Target {
        method: "HEAD",
        ..PUT
    };
    proxy.breaks(head, Fault::Nothing, 1);
    proxy.breaks(head, Fault::Status(503, "SlowDown"), usize::MAX);
    let ended = case.run();
    assert!(case.is_published("js/mojito.js"));
    ended.exits(3).contains("may or may not be replaced");
    assert_eq!(case.invalidations().len(), 1);
}

#[test]
fn a_conflict_is_waited_for_and_no_reason_to_ask_for_a_permission() {
    let (case, proxy) = behind_proxy(&["s3:PutObject"]);
    proxy.breaks(PUT, Fault::Status(409, "ConditionalRequestConflict"), 2);
    case.run().exits(0);
    assert!(case.is_published("js/mojito.js"));
}

const ROUNDS: u64 = 200;

#[test]
fn the_newer_of_two_racing_builds_always_remains_and_the_loser_says_so() {
    let older = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true");
    older.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let mut refused = 0;
    for round in 0..ROUNDS {
        let (old, new) = (2 * round + 1, 2 * round + 2);
        let start = |number: u64| {
            let mut command = older.command();
            command.env("BITBUCKET_BUILD_NUMBER", number.to_string());
            command.spawn().expect("the binary starts")
        };
        // Now one is ahead, now the other.
        let (first, second) = if round % 2 == 0 {
            (old, new)
        } else {
            (new, old)
        };
        let first = start(first);
        std::thread::sleep(Duration::from_millis(round % 10 * 2));
        let second = start(second);
        let ended = [first, second].map(|run| older.ended(run.wait_with_output().unwrap()));
        let [of_old, of_new] = if round % 2 == 0 {
            ended
        } else {
            let [new, old] = ended;
            [old, new]
        };
        of_new.exits(0);
        let objects = older.objects();
        assert_eq!(
            objects[0].headers["x-amz-meta-build-number"],
            new.to_string(),
            "round {round}"
        );
        // The older one was either there first, or is told that it came too late.
        if of_old.code != Some(0) {
            refused += 1;
            of_old
                .exits(3)
                .contains(&format!(
                    "build {new} is live, which is newer than this build {old}"
                ))
                .contains("not replaced: mojito; visitors keep the old container");
        }
    }
    // Both ends were seen, or the rounds were no races.
    assert!(
        (ROUNDS / 10..ROUNDS).contains(&refused),
        "{refused} of {ROUNDS} were refused"
    );
}
