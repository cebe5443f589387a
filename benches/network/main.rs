//! `cargo bench --bench network`: compares publishing over a network with the usual tools.
//!
//! `-- one`, `-- many` and `-- rollback` run a part. The tools run in turn against the same local AWS, over TLS and delay lines that add
//! round-trip time. Each service has its own line, as it has its own host at AWS. Ratios and round trips carry over to real
//! networks.

#![expect(clippy::print_stdout, reason = "it reports")]

#[path = "../../tests/support/local_aws/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod local_aws;
#[path = "../../tests/support/peak.rs"]
mod peak;
#[path = "../../tests/support/sample/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod sample;
#[path = "../../tests/support/tls_server.rs"]
mod tls_server;

mod delay_line;
mod many;
#[path = "../median/mod.rs"]
mod median;
mod one;
mod plot;
mod rollback;
mod tool;

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio::runtime::Runtime;

use crate::delay_line::Upstreams;
use crate::local_aws::{LocalAws, World};
use crate::tls_server::{acceptor, Certificate};
use crate::tool::Bench;

fn main() {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/requirements.txt");
    let python = local_aws::python_environment("benches", &requirements);
    // One server would be a bottleneck for the faster tools, so two identical ones share the requests.
    let fleet = [LocalAws::start(), LocalAws::start()];
    let worlds = [fleet[0].make_world(), fleet[1].make_world()];
    for (aws, world) in fleet.iter().zip(&worlds) {
        allow(aws, world);
    }
    let endpoints = worlds.each_ref().map(|world| world.endpoint.as_str());
    let upstreams = Arc::new(Upstreams::new(&endpoints));
    let [aws, _other] = fleet;
    let [world, other_world] = worlds;
    assert_eq!(world.secret_access_key, other_world.secret_access_key);
    let made: Certificate = aws.call(&world, "make_certificate", json!({}));
    let repository = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::write(repository.path().join("bundle.pem"), &made.certificate)
        .expect("a temporary folder can be written");
    let mut bench = Bench {
        python: python.join("bin"),
        repository: repository.path().to_owned(),
        acceptor: acceptor(&made, &[b"http/1.1"]),
        upstreams,
        runtime: Runtime::new().expect("a runtime starts"),
        world,
    };
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|it| it == part);
    if wants("one") {
        plot::draw(&one::measure(&bench));
    }
    if wants("many") {
        many::measure(&bench);
    }
    if wants("rollback") {
        // What one of the servers keeps, the other has not.
        bench.upstreams = Arc::new(Upstreams::new(&[bench.world.endpoint.as_str()]));
        rollback::measure(&aws, &bench);
    }
}

/// Allows what the documented policies allow, for any container.
fn allow(aws: &LocalAws, world: &World) {
    let World {
        bucket,
        account,
        distribution,
        ..
    } = world;
    let statements = json!([
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{bucket}/js/*")},
        {"Effect": "Allow", "Action": "cloudfront:CreateInvalidation",
         "Resource": format!("arn:aws:cloudfront::{account}:distribution/{distribution}")},
    ]);
    aws.call::<()>(world, "set_policy", json!({"statements": statements}));
}
