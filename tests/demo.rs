//! The README's first command: publishes a sample container for real, to a local AWS that it starts itself, and shows
//! what was stored and what a visitor of the site gets.

#![expect(clippy::print_stdout, reason = "it shows")]

#[path = "support/cargo.rs"]
mod cargo;
#[path = "support/local_aws/mod.rs"]
mod local_aws;
#[expect(dead_code, reason = "the tests use all of it")]
#[path = "support/sample/mod.rs"]
mod sample;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{exit, Command};

use serde::Deserialize;
use serde_json::json;

use cargo::cargo;
use local_aws::LocalAws;

#[derive(Deserialize)]
struct Stored {
    key: String,
    headers: BTreeMap<String, String>,
}

fn main() {
    let binary = build_binary();
    let aws = LocalAws::start();
    let world = aws.make_world();
    println!(
        "A local AWS listens at {} and checks signatures and policies.",
        world.endpoint
    );
    println!(
        "It has the bucket {}, the distribution {} and the user {},",
        world.bucket, world.distribution, world.user_arn
    );
    println!("who can write one key and invalidate one distribution:\n");
    let statements = json!([
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/js/mojito.js", world.bucket)},
        {"Effect": "Allow", "Action": "cloudfront:CreateInvalidation",
         "Resource": format!("arn:aws:cloudfront::{}:distribution/{}", world.account, world.distribution)},
    ]);
    println!(
        "{}\n",
        serde_json::to_string_pretty(&statements).expect("it is JSON")
    );
    aws.call::<()>(&world, "set_policy", json!({"statements": statements}));

    let repository = env::temp_dir().join(format!("mojito-publish-demo-{}", std::process::id()));
    sample::build_with(&repository, "mojito", sample::BEFORE, "e", "0a1b2c3");
    let config = sample::config_js("mojito", &world.bucket, &world.region);
    fs::write(repository.join("config.js"), config).expect("a temporary folder can be written");
    let publish = |build: &str, tag: &str, commit: &str| {
        let mut command = Command::new(&binary);
        command
            .current_dir(&repository)
            .env_clear()
            .env("AWS_ENDPOINT_URL", &world.endpoint)
            .env("AWS_ACCESS_KEY_ID", &world.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &world.secret_access_key)
            .env("DISTRIBUTION_ID", &world.distribution)
            .env("PUBLIC_URL", &world.edge)
            .env("BITBUCKET_TAG", tag)
            .env("BITBUCKET_BUILD_NUMBER", build)
            .env("BITBUCKET_COMMIT", commit)
            .env("BITBUCKET_REPO_FULL_NAME", "acme/site")
            .env("CODE_INSIGHTS", "false");
        command
    };
    println!("A sample Mojito repository was published by build 56, for the tag v1.3.0.");
    let before = publish("56", "v1.3.0", "0a1b2c3").output();
    let before = before.expect("the binary was just built");
    assert!(
        before.status.success(),
        "{}",
        String::from_utf8_lossy(&before.stdout)
    );
    println!("Since then its experiments were changed. It is built again, and its pipeline runs for the tag v1.4.0:\n");
    sample::build_with(&repository, "mojito", sample::AFTER, "t", "1f2e3d4");
    let status = publish("57", "v1.4.0", "1f2e3d4").status();
    let status = status.expect("the binary was just built");
    let expected =
        fs::read_to_string(repository.join("dist/assets/js/mojito.js")).expect("it was just built");
    fs::remove_dir_all(&repository).expect("the temporary folder is ours");
    if !status.success() {
        exit(status.code().unwrap_or(1));
    }

    println!("\nIn the bucket there is now:\n");
    for object in aws.call::<Vec<Stored>>(&world, "objects", json!({})) {
        println!("s3://{}/{}", world.bucket, object.key);
        for (name, value) in &object.headers {
            println!("  {name}: {value}");
        }
    }
    let url = format!("{}/js/mojito.js", world.edge);
    println!("\nA visitor whose page loads {url} gets:\n");
    let (head, body) = get(&world.edge, "/js/mojito.js");
    for line in head.lines() {
        println!("  {line}");
    }
    let content = sample::gunzip(&body);
    println!(
        "\n  {}...",
        content
            .chars()
            .take(160)
            .collect::<String>()
            .replace('\n', "\n  ")
    );
    assert!(
        content == expected,
        "the visitor got something else than what was built"
    );
    println!(
        "\nThat is the container that was built, byte for byte: {} bytes, {} on the wire.",
        content.len(),
        body.len()
    );
}

/// Builds the binary in the profile of this demo, and says where it is.
fn build_binary() -> PathBuf {
    let status = cargo(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args([
            "build",
            "--quiet",
            "--bin",
            "mojito-publish",
            // With the features that dev-dependencies bring, as all else was built, so that nothing is built twice.
            "--example",
            "demo",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .args(if cfg!(debug_assertions) {
            None
        } else {
            Some("--release")
        })
        .status()
        .expect("cargo ran this demo");
    assert!(status.success(), "the binary could not be built");
    let demo = env::current_exe().expect("the demo knows where it is");
    demo.parent()
        .and_then(|examples| examples.parent())
        .expect("it is in target/PROFILE/examples")
        .join("mojito-publish")
}

/// What a browser requests, and the head and body of the response.
fn get(address: &str, path: &str) -> (String, Vec<u8>) {
    let host = address
        .strip_prefix("http://")
        .expect("the edge speaks HTTP");
    let mut stream = TcpStream::connect(host).expect("the edge listens");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    )
    .expect("the edge reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the edge answers");
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an answer has a head");
    (
        String::from_utf8_lossy(&answer[..end]).into_owned(),
        answer[end + 4..].to_vec(),
    )
}
