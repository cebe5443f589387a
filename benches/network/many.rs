//! Compares a thousand containers in one run with s5cmd, which is made for many files and does not invalidate.

use std::time::Duration;

use crate::sample::{self, Experiment};
use crate::tool::{median, ours, Bench, Run, Tool};

const CONTAINERS: usize = 1000;
/// Uncompressed bytes of a container.
const SIZE: usize = 20_000;
const ROUND_TRIP_MS: u64 = 50;
const ROUNDS: usize = 3;

pub(crate) fn measure(bench: &Bench) {
    // s5cmd would upload leftovers of other parts too.
    let _ = std::fs::remove_dir_all(bench.repository.join("dist"));
    let names: Vec<String> = (0..CONTAINERS)
        .map(|number| format!("site{number}"))
        .collect();
    for (number, name) in names.iter().enumerate() {
        build(bench, name, number as u64);
    }
    let s5cmd = Tool {
        name: "s5cmd",
        commands: vec![[
            &bench.program("s5cmd"),
            "--log",
            "error",
            "cp",
            "--exclude",
            "*.pretty.js",
            "dist/assets/js/",
            &format!("s3://{}/js/", bench.world.bucket),
        ]
        .map(str::to_owned)
        .to_vec()],
        environment: Vec::new(),
    };
    let tools = [ours(&bench.world, &names), s5cmd];
    let delay = Duration::from_millis(ROUND_TRIP_MS);
    let mut runs: [Vec<Run>; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (tool, runs) in tools.iter().zip(&mut runs) {
            runs.push(bench.run(tool, delay));
        }
    }
    println!("\n{CONTAINERS} containers of {SIZE} bytes at a round trip of {ROUND_TRIP_MS} ms, medians of {ROUNDS} runs in turn. Upload: from the");
    println!("first request to S3 to its last response. Ratio: of our upload to this one.\n");
    println!("| tool | upload | ratio | wall | CPU | peak memory | connections | on the wire |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |");
    let ours = median(&runs[0], |run| run.upload_ms);
    for (tool, runs) in tools.iter().zip(&runs) {
        let upload = median(runs, |run| run.upload_ms);
        let [s3, cloudfront, sts] = runs[ROUNDS / 2].connections;
        println!(
            "| {} | {upload:.0} ms | {:.2} | {:.0} ms | {:.0} ms | {:.1} MB | {s3} + {cloudfront} + {sts} | {:.0} kB |",
            tool.name,
            ours / upload,
            median(runs, |run| run.wall_ms),
            median(runs, |run| run.cpu_ms),
            median(runs, |run| run.peak_mb),
            median(runs, |run| run.kilobytes),
        );
    }
}

/// Builds a container of about `SIZE`, with text that compresses like prose.
fn build(bench: &Bench, name: &str, seed: u64) {
    let mut random = seed;
    let mut word = || {
        // Knuth's multiplier and increment.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        format!("{:x} ", random >> 40)
    };
    let mut headline = String::new();
    while headline.len() < SIZE - sample::minified(name).len() {
        headline.push_str(&word());
    }
    let experiment = Experiment {
        id: "w1",
        name: "A headline",
        properties: "\"state\":\"live\",\"sampleRate\":0.5",
        headline: headline.leak(),
    };
    sample::build_with(&bench.repository, name, &[experiment], "e", "1f2e3d4");
}
