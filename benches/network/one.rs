//! Publishes one container to production with an invalidation, at several round-trip times.

use std::time::Duration;

use crate::sample;
use crate::tool::{median, ours, Bench, Run, Tool};

pub(crate) const ROUND_TRIPS_MS: [u64; 4] = [0, 50, 100, 200];
const ROUNDS: usize = 9;

/// The median wall times of a tool, in the order of `ROUND_TRIPS_MS`.
pub(crate) struct Walls {
    pub(crate) tool: &'static str,
    pub(crate) milliseconds: Vec<f64>,
}

pub(crate) fn measure(bench: &Bench) -> Vec<Walls> {
    sample::build(&bench.repository, "mojito");
    let tools = tools(bench);
    println!("One container to production and its invalidation, medians of {ROUNDS} runs in turn. Round trips: the wall time");
    println!("beyond that without delay. Connections: to S3, CloudFront and STS. Ratios: of ours to this one.\n");
    println!("| round trip | tool | wall | ratio | CPU | ratio | peak memory | round trips | connections | on the wire |");
    println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: |");
    let mut walls: Vec<Walls> = tools
        .iter()
        .map(|tool| Walls {
            tool: tool.name,
            milliseconds: Vec::new(),
        })
        .collect();
    for round_trip in ROUND_TRIPS_MS {
        let delay = Duration::from_millis(round_trip);
        let mut runs: Vec<Vec<Run>> = vec![Vec::new(); tools.len()];
        for round in 0..=ROUNDS {
            for (tool, runs) in tools.iter().zip(&mut runs) {
                let run = bench.run(tool, delay);
                // The first of each warms the caches.
                if round > 0 {
                    runs.push(run);
                }
            }
        }
        let our_wall = median(&runs[0], |run| run.wall_ms);
        let our_cpu = median(&runs[0], |run| run.cpu_ms);
        for ((tool, runs), walls) in tools.iter().zip(&runs).zip(&mut walls) {
            let wall = median(runs, |run| run.wall_ms);
            let cpu = median(runs, |run| run.cpu_ms);
            walls.milliseconds.push(wall);
            #[expect(clippy::cast_precision_loss, reason = "some hundred")]
            let trips = (round_trip > 0)
                .then(|| format!("{:.1}", (wall - walls.milliseconds[0]) / round_trip as f64));
            let [s3, cloudfront, sts] = runs[ROUNDS / 2].connections;
            println!(
                "| {round_trip} ms | {} | {wall:.0} ms | {:.3} | {cpu:.1} ms | {:.4} | {:.1} MB | {} | {s3} + {cloudfront} + {sts} | {:.0} kB |",
                tool.name,
                our_wall / wall,
                our_cpu / cpu,
                median(runs, |run| run.peak_mb),
                trips.unwrap_or_default(),
                median(runs, |run| run.kilobytes),
            );
        }
    }
    walls
}

fn tools(bench: &Bench) -> Vec<Tool> {
    let (bucket, distribution) = (&bench.world.bucket, &bench.world.distribution);
    let aws = bench.program("aws");
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let script = format!(
        "import boto3, uuid\n\
         headers = {{'CacheControl': 'public, max-age=300', 'ContentType': 'application/javascript; charset=utf-8'}}\n\
         boto3.client('s3').upload_file('dist/assets/js/mojito.js', '{bucket}', 'js/mojito.js', ExtraArgs=headers)\n\
         boto3.client('cloudfront').create_invalidation(DistributionId='{distribution}', InvalidationBatch={{\
         'Paths': {{'Quantity': 1, 'Items': ['/js/mojito.js']}}, 'CallerReference': str(uuid.uuid4())}})"
    );
    let copy = [
        &aws,
        "s3",
        "cp",
        "--only-show-errors",
        "--cache-control",
        "public, max-age=300",
        "--content-type",
        "application/javascript; charset=utf-8",
        "dist/assets/js/mojito.js",
        &format!("s3://{bucket}/js/mojito.js"),
    ];
    let invalidate = [
        &aws,
        "cloudfront",
        "create-invalidation",
        "--distribution-id",
        distribution,
        "--paths",
        "/js/mojito.js",
    ];
    vec![
        ours(&bench.world, &["mojito".to_owned()]),
        Tool {
            name: "boto3, one process",
            commands: vec![words(&[&bench.program("python"), "-c", &script])],
            environment: Vec::new(),
        },
        Tool {
            name: "AWS CLI, two commands",
            commands: vec![words(&copy), words(&invalidate)],
            environment: Vec::new(),
        },
    ]
}
