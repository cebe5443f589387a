//! What `config.js` says, and what a run does where it does not say it plainly.

use serde_json::json;

use crate::support::harness::Case;

const PROFILE: &str = "[profile acme]\nregion = eu-west-1\n";

/// A case whose region can only come from `config.js` or from the profile `acme`, which names another one than the bucket's.
fn with_profile(config_js: &str) -> Case {
    let case = Case::production()
        .unset("AWS_DEFAULT_REGION")
        .file("aws-config", PROFILE)
        .file("config.js", config_js)
        .env("AWS_PROFILE", "acme");
    let path = case.repository().join("aws-config");
    case.env("AWS_CONFIG_FILE", path.to_str().unwrap())
}

#[track_caller]
fn refused(case: &Case, expected: &[&str]) {
    let mut ended = case.run().exits(2);
    for expected in expected {
        ended = ended.contains(expected);
    }
    ended.contains("nothing was uploaded; visitors still get the old container");
    assert!(case.requests().is_empty());
}

#[test]
fn the_profiles_region_does_not_stand_in_for_one_that_config_js_may_name() {
    for config_js in [
        "module.exports = { s3Region: 'ap-southeast-2'",
        "module.exports = { s3Region: process.env.REGION };",
        "module.exports = { ...base };",
        "module.exports = { s3Region: 2 };",
    ] {
        refused(
            &with_profile(config_js),
            &["config.js", "set `AWS_DEFAULT_REGION`"],
        );
    }
    let named = with_profile("module.exports = { s3Region: 'ap-southeast-2' };");
    named.run().exits(0).contains(" in ap-southeast-2");
    let other = with_profile("module.exports = { name: process.env.NAME };").env("DRY_RUN", "true");
    other.run().exits(0).contains(" in eu-west-1");
}

