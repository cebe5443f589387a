//! What a run reports to Bitbucket: every report of every situation is one that Bitbucket accepts.

use std::fmt::Write;

use serde_json::{json, Value};

use crate::support::bitbucket::{Bitbucket, Report};
use crate::support::harness::Case;
use crate::support::sample;

const ID: &str = "mojito-publish-production-mojito";

/// What makes a case end otherwise.
type Prepare<'a> = &'a dyn Fn(Case) -> Case;

/// A build of a tag that reports.
fn tag_build(bitbucket: &Bitbucket) -> Case {
    Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .reporting(bitbucket)
}

/// A container with these experiments: ID, name and sample rate.
fn container(experiments: impl IntoIterator<Item = (String, String, f64)>) -> String {
    let mut script = "Mojito={addTest:function(e){}};".to_owned();
    for (id, name, rate) in experiments {
        let (id, name) = (Value::from(id), Value::from(name));
        writeln!(
            script,
            "Mojito.addTest({{state:'live',sampleRate:{rate},id:{id},name:{name},recipes:{{'0':{{name:'Control'}},\
             '1':{{name:'Treatment'}}}},trigger:function(t){{t.activate()}}}});"
        )
        .unwrap();
    }
    script
}

/// Publishes one container after the other, and returns what was reported of the second.
#[track_caller]
fn changed(before: &str, after: &str) -> Report {
    let bitbucket = Bitbucket::start();
    let case = tag_build(&bitbucket);
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let case = case
        .env("CODE_INSIGHTS", "false")
        .file("dist/assets/js/mojito.js", before);
    case.run().exits(0);
    case.stores_after_reading("/js/mojito.js");
    let case = case
        .reporting(&bitbucket)
        .file("dist/assets/js/mojito.js", after);
    case.run()
        .exits(0)
        .contains("changes to the live container (");
    bitbucket.assert_accepted_all();
    bitbucket.report()
}

#[test]
fn every_end_is_reported_and_accepted() {
    let error = |code: &str| {
        format!(
            "<ErrorResponse><Error><Code>{code}</Code></Error><Code>{code}</Code></ErrorResponse>"
        )
    };
    let ends: [(&str, Prepare, i32, &str); 10] = [
        ("published", &|case| case, 0, "PASSED"),
        ("dry run", &|case| case.env("DRY_RUN", "true"), 0, "PASSED"),
        (
            "dry run without rights",
            &|case| {
                case.fault(json!({"method": "GET", "path": "/js/", "status": 403, "times": 99, "body": error("InvalidAccessKeyId")}));
                case.env("DRY_RUN", "true")
            },
            3,
            "FAILED",
        ),
        (
            "refused setting",
            &|case| case.env("MAX_SIZE", "large"),
            2,
            "FAILED",
        ),
        (
            "no container",
            &|case| case.env("LOCAL_PATH", "nowhere"),
            2,
            "FAILED",
        ),
        (
            "syntax error",
            &|case| case.file("dist/assets/js/mojito.js", "Mojito={};\nlet a = ;"),
            2,
            "FAILED",
        ),
        (
            "denied",
            &|case| {
                case.set_policy(json!([case.may_invalidate(&case.world.distribution)]));
                case
            },
            3,
            "FAILED",
        ),
        (
            "not invalidated",
            &|case| {
                case.fault(json!({"method": "POST", "path": "/invalidation", "status": 403, "times": 99, "body": error("AccessDenied")}));
                case
            },
            4,
            "FAILED",
        ),
        (
            "not verified",
            &|case| {
                case.fault(json!({"method": "GET", "path": "/invalidation/", "status": 403, "times": 99, "body": error("AccessDenied")}));
                case.env("WAIT", "true")
            },
            5,
            "FAILED",
        ),
        (
            "not in the site",
            &|case| {
                let address = case.world.endpoint.clone();
                case.env("PUBLIC_URL", &address).env("DRY_RUN", "true")
            },
            0,
            "PASSED",
        ),
    ];
    for (what, prepare, code, result) in ends {
        let bitbucket = Bitbucket::start();
        prepare(tag_build(&bitbucket)).run().exits(code);
        bitbucket.assert_accepted_all();
        let report = bitbucket.report();
        assert_eq!(report.content["result"], result, "{what}: {report:#?}");
        let link = &report.content["link"];
        assert_eq!(
            link, "https://bitbucket.org/acme/site/pipelines/results/57",
            "{what}"
        );
        assert_eq!(report.content["reporter"], "mojito-publish", "{what}");
    }
}

