//! `cargo bench --bench reading`: the cost of parsing a 200 kB container with its experiments.
//!
//! Runs the real binary with `VALIDATE` on and off, in turn. It refuses the container for its size before any request.

#![expect(clippy::print_stdout, reason = "it reports")]

#[path = "../tests/support/sample/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod sample;

#[path = "median/mod.rs"]
mod median;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use median::median;
use sample::Experiment;

const ROUNDS: usize = 30;
const EXPERIMENTS: usize = 600;

fn main() {
    let repository = env::temp_dir().join(format!("mojito-publish-bench-{}", std::process::id()));
    let experiments: Vec<Experiment> = (0..EXPERIMENTS)
        .map(|number| Experiment {
            id: format!("w{number}").leak(),
            name: "An experiment",
            properties: "\"state\":\"live\",\"sampleRate\":0.5",
            headline: format!("Headline {number}").repeat(8).leak(),
        })
        .collect();
    sample::build_with(&repository, "mojito", &experiments, "e", "1f2e3d4");
    let size = fs::metadata(repository.join("dist/assets/js/mojito.js"));
    let size = size.expect("it was just written").len();
    let (mut validated, mut unvalidated) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        validated.push(milliseconds(&repository, "true"));
        unvalidated.push(milliseconds(&repository, "false"));
    }
    fs::remove_dir_all(&repository).expect("the temporary folder is ours");
    let [validated, unvalidated] = [validated, unvalidated].map(median);
    println!(
        "a container of {size} bytes with {EXPERIMENTS} experiments, medians of {ROUNDS} runs in turn: \
         {validated:.1} ms, {unvalidated:.1} ms with `VALIDATE` off; parsing adds {:.1} ms",
        validated - unvalidated
    );
}

fn milliseconds(repository: &Path, validate: &str) -> f64 {
    let started = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_mojito-publish"))
        .current_dir(repository)
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_DEFAULT_REGION", "ap-southeast-2")
        .env("CONTAINER_NAME", "mojito")
        .env("ENVIRONMENT", "production")
        .env("S3_BUCKET", "acme-mojito")
        .env("MAX_SIZE", "1 B")
        .env("VALIDATE", validate)
        .stdout(Stdio::null())
        .status()
        .expect("the binary starts");
    let elapsed = started.elapsed().as_secs_f64() * 1000.0;
    assert_eq!(status.code(), Some(2), "it is refused for its size");
    elapsed
}
