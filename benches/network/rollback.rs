//! Puts one container back and verifies it at the public URL, at several round-trip times.

use std::sync::Arc;
use std::time::Duration;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::json;

use crate::delay_line::{DelayLine, Upstreams};
use crate::local_aws::LocalAws;
use crate::one::ROUND_TRIPS_MS;
use crate::sample;
use crate::tool::{median, Bench, Run, Tool};

const ROUNDS: usize = 7;
const KEY: &str = "js/mojito.js";

pub(crate) fn measure(aws: &LocalAws, bench: &Bench) {
    let world = &bench.world;
    let (bucket, distribution) = (&world.bucket, &world.distribution);
    aws.call::<()>(world, "set_versioning", json!({"status": "Enabled"}));
    let statements = json!([
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"],
         "Resource": format!("arn:aws:s3:::{bucket}/{KEY}")},
        {"Effect": "Allow", "Action": "s3:ListBucketVersions", "Resource": format!("arn:aws:s3:::{bucket}"),
         "Condition": {"StringEquals": {"s3:prefix": [KEY]}}},
        {"Effect": "Allow", "Action": "cloudfront:CreateInvalidation",
         "Resource": format!("arn:aws:cloudfront::{}:distribution/{distribution}", world.account)},
    ]);
    aws.call::<()>(world, "set_policy", json!({"statements": statements}));
    println!(
        "\nOne container back to the version before, and verified, medians of {ROUNDS} runs.\n"
    );
    println!("| round trip | wall | round trips | connections |");
    println!("| ---: | ---: | ---: | --- |");
    let edge = Arc::new(Upstreams::new(&[world.edge.as_str()]));
    let mut without_delay = 0.0;
    for round_trip in ROUND_TRIPS_MS {
        let delay = Duration::from_millis(round_trip);
        let mut runs: Vec<Run> = Vec::new();
        for round in 0..=ROUNDS {
            for (build, script) in [(56, sample::minified("mojito")), (57, "broken".to_owned())] {
                let script = format!("{script}\n//{round_trip} {round}");
                let metadata = json!({
                    "content-type": "application/javascript; charset=utf-8",
                    "x-amz-meta-build-number": build.to_string(),
                });
                let body = STANDARD.encode(script);
                let object = json!({"key": KEY, "body": body, "metadata": metadata});
                aws.call::<()>(world, "put_object", object);
            }
            let line = DelayLine::start(&edge, bench.acceptor.clone(), delay);
            let line = bench.runtime.block_on(line);
            let run = bench.run(&tool(bench, &line), delay);
            // The first warms the caches.
            if round > 0 {
                runs.push(run);
            }
        }
        let wall = median(&runs, |run| run.wall_ms);
        if round_trip == 0 {
            without_delay = wall;
        }
        #[expect(clippy::cast_precision_loss, reason = "some hundred")]
        let trips = match round_trip {
            0 => String::new(),
            _ => format!("{:.1}", (wall - without_delay) / round_trip as f64),
        };
        let [s3, cloudfront, sts] = runs[ROUNDS / 2].connections;
        println!("| {round_trip} ms | {wall:.0} ms | {trips} | {s3} + {cloudfront} + {sts} |");
    }
}

fn tool(bench: &Bench, edge: &DelayLine) -> Tool {
    let environment = [
        ("S3_BUCKET", bench.world.bucket.clone()),
        ("DISTRIBUTION_ID", bench.world.distribution.clone()),
        ("CONTAINER_NAME", "mojito".to_owned()),
        ("PUBLIC_URL", format!("https://{}", edge.address)),
    ];
    let program = env!("CARGO_BIN_EXE_mojito-publish");
    let command = [program, "rollback", "--production"];
    Tool {
        name: "mojito-publish",
        commands: vec![command.map(str::to_owned).to_vec()],
        environment: environment
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
    }
}