#[test]
fn a_superseded_run_is_reported_and_accepted() {
    let bitbucket = Bitbucket::start();
    let case = tag_build(&bitbucket).env("ONLY_NEWER", "true");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.stored_before("js/mojito.js", json!({"x-amz-meta-build-number": "58"}));
    case.run().exits(6);
    bitbucket.assert_accepted_all();
    let report = bitbucket.report();
    let title = report.content["title"].as_str().unwrap();
    assert!(title.contains("build 58"), "{report:#?}");
}

#[test]
fn a_preview_of_a_pull_request_needs_nothing_of_aws() {
    let bitbucket = Bitbucket::start();
    let case = Case::production();
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge);
    sample::build_with(case.repository(), "mojito", sample::BEFORE, "e", "0a1b2c3");
    case.run().exits(0);
    let (sent, objects) = (case.requests().len(), case.objects());
    let endpoint = case.world.endpoint.clone();
    sample::build_with(case.repository(), "mojito", sample::AFTER, "t", "1f2e3d4");
    let aws = case
        .environment()
        .keys()
        .filter(|name| name.starts_with("AWS_"));
    let aws: Vec<String> = aws.cloned().collect();
    let case = aws.iter().fold(case, |case, name| case.unset(name));
    let case = case
        .unset("ENVIRONMENT")
        .in_bitbucket("BITBUCKET_BRANCH", "feature/hero")
        .reporting(&bitbucket)
        .env("BITBUCKET_PR_ID", "12")
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        // Only where it looks for credentials by itself, which would show among the requests.
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)
        .env("DRY_RUN", "true");
    case.run()
        .exits(0)
        .contains("✔ dry run: nothing was written");
    assert_eq!(case.requests().len(), sent);
    assert_eq!(case.objects(), objects);
    bitbucket.assert_accepted_all();
    let report = bitbucket.report();
    assert_eq!(report.id, ID);
    assert_eq!(report.content["result"], "PASSED");
    let text = json!([report.content, report.annotations]).to_string();
    for experiment in ["w12", "w9", "w7", "w13", "w14"] {
        assert!(text.contains(experiment), "{experiment} is not in {text}");
    }
}

