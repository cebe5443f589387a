//! Where credentials come from, by hand and in CI, and what is said where they are refused.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::json;

use crate::support::harness::{Case, OIDC_TOKEN};

#[test]
fn a_profile_gives_keys_and_region() {
    let case = Case::with_profile("acme")
        .unset("AWS_DEFAULT_REGION")
        .file(".aws/config", "[profile acme]\nregion = ap-southeast-2\n")
        .env("AWS_PROFILE", "acme");
    case.run()
        .exits(0)
        .contains("bucket: s3://")
        .contains(" in ap-southeast-2")
        .contains("credentials: profile `acme`, access key ending in");
    assert_eq!(case.keys(), ["js/mojito.js"]);
}

#[test]
fn the_default_profile_needs_no_name() {
    let case = Case::with_profile("default");
    case.run()
        .exits(0)
        .contains("credentials: default credential provider chain, access key ending in");
}

#[test]
fn a_profile_that_is_not_there_is_named() {
    let case = Case::with_profile("acme").env("AWS_PROFILE", "other");
    case.run()
        .exits(3)
        .contains("no credentials found: the AWS profile `other` (`AWS_PROFILE`) does not exist or has none\n")
        .contains("what to do: check the profile's name");
    assert!(case.keys().is_empty());
}

#[test]
fn a_credential_process_is_run() {
    let case = Case::with_profile("unused");
    let answer = json!({
        "Version": 1, "AccessKeyId": case.world.access_key_id, "SecretAccessKey": case.world.secret_access_key,
    });
    let config = "[profile acme]\ncredential_process = /bin/cat keys.json\n";
    let case = case
        .file("keys.json", answer.to_string())
        .file(".aws/config", config)
        .env("AWS_PROFILE", "acme");
    case.run().exits(0).contains("credentials: profile `acme`");
}

#[test]
fn a_containers_role_is_used() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/credentials", listener.local_addr().unwrap());
    let case = Case::with_profile("unused").env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &address);
    let answer = json!({
        "AccessKeyId": case.world.access_key_id, "SecretAccessKey": case.world.secret_access_key, "Token": "",
        "Expiration": "2099-01-01T00:00:00Z",
    })
    .to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        let _ = stream.write_all((head + &answer).as_bytes());
    });
    // An empty token is none; the local AWS's users have keys and no sessions.
    case.run()
        .contains("credentials: default credential provider chain, access key ending in");
}

#[test]
fn each_refusal_of_the_role_is_explained() {
    #[track_caller]
    fn case(status: u16, code: &str, remedy: &str) {
        let case = Case::production()
            .env("AWS_OIDC_ROLE_ARN", "arn:aws:iam::123456789012:role/mojito")
            .env("BITBUCKET_STEP_OIDC_TOKEN", OIDC_TOKEN);
        let body = format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>In AWS's words.</Message></Error></ErrorResponse>");
        case.fault(
            json!({"method": "POST", "path": "/", "status": status, "body": body, "times": 9}),
        );
        case.run()
            .exits(3)
            .contains(&format!("sts:AssumeRoleWithWebIdentity on arn:aws:iam::123456789012:role/mojito failed: {code} (HTTP {status}): In AWS's words."))
            .contains("request id TESTREQUEST")
            .contains(remedy)
            .contains("nothing was uploaded; visitors still get the old container");
        assert!(case.keys().is_empty());
    }
    case(
        403,
        "AccessDenied",
        "its trust policy must name Bitbucket's identity provider",
    );
    case(
        400,
        "ExpiredTokenException",
        "the step's OIDC token has expired: re-run the step",
    );
    case(
        400,
        "InvalidIdentityToken",
        "IAM needs an identity provider with this workspace's URL and the audience",
    );
    case(
        400,
        "PackedPolicyTooLarge",
        "publish fewer containers in one run",
    );
}

#[test]
fn a_broad_role_cannot_be_used_beyond_the_keys_of_the_run() {
    let case = Case::production().in_bitbucket("BITBUCKET_TAG", "v1");
    let (case, role) = case.with_broad_role();
    case.run().exits(0);
    let other: String = case.call("add_distribution", json!({}));
    let may: Vec<String> = case.call(
        "what_the_session_may_do",
        json!({"role": role, "key": "js/mojito.js", "distribution": other}),
    );
    assert_eq!(may, ["put the container"]);
    // `check` looks at the role itself, which is far too broad.
    let mut check = case.command();
    check.arg("check");
    case.ended(check.output().unwrap())
        .exits(3)
        .contains("excess permission: can write");
}

/// What an EC2 instance's metadata service answers to one path after the other.
fn instance_metadata(role: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let body = match request.split(' ').nth(1) {
                Some("/latest/api/token") => "token",
                Some(path) if path.ends_with("/security-credentials/") => "publisher",
                Some(path) if path.ends_with("/security-credentials-extended/") => "publisher",
                _ => &role,
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nX-aws-ec2-metadata-token-ttl-seconds: 600\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + body).as_bytes());
        }
    });
    address
}

#[test]
fn an_instances_role_is_used() {
    let case = Case::with_profile("unused");
    let role = json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z",
        "AccessKeyId": case.world.access_key_id, "SecretAccessKey": case.world.secret_access_key, "Token": "",
    });
    let address = instance_metadata(role.to_string());
    let case = case
        .unset("AWS_EC2_METADATA_DISABLED")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address);
    case.run()
        .contains("credentials: default credential provider chain, access key ending in");
}

#[test]
fn a_metadata_service_that_does_not_respond_is_tried_once() {
    // It listens, and never accepts.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let case = Case::with_profile("unused")
        .unset("AWS_EC2_METADATA_DISABLED")
        .env(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            &format!("http://{}", listener.local_addr().unwrap()),
        );
    case.run().exits(3).contains("no credentials found");
    // It was tried once.
    listener.set_nonblocking(true).unwrap();
    let connections = std::iter::from_fn(|| listener.accept().ok());
    assert_eq!(connections.count(), 1);
}

#[test]
fn no_secret_is_in_the_debug_log_of_any_failure() {
    // `run` itself searches the output for the secrets that were used.
    let role = "arn:aws:iam::123456789012:role/mojito";
    let wrong_secret = "c2VjcmV0LXRoYXQtbXVzdC1ub3QtYmUtc2hvd24";
    let cases = [
        Case::production().env("AWS_SECRET_ACCESS_KEY", wrong_secret),
        Case::production().env("AWS_SESSION_TOKEN", wrong_secret),
        Case::production().env("S3_PREFIX", "other"),
        Case::production().env("DISTRIBUTION_ID", "E0000000000000"),
        Case::production().env("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        Case::production().env("AWS_OIDC_ROLE_ARN", role),
        Case::production()
            .env("AWS_OIDC_ROLE_ARN", role)
            .env("BITBUCKET_STEP_OIDC_TOKEN", OIDC_TOKEN),
        Case::production()
            .arg("check")
            .env("AWS_SECRET_ACCESS_KEY", wrong_secret),
        Case::production()
            .unset("AWS_ACCESS_KEY_ID")
            .env("AWS_SECRET_ACCESS_KEY", wrong_secret),
    ];
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || {
                let case = case.env("DEBUG", "true").env("RUST_LOG", "trace");
                let ended = case.run().does_not_contain(wrong_secret);
                assert!(ended.code != Some(0), "{}", ended.output);
            });
        }
    });
}
