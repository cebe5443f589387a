use serde_json::{json, Value};

use super::*;
use crate::container::changes::Changes;
use crate::container::object::Object;
use crate::mojito::config_js::ConfigJs;
use crate::publish::run::Run;
use crate::publish::state::{Accepted, Invalidation, Mismatch, Upload, Verification};
use crate::settings::names::Prefix;
use crate::settings::raw::Raw;
use crate::settings::Flags;

const BUILD: [(&str, &str); 5] = [
    ("BITBUCKET_BUILD_NUMBER", "57"),
    ("BITBUCKET_COMMIT", "1f2e3d4c5b6a"),
    ("BITBUCKET_REPO_FULL_NAME", "acme/site"),
    ("BITBUCKET_TAG", "v1"),
    ("CONTAINER_NAME", "mojito"),
];

/// A container with experiments: ID, name, and the sample rate.
fn script(experiments: &[(&str, &str, &str)]) -> String {
    let add = |(id, name, rate): &(&str, &str, &str)| {
        let (id, name) = (json!(id), json!(name));
        format!("Mojito.addTest({{state:'live',sampleRate:{rate},id:{id},name:{name},recipes:{{0:{{name:'Control'}},1:{{name:'Blue'}}}},trigger(e){{e.b()}}}});")
    };
    format!(
        "Mojito={{}};{}",
        experiments.iter().map(add).collect::<String>()
    )
}

fn raw(more: &[(&'static str, &'static str)]) -> Raw {
    let others = [
        ("S3_BUCKET", "acme"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("DISTRIBUTION_ID", "E1A2B3C4D5E6F7"),
        ("PUBLIC_URL", "https://cdn.example"),
    ];
    BUILD.iter().chain(&others).chain(more).copied().collect()
}

/// A run of these containers, each with what it replaces.
fn run(containers: Vec<(Container, Option<&str>)>) -> Run {
    let settings = Settings::new(Flags::default(), &raw(&[]), ConfigJs::default(), None).unwrap();
    let compared: Vec<_> = containers
        .iter()
        .filter_map(|(container, old)| {
            let changes = Changes::of_container((*old)?, container);
            Some((container.name.clone(), changes))
        })
        .collect();
    let containers = containers.into_iter().map(|(it, _)| it).collect();
    let run = Run::new(Plan {
        settings,
        containers,
    });
    for (name, changes) in compared {
        run.state().changes.insert(name, Ok(changes));
    }
    run
}

fn upload_all(run: &Run, upload: &Upload) {
    for object in run.plan.objects() {
        run.set_upload(&object.key, upload.clone());
    }
}

fn reported(make: impl FnOnce(&Reporter) -> Reports) -> Reports {
    let raw = raw(&[]);
    let target = ReportTarget::of(&raw).unwrap().unwrap();
    make(&Reporter {
        target: &target,
        build: &Build::new(&raw.build),
        elapsed: Duration::from_millis(2_345),
        deadline: Instant::now() + Duration::from_mins(1),
    })
}

fn of_run(run: &Run) -> Reports {
    reported(|reporter| reporter.of_run(&run.plan, run.end(None)))
}

/// What Bitbucket gets, which must be within its limits.
fn sent(reports: &Reports) -> Vec<Value> {
    let reports = reports.list.iter();
    let reports = reports.map(|report| {
        let mut json = json!(report);
        json["annotations"] = json!(report.annotations);
        assert_within_limits("", &json);
        assert!(json["data"].as_array().unwrap().len() <= 10, "{json:#}");
        assert!(report.annotations.len() <= 1_000);
        json
    });
    reports.collect()
}

fn assert_within_limits(field: &str, json: &Value) {
    match json {
        Value::String(text) => {
            let max = if field == "details" { 2_000 } else { 450 };
            let length = text.encode_utf16().count();
            assert!((1..=max).contains(&length), "{field} has {length}: {text}");
            let is_unsafe = |c: char| c.is_control() && !(c == '\n' && field == "details");
            assert!(!text.contains(is_unsafe), "{field}: {text:?}");
        }
        Value::Array(values) => values.iter().for_each(|it| assert_within_limits(field, it)),
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(field, it)| assert_within_limits(field, it));
        }
        Value::Number(number) => assert!(number.as_u64().is_some_and(|it| it < 1 << 53)),
        Value::Bool(_) | Value::Null => panic!("{field} is {json}"),
    }
}

