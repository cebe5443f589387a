//! `INVALIDATE_VARIANTS`: a distribution whose cache key has the query string caches one script under many paths.

use serde_json::json;

use crate::support::harness::Case;

/// What a visitor gets who requests the container with a query string, once CloudFront has completed what it is going to.
fn served(case: &Case) -> String {
    let visit = || case.call("visit", json!({"path": "/js/mojito.js?v=2"}));
    let [_, _, last] = [visit(), visit(), visit()];
    last
}

#[test]
fn what_is_cached_by_query_string_is_invalidated_with_its_path() {
    let case = Case::production();
    case.stored_before("js/mojito.js", json!({}));
    case.call::<()>("set_edge_caches_queries", json!({"caches": true}));
    let old = served(&case);
    case.run().exits(0);
    // The exact path does not reach it.
    assert_eq!(served(&case), old);
    let case = case.env("INVALIDATE_VARIANTS", "true");
    case.run()
        .exits(0)
        .contains("created invalidation [INVALIDATION] of [DISTRIBUTION]: /js/mojito.js*");
    assert_ne!(served(&case), old);
    let made = case.invalidations().pop().unwrap();
    assert_eq!(made.paths, ["/js/mojito.js*"]);
}

#[test]
fn a_dry_run_shows_the_paths_with_their_wildcard() {
    let case = Case::development().env("INVALIDATE_VARIANTS", "true");
    case.arg("--dry-run").run().exits(0).contains(
        "would invalidate in [DISTRIBUTION]:\n  /jsdev/mojito.pretty.js*\n  /jsdev/mojito.js*\n",
    );
}

#[test]
fn more_paths_than_cloudfront_takes_are_invalidated_one_request_after_the_other() {
    let case = Case::containers(16, &["s3:PutObject"])
        .env("INVALIDATE_VARIANTS", "true")
        .storing_results();
    case.run()
        .exits(0)
        .contains("CloudFront is busy (TooManyInvalidationsInProgress): retrying ");
    let made = case.invalidations();
    let paths: Vec<usize> = made.iter().map(|it| it.paths.len()).collect();
    assert_eq!(paths, [15, 1]);
    let ids: Vec<&str> = made.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(case.result()["invalidations"][0]["ids"], json!(ids));
}

#[test]
fn more_paths_than_can_be_invalidated_in_time_are_refused() {
    let case = Case::containers(151, &["s3:PutObject"]).env("INVALIDATE_VARIANTS", "true");
    case.run().exits(2).contains(
        "✖ `INVALIDATE_VARIANTS` is `true`, but this run has 151 paths to invalidate, expected at most 150, as CloudFront \
         invalidates at most 15 paths with a `*` at a time; publish fewer containers in one run",
    );
    assert!(case.requests().is_empty());
    // Without a distribution, nothing is invalidated.
    let case = case.unset("DISTRIBUTION_ID").env("DRY_RUN", "true");
    case.run().exits(0);
}
