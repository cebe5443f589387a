//! Which environment a build publishes to, and which settings depend on what is run.

use serde_json::json;

use crate::support::harness::Case;

#[test]
fn mojitos_own_pipeline_publishes_by_the_deployment_of_its_steps() {
    // A `custom:` pipeline runs on any branch, too.
    for branch in ["master", "hotfix"] {
        let case = Case::production()
            .unset("ENVIRONMENT")
            .in_bitbucket("BITBUCKET_BRANCH", branch)
            .env("BITBUCKET_DEPLOYMENT_ENVIRONMENT", "production");
        case.run()
            .exits(0)
            .contains("to production (`deployment: production`)");
        assert_eq!(case.keys(), ["js/mojito.js"]);
    }
    for deployment in ["staging", "test", "development"] {
        let case = Case::development()
            .in_bitbucket("BITBUCKET_BRANCH", "next")
            .env("BITBUCKET_DEPLOYMENT_ENVIRONMENT", deployment);
        let reason = format!("to development (`deployment: {deployment}`)");
        case.run().exits(0).contains(&reason);
        assert_eq!(case.keys(), ["jsdev/mojito.js", "jsdev/mojito.pretty.js"]);
    }
}

#[test]
fn a_pull_request_is_published_to_development_where_that_is_said() {
    let case = Case::development()
        .in_bitbucket("BITBUCKET_PR_ID", "7")
        .env("BITBUCKET_BRANCH", "new-button")
        .env("ENVIRONMENT", "development");
    case.run().exits(0);
    assert_eq!(case.keys(), ["jsdev/mojito.js", "jsdev/mojito.pretty.js"]);
}

#[test]
fn a_pull_request_previews_production_without_credentials() {
    let case = |environment: &str| {
        Case::production()
            .in_bitbucket("BITBUCKET_PR_ID", "7")
            .env("BITBUCKET_BRANCH", "develop")
            .env("ENVIRONMENT", environment)
            .env("DRY_RUN", "true")
    };
    let production = case("").without_credentials();
    let ended = production.run().exits(0);
    ended
        .contains("to production (preview of pull request 7)")
        .contains("/js/mojito.js");
    production.assert_nothing_written();
    // The variables of another deployment environment.
    let undefined = case("development")
        .env("AWS_ACCESS_KEY_ID", "$AWS_ACCESS_KEY_ID")
        .env("AWS_SECRET_ACCESS_KEY", "${AWS_SECRET_ACCESS_KEY}");
    let ended = undefined.run().exits(0);
    ended.contains("to development (`ENVIRONMENT` is `development`)");
    undefined.assert_nothing_written();
}

#[test]
fn check_and_policy_in_the_build_of_a_pull_request_are_about_production() {
    let case = |command| {
        let case = Case::production().unset("ENVIRONMENT").arg(command);
        case.in_bitbucket("BITBUCKET_PR_ID", "7")
    };
    let checked = case("check").run().exits(0);
    checked.contains("in production (preview of pull request 7)");
    case("policy").run().exits(0).contains("/js/mojito.js\"");
}

#[test]
fn by_hand_only_newer_is_refused_for_a_publish_and_part_of_what_check_and_policy_are_about() {
    let case = || Case::production().env("ONLY_NEWER", "true");
    for arguments in [&[][..], &["--dry-run"]] {
        let case = arguments.iter().fold(case(), |case, it| case.arg(it));
        case.run()
            .exits(2)
            .contains("there is no build number to compare");
    }
    case()
        .arg("policy")
        .run()
        .exits(0)
        .contains("\"s3:GetObject\"");
    let checked = case().arg("check");
    checked.set_policy(json!([
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": format!("arn:aws:s3:::{}/js/mojito.js", checked.world.bucket)},
        checked.may_invalidate(&checked.world.distribution),
    ]));
    checked.run().exits(0);
}