#[test]
fn an_experiment_that_breaks_is_a_failure_with_the_reason() {
    let one = |rate| container([("w1".to_owned(), "Hero".to_owned(), rate)]);
    let report = changed(&one(0.5), &one(50.0));
    let text = report.content.to_string();
    assert_eq!(report.content["result"], "FAILED", "{text}");
    for expected in [
        "published, 1 experiment stops, 1 does not run",
        "stops w1 Hero: 50% → does not run: Mojito throws here",
        "warning: experiment w1 has a sample rate of 50, which is above 1: Mojito throws here",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let annotation = &report.annotations[0];
    assert_eq!(annotation["severity"], "HIGH");
    let summary = annotation["summary"].as_str().unwrap();
    assert!(summary.contains("write 50% as 0.5"), "{summary}");
}

#[test]
fn no_change_and_many_changes_are_accepted() {
    let many = |number: usize, rate: f64| {
        let experiments =
            (0..number).map(|it| (format!("w{it}"), format!("Experiment {it}"), rate));
        container(experiments)
    };
    assert!(changed(&many(3, 0.5), &many(3, 0.5)).annotations.is_empty());
    assert_eq!(
        changed(&many(300, 0.1), &many(300, 0.5)).annotations.len(),
        300
    );
    assert_eq!(
        changed(&many(1_200, 0.1), &many(1_200, 0.5))
            .annotations
            .len(),
        1_000
    );
    assert_eq!(
        changed(&many(0, 0.1), &many(120, 0.5)).annotations.len(),
        120
    );
}

#[test]
fn names_of_any_length_and_content_are_accepted() {
    for name in [
        "x".repeat(10_000),
        "😀".repeat(10_000),
        "a\u{0}\u{1b}[31m\u{202e}\u{2028}\r\n✔ published to mars\u{7f}".to_owned(),
        "**bold** <script>alert(1)</script> [a](javascript:b) `c` | d | ![e](f) &lt; 👩‍👩‍👧 \\"
            .to_owned(),
        String::new(),
        " \n ".to_owned(),
        "\u{feff}\u{200b}".to_owned(),
    ] {
        let with = |rate| {
            container([
                (name.clone(), name.clone(), rate),
                ("w1".to_owned(), name.clone(), rate),
            ])
        };
        let report = changed(&with(0.1), &with(0.5));
        let text = json!([report.content, report.annotations]).to_string();
        assert!(text.contains("10% → 50%"), "{text}");
        assert!(
            !text.contains('\u{202e}') && !text.contains('\u{200b}'),
            "{text}"
        );
    }
}

#[test]
fn texts_that_are_longer_than_bitbucket_takes_are_cut() {
    // One change with all of an experiment's recipes.
    let with = |code: &str| {
        let recipes = (0..60).map(|number| {
            let name = Value::from(format!("{number} {}", "😀 recipe ".repeat(15)));
            format!("'{number}':{{name:{name},js:function(t){{{code}}}}},")
        });
        format!(
            "Mojito={{addTest:function(e){{}}}};Mojito.addTest({{state:'live',sampleRate:1,id:'w1',name:'W1',\
             recipes:{{{}}},trigger:function(t){{t.activate()}}}});",
            recipes.collect::<String>()
        )
    };
    let report = changed(&with("one()"), &with("two()"));
    let texts = json!([report.content, report.annotations]).to_string();
    assert!(texts.contains('…'), "{texts}");
    // More refused files than the details hold.
    let bitbucket = Bitbucket::start();
    let names: Vec<String> = (0..40)
        .map(|number| format!("{}{number}", "x".repeat(90)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let case = tag_build(&bitbucket).list("CONTAINER_NAME", &names);
    case.run().exits(2);
    bitbucket.assert_accepted_all();
    assert_eq!(bitbucket.reports().len(), 10);
    // A message about more settings than the details hold.
    let bitbucket = Bitbucket::start();
    let settings = [
        "MAX_SIZE",
        "WAIT",
        "PRETTY",
        "ACL",
        "CACHE_CONTROL",
        "DRY_RUN",
        "ONLY_NEWER",
        "METADATA",
        "VALIDATE",
        "PUBLIC_URL",
        "S3_PREFIX",
        "DEBUG",
    ];
    let invalid = "\u{202e}no ".repeat(50);
    let case = settings
        .iter()
        .fold(tag_build(&bitbucket), |case, name| case.env(name, &invalid));
    case.run().exits(2);
    bitbucket.assert_accepted_all();
    let details = bitbucket.report().content["details"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(details.ends_with('…'), "{details}");
}

#[test]
fn names_of_a_build_are_accepted_or_leave_no_report() {
    for name in [
        "BITBUCKET_TAG",
        "BITBUCKET_BUILD_NUMBER",
        "BITBUCKET_COMMIT",
        "BITBUCKET_REPO_FULL_NAME",
        "BITBUCKET_CLONE_DIR",
    ] {
        for value in [
            "v1\u{202e}\u{9b}31m ✔ published to mars?b#c%2e",
            "../../../2.0/user",
            &"long ".repeat(999),
        ] {
            let bitbucket = Bitbucket::start();
            let ended = tag_build(&bitbucket).env(name, value).run();
            assert!(
                matches!(ended.code, Some(0 | 2)),
                "{name}: {}",
                ended.output
            );
            for request in bitbucket.requests() {
                // Another repository or commit is not found, and nothing else is requested.
                let prefix = "http://api.bitbucket.org/2.0/repositories/";
                let path = request.target.strip_prefix(prefix).unwrap_or("not there");
                let parts: Vec<&str> = path.split('/').collect();
                let [_, _, "commit", _, "reports", id, ..] = parts[..] else {
                    panic!("{path}");
                };
                assert!([ID, "mojito-publish"].contains(&id), "{path}");
                assert!(
                    !parts.contains(&"..") && !path.contains(['?', '#']),
                    "{path}"
                );
                assert!(
                    matches!(request.status, Some(200 | 204 | 404)),
                    "{request:#?}"
                );
            }
        }
    }
}

#[test]
fn of_twelve_containers_ten_are_reported_and_the_log_says_so() {
    let bitbucket = Bitbucket::start();
    let case = Case::containers(12, &["s3:PutObject"])
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .reporting(&bitbucket);
    let ended = case.run().exits(0);
    bitbucket.assert_accepted_all();
    assert_eq!(bitbucket.reports().len(), 10);
    let last = ended.output.lines().last().unwrap();
    assert!(last.contains('2'), "{last}");
}

#[test]
fn the_reports_before_it_of_the_same_container_and_commit_are_replaced_and_no_others() {
    let bitbucket = Bitbucket::start();
    let report = json!({"title": "earlier", "details": "earlier", "report_type": "TEST"});
    let annotations =
        json!([{"external_id": "earlier", "annotation_type": "BUG", "summary": "earlier"}]);
    let others = [
        "mojito-publish-development-mojito",
        "mojito-publish-production-shop",
        "another-tool",
    ];
    for id in others.iter().chain([&ID]) {
        bitbucket.has(id, &report, &annotations);
    }
    tag_build(&bitbucket).run().exits(0);
    bitbucket.assert_accepted_all();
    for kept in bitbucket.reports() {
        let is_earlier = kept.content == report && json!(kept.annotations) == annotations;
        let is_free_of_it = kept.content["title"] != "earlier" && kept.annotations.is_empty();
        if kept.id == ID {
            assert!(is_free_of_it, "{kept:#?}");
        } else {
            assert!(is_earlier, "{kept:#?}");
        }
    }
    assert_eq!(bitbucket.reports().len(), 4);
}

#[test]
fn what_failed_is_no_longer_reported_once_it_succeeds() {
    for (name, wrong) in [("MAX_SIZE", "large"), ("LOCAL_PATH", "nowhere")] {
        let bitbucket = Bitbucket::start();
        let case = tag_build(&bitbucket).env(name, wrong);
        case.run().exits(2);
        assert_eq!(bitbucket.report().content["result"], "FAILED");
        case.unset(name).run().exits(0);
        bitbucket.assert_accepted_all();
        assert_eq!(bitbucket.report().content["result"], "PASSED");
    }
}

#[test]
fn each_refused_container_is_reported_with_its_error() {
    let bitbucket = Bitbucket::start();
    let case = tag_build(&bitbucket).list("CONTAINER_NAME", &["mojito", "shop", "blog"]);
    sample::build(case.repository(), "shop");
    let case = case
        .file("dist/assets/js/mojito.js", "Mojito={};\nlet a = ;")
        .file("dist/assets/js/blog.js", "<!doctype html>");
    case.run().exits(2);
    bitbucket.assert_accepted_all();
    for report in bitbucket.reports() {
        assert_eq!(report.content["result"], "FAILED", "{report:#?}");
    }
    let text = json!(bitbucket
        .reports()
        .iter()
        .map(|it| &it.content)
        .collect::<Vec<_>>())
    .to_string();
    assert!(
        text.contains("mojito.js") && text.contains("blog.js"),
        "{text}"
    );
}

/// The places of a report's annotations, with their summaries.
fn places(report: &Report) -> Vec<String> {
    let place = |it: &Value| {
        let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
        format!("{}:{} {}", text("path"), it["line"], text("summary"))
    };
    report.annotations.iter().map(place).collect()
}

#[test]
fn a_change_stands_at_the_line_of_the_sources_that_causes_it() {
    let container = |rate: &str, text: &str| {
        format!(
            "window.Mojito||(Mojito={{addTest:function(e){{}}}});Mojito.addTest({{state:'live',sampleRate:{rate},id:'w1',\
             name:'Hero',recipes:{{0:{{name:'Control'}},1:{{name:'Blue',js:function(e){{e.text='{text}'}}}}}},\
             trigger:function(e){{e.activate()}}}});"
        )
    };
    let bitbucket = Bitbucket::start();
    let case = tag_build(&bitbucket).file("dist/assets/js/mojito.js", container(".1", "Buy"));
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let case = case.env("CODE_INSIGHTS", "false");
    case.run().exits(0);
    case.stores_after_reading("/js/mojito.js");
    let config = "state: live\nid: w1\nsampleRate: 0.5\nname: Hero\nrecipes:\n  '0':\n    name: Control\n  '1':\n    name: Blue\n    \
                  js: blue.js\ntrigger: trigger.js\n";
    let source = "// Order\nfunction (test) {\n  test.text = 'Order';\n}\n";
    let case = case
        .reporting(&bitbucket)
        .file("lib/waves/hero/config.yml", config)
        .file("lib/waves/hero/blue.js", source)
        .file("dist/assets/js/mojito.js", container(".5", "Order"));
    case.run().exits(0);
    bitbucket.assert_accepted_all();
    let expected = [
        "lib/waves/hero/config.yml:3 production: 10% → 50% of new visitors",
        "lib/waves/hero/blue.js:3 production: changes js of `Blue`",
    ];
    assert_eq!(places(&bitbucket.report()), expected);
}

#[test]
fn a_syntax_error_stands_at_its_line_in_the_sources() {
    let source = "function treatment(test) {\n  test.pattern = /(/;\n}";
    let pretty =
        format!("window.Mojito||(Mojito={{}});\nMojito.addTest({{\n    \"js\": {source}\n}});");
    let bitbucket = Bitbucket::start();
    let minified = "window.Mojito||(Mojito={});Mojito.addTest({js:function(t){t.pattern=/(/}});";
    let case = tag_build(&bitbucket)
        .file("lib/waves/hero/1.js", source)
        .file("dist/assets/js/mojito.pretty.js", pretty)
        .file("dist/assets/js/mojito.js", minified);
    case.run()
        .exits(2)
        .contains("this comes from `lib/waves/hero/1.js:2`");
    bitbucket.assert_accepted_all();
    let places = places(&bitbucket.report());
    assert!(
        places[0].starts_with("lib/waves/hero/1.js:2 `dist/assets/js/mojito.js`"),
        "{places:?}"
    );
    // Where another file has the same line, it is not certain.
    let case = case.file("lib/waves/other/1.js", source);
    case.run().exits(2).does_not_contain("this comes from");
}
