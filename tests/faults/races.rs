//! Races of `ONLY_NEWER`: two or three runs publish both files of a container, newer and older builds, re-runs, and builds of
//! another repository, and each of their requests takes effect at a moment that a seed decides.
//!
//! A gate holds every request until its turn, so a race goes as its seed says, however slow the machine is.

use fastrand::Rng;
use serde::Deserialize;
use serde_json::json;

use super::parallel::in_parallel;
use crate::support::gate::Gate;
use crate::support::harness::{Case, Ended, Stored};
use crate::support::run::Run;

/// Races at the same time.
const CONCURRENT: usize = 4;
const KEYS: [&str; 2] = ["jsdev/mojito.js", "jsdev/mojito.pretty.js"];
const SITE: &str = "acme/site";
const SHOP: &str = "acme/shop";

/// A build that publishes.
#[derive(Clone, Debug, PartialEq)]
struct Build {
    repository: &'static str,
    number: u64,
    is_rerun: bool,
}

impl Build {
    fn any(random: &mut Rng) -> Self {
        Self {
            repository: if random.u8(..4) == 0 { SHOP } else { SITE },
            number: random.u64(57..60),
            is_rerun: random.u8(..3) == 0,
        }
    }

    /// Whether it is protected from a run that is no re-run.
    fn is_protected_from(&self, other: &Self) -> bool {
        self.repository != other.repository || self.number > other.number
    }

    fn metadata(&self) -> serde_json::Value {
        json!({
            "x-amz-meta-build-number": self.number.to_string(),
            "x-amz-meta-repository": self.repository,
        })
    }
}

/// An address of a world by whose number its requests are known.
#[derive(Deserialize)]
struct Endpoint {
    number: u64,
    address: String,
}

struct Racer<'a> {
    build: Build,
    run: Run<'a>,
    gate: Gate,
    /// What it has replaced, by `KEYS`.
    replaced: [Vec<Option<Build>>; 2],
}

fn start(case: &Case, build: Build) -> Racer<'_> {
    let endpoint: Endpoint = case.call("add_endpoint", json!({}));
    let gate = case.gate(json!({
        "methods": ["HEAD", "PUT"], "path": "/jsdev/mojito", "via": endpoint.number,
    }));
    let mut command = case.command();
    command
        .env("BITBUCKET_BUILD_NUMBER", build.number.to_string())
        .env("BITBUCKET_REPO_FULL_NAME", build.repository)
        .env(
            "BITBUCKET_STEP_RUN_NUMBER",
            if build.is_rerun { "2" } else { "1" },
        )
        .env("AWS_ENDPOINT_URL", &endpoint.address);
    Racer {
        build,
        run: Run::start(case, command),
        gate,
        replaced: [vec![], vec![]],
    }
}

fn stored_build(stored: &Stored) -> Build {
    let number = &stored.headers["x-amz-meta-build-number"];
    let is_site = stored.headers["x-amz-meta-repository"] == SITE;
    Build {
        repository: if is_site { SITE } else { SHOP },
        number: number.parse().unwrap(),
        is_rerun: false,
    }
}

/// Who has stored what is in the bucket: a run by its caller reference, and its build.
fn stored(case: &Case) -> [Option<(String, Build)>; 2] {
    let objects = case.objects();
    KEYS.map(|key| {
        let object = objects.iter().find(|object| object.key == key)?;
        let by = object.headers.get("x-amz-meta-caller-reference");
        Some((by.cloned().unwrap_or_default(), stored_build(object)))
    })
}

