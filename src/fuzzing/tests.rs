//! Runs the invariants on the corpora and on mutations of them.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::common::testing::cases;

/// The seeds of a target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let seeds = files.map(|file| fs::read(file.unwrap().path()).unwrap());
    let mut seeds: Vec<_> = seeds.collect();
    seeds.sort();
    assert!(seeds.len() > 3, "{folder} holds the seeds");
    seeds
}

#[test]
fn the_invariants_hold_for_every_seed() {
    for (target, holds) in [
        ("config_js", config_js as fn(&[u8])),
        ("settings", settings),
        ("container", container),
        ("answers", answers),
    ] {
        for seed in corpus(target) {
            holds(&seed);
        }
    }
}

/// A seed of a target with some bytes replaced.
fn mutated(target: &str) -> impl Strategy<Value = Vec<u8>> {
    let put = prop_oneof![
        "[ -~]{0,6}|\\PC{0,3}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    let edit = (any::<prop::sample::Index>(), 0..20_usize, put);
    let edits = prop::collection::vec(edit, 0..6);
    (prop::sample::select(corpus(target)), edits).prop_map(|(mut seed, edits)| {
        for (at, taken, put) in edits {
            let start = at.index(seed.len() + 1);
            let end = (start + taken).min(seed.len());
            seed.splice(start..end, put);
        }
        seed
    })
}

fn random_response() -> impl Strategy<Value = Vec<u8>> {
    let names = "x-amz-request-id x-amz-id-2 x-amz-bucket-region x-amz-meta-build-number content-type content-encoding etag location";
    let names: Vec<&str> = names.split(' ').collect();
    let value = "\\PC{0,12}|[0-9]{1,22}|gzip";
    let header = (prop::sample::select(names), value);
    (
        "[piwcahr]",
        prop_oneof![Just(200_u16), Just(403), 100..600_u16],
        prop::collection::vec(header, 0..4),
        prop::collection::vec(any::<u8>(), 0..60),
    )
        .prop_map(|(operation, status, headers, body)| {
            let mut response = format!("{operation} {status}\n");
            for (name, value) in headers {
                response.extend([name, ": ", &value, "\n"]);
            }
            response.push('\n');
            [response.into_bytes(), body].concat()
        })
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn any_response_is_reported_truthfully(response in prop_oneof![mutated("answers"), random_response()]) {
        answers(&response);
    }

    #[test]
    fn any_settings_are_refused_or_confined(lines in mutated("settings")) {
        settings(&lines);
    }
}
