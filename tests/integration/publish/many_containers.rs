//! Many containers in one run: which requests are sent, the progress, and the log.

use serde_json::json;

use crate::support::harness::{Case, Ended};
use crate::support::run::Run;

const COUNT: usize = 40;

fn many(actions: &[&str]) -> Case {
    Case::containers(COUNT, actions)
}

fn count(case: &Case, method: &str) -> usize {
    let requests = case.requests();
    let of_method = requests.iter().filter(|request| request.method == method);
    of_method.count()
}

#[test]
fn the_log_shows_progress_and_one_invalidation_has_all_paths() {
    let case = many(&["s3:PutObject"]);
    let ended = case
        .run()
        .exits(0)
        .contains("uploading: 1 of 40 files are uploaded\n")
        .contains(&format!(
            "✔ uploaded 40 files to s3://{}: ",
            case.world.bucket
        ))
        .does_not_contain("uploaded s3://")
        .contains("site9 and 30 more to production");
    assert!(ended.output.lines().count() < 60, "{}", ended.output);
    assert_eq!(case.keys().len(), COUNT);
    let invalidations = case.invalidations();
    assert_eq!(invalidations.len(), 1);
    assert_eq!(invalidations[0].paths.len(), COUNT);
    // Whoever may not read the first does not try the others. How the store keeps headers is one more read.
    assert_eq!((count(&case, "GET"), count(&case, "PUT")), (2, COUNT));
    ended.contains("tip: set `PUBLIC_URL` to see what changes for visitors");
}

#[test]
fn each_is_compared_where_s3_may_be_read() {
    let case = Case::containers(12, &["s3:PutObject", "s3:GetObject"]);
    case.run().exits(0);
    let case = case.env("CACHE_CONTROL", "max-age=60");
    case.stores_after_reading("/js/");
    let ended = case.run().exits(0).does_not_contain("are not known");
    let compared = ended.output.matches("changes to the live container site");
    assert_eq!(compared.count(), 10);
    ended.contains("(the changes of 2 more containers are not listed)");
}

#[test]
fn the_verification_of_many_is_one_line() {
    let case = many(&["s3:PutObject"]);
    let edge = case.world.edge.clone();
    let ended = case.env("PUBLIC_URL", &edge).run().exits(0);
    assert_eq!(ended.output.matches(" serves the new container").count(), 0);
    ended.contains(" and 39 more serve the new containers\n");
}

#[test]
fn of_many_failures_for_one_reason_ten_are_listed() {
    let case = many(&["s3:GetObject"]);
    let ended = case
        .run()
        .exits(3)
        .contains("✖ s3:PutObject failed for the same reason 30 more times\n")
        .contains("not replaced: site0, ")
        .contains("\"s3:PutObject\"");
    assert_eq!(ended.output.matches("✖ s3:PutObject on ").count(), 10);
    assert_eq!(ended.output.matches("what to do: ").count(), 1);
    assert!(case.keys().is_empty());
}

#[test]
fn what_only_newer_says_of_many_is_ten_lines() {
    let case = Case::containers(15, &["s3:PutObject", "s3:GetObject"])
        .storing_results()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true")
        .env("BITBUCKET_STEP_RUN_NUMBER", "2")
        .env("DRY_RUN", "true");
    case.run().exits(0).contains(
        "js/site9.js and 5 more do not exist yet, or their build numbers cannot be read;\n",
    );
    for number in 0..15 {
        let key = format!("js/site{number}.js");
        case.stored_before(&key, json!({"x-amz-meta-build-number": "58"}));
    }
    let says = |ended: Ended, verb: &str| {
        let ended = ended
            .exits(0)
            .contains(&format!("({verb} more than these, which are not listed)\n"));
        assert_eq!(
            ended.output.matches(&format!("WARNING: {verb} ")).count(),
            10
        );
        let result = case.stored_result().unwrap();
        let warnings = result["warnings"].as_array().unwrap().iter();
        let warnings = warnings.filter(|it| it.as_str().unwrap().starts_with(verb));
        assert_eq!(warnings.count(), 15);
    };
    says(case.run(), "this re-run would replace");
    let mut command = case.command();
    command.env("DRY_RUN", "false");
    says(Run::start(&case, command).end(), "this re-run replaced");
}

#[test]
fn what_the_session_of_many_containers_may_write_is_in_the_log_and_never_the_whole_bucket() {
    let (case, _) = Case::containers(80, &["s3:PutObject"]).with_broad_role();
    case.run().exits(0).contains(&format!(
        "the role's session may write s3://{}/js/*, as the keys of 80 containers do not fit into its policy\n",
        case.world.bucket
    ));
    let (case, _) = Case::containers(80, &["s3:PutObject"]).with_broad_role();
    let case = case.env("S3_PREFIX", "/");
    case.run()
        .exits(2)
        .contains("`CONTAINER_NAME` names 80 containers in the bucket's root")
        .contains("publish the containers in several runs, or into a folder (`S3_PREFIX`)");
    assert!(case.requests().is_empty());
    let (few, _) = Case::containers(2, &["s3:PutObject"]).with_broad_role();
    few.env("S3_PREFIX", "/")
        .run()
        .exits(0)
        .does_not_contain("the role's session may write");
}
