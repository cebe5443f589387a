//! What is refused before the first request: wrong settings and unfit files.

use crate::support::harness::{Case, OIDC_TOKEN};

/// Each wrong thing ends with exit 2, one message that names it and the remedy, and no request.
#[track_caller]
fn refused(case: Case, name: &str, remedy: &str) {
    case.run()
        .exits(2)
        .contains(&format!("`{name}` "))
        .contains(remedy)
        .contains("nothing was uploaded; visitors still get the old container");
    assert!(case.requests().is_empty());
}

#[test]
fn wrong_settings_are_refused_by_name_and_with_the_remedy() {
    #[track_caller]
    fn case(name: &str, value: &str, remedy: &str) {
        refused(Case::production().env(name, value), name, remedy);
    }
    case(
        "ENVIRONMENT",
        "prod",
        "is `prod`, expected `production` or `development`",
    );
    case(
        "CONTAINER_NAME",
        "mojito.js",
        "the name without the extension `.js`",
    );
    case(
        "CONTAINER_NAME",
        "js/mojito",
        "the folder goes to `S3_PREFIX`",
    );
    case("CONTAINER_NAME", "../mojito", "a file name");
    case(
        "CONTAINER_NAME",
        "mojito*",
        "IAM or CloudFront would not take literally",
    );
    case("CONTAINER_NAME", &"m".repeat(1020), "1,024 bytes");
    case(
        "S3_BUCKET",
        "s3://acme/js",
        "`BUCKET` or `BUCKET/PREFIX`, without `s3://`",
    );
    case("S3_BUCKET", "arn:aws:s3:::acme", "not an ARN");
    case("S3_BUCKET", "Acme_Site", "a bucket name");
    case("S3_PREFIX", "js//x", "a folder such as");
    case(
        "S3_PREFIX",
        "js/*",
        "IAM or CloudFront would not take literally",
    );
    case("CDN_PREFIX", "../js", "a folder such as");
    case("PRETTY", "yes", "is `yes`, expected `true` or `false`");
    case("WAIT", "1", "expected `true` or `false`");
    case("VALIDATE", "no", "expected `true` or `false`");
    case("DRY_RUN", "on", "expected `true` or `false`");
    case("DEBUG", "verbose", "expected `true` or `false`");
    case("ONLY_NEWER", "maybe", "expected `true` or `false`");
    case(
        "ONLY_NEWER",
        "true",
        "do not set it when you publish by hand",
    );
    case(
        "DISTRIBUTION_ID",
        "d111111abcdef8.cloudfront.net",
        "a distribution ID such as",
    );
    case(
        "DISTRIBUTION_ID",
        "arn:aws:cloudfront::123456789012:distribution/E1A2B3C4D5E6F7",
        "not its ARN",
    );
    case(
        "CACHE_CONTROL",
        "5 minutes",
        "directives such as `public, max-age=300`",
    );
    case(
        "CACHE_CONTROL",
        "max-age=5m",
        "directives such as `public, max-age=300`",
    );
    case("ACL", "public", "a canned ACL such as `public-read`");
    case(
        "MAX_SIZE",
        "30 bananas",
        "a size above zero such as `30 kB`",
    );
    case(
        "PUBLIC_URL",
        "d111111abcdef8.cloudfront.net",
        "starts with `https://`",
    );
    case(
        "PUBLIC_URL",
        "https://d111111abcdef8.cloudfront.net/js/mojito.js",
        "the path is added from `CDN_PREFIX`",
    );
    case(
        "PUBLIC_URL",
        "https://user:password@example.com",
        "expected one without",
    );
    case(
        "AWS_DEFAULT_REGION",
        "Sydney",
        "a region such as `ap-southeast-2`",
    );
    case(
        "AWS_ACCOUNT_ID",
        "acme",
        "the 12 digits of an AWS account ID",
    );
    case(
        "AWS_ENDPOINT_URL_S3",
        "localhost:5000",
        "starts with `https://` or `http://`",
    );
    case("AWS_CA_BUNDLE", "/no/such/file", "cannot be read");
    case(
        "AWS_CA_BUNDLE",
        "dist/assets/js/mojito.js",
        "contains no certificate in PEM format",
    );
    case("HTTPS_PROXY", "http://", "is not the URL of a proxy");
    case(
        "AWS_OIDC_ROLE_ARN",
        "mojito-production",
        "the ARN of a role, such as",
    );
    case(
        "AWS_OIDC_ROLE_ARN",
        "arn:aws:iam::123456789012:role/mojito",
        "add `oidc: true` to the step",
    );
}

