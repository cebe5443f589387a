//! `ONLY_NEWER`: of two pipelines that publish at the same time, the newer one's container is what remains.

use std::time::Duration;

use crate::harness::Case;

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
                .says(&format!(
                    "build {new} is live, which is newer than this build {old}"
                ))
                .says("not replaced: mojito; visitors keep the old container");
        }
    }
    // Both ends were seen, or the rounds were no races.
    assert!(
        (ROUNDS / 10..ROUNDS).contains(&refused),
        "{refused} of {ROUNDS} were refused"
    );
}
