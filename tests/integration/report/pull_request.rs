//! The README's picture of a pull request, from what the real binary reports.

use snapbox::{assert_data_eq, file, Data};

use crate::support::bitbucket::Bitbucket;
use crate::support::harness::Case;
use crate::support::pull_request::{draw, Changed};
use crate::support::sample::{self, Experiment};

const BUTTON: Experiment = Experiment {
    id: "w12",
    name: "Larger buy button",
    properties: r#""state":"live","sampleRate":0.1"#,
    headline: "Buy now",
};
const CHECKOUT: Experiment = Experiment {
    id: "w9",
    name: "Shorter checkout",
    properties: r#""state":"live","sampleRate":0.5"#,
    headline: "Checkout",
};
const DELIVERY: Experiment = Experiment {
    id: "w13",
    name: "Free delivery above 50 €",
    properties: r#""state":"live","sampleRate":0.25"#,
    headline: "Free delivery",
};

/// The sources that Mojito's build makes such an experiment of.
fn config_yml(experiment: &Experiment, state: &str, sample_rate: &str) -> String {
    format!(
        "state: {state}\nsampleRate: {sample_rate}\nid: {}\nname: {}\nrecipes:\n  \"0\":\n    name: Control\n  \"1\":\n    \
         name: Treatment\n    js: 1.js\ntrigger: trigger.js\n",
        experiment.id, experiment.name
    )
}

fn treatment_js(headline: &str) -> String {
    format!("function treatment(test) {{\n  document.querySelector(\"h1\").textContent = \"{headline}\";\n  test.done = true;\n}}\n")
}

#[test]
fn the_picture_of_a_pull_request_is_what_is_reported_of_it() {
    let bitbucket = Bitbucket::start();
    let case = Case::production();
    let edge = case.world.edge.clone();
    let case = case
        .in_bitbucket("BITBUCKET_TAG", "v1.3.0")
        .env("BITBUCKET_BUILD_NUMBER", "56")
        .env("BITBUCKET_COMMIT", "0a1b2c3")
        .env("PUBLIC_URL", &edge);
    sample::build_with(
        case.repository(),
        "mojito",
        &[BUTTON, CHECKOUT],
        "e",
        "0a1b2c3",
    );
    case.run().exits(0);
    let after = [
        Experiment {
            properties: r#""state":"live","sampleRate":0.5"#,
            ..BUTTON
        },
        Experiment {
            headline: "Pay",
            ..CHECKOUT
        },
        DELIVERY,
    ];
    sample::build_with(case.repository(), "mojito", &after, "t", "1f2e3d4");
    let files = [
        (
            "lib/waves/w12/config.yml",
            config_yml(&BUTTON, "live", "0.1"),
            config_yml(&BUTTON, "live", "0.5"),
        ),
        (
            "lib/waves/w13/config.yml",
            String::new(),
            config_yml(&DELIVERY, "live", "0.25"),
        ),
        (
            "lib/waves/w9/1.js",
            treatment_js("Checkout"),
            treatment_js("Pay"),
        ),
    ];
    let mut case = case
        .unset("BITBUCKET_TAG")
        .unset("ENVIRONMENT")
        .unset("AWS_ACCESS_KEY_ID")
        .unset("AWS_SECRET_ACCESS_KEY")
        .env("BITBUCKET_BRANCH", "feature/larger-button")
        .env("BITBUCKET_PR_ID", "12")
        .env("DRY_RUN", "true")
        .reporting(&bitbucket)
        .file(
            "lib/waves/w9/config.yml",
            config_yml(&CHECKOUT, "live", "0.5"),
        );
    for (path, _, after) in &files {
        case = case.file(path, after);
        // Not in the diff, as it is added with the experiment, but for the build.
        let trigger = path.replace("1.js", "").replace("config.yml", "") + "trigger.js";
        case = case.file(
            &trigger,
            "function trigger(test) {\n  test.activate();\n}\n",
        );
    }
    case.run().exits(0);
    bitbucket.assert_accepted_all();
    let files = files.each_ref().map(|(path, before, after)| Changed {
        path,
        before,
        after,
    });
    let mut report = bitbucket.report();
    for datum in report.content["data"].as_array_mut().unwrap() {
        if datum["type"] == "DURATION" {
            // What depends on the machine's speed.
            datum["value"] = 1_000.into();
        }
    }
    let picture = draw(&report, &files);
    let picture = picture.replace(&edge, "https://d111111abcdef8.cloudfront.net");
    assert_data_eq!(
        Data::text(picture),
        file!["../../picture/pull-request.svg": Text]
    );
}