const OLD: &[(&str, &str, &str)] = &[("w1", "Button", "0.1"), ("w2", "Price", "0.5")];
const NEW: &[(&str, &str, &str)] = &[("w1", "Button", "0.5"), ("w3", "Form", "1")];

#[test]
fn a_publish_is_reported_with_what_changes_and_what_that_means() {
    let run = run(vec![(
        Container::of_text("mojito", &script(NEW)),
        Some(&script(OLD)),
    )]);
    upload_all(&run, &Upload::Uploaded);
    let distribution = run.plan.settings.distributions[0].clone();
    let accepted = Accepted {
        ids: vec!["I2J".to_owned()],
        paths: 1,
    };
    run.set_invalidation(&distribution, Invalidation::Completed(accepted));
    let reports = of_run(&run);
    assert_eq!(
        reports.list[0].id.as_str(),
        "mojito-publish-production-mojito"
    );
    assert_eq!(reports.outdated, [ReportId::new(&["mojito-publish"])]);
    let json = &sent(&reports)[0];
    assert_eq!(
        json["title"],
        "mojito → production: published, 3 experiments change"
    );
    assert_eq!(json["result"], "PASSED");
    assert_eq!(
        json["link"],
        "https://bitbucket.org/acme/site/pipelines/results/57"
    );
    let details = json["details"].as_str().unwrap();
    assert_eq!(
        details,
        "build 57 (v1, 1f2e3d4) is published to production; CloudFront invalidation I2J completed (2.3 s)\n\
         • starts w3 Form: 100%\n\
         • ramps w1 Button: 10% → 50%\n\
         • stops w2 Price: 50% → removed\n\
         w1: new rate for new visitors only: those left out stay out until their cookie expires\n\
         w3: same code under a new id: all its visitors are decided anew"
    );
    let data = json["data"].as_array().unwrap();
    let value = |title: &str| {
        let datum = data.iter().find(|it| it["title"] == title);
        datum.unwrap_or_else(|| panic!("{title} is not in {data:?}"))["value"].clone()
    };
    assert_eq!(data.len(), 10);
    assert_eq!(value("Environment"), "production");
    assert_eq!(value("Build")["text"], "build 57 (v1, 1f2e3d4)");
    assert_eq!(value("Compared with"), "https://cdn.example/js/mojito.js");
    assert_eq!(value("Experiments that start"), 1);
    assert_eq!(value("Experiments that stop"), 1);
    assert_eq!(value("Experiments that change otherwise"), 1);
    assert_eq!(value("Experiments live in this build"), 2);
    assert_eq!(value("Address")["href"], "https://cdn.example/js/mojito.js");
    assert_eq!(value("Duration"), 2_345);
    assert!(value("Size").as_str().unwrap().contains("compressed"));
    let annotations = json["annotations"].as_array().unwrap();
    assert_eq!(annotations.len(), 3);
    assert_eq!(annotations[0]["annotation_type"], "CODE_SMELL");
}

#[test]
fn an_experiment_that_has_never_run_does_not_stop() {
    let broken = script(&[("w1", "Button", "50")]);
    let run = run(vec![(
        Container::of_text("mojito", &broken),
        Some(&script(&[])),
    )]);
    let reports = reported(|it| it.of_dry_run(&run.plan, &run.state(), None));
    let json = sent(&reports).remove(0);
    let numbers = json["data"].as_array().unwrap().iter();
    let numbers = numbers.filter(|it| it["type"] == "NUMBER");
    let numbers: Vec<&Value> = numbers.map(|it| &it["value"]).collect();
    // Those that start, stop, change otherwise and are live.
    assert_eq!(json!(numbers), json!([0, 0, 1, 0]));
}

