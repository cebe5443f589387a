//! Where credentials come from, by hand and in CI, and what is said where they are refused.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::json;

use crate::support::harness::{Case, Ended, OIDC_TOKEN};

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
        .contains("no usable credentials: the AWS profile `other` (`AWS_PROFILE`) does not exist or has none\n")
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

/// A container's credentials service that gives this answer to every request.
fn with_container_role(case: Case, status: &'static str, answer: String) -> Case {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/credentials", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            let _ = stream.write_all((head + &answer).as_bytes());
        }
    });
    case.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &address)
}

#[test]
fn a_containers_role_is_used() {
    let case = Case::with_profile("unused");
    let answer = json!({
        "AccessKeyId": case.world.access_key_id, "SecretAccessKey": case.world.secret_access_key, "Token": "",
        "Expiration": "2099-01-01T00:00:00Z",
    });
    let case = with_container_role(case, "200 OK", answer.to_string());
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
    let case = with_instance_role(case, role.to_string());
    answered(&case)
        .contains("credentials: default credential provider chain, access key ending in");
}

#[test]
fn a_runners_own_role_is_used_in_ci_where_a_profile_is_named() {
    let case = Case::with_profile("unused");
    let role = json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z",
        "AccessKeyId": case.world.access_key_id, "SecretAccessKey": case.world.secret_access_key, "Token": "",
    });
    let case = with_instance_role(case, role.to_string())
        .env("AWS_PROFILE", "default")
        .env("CI", "true");
    answered(&case).contains("credentials: profile `default`, access key ending in");
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
    case.run().exits(3).contains("no usable credentials");
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

/// The chain has no keys of its own here; each of these gives it some.
fn with_process(output: &str) -> Case {
    let config = "[profile acme]\ncredential_process = cat keys.json\n";
    Case::without_rights()
        .without_credentials()
        .file("keys.json", output)
        .file("aws-config", config)
        .env("AWS_CONFIG_FILE", "aws-config")
        .env("AWS_PROFILE", "acme")
}

/// STS's answer to whoever assumes a role.
fn session(id: &str, secret: &str, expiration: &str) -> String {
    format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>token</SessionToken><Expiration>{expiration}</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
}

fn with_role(answer: &str) -> Case {
    let case = Case::without_rights()
        .env("AWS_OIDC_ROLE_ARN", "arn:aws:iam::123456789012:role/mojito")
        .env("BITBUCKET_STEP_OIDC_TOKEN", OIDC_TOKEN);
    case.fault(json!({"method": "POST", "path": "/", "status": 200, "body": answer, "times": 9}));
    case
}

fn with_web_identity(status: u16, answer: &str) -> Case {
    let case = Case::without_rights()
        .without_credentials()
        .file("token", OIDC_TOKEN)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/mojito");
    case.fault(
        json!({"method": "POST", "path": "/", "status": status, "body": answer, "times": 9}),
    );
    case
}

/// What a credentials service of a container or an instance sends.
fn of_service(id: &str, expiration: &str) -> String {
    json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2020-01-01T00:00:00Z", "Expiration": expiration,
        "AccessKeyId": id, "SecretAccessKey": "a-secret-of-a-service", "Token": "a-token-of-a-service",
    })
    .to_string()
}

#[track_caller]
fn refused(case: &Case, reason: &str) -> Ended {
    let ended = answered(case).exits(3);
    let ended = ended.contains(&format!("no usable credentials: {reason}"));
    assert!(case.keys().is_empty());
    ended.contains("nothing was uploaded; visitors still get the old container")
}

/// A run to which the metadata service of an instance responds in time. On a busy machine, this one may be too late.
fn answered(case: &Case) -> Ended {
    let mut runs = std::iter::repeat_with(|| case.run());
    let is_late = |ended: &Ended| ended.output.contains("timeout occurred after 250ms");
    runs.find(|ended| !is_late(ended)).unwrap()
}

