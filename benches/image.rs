//! `cargo bench --bench image`: the cost of running the program from its image.
//!
//! Compares it, in turn, with the bare binary and with `docker run` of an empty program. Both publishes use the same local
//! AWS. Needs a Docker daemon.

#![expect(clippy::print_stdout, reason = "it reports")]

#[path = "../tests/support/docker.rs"]
mod docker;
#[path = "../tests/support/local_aws/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod local_aws;
#[path = "../tests/support/sample/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod sample;

#[path = "median/mod.rs"]
mod median;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use docker::build_image;
use local_aws::{LocalAws, World};
use median::median;

const ROUNDS: usize = 20;
const IMAGE: &str = "mojito-publish-bench";
const EMPTY: &str = "mojito-publish-bench-empty";
const BINARY: &str = env!("CARGO_BIN_EXE_mojito-publish");

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    build_images(folder.path());
    let aws = LocalAws::start();
    let world = aws.make_world();
    let everything = json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]);
    aws.call::<()>(&world, "set_policy", json!({"statements": everything}));
    sample::build(folder.path(), "mojito");

    let (mut bare, mut empty, mut image) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let figures = [
            milliseconds(configure(
                Command::new(BINARY).current_dir(folder.path()),
                &world,
            )),
            milliseconds(docker(folder.path(), &world).arg(EMPTY)),
            milliseconds(docker(folder.path(), &world).arg(IMAGE)),
        ];
        // The first of each warms the caches.
        if round > 0 {
            bare.push(figures[0]);
            empty.push(figures[1]);
            image.push(figures[2]);
        }
    }
    let [bare, empty, image] = [bare, empty, image].map(median);
    println!(
        "medians of {ROUNDS} runs in turn: a publish takes {bare:.0} ms with the bare binary and {image:.0} ms with `docker run`, \
         which takes {empty:.0} ms for an empty program: {:.0} ms more than both together",
        image - bare - empty
    );
}

/// Builds the pipe's image, and one with a program that does nothing.
fn build_images(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binaries = Path::new(BINARY).parent().expect("it is in a folder");
    build_image(client(), IMAGE, &root.join("Dockerfile"), binaries);
    let write = |name: &str, content: &str| {
        fs::write(folder.join(name), content).expect("a temporary folder can be written");
    };
    write("empty.rs", "fn main() {}");
    write(
        "Dockerfile",
        "FROM scratch\nCOPY empty /\nENTRYPOINT [\"/empty\"]\n",
    );
    run(Command::new("rustc").current_dir(folder).args([
        "-O",
        "-C",
        "target-feature=+crt-static",
        "empty.rs",
    ]));
    build_image(client(), EMPTY, &folder.join("Dockerfile"), folder);
}

/// Prefers Debian's client, which has `BuildKit`.
fn client() -> &'static str {
    let debian = "/usr/bin/docker";
    if Path::new(debian).exists() {
        debian
    } else {
        "docker"
    }
}

/// Runs an image as Bitbucket runs a pipe, but on the host's network, where the local AWS listens.
fn docker(folder: &Path, world: &World) -> Command {
    let folder = folder.display();
    let mut command = Command::new(client());
    command
        .args(["container", "run", "--rm", "--network=host"])
        .arg(format!("--volume={folder}:{folder}"))
        .arg(format!("--workdir={folder}"));
    for (name, value) in environment(world) {
        command.arg(format!("--env={name}={value}"));
    }
    command
}

fn configure<'a>(command: &'a mut Command, world: &World) -> &'a mut Command {
    command.env_clear().envs(environment(world))
}

fn environment(world: &World) -> [(&'static str, &str); 8] {
    [
        ("AWS_ACCESS_KEY_ID", &world.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &world.secret_access_key),
        ("AWS_DEFAULT_REGION", &world.region),
        ("AWS_ENDPOINT_URL", &world.endpoint),
        ("CONTAINER_NAME", "mojito"),
        ("DISTRIBUTION_ID", &world.distribution),
        ("ENVIRONMENT", "production"),
        ("S3_BUCKET", &world.bucket),
    ]
}

fn milliseconds(command: &mut Command) -> f64 {
    let started = Instant::now();
    run(command);
    started.elapsed().as_secs_f64() * 1000.0
}

fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).status();
    assert!(status.expect("it starts").success(), "{command:?} failed");
}