#[test]
fn each_end_has_its_title_and_fails_where_somebody_has_to_act() {
    let title = |prepare: &dyn Fn(&Run)| {
        let run = run(vec![(
            Container::of_text("mojito", &script(NEW)),
            Some(&script(NEW)),
        )]);
        prepare(&run);
        let json = sent(&of_run(&run)).remove(0);
        let title = json["title"].as_str().unwrap();
        let what = title.strip_prefix("mojito → production: ").unwrap();
        format!("{} {what}", json["result"].as_str().unwrap())
    };
    let published = |run: &Run| upload_all(run, &Upload::Uploaded);
    let invalidated = |run: &Run| {
        published(run);
        let distribution = run.plan.settings.distributions[0].clone();
        run.set_invalidation(&distribution, Invalidation::InProgress(Accepted::default()));
    };
    let verified = |run: &Run, verification: Verification| {
        invalidated(run);
        run.set_verification("https://cdn.example/js/mojito.js", verification);
    };
    let mismatch = |answered| {
        Verification::Failed(Mismatch {
            phrase: "HTTP 404".to_owned(),
            answered,
        })
    };
    assert_eq!(title(&|_| ()), "FAILED not published");
    let in_flight = |run: &Run| upload_all(run, &Upload::InFlight);
    assert_eq!(
        title(&in_flight),
        "FAILED not known whether it is published"
    );
    assert_eq!(
        title(&published),
        "FAILED published, but CloudFront was not invalidated"
    );
    assert_eq!(title(&invalidated), "PASSED published, nothing changes");
    assert_eq!(
        title(&|run| verified(run, Verification::Verified)),
        "PASSED published, nothing changes"
    );
    assert_eq!(
        title(&|run| verified(run, mismatch(true))),
        "FAILED published, but visitors do not get it yet"
    );
    assert_eq!(
        title(&|run| verified(run, mismatch(false))),
        "FAILED published, but not verified"
    );
    let superseded = |run: &Run| upload_all(run, &Upload::Superseded(58));
    assert_eq!(
        title(&superseded),
        "PASSED not replaced, as the newer build 58 is live"
    );
}

#[test]
fn a_preview_passes_unless_a_publish_would_fail() {
    let run = run(vec![(
        Container::of_text("mojito", &script(NEW)),
        Some(&script(OLD)),
    )]);
    let preview = |problem| {
        let reports = reported(|it| it.of_dry_run(&run.plan, &run.state(), problem));
        sent(&reports).remove(0)
    };
    let json = preview(None);
    assert_eq!(json["title"], "mojito → production: 3 experiments change");
    assert_eq!(json["result"], "PASSED");
    let details = json["details"].as_str().unwrap();
    assert!(
        details.starts_with(
            "preview of build 57 (v1, 1f2e3d4) for production: nothing is published by it\n•"
        ),
        "{details}"
    );
    let json = preview(Some("the access key does not exist"));
    assert_eq!(json["title"], "mojito → production: a publish would fail");
    assert_eq!(json["result"], "FAILED");
    let details = json["details"].as_str().unwrap();
    assert!(
        details.contains("\na publish would fail: the access key does not exist\n•"),
        "{details}"
    );
}

#[test]
fn any_number_of_experiments_and_any_name_fits_into_a_report() {
    let numbers: Vec<String> = (0..300).map(|it| it.to_string()).collect();
    for name in [
        String::new(),
        "x".repeat(10_000),
        "👍".repeat(10_000),
        "\u{0}\u{1b}[31m\n\r\u{202e}\u{2028}\"'</script>".to_owned(),
        " \u{feff} ".to_owned(),
    ] {
        let ids: Vec<String> = numbers.iter().map(|it| format!("{name}{it}")).collect();
        let with = |rate| {
            let experiments = ids.iter().map(|id| (id.as_str(), name.as_str(), rate));
            // Parsing all of the longest names takes long, and cuts them to the same text.
            let count = if name.len() > 1_000 { 5 } else { ids.len() };
            script(&experiments.take(count).collect::<Vec<_>>())
        };
        for (old, new) in [
            (with("0.1"), with("0.2")),
            (script(&[]), with("1")),
            (with("1"), script(&[])),
        ] {
            let run = run(vec![(Container::of_text("mojito", &new), Some(&old))]);
            for upload in [Upload::Uploaded, Upload::Pending] {
                upload_all(&run, &upload);
                assert_eq!(
                    sent(&reported(|it| it.of_dry_run(
                        &run.plan,
                        &run.state(),
                        Some(&name)
                    )))
                    .len(),
                    1
                );
            }
            assert_eq!(sent(&of_run(&run)).len(), 1);
        }
    }
}