/// Races once, and returns what went wrong.
fn race(seed: u64) -> Vec<String> {
    let random = &mut Rng::with_seed(seed);
    let case = Case::development()
        .in_bitbucket("BITBUCKET_BRANCH", "develop")
        .env("ONLY_NEWER", "true");
    let objects = format!("arn:aws:s3:::{}/jsdev/mojito*", case.world.bucket);
    case.set_policy(json!([
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": objects},
        case.may_invalidate(&case.world.distribution),
    ]));
    let before = (random.bool()).then(|| Build {
        number: random.u64(56..59),
        ..Build::any(random)
    });
    for key in KEYS {
        if let Some(before) = &before {
            case.stored_before(key, before.metadata());
        }
    }
    let racers = (0..random.usize(2..=3)).map(|_| start(&case, Build::any(random)));
    let mut racers: Vec<Racer> = racers.collect();
    let mut turns = Vec::new();
    let mut live = stored(&case);
    loop {
        let holding = racers.iter().enumerate();
        let holding = holding.filter(|(_, racer)| racer.gate.is_holding_before_end(&racer.run));
        let holding: Vec<usize> = holding.map(|(number, _)| number).collect();
        // By now, the request that was let through has been answered.
        let now = stored(&case);
        if let Some(last) = turns.last() {
            let racer: &mut Racer = &mut racers[*last];
            for ((replaced, before), now) in racer.replaced.iter_mut().zip(live).zip(&now) {
                let is_changed = before.as_ref() != now.as_ref();
                replaced.extend(is_changed.then(|| before.map(|(_, build)| build)));
            }
        }
        live = now;
        let Some(next) = random.choice(&holding) else {
            break;
        };
        racers[*next].gate.let_through();
        turns.push(*next);
    }
    let described = format!("seed {seed}: before {before:?}, turns {turns:?}");
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{described}\n{what}"));
        }
    };
    let run_of = |object: &Option<(String, Build)>| object.as_ref().map(|(run, _)| run.clone());
    must(
        run_of(&live[0]) == run_of(&live[1]),
        &format!("two runs' files remain: {live:?}"),
    );
    let builds: Vec<Build> = racers.iter().map(|racer| racer.build.clone()).collect();
    for racer in racers {
        let Racer {
            build,
            run,
            replaced,
            ..
        } = racer;
        let ended = run.end();
        let protected = |replaced: &Option<Build>| {
            replaced
                .as_ref()
                .is_some_and(|it| it.is_protected_from(&build))
        };
        let has_overridden = replaced.iter().flatten().any(protected);
        must(
            build.is_rerun || !has_overridden,
            &format!("{build:?} replaced {replaced:?}"),
        );
        if let Err(lie) = statement(&build, &builds, before.as_ref(), &replaced, &ended) {
            must(
                false,
                &format!(
                    "{build:?}, which replaced {replaced:?}: {lie}\n{}",
                    ended.output
                ),
            );
        }
    }
    wrong
}

/// Holds the exit code and the log of a run to what it has done.
fn statement(
    build: &Build,
    builds: &[Build],
    before: Option<&Build>,
    [minified, pretty]: &[Vec<Option<Build>>; 2],
    ended: &Ended,
) -> Result<(), &'static str> {
    let says = |text: &str| ended.output.contains(text);
    let is_there = |other: &Build| builds.contains(other) || before == Some(other);
    let others = [SITE, SHOP].into_iter().flat_map(|repository| {
        let of = move |(number, is_rerun)| Build {
            repository,
            number,
            is_rerun,
        };
        (56..60)
            .flat_map(|number| [(number, false), (number, true)])
            .map(of)
    });
    let mut others = others.filter(|it| is_there(it) && it.is_protected_from(build));
    let overrides = |replaced: &[Option<Build>]| {
        let replaced = replaced.iter().flatten();
        replaced.filter(|it| it.is_protected_from(build)).count() > 0
    };
    match ended.code {
        Some(0) if minified.len() != 1 || pretty.is_empty() => {
            Err("it has not published both files")
        }
        Some(0) if !says("published to development") => Err("it does not say so"),
        Some(0) if overrides(minified) != says("/jsdev/mojito.js of build ") => {
            Err("it does not say whether it has replaced a newer build's")
        }
        Some(0) => Ok(()),
        Some(3 | 6) if !minified.is_empty() => Err("it has replaced `NAME.js`"),
        Some(3 | 6) if build.is_rerun => Err("a re-run replaces everything"),
        Some(6) => {
            let is_said = others.any(|it| {
                it.repository == build.repository
                    && says(&format!(
                        "not replaced: mojito; build {} is live, which is newer than this build {}",
                        it.number, build.number
                    ))
            });
            is_said.then_some(()).ok_or("no such build was live")
        }
        Some(3) => {
            let is_said = others.any(|it| {
                it.repository != build.repository
                    && says(&format!(
                        "build {} of {} is live, and this is build {}, commit 1f2e3d4, of {}",
                        it.number, it.repository, build.number, build.repository
                    ))
            });
            is_said.then_some(()).ok_or("no such build was live")
        }
        _ => Err("it must not end like this"),
    }
}

fn race_all(seeds: std::ops::Range<u64>) {
    let seeds: Vec<u64> = seeds.collect();
    let wrong = in_parallel(CONCURRENT, &seeds, |seed| race(*seed)).concat();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

#[test]
fn of_runs_that_race_one_leaves_both_files_and_all_say_what_they_did() {
    race_all(0..20);
}

#[test]
#[ignore = "takes minutes; run it after changes of `ONLY_NEWER`"]
fn of_runs_that_race_in_many_orders_one_leaves_both_files() {
    race_all(20..220);
}