/// An instance whose metadata service gives this answer. `DEBUG` shows whether it was in time.
fn with_instance_role(case: Case, answer: String) -> Case {
    let address = instance_metadata(answer);
    case.unset("AWS_EC2_METADATA_DISABLED")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address)
        .env("DEBUG", "true")
}

#[test]
fn a_key_that_does_not_fit_into_a_request_is_refused_whatever_its_source() {
    const NEVER: &str = "2099-01-01T00:00:00Z";
    let is_bad = |source: &str| {
        format!(
            "the access key id from {source} contains a space, a line break or another character"
        )
    };
    for id in [
        "AKIAIOSFODNN7\nEXAMPLE",
        "AKIAIOSFODNN7\u{1}EXAMPLE",
        "AKIAIOSFODNN7\u{9b}",
    ] {
        Case::without_rights()
            .env("AWS_ACCESS_KEY_ID", id)
            .run()
            .exits(2)
            .contains("`AWS_ACCESS_KEY_ID` contains a space, a line break or another character");
        let keys =
            json!({"Version": 1, "AccessKeyId": id, "SecretAccessKey": "secret"}).to_string();
        let process = "the `credential_process` of the AWS profile `acme`";
        refused(&with_process(&keys), &is_bad(process));
        let container = with_container_role(
            Case::with_profile("unused"),
            "200 OK",
            of_service(id, NEVER),
        );
        refused(&container, &is_bad("the container's credentials service (`AWS_CONTAINER_CREDENTIALS_FULL_URI` or `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`)"));
        let instance = with_instance_role(Case::with_profile("unused"), of_service(id, NEVER));
        refused(
            &instance,
            &is_bad("the metadata service of the EC2 instance"),
        );
        let in_xml = id.replace('\n', "&#10;").replace('\u{1}', "&#x7f;");
        let answer = session(&in_xml, "secret", NEVER);
        let role = "STS, for role arn:aws:iam::123456789012:role/mojito,";
        refused(&with_role(&answer), &is_bad(role));
        refused(
            &with_web_identity(200, &answer),
            &is_bad("the web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`)"),
        );
        let id = id.replace('\n', "\n  ");
        let keys = format!("[acme]\naws_access_key_id = {id}\naws_secret_access_key = secret\n");
        let profile = "the AWS profile `acme`";
        let case = Case::with_profile("acme")
            .file(".aws/credentials", &keys)
            .env("AWS_PROFILE", "acme");
        refused(&case, &is_bad(profile));
        // AWS's SDK itself assumes the role with them.
        let role = "[profile r]\nrole_arn = arn:aws:iam::123456789012:role/mojito\nsource_profile = acme\n";
        let case = case.file(".aws/config", role).env("AWS_PROFILE", "r");
        refused(&case, &is_bad("the AWS profile `r`"));
    }
}