#[test]
fn of_many_containers_those_that_failed_are_reported_then_those_that_change() {
    let (old, new) = (script(OLD), script(NEW));
    let [same, other] = [&old, &new].map(|text| Container::of_text("mojito", text));
    let one_of = |number: usize| if number == 1_000 { &other } else { &same };
    let named = |number: usize| {
        let name = ContainerName::parse(&format!("site{number}")).unwrap();
        let prefix = Prefix::literal("js");
        let container = one_of(number).clone();
        let Object { size, body, .. } = &container.objects[0];
        let body = body.to_vec();
        let object = Object::new(&name, Variant::Minified, &prefix, &prefix, *size, body);
        Container {
            name,
            objects: [object].into(),
            ..container
        }
    };
    let containers = (0..3_000).map(|number| (named(number), None));
    let run = run(containers.collect());
    let [of_same, of_other] = [&same, &other].map(|it| Changes::of_container(&old, it));
    for (number, container) in run.plan.containers.iter().enumerate() {
        let changes = if number == 1_000 { &of_other } else { &of_same };
        let name = container.name.clone();
        run.state().changes.insert(name, Ok(changes.clone()));
    }
    upload_all(&run, &Upload::Uploaded);
    let distribution = run.plan.settings.distributions[0].clone();
    run.set_invalidation(&distribution, Invalidation::Completed(Accepted::default()));
    let failed = run.plan.containers[2_000].objects[0].key.clone();
    run.set_upload(&failed, Upload::Pending);
    let reports = of_run(&run);
    let titles: Vec<String> = sent(&reports)
        .iter()
        .map(|it| it["title"].to_string())
        .collect();
    assert_eq!(titles.len(), 10);
    assert!(
        titles[0].contains("site2000 → production: not published"),
        "{titles:?}"
    );
    assert!(
        titles[1].contains("site1000 → production: published, 3 experiments change"),
        "{titles:?}"
    );
    assert!(
        titles[2].contains("site0 → production: published, nothing changes"),
        "{titles:?}"
    );
    let target = ReportTarget::of(&raw(&[])).unwrap().unwrap();
    let line = |reports_sent, problem: Option<&str>| {
        let sent = Sent {
            reports: reports_sent,
            problem: problem.map(str::to_owned),
        };
        super::line(&reports, &sent, &target)
    };
    assert_eq!(
        line(10, None),
        "reported to Bitbucket: 10 reports on commit 1f2e3d4 (2990 more containers have none)"
    );
    assert_eq!(
        line(0, Some("HTTP 401")),
        "not reported to Bitbucket: HTTP 401"
    );
    assert_eq!(
        line(3, Some("HTTP 500")),
        "reported to Bitbucket in part: 3 of 10 reports on commit 1f2e3d4: HTTP 500"
    );
}

#[test]
fn a_refused_file_is_in_the_report_of_its_container() {
    let raw = raw(&[]);
    let settings = Settings::new(Flags::default(), &raw, ConfigJs::default(), None).unwrap();
    let planned = Planned {
        containers: ["a", "b", "b-2"]
            .map(|it| ContainerName::parse(it).unwrap())
            .into(),
        ..Planned::new(&settings)
    };
    let file = InvalidFile {
        path: "dist/assets/js/b.js".into(),
        problem: "is empty".to_owned(),
        line: None,
        place: None,
    };
    let reports = reported(|reporter| reporter.of_files(&planned, &[file]));
    let reports = sent(&reports);
    let titles: Vec<&Value> = reports.iter().map(|it| &it["title"]).collect();
    let others = "not published, as another container is refused";
    assert_eq!(
        json!(titles),
        json!([
            "b → production: refused",
            format!("a → production: {others}"),
            format!("b-2 → production: {others}"),
        ])
    );
    for (number, report) in reports.iter().enumerate() {
        assert_eq!(report["result"], "FAILED");
        assert_eq!(report["details"], "`dist/assets/js/b.js` is empty");
        let annotations = report["annotations"].as_array().unwrap();
        assert_eq!(annotations.len(), usize::from(number == 0));
    }
    assert_eq!(reports[0]["annotations"][0]["annotation_type"], "BUG");
}

#[test]
fn refused_settings_are_one_report_unless_the_containers_are_known() {
    let reports = reported(|it| it.of_error(None, Exit::Refused, "`WAIT` is `x`"));
    assert_eq!(reports.list[0].id.as_str(), "mojito-publish");
    assert!(reports.outdated.is_empty());
    let json = &sent(&reports)[0];
    assert_eq!(json["title"], "mojito-publish: settings refused");
    assert_eq!(json["details"], "`WAIT` is `x`");
    let settings = Settings::new(Flags::default(), &raw(&[]), ConfigJs::default(), None).unwrap();
    let planned = Planned::new(&settings);
    let reports = reported(|it| it.of_error(Some(&planned), Exit::NotPublished, "no credentials"));
    let json = &sent(&reports)[0];
    assert_eq!(json["title"], "mojito → production: not published");
    assert_eq!(json["result"], "FAILED");
}