#[test]
fn missing_settings_are_refused_by_name_and_with_the_remedy() {
    #[track_caller]
    fn case(name: &str, remedy: &str) {
        refused(Case::production().unset(name), name, remedy);
    }
    case(
        "CONTAINER_NAME",
        "run this in the root of the Mojito repository",
    );
    case("S3_BUCKET", "there is no `config.js` with an `s3BucketPRD`");
    case(
        "AWS_DEFAULT_REGION",
        "neither `s3Region` of `config.js` nor the AWS profile names a region",
    );
    case(
        "AWS_SECRET_ACCESS_KEY",
        "a secured variable of another deployment environment is empty here",
    );
    case("AWS_ACCESS_KEY_ID", "set both");
}

#[test]
fn a_build_without_a_clear_environment_is_refused() {
    #[track_caller]
    fn case(name: &str, value: &str, deployment: &str, remedy: &str) {
        let case = Case::production()
            .unset("ENVIRONMENT")
            .in_bitbucket(name, value)
            .env("BITBUCKET_DEPLOYMENT_ENVIRONMENT", deployment);
        refused(case, "ENVIRONMENT", remedy);
    }
    case(
        "BITBUCKET_BRANCH",
        "master",
        "Europe",
        "set `ENVIRONMENT` to `production` or `development`",
    );
    case(
        "BITBUCKET_BRANCH",
        "",
        "",
        "a build without a tag or a branch",
    );
    case("BITBUCKET_TAG", "v1", "staging", "`deployment: staging`");
    case(
        "BITBUCKET_BRANCH",
        "develop",
        "production",
        "`deployment: production`",
    );
}

#[test]
fn a_flag_and_a_variable_that_contradict_each_other_are_refused_by_every_command() {
    for command in ["publish", "check", "policy"] {
        let case = Case::development().env("ENVIRONMENT", "development");
        let case = case.arg(command).arg("--production");
        let problem = "`ENVIRONMENT` is `development`, but `--production` is given";
        case.run().exits(2).contains(problem);
        assert!(case.requests().is_empty());
    }
}

#[test]
fn a_pull_request_is_never_published_to_production_and_nobody_is_invited_to() {
    for (environment, deployment) in [("", ""), ("", "production"), ("production", "production")] {
        let case = Case::production()
            .in_bitbucket("BITBUCKET_PR_ID", "7")
            .env("BITBUCKET_BRANCH", "develop")
            .env("ENVIRONMENT", environment)
            .env("BITBUCKET_DEPLOYMENT_ENVIRONMENT", deployment);
        let ended = case.run().exits(2).contains("a build of pull request 7");
        let ended = ended.contains("set `DRY_RUN` to `true` to preview it");
        ended.does_not_contain("to `production`");
        assert!(case.requests().is_empty());
    }
}

#[test]
fn a_misnamed_setting_is_refused_in_a_pipe_with_the_name_that_is_meant() {
    #[track_caller]
    fn case(name: &str, advice: &str) {
        let case = Case::production().storing_results().env(name, "true");
        let remedy = format!("is not a setting of mojito-publish; {advice}");
        refused(case, name, &remedy);
    }
    case("DRYRUN", "did you mean `DRY_RUN`?");
    case("ONLY_NEWEST", "did you mean `ONLY_NEWER`?");
    case(
        "CLOUDFRONT_DISTRIBUTION_ID",
        "did you mean `DISTRIBUTION_ID`?",
    );
    case("PATHS", "exactly what is published is invalidated");
    case("DELETE_FLAG", "nothing is ever deleted");
    case("EXTRA_ARGS", "the AWS CLI is not used; remove it");
    let list = Case::production().storing_results();
    refused(
        list.list("DISTRIBUTION_IDS", &["E1A2B3C4D5E6F7", "E1A2B3C4D5E6F8"]),
        "DISTRIBUTION_IDS",
        "did you mean `DISTRIBUTION_ID`?",
    );
}

