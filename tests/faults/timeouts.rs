//! What a run waits for in vain, until the time that it waits for it is over.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::harness::Case;
use crate::support::proxy::{Fault, Proxy, Target};
use crate::support::sample;

#[test]
fn credentials_that_never_come_are_not_waited_for_without_end() {
    let waits = |provider: &str| {
        let case = Case::with_profile("acme");
        let proxy = Proxy::start(&case.world.endpoint);
        let sts = Target {
            method: "POST",
            path: "/",
        };
        proxy.breaks(sts, Fault::NoResponse, usize::MAX);
        let config = format!("[profile waits]\nregion = ap-southeast-2\n{provider}\n");
        let case = case
            .file(".aws/config", config)
            .env("AWS_ENDPOINT_URL_STS", &proxy.endpoint)
            .env("AWS_PROFILE", "waits");
        case.run()
            .exits(3)
            .contains("no usable credentials")
            .contains("`AWS_PROFILE` is `waits`")
            .contains("nothing was uploaded; visitors still get the old container");
        assert!(case.keys().is_empty());
    };
    thread::scope(|scope| {
        scope.spawn(|| waits("credential_process = sleep 600"));
        scope.spawn(|| {
            waits("role_arn = arn:aws:iam::123456789012:role/mojito\nsource_profile = acme");
        });
    });
}

#[test]
fn a_cdn_that_keeps_the_old_container_is_not_verified() {
    let case = Case::production().in_bitbucket("BITBUCKET_TAG", "v1");
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge).env("WAIT", "true");
    case.set_policy(
        json!([{"Effect": "Allow", "Action": ["s3:PutObject", "cloudfront:*"], "Resource": "*"}]),
    );
    case.run().exits(0);
    // The edge has it now. The next invalidation is completed, and it serves the old container all the same.
    case.call::<()>("set_edge_stale", json!({"stale": true}));
    sample::build_with(case.repository(), "mojito", &[], "e", "abc1234");
    let case = case.env("BITBUCKET_BUILD_NUMBER", "58");
    case.run()
        .exits(5)
        .contains(&format!(
            "✖ {edge}/js/mojito.js did not serve the new container within 30 s: another container is served: \
             build 57, commit 1f2e3d4; cached by CloudFront for "
        ))
        .contains("x-cache: Hit from cloudfront")
        .contains("published to production, but visitors do not get it yet")
        .contains("check that `PUBLIC_URL` and `CDN_PREFIX` lead to this bucket's folder");
    assert_eq!(case.objects()[0].headers["x-amz-meta-build-number"], "58");
}

#[test]
fn a_public_url_that_is_slow_to_connect_is_not_refused() {
    // It accepts connections and never speaks TLS.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", silent.local_addr().unwrap());
    let case = Case::production()
        .env("PUBLIC_URL", &address)
        .env("DRY_RUN", "true");
    case.run()
        .exits(0)
        .contains("`PUBLIC_URL`: no response within 5 s")
        .contains("✔ dry run: nothing was written");
}

#[test]
fn many_containers_that_are_not_live_have_one_deadline_and_one_piece_of_advice() {
    let case = Case::containers(100, &["s3:PutObject"]);
    // `WAIT` needs more than an invalidation.
    case.set_policy(
        json!([{"Effect": "Allow", "Action": ["s3:PutObject", "cloudfront:*"], "Resource": "*"}]),
    );
    let edge = case.world.edge.clone();
    let ended = case
        .storing_results()
        .env("PUBLIC_URL", &edge)
        .env("CDN_PREFIX", "elsewhere")
        .env("WAIT", "true")
        .run()
        .exits(5)
        .contains("/elsewhere/site0.js did not serve the new container within 30 s: HTTP 403")
        .contains("\n  (and 90 more URLs)\n  what to do: check that `PUBLIC_URL` and `CDN_PREFIX` lead to");
    assert_eq!(ended.output.matches("what to do: ").count(), 1);
    assert!(ended.output.len() < 20_000, "{}", ended.output.len());
}

#[test]
fn an_upload_with_only_newer_takes_no_more_than_its_minute() {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .env("ONLY_NEWER", "true");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let proxy = Proxy::start(&case.world.endpoint);
    let put = Target {
        method: "PUT",
        path: "/js/mojito.js",
    };
    // The first is on a condition that cannot hold, so there are two operations.
    proxy.breaks(put, Fault::NoResponse, usize::MAX);
    let case = case.env("AWS_ENDPOINT_URL", &proxy.endpoint);
    let started = Instant::now();
    case.run()
        .exits(3)
        .contains("not known whether mojito was replaced");
    // Both would take two minutes.
    assert!(started.elapsed() < Duration::from_secs(100));
}
