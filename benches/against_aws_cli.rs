//! `cargo bench`: one container published by mojito-publish, and by the AWS CLI with the three commands that do the same.
//!
//! Both talk to the same local AWS, in turn, in one run; what counts is the ratio. Peak memory needs GNU time.

#![expect(clippy::print_stdout, reason = "it reports")]

#[path = "../tests/local_aws/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod local_aws;
#[path = "../tests/sample/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod sample;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use local_aws::{LocalAws, World};

const ROUNDS: usize = 10;
const GNU_TIME: &str = "/usr/bin/time";

/// One run of one way to publish.
struct Run {
    seconds: f64,
    peak_kib: f64,
}

fn main() {
    let aws_cli = local_aws::python_environment(
        "benches",
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/requirements.txt"),
    )
    .join("bin/aws");
    let aws = LocalAws::start();
    let world = aws.make_world();
    aws.ask::<()>(
        &world,
        "set_policy",
        json!({"statements": [
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/jsdev/mojito*", world.bucket)},
            {"Effect": "Allow", "Action": "cloudfront:CreateInvalidation",
             "Resource": format!("arn:aws:cloudfront::{}:distribution/{}", world.account, world.distribution)},
        ]}),
    );
    let repository = env::temp_dir().join(format!("mojito-publish-bench-{}", std::process::id()));
    sample::build(&repository, "mojito");

    let ours = || vec![vec![env!("CARGO_BIN_EXE_mojito-publish").to_owned()]];
    let cli = aws_cli.to_str().expect("the path is UTF-8");
    let theirs = || {
        let copy = |file: &str| {
            [
                cli,
                "s3",
                "cp",
                "--only-show-errors",
                "--content-type",
                "application/javascript; charset=utf-8",
                "--cache-control",
                "public, max-age=300",
                &format!("dist/assets/js/{file}"),
                &format!("s3://{}/jsdev/{file}", world.bucket),
            ]
            .map(str::to_owned)
            .to_vec()
        };
        let invalidate = [
            cli,
            "cloudfront",
            "create-invalidation",
            "--distribution-id",
            &world.distribution,
            "--paths",
            "/jsdev/mojito.pretty.js",
            "/jsdev/mojito.js",
        ];
        vec![
            copy("mojito.pretty.js"),
            copy("mojito.js"),
            invalidate.map(str::to_owned).to_vec(),
        ]
    };
    // The first of each warms the caches.
    measure(&ours(), &repository, &world);
    measure(&theirs(), &repository, &world);
    let (mut our_runs, mut their_runs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_runs.push(measure(&ours(), &repository, &world));
        their_runs.push(measure(&theirs(), &repository, &world));
    }
    fs::remove_dir_all(&repository).expect("the temporary folder is ours");
    report(&our_runs, &their_runs);
}

/// Runs the commands one after the other, as a pipeline's script does.
fn measure(commands: &[Vec<String>], repository: &Path, world: &World) -> Run {
    let figures = repository.join("figures");
    let mut run = Run {
        seconds: 0.0,
        peak_kib: 0.0,
    };
    for arguments in commands {
        let with_gnu_time = Path::new(GNU_TIME).exists();
        let mut command = if with_gnu_time {
            let mut command = Command::new(GNU_TIME);
            command
                .args(["--format=%M", "--output"])
                .arg(&figures)
                .args(arguments);
            command
        } else {
            let mut command = Command::new(&arguments[0]);
            command.args(&arguments[1..]);
            command
        };
        command
            .current_dir(repository)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("AWS_ACCESS_KEY_ID", &world.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &world.secret_access_key)
            .env("AWS_DEFAULT_REGION", &world.region)
            .env("AWS_ENDPOINT_URL", &world.endpoint)
            .env("CONTAINER_NAME", "mojito")
            .env("S3_BUCKET", &world.bucket)
            .env("DISTRIBUTION_ID", &world.distribution)
            .stdout(Stdio::null());
        let started = Instant::now();
        let status = command.status().expect("the command starts");
        run.seconds += started.elapsed().as_secs_f64();
        assert!(status.success(), "{arguments:?} failed");
        if with_gnu_time {
            let text = fs::read_to_string(&figures).expect("GNU time writes its figures");
            let peak: f64 = text.trim().parse().expect("GNU time writes a number");
            run.peak_kib = run.peak_kib.max(peak);
        }
    }
    run
}

fn report(ours: &[Run], theirs: &[Run]) {
    println!("medians of {ROUNDS} runs, in turn     mojito-publish      AWS CLI     ratio");
    let row = |name: &str, unit: &str, factor: f64, figure: fn(&Run) -> f64| {
        let (ours, theirs) = (
            median(ours, figure) * factor,
            median(theirs, figure) * factor,
        );
        if theirs > 0.0 {
            println!(
                "{name:<27} {ours:>13.1} {unit:<2} {theirs:>11.1} {unit:<2} {:>7.4}",
                ours / theirs
            );
        }
    };
    row("wall", "ms", 1000.0, |run| run.seconds);
    row("peak memory", "MB", 1024.0 / 1e6, |run| run.peak_kib);
}

fn median(runs: &[Run], figure: fn(&Run) -> f64) -> f64 {
    let mut figures: Vec<f64> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