#[test]
fn a_computed_value_matters_only_where_it_is_wanted_and_is_shown_with_the_variable_to_set() {
    let config_js = "const base = require('./base');\nmodule.exports = {\n  ...base,\n  s3BucketPRD: 'acme',\n  \
                     containerName: process.env.NAME,\n};\n";
    Case::production()
        .file("config.js", config_js)
        .run()
        .exits(0);
    refused(
        &Case::production()
            .unset("CONTAINER_NAME")
            .file("config.js", config_js),
        &[
            "`config.js containerName` is computed",
            " --> config.js:5:18",
            "5 |   containerName: process.env.NAME,",
            "|                  ^^^^^^^^^^^^^^^^",
            "or set `CONTAINER_NAME`\n",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_reported_once_with_every_variable_to_set() {
    let case = Case::production()
        .unset("CONTAINER_NAME")
        .unset("S3_BUCKET")
        .file(
            "config.js",
            "module.exports = {\n  containerName: 'mojito'\n  s3Region: 'eu-west-1',\n};\n",
        );
    refused(
        &case,
        &[
            "✖ `config.js` cannot be read: Expected `,` or `}` but found `Identifier`",
            " --> config.js:3:3",
            "3 |   s3Region: 'eu-west-1',",
            "or set `CONTAINER_NAME` and `S3_BUCKET`\n",
        ],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_shown_with_what_it_is_and_the_variable_to_set() {
    for (value, problem) in [
        ("['mojito']", "is an array, expected a string"),
        ("7", "is a number, expected a string"),
        ("{ name: 'mojito' }", "is an object, expected a string"),
        ("() => 'mojito'", "is a function, expected a string"),
        (
            "f('mojito')",
            "is computed, but this file is only parsed, never run",
        ),
    ] {
        let config_js =
            format!("// Ours.\n\nmodule.exports = {{\n    containerName: {value},\n}};\n");
        refused(
            &Case::production()
                .unset("CONTAINER_NAME")
                .file("config.js", config_js),
            &[
                &format!("✖ `config.js containerName` {problem}\n   --> config.js:4:20\n"),
                &format!("4 |     containerName: {value},"),
                "or set `CONTAINER_NAME`\n",
            ],
        );
    }
}

#[test]
fn what_else_a_file_does_is_shown_in_its_place() {
    for (config_js, problem, place) in [
        (
            "\nexports.containerName = 'mojito';\n",
            "it has no `module.exports = {...}`",
            "2:1",
        ),
        (
            "\nmodule.exports = load('mojito');\n",
            "what it exports is computed",
            "2:18",
        ),
        (
            "module.exports = {};\n\nchange(exports);\n",
            "only comments may follow",
            "3:1",
        ),
    ] {
        let case = Case::production()
            .unset("CONTAINER_NAME")
            .file("config.js", config_js);
        refused(
            &case,
            &[
                &format!("✖ `config.js` cannot be read: {problem}"),
                &format!(" --> config.js:{place}\n"),
                "fix it, or set `CONTAINER_NAME`\n",
            ],
        );
    }
}

#[test]
fn of_a_repeated_key_the_last_counts_as_in_node_with_a_warning() {
    let config_js = "module.exports = {\n  containerName: 'old',\n  s3Region: 'a',\n  containerName: 'mojito',\n};\n";
    let case = Case::production()
        .unset("CONTAINER_NAME")
        .file("config.js", config_js);
    let ended = case.run().exits(0);
    let ended = ended.contains("WARNING: `config.js containerName` is there more than once; the last one counts, as in Node\n");
    ended
        .contains(" --> config.js:4:18\n")
        .contains("4 |   containerName: 'mojito',");
    let unwanted = case.env("CONTAINER_NAME", "mojito");
    unwanted.run().exits(0).does_not_contain("WARNING");
}

#[test]
fn a_file_that_is_nested_too_deeply_is_refused() {
    let nested = |depth| {
        format!(
            "module.exports = {{\n  containerName: 'mojito',\n  other: {}{}\n}};",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    let case = |depth| {
        let case = Case::production().unset("CONTAINER_NAME");
        case.file("config.js", nested(depth))
    };
    case(5_000).run().exits(0);
    refused(
        &case(45_000),
        &[
            "✖ `config.js` cannot be read: parsing it takes more than 118 MB of memory, or it is nested too deeply\n",
            "fix it, or set `CONTAINER_NAME`",
        ],
    );
}

#[test]
fn a_repository_may_name_its_distributions_and_its_url() {
    let case = Case::production()
        .unset("DISTRIBUTION_ID")
        .env("WAIT", "true");
    case.set_policy(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
    let (first, edge) = (case.world.distribution.clone(), case.world.edge.clone());
    let second: String = case.call("add_distribution", json!({}));
    let config_js = format!(
        "module.exports = {{\n  distributionIdPRD: ['{first}', '{second}'],\n  publicUrlPRD: '{edge}',\n}};\n"
    );
    let case = case.file("config.js", config_js).env("DEBUG", "true");
    case.run()
        .exits(0)
        .contains(&format!(
            "DISTRIBUTION_ID: {first}, {second} (config.js distributionIdPRD)"
        ))
        .contains(&format!("PUBLIC_URL: {edge}/ (config.js publicUrlPRD)"))
        .contains("✔ [EDGE]/js/mojito.js serves the new container")
        .does_not_contain("WARNING");
    let made = case.invalidations().into_iter();
    let made: Vec<String> = made.map(|it| it.distribution).collect();
    assert_eq!(made, [first, second]);
}

#[test]
fn a_url_that_cannot_be_reached_is_refused_by_its_key() {
    let config_js = "module.exports = { publicUrlPRD: 'https://cdn.invalid' };";
    refused(
        &Case::production().file("config.js", config_js),
        &["✖ `config.js publicUrlPRD` is `https://cdn.invalid/`, which cannot be reached"],
    );
}

#[test]
fn a_computed_distribution_is_refused_with_the_line_and_the_variable_to_set() {
    let config_js = "module.exports = {\n  distributionIdPRD: process.env.DISTRIBUTION,\n};\n";
    let case = Case::production().file("config.js", config_js);
    case.run().exits(0);
    refused(
        &Case::production()
            .unset("DISTRIBUTION_ID")
            .file("config.js", config_js),
        &[
            "✖ `config.js distributionIdPRD` is computed, but this file is only parsed, never run",
            " --> config.js:2:22",
            "2 |   distributionIdPRD: process.env.DISTRIBUTION,",
            "or set `DISTRIBUTION_ID`\n",
        ],
    );
}