#[test]
fn a_misnamed_setting_is_warned_of_outside_a_pipe() {
    for command in ["publish", "check"] {
        let case = Case::production().arg(command).env("DRYRUN", "true");
        let ended = case.run();
        ended.contains(
            "WARNING: `DRYRUN` is not a setting of mojito-publish; did you mean `DRY_RUN`?",
        );
    }
    let of_others = Case::production()
        .env("GOPROXY", "direct")
        .env("DEBUG_COLORS", "1");
    of_others.run().exits(0).does_not_contain("WARNING");
}

#[test]
fn what_bitbucket_passes_to_a_pipe_is_no_misnamed_setting() {
    let case = Case::production().in_bitbucket("BITBUCKET_TAG", "v1");
    let case = case.storing_results().env("DRY_RUN", "false");
    let case = [
        "HOME",
        "HOSTNAME",
        "TERM",
        "DOCKER_HOST",
        "PIPELINES_JWT_TOKEN",
        "BITBUCKET_CLONE_DIR",
        "http_proxy_off",
    ]
    .into_iter()
    .fold(case, |case, name| case.env(name, "/"));
    case.run().exits(0).does_not_contain("not a setting");
}

#[test]
fn a_list_by_hand_is_refused_with_its_right_form() {
    for value in [
        "E1A2B3C4D5E6F7 E1A2B3C4D5E6F8",
        "[\"E1A2B3C4D5E6F7\",\"E1A2B3C4D5E6F8\"]",
    ] {
        refused(
            Case::production().env("DISTRIBUTION_ID", value),
            "DISTRIBUTION_ID",
            "`DISTRIBUTION_ID_COUNT=2 DISTRIBUTION_ID_0=E1A2B3C4D5E6F7 DISTRIBUTION_ID_1=E1A2B3C4D5E6F8`",
        );
    }
    refused(
        Case::production().env("CONTAINER_NAME", "shop, blog"),
        "CONTAINER_NAME",
        "in a pipe `CONTAINER_NAME: ['shop', 'blog']`",
    );
    refused(
        Case::production()
            .unset("DISTRIBUTION_ID")
            .env("DISTRIBUTION_ID_0", "E1A2B3C4D5E6F7"),
        "DISTRIBUTION_ID",
        "set `DISTRIBUTION_ID_COUNT`",
    );
}

#[test]
fn a_mistyped_region_is_refused_with_the_one_that_is_meant() {
    for region in [
        "ap-southeast2",
        "ap-sotheast-2",
        "AP-SOUTHEAST-2",
        "ap-southeast-2b",
    ] {
        let case = Case::production().env("AWS_DEFAULT_REGION", region);
        refused(case, "AWS_DEFAULT_REGION", "did you mean `ap-southeast-2`?");
    }
}

#[test]
fn a_build_without_named_credentials_is_refused_together_with_all_else_that_is_wrong() {
    for arguments in [&[][..], &["--dry-run"], &["check"]] {
        let case = Case::with_profile("default").in_bitbucket("BITBUCKET_TAG", "v1");
        let case = case
            .env("WAIT", "yes")
            .env("BITBUCKET_DEPLOYMENT_ENVIRONMENT", "production");
        let case = arguments.iter().fold(case, |case, it| case.arg(it));
        let ended = case
            .run()
            .exits(2)
            .contains("2 settings are missing or invalid");
        let ended = ended
            .contains("`WAIT` is `yes`")
            .contains("`AWS_ACCESS_KEY_ID` is not set, and neither is `AWS_OIDC_ROLE_ARN`");
        ended.contains("the step has `deployment: production`");
        assert!(case.requests().is_empty());
    }
}

#[test]
fn a_profile_that_is_named_is_used_in_ci() {
    let case = Case::with_profile("default").in_bitbucket("BITBUCKET_TAG", "v1");
    case.env("AWS_PROFILE", "default").run().exits(0);
}