#[test]
fn expired_credentials_are_refused_before_they_are_used() {
    const THEN: &str = "2020-01-02T03:04:05Z";
    let expired = |source: &str| format!("the credentials from {source} expired at {THEN}");
    let keys = json!({"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "secret", "Expiration": THEN});
    let process = "the `credential_process` of the AWS profile `acme`";
    let cases = [
        (with_process(&keys.to_string()), expired(process)),
        (
            with_container_role(
                Case::with_profile("unused"),
                "200 OK",
                of_service("AKIA", THEN),
            ),
            "the credentials from the container's".to_owned(),
        ),
        (
            with_web_identity(200, &session("AKIA", "secret", THEN)),
            "the credentials from the web identity".to_owned(),
        ),
        (
            with_role(&session("AKIA", "secret", THEN)),
            expired("STS, for role arn:aws:iam::123456789012:role/mojito,"),
        ),
    ];
    for (case, reason) in cases {
        refused(&case, &reason).contains(THEN);
        let is_to_s3 = |path: &str| path.contains("mojito.js");
        assert!(!case.requests().iter().any(|it| is_to_s3(&it.path)));
    }
}

#[test]
fn what_a_source_of_credentials_says_is_not_shown() {
    let secret = "a-secret-of-nobody/knows+it";
    let process = with_process("").file(
        "aws-config",
        format!("[profile acme]\ncredential_process = echo {secret}; echo {secret} >&2; exit 3\n"),
    );
    refused(&process, "the `credential_process` of the AWS profile `acme` failed or printed no credentials (exit status: 3)")
        .contains("what to do: run its command by hand to see why")
        .does_not_contain(secret);
    let keys = format!("{{\"Version\": 1, \"SecretAccessKey\": \"{secret}\", {secret}");
    refused(&with_process(&keys), "the `credential_process` of").does_not_contain(secret);
    for (status, answer) in [
        (
            "400 Bad Request",
            json!({"code": secret, "message": secret}).to_string(),
        ),
        (
            "200 OK",
            json!({"Code": secret, "Message": secret}).to_string(),
        ),
        (
            "200 OK",
            format!("{{\"SecretAccessKey\": \"{secret}\", \"Token\": {secret}"),
        ),
    ] {
        let instance = with_instance_role(Case::with_profile("unused"), answer.clone());
        let container = with_container_role(Case::with_profile("unused"), status, answer);
        for case in [container, instance] {
            let case = case.env("DEBUG", "true");
            refused(&case, "the ")
                .does_not_contain(secret)
                .contains("what to do: set `DEBUG`");
        }
    }
}

#[test]
fn a_session_that_cannot_be_read_is_not_quoted() {
    let secret = "a-secret-of-nobody/knows+it";
    let answer = session("AKIA", secret, "2099-01-01T00:00:00Z");
    let cut = answer.find("</SecretAccessKey>").unwrap();
    for (answer, reason) in [
        (&answer[..cut], "the response has no complete credentials"),
        (
            &answer.replace("2099", secret),
            "the response cannot be read, and is not shown",
        ),
        (secret, "the response cannot be read, and is not shown"),
    ] {
        for debug in ["true", "false"] {
            let case = with_role(answer).env("DEBUG", debug).storing_results();
            case.run()
                .exits(3)
                .contains(reason)
                .does_not_contain(secret);
            let result = case.repository().join("results/mojito-publish.json");
            let result = std::fs::read_to_string(result).unwrap();
            assert!(!result.contains(secret), "{result}");
        }
        let case = with_web_identity(200, answer).env("DEBUG", "true");
        case.run().exits(3).does_not_contain(secret);
    }
}

#[test]
fn the_token_of_a_web_identity_is_a_secret() {
    let error = format!("<ErrorResponse><Error><Code>{OIDC_TOKEN}</Code><Message>not {OIDC_TOKEN}</Message></Error></ErrorResponse>");
    let case = with_web_identity(400, &error).env("DEBUG", "true");
    // `run` searches for the token.
    case.run().exits(3).contains("not ***");
}

#[test]
fn a_password_in_the_endpoint_of_a_profile_is_refused() {
    let password = "a-password-of-somebody";
    let services = format!("endpoint_url = http://127.0.0.1:9\nservices = acme\n[services acme]\ns3 =\n  endpoint_url = http://me:{password}@127.0.0.1:9\n");
    let all = format!("endpoint_url = http://me:{password}@127.0.0.1:9\n");
    for endpoint in [all, services] {
        for command in ["publish", "check"] {
            Case::with_profile("acme")
                .unset("AWS_ENDPOINT_URL")
                .file(".aws/config", format!("[profile acme]\n{endpoint}"))
                .env("AWS_PROFILE", "acme")
                .env("DEBUG", "true")
                .arg(command)
                .run()
                .exits(2)
                .contains("`endpoint_url` of the AWS profile is a URL with a user name or password, expected one without")
                .does_not_contain(password);
        }
    }
}

#[test]
fn an_argument_that_may_be_a_secret_is_not_shown() {
    let case = Case::production();
    let secret = case.world.secret_access_key.clone();
    let key = format!("{}/{secret}", case.world.access_key_id);
    for argument in [
        key.clone(),
        secret.clone(),
        format!("--{secret}"),
        format!("--dry-run={key}"),
        format!("{key}\u{202e}"),
    ] {
        let ended = Case::without_rights().arg(&argument).run().exits(2);
        let ended = ended
            .contains("***")
            .does_not_contain(&secret)
            .does_not_contain("\u{202e}");
        assert!(
            !ended.output.contains(&case.world.access_key_id),
            "{}",
            ended.output
        );
    }
    let mistyped = Case::production().arg("--dry-rum").run().exits(2);
    mistyped.contains("'--dry-rum'").contains("'--dry-run'");
    // A registered secret is not shown even where it looks like a word.
    let word = "an-odd-secret-of-words";
    let case = Case::production()
        .env("AWS_SECRET_ACCESS_KEY", word)
        .arg(word);
    case.run().exits(2).does_not_contain(word);
}

#[test]
fn what_an_sso_session_gives_is_secret() {
    const TOKEN: &str = "an-sso-token/of+somebody=";
    const SECRET: &str = "an-sso-secret/of+somebody=";
    const START: &str = "https://acme.awsapps.com/start";
    // AWS's tools name the file by the SHA-1 of `START`.
    const CACHE: &str = ".aws/sso/cache/40169cea58ca6cbf23fb27b2542923fb5f524af0.json";
    let cached = json!({"startUrl": START, "region": "ap-southeast-2", "accessToken": TOKEN, "expiresAt": "2099-01-01T00:00:00Z"});
    let profile = format!(
        "[profile acme]\nsso_start_url = {START}\nsso_region = ap-southeast-2\nsso_account_id = 123456789012\nsso_role_name = r\n"
    );
    let encoded = SECRET.replace('/', "%2F");
    let role = json!({"roleCredentials": {"accessKeyId": "AKIA", "secretAccessKey": SECRET, "sessionToken": "an-sso-session-token", "expiration": 4_070_908_800_000_u64}});
    for (status, answer, expected) in [
        (401, json!({"message": format!("not {TOKEN}")}), "not ***"),
        (200, role, "InvalidAccessKeyId (HTTP 403): not ***"),
    ] {
        let case = Case::with_profile("unused")
            .file(".aws/config", &profile)
            .file(CACHE, cached.to_string())
            .env("AWS_PROFILE", "acme")
            .env("DEBUG", "true");
        let errortype = json!({"x-amzn-errortype": "UnauthorizedException"});
        case.fault(json!({"method": "GET", "path": "/federation/credentials", "status": status, "headers": errortype, "body": answer.to_string(), "times": 9}));
        let error = format!(
            "<Error><Code>InvalidAccessKeyId</Code><Message>not {encoded}</Message></Error>"
        );
        case.fault(
            json!({"method": "PUT", "path": "mojito.js", "status": 403, "body": error, "times": 9}),
        );
        let ended = case.run().exits(3).contains(expected);
        ended.does_not_contain("an-sso-");
    }
}

#[test]
fn of_a_role_in_a_profile_only_sts_is_quoted() {
    let secret = "a-secret-of-nobody/knows+it";
    let role = "[profile r]\nrole_arn = arn:aws:iam::123456789012:role/mojito\n";
    let case = Case::with_profile("unused").env("AWS_PROFILE", "r");
    let answer = json!({"code": secret, "message": secret}).to_string();
    let case = with_container_role(case, "400 Bad Request", answer);
    let config = format!("{role}credential_source = EcsContainer\n");
    refused(
        &case.file(".aws/config", config),
        "the AWS profile `r` sent none",
    )
    .does_not_contain(secret);

    let keys = json!({"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "secret"});
    let config = format!(
        "{role}source_profile = acme\n[profile acme]\ncredential_process = cat keys.json\n"
    );
    let case = with_process(&keys.to_string())
        .file("aws-config", config)
        .env("AWS_PROFILE", "r");
    let error = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not trusted</Message></Error></ErrorResponse>";
    case.fault(json!({"method": "POST", "path": "/", "status": 403, "body": error, "times": 9}));
    refused(&case, "the ")
        .contains("AccessDenied")
        .contains("not trusted");
}
