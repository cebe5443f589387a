//! What holds for every setting, including the next one: they are taken from `pipe.yml`.

use crate::support::harness::{Case, CACHE_CONTROL};
use crate::support::settings::{each_set_to, names, names_of_aws};

#[test]
fn nonsense_is_refused_by_the_name_of_the_setting_and_shown_without_control_characters() {
    for (case, expected) in each_set_to("\u{1b}[31m no//such*\n\"?") {
        let ended = case.run();
        let output = &ended.output;
        assert_eq!(ended.code, Some(2), "nonsense in {expected}: {output}");
        assert!(output.contains(&expected), "{expected} is not in: {output}");
        assert!(!output.contains('\u{1b}'), "{expected}: {output}");
        assert!(case.requests().is_empty(), "{expected}");
    }
}

#[test]
fn empty_variables_count_as_unset() {
    let mut case = Case::with_profile("default").arg("--production");
    case.allow_on_container(&["s3:PutObject"]);
    let config = format!(
        "module.exports = {{ containerName: 'mojito', s3BucketPRD: '{}/js', s3Region: '{}' }}",
        case.world.bucket, case.world.region
    );
    case = case.file("config.js", config);
    let endpoint = case.world.endpoint.clone();
    for name in names().into_iter().chain(names_of_aws()).chain([
        "AWS_CONFIG_FILE",
        "AWS_MAX_ATTEMPTS",
        "BITBUCKET_BRANCH",
        "BITBUCKET_BUILD_NUMBER",
        "BITBUCKET_DEPLOYMENT_ENVIRONMENT",
        "BITBUCKET_PIPE_STORAGE_DIR",
        "BITBUCKET_PR_ID",
        "BITBUCKET_TAG",
        "CI",
        "CONTAINER_NAME_COUNT",
        "DISTRIBUTION_ID_COUNT",
        "NO_COLOR",
    ]) {
        case = case.env(name, "");
    }
    case = case.env("AWS_ENDPOINT_URL", &endpoint);
    case.run().exits(0);
    assert_eq!(case.keys(), ["js/mojito.js"]);
    assert_eq!(case.objects()[0].headers["cache-control"], CACHE_CONTROL);
}

#[test]
fn a_variable_that_is_not_defined_is_named_whatever_setting_it_was_for() {
    let names = names().into_iter().chain(names_of_aws());
    for name in names.filter(|name| *name != "NO_PROXY") {
        for (value, deployment, place) in [
            (
                "$NO_SUCH_NAME",
                "production",
                "for the deployment environment `production`",
            ),
            (
                "${NO_SUCH_NAME}",
                "",
                "Repository settings > Repository variables",
            ),
        ] {
            let case = Case::production().in_bitbucket("BITBUCKET_TAG", "v1");
            let case = case
                .env("BITBUCKET_DEPLOYMENT_ENVIRONMENT", deployment)
                .env(name, value);
            let ended = case.run().exits(2).contains(place);
            let ended = ended.contains(&format!(
                "✖ `{name}` contains the text `$NO_SUCH_NAME` itself, as no variable `NO_SUCH_NAME` is defined here"
            ));
            ended.contains("define such variables for the ");
            assert!(case.requests().is_empty(), "{name}");
        }
    }
}

#[test]
fn of_several_variables_that_are_not_defined_the_remedy_is_said_once() {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("AWS_ACCESS_KEY_ID", "$KEY")
        .env("AWS_SECRET_ACCESS_KEY", "$SECRET");
    case.run()
        .exits(2)
        .contains("`AWS_ACCESS_KEY_ID` contains the text `$KEY` itself, as no variable `KEY` is defined here\n    `AWS_SECRET_ACCESS_KEY` contains")
        .contains("no variable `SECRET` is defined here\n      define such variables for the repository");
}

#[test]
fn blanks_at_the_ends_of_a_value_do_not_count() {
    let mut case = Case::with_profile("acme").env("AWS_PROFILE", "acme");
    case = case
        .env("DRY_RUN", "False")
        .env("PRETTY", "FALSE")
        .list("CONTAINER_NAME", &["mojito", ""]);
    let set: Vec<(String, String)> = case.environment().clone().into_iter().collect();
    for (name, value) in set {
        case = case.env(&name, &format!("\t{value} \n"));
    }
    for name in names() {
        if !case.environment().contains_key(name) && name != "CONTAINER_NAME" {
            case = case.env(name, " \t");
        }
    }
    case.run().exits(0).contains("profile `acme`");
    assert_eq!(case.keys(), ["js/mojito.js"]);
}