#[test]
fn two_wrong_settings_are_both_reported() {
    let case = Case::production()
        .env("WAIT", "yes")
        .env("DISTRIBUTION_ID", "E1*");
    case.run().exits(2).prints(snapbox::str![[r#"
[VERSION]
✖ 2 settings are missing or invalid:
    `DISTRIBUTION_ID` is `E1*`, expected a distribution ID such as `E1A2B3C4D5E6F7` (not its ARN or domain name)
    `WAIT` is `yes`, expected `true` or `false`
  nothing was uploaded; visitors still get the old container

"#]]);
    assert!(case.requests().is_empty());
}

#[test]
fn invalid_files_are_refused_by_name_and_with_the_remedy() {
    #[track_caller]
    fn case(content: &[u8], remedy: &str) {
        let case = Case::production().file("dist/assets/js/mojito.js", content);
        refused(case, "dist/assets/js/mojito.js", remedy);
    }
    case(b"", "is empty: re-run `npm run build`");
    case(b" \n\t ", "is empty");
    case(b"Mojito = 1;\nvar a = '\xe9';", "is not UTF-8 (line 2)");
    case(b"\x1f\x8b\x08\x00", "is already compressed");
    case(
        b"<!DOCTYPE html><title>Mojito</title>",
        "is HTML or XML, not a script",
    );
    case(
        b"Mojito = 1;\n<<<<<<< HEAD\n",
        "has an unresolved merge conflict",
    );
    case(b"alert(1)", "neither defines `Mojito` nor uses it");
    case(
        &b"Mojito=1;".repeat(1_200_000),
        "is larger than 10,000,000 bytes",
    );
    refused(
        Case::production()
            .file("dist/assets/js/other.js/x", "")
            .env("CONTAINER_NAME", "other"),
        "dist/assets/js/other.js",
        "is not a file",
    );
    refused(
        Case::production().env("CONTAINER_NAME", "other"),
        "dist/assets/js/other.js",
        "run `npm run build` first; in CI, make `dist/**` an artifact",
    );
    refused(
        Case::production().env("MAX_SIZE", "0.5 kB"),
        "dist/assets/js/mojito.js",
        "but `MAX_SIZE` allows 500 bytes",
    );
}

#[test]
fn a_missing_pretty_form_is_refused_before_anything_is_sent() {
    let case = Case::development();
    std::fs::remove_file(case.dist("mojito.pretty.js")).unwrap();
    refused(
        case,
        "dist/assets/js/mojito.pretty.js",
        "or set `PRETTY` to `false`",
    );
}

#[test]
fn another_script_is_published_where_validation_is_off() {
    let case = Case::production()
        .file("dist/assets/js/mojito.js", "alert(1)")
        .env("VALIDATE", "false");
    case.run()
        .exits(0)
        .contains("WARNING: `VALIDATE` is `false`");
    assert_eq!(case.objects()[0].content(), "alert(1)");
}

#[test]
fn a_token_is_never_shown_and_static_keys_are_no_fall_back() {
    let case = Case::production()
        .env("AWS_OIDC_ROLE_ARN", OIDC_TOKEN)
        .env("BITBUCKET_STEP_OIDC_TOKEN", OIDC_TOKEN);
    refused(
        case,
        "AWS_OIDC_ROLE_ARN",
        "is `***`, expected the ARN of a role",
    );
    let case = Case::production()
        .env("AWS_OIDC_ROLE_ARN", "nonsense")
        .env("BITBUCKET_STEP_OIDC_TOKEN", OIDC_TOKEN);
    refused(
        case,
        "AWS_OIDC_ROLE_ARN",
        "is `nonsense`, expected the ARN of a role",
    );
}

#[test]
fn a_list_given_in_two_ways_is_refused() {
    refused(
        Case::production().env("CONTAINER_NAME_COUNT", "1"),
        "CONTAINER_NAME",
        "set both as a single value and as a list",
    );
    refused(
        Case::production()
            .unset("DISTRIBUTION_ID")
            .env("DISTRIBUTION_ID_COUNT", "two"),
        "DISTRIBUTION_ID",
        "has a length (`DISTRIBUTION_ID_COUNT`) that is not a number",
    );
}
