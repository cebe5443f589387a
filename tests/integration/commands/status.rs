//! `status`: what visitors get now, what S3 has, and the versions before it.

use std::fs;
use std::sync::OnceLock;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{json, Value};
use snapbox::str;

use crate::support::harness::{Case, Ended};
use crate::support::sample;

const KEY: &str = "js/mojito.js";

/// Statements that allow this on production's containers, and on the bucket listing their versions.
fn may_read(case: &Case, actions: &[&str], may_list: bool) {
    let bucket = format!("arn:aws:s3:::{}", case.world.bucket);
    // Something, as IAM takes no policy without a statement.
    let mut statements = vec![case.may_invalidate(&case.world.distribution)];
    if !actions.is_empty() {
        statements.push(
            json!({"Effect": "Allow", "Action": actions, "Resource": format!("{bucket}/js/*")}),
        );
    }
    if may_list {
        let list = "s3:ListBucketVersions";
        statements.push(json!({"Effect": "Allow", "Action": list, "Resource": bucket}));
    }
    case.set_policy(json!(statements));
}

/// Lets the user read all that `status` shows, and do nothing else.
fn may_read_all(case: &Case) {
    may_read(case, &["s3:GetObject", "s3:GetObjectVersion"], true);
}

/// Production's container in a bucket with versioning, whose user may only read. There are no built files.
fn reading() -> Case {
    let case = Case::production();
    case.call::<()>("set_versioning", json!({"status": "Enabled"}));
    may_read_all(&case);
    fs::remove_dir_all(case.repository().join("dist")).unwrap();
    case.arg("status")
}

fn with_public_url(case: Case) -> Case {
    let edge = case.world.edge.clone();
    case.env("PUBLIC_URL", &edge)
}

/// Stores something as any tool might.
fn store(case: &Case, key: &str, body: &[u8], headers: Value) {
    let arguments = json!({"key": key, "body": STANDARD.encode(body), "metadata": headers});
    case.call::<()>("put_object", arguments);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut compressed = vec![0; compressor.gzip_compress_bound(text.len())];
    let length = compressor
        .gzip_compress(text.as_bytes(), &mut compressed)
        .unwrap();
    compressed.truncate(length);
    compressed
}

/// Stores a container as a publish of this build does.
fn store_build(case: &Case, key: &str, number: u64) {
    let text = sample::minified("mojito").replace("1f2e3d4c5b6a", &format!("{number:012}"));
    let headers = json!({
        "content-type": "application/javascript; charset=utf-8", "content-encoding": "gzip",
        "cache-control": "public, max-age=300, s-maxage=300, must-revalidate",
        "x-amz-meta-build-number": number.to_string(), "x-amz-meta-commit": format!("{number:040}"),
        "x-amz-meta-tag": format!("v{number}"), "x-amz-meta-repository": "acme/site",
        "x-amz-meta-published-by": "mojito-publish/0.1.0",
    });
    store(case, key, &gzip(&text), headers);
}

/// The requests that write, which nothing here may send.
fn writes(case: &Case) -> usize {
    let requests = case.requests();
    let writes = requests.iter().filter(|request| {
        // A role is assumed by a POST to STS.
        !matches!(request.method.as_str(), "GET" | "HEAD") && request.path != "/"
    });
    writes.count()
}

#[track_caller]
fn run(case: &Case) -> Ended {
    let before = writes(case);
    let ended = case.run();
    assert_eq!(writes(case), before);
    ended
}

/// The exit code, the JSON, which is held to its schema, and the log.
#[track_caller]
fn run_json(case: &Case) -> (i32, Value, String) {
    let before = writes(case);
    let output = case.command().arg("--json").output().unwrap();
    assert_eq!(writes(case), before);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, log) = (text(&output.stdout), text(&output.stderr));
    case.ended(output.clone());
    let status: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{log}"));
    assert_valid(&status);
    assert_eq!(status["exit_code"], output.status.code().unwrap());
    (output.status.code().unwrap(), status, log)
}

#[track_caller]
fn assert_valid(status: &Value) {
    static VALIDATOR: OnceLock<jsonschema::Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| {
        let read = |text| serde_json::from_str::<Value>(text).unwrap();
        let result = read(include_str!("../../../docs/result.schema.json"));
        let schema = read(include_str!("../../../docs/status.schema.json"));
        let registry = jsonschema::Registry::new()
            .add("https://example.com/result.schema.json", result)
            .unwrap()
            .prepare()
            .unwrap();
        jsonschema::options()
            .with_base_uri("https://example.com/status.schema.json")
            .with_registry(&registry)
            .build(&schema)
            .unwrap()
    });
    let errors: Vec<String> = validator
        .iter_errors(status)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}\n{status:#}", errors.join("\n"));
}

/// How many times the bucket was requested so.
fn count(case: &Case, method: &str, path: &str) -> usize {
    let requests = case.requests();
    let requests = requests.iter();
    let found = requests.filter(|it| it.method == method && it.path.contains(path));
    found.count()
}

#[test]
fn it_shows_what_visitors_get_what_s3_has_and_what_a_rollback_would_put_back() {
    let case = with_public_url(reading());
    store_build(&case, KEY, 56);
    store_build(&case, KEY, 57);
    let (code, status, log) = run_json(&case);
    assert_eq!(code, 0, "{log}");
    let container = &status["containers"][0];
    for source in ["served", "stored"] {
        let source = &container[source];
        assert_eq!(source["build_number"], "57");
        assert_eq!(source["tag"], "v57");
        assert_eq!(source["repository"], "acme/site");
        assert_eq!(source["experiments"][0]["id"], "w1");
        assert_eq!(source["version_id"], container["versions"][0]["version_id"]);
        assert_eq!(source["stored_at"], container["versions"][0]["stored_at"]);
    }
    assert_eq!(container["served"]["cache"], "CloudFront");
    assert_eq!(container["stale"], false);
    let marks = |version: &Value| {
        let mark = |name: &str| version[name].as_bool().unwrap();
        (
            version["build_number"].clone(),
            mark("is_live"),
            mark("is_put_back_by_rollback"),
        )
    };
    let versions = container["versions"].as_array().unwrap();
    let versions: Vec<_> = versions.iter().map(marks).collect();
    assert_eq!(
        versions,
        [(json!("57"), true, false), (json!("56"), false, true)]
    );
    run(&case).exits(0).prints(str![[r#"
status of production (`ENVIRONMENT` is `production`)
credentials: [KEY]
container mojito: 1 live, 1 staged
  built 2026-11-24 05:00 UTC from commit 0000000 with Mojito 2.7.1
  live    █████░░░░░  50%  w1  W1 Größere Schaltfläche  Control / Treatment
  staged                   w2  W2 Headline              Control / Treatment
[EDGE]/js/mojito.js
  response   HTTP 200
  container  build 57 (v57, 0000000), 803 bytes
  stored     20[..] UTC ([..] ago)
  cache      cached by CloudFront for [..]
  headers    public, max-age=300, s-maxage=300, must-revalidate
s3://[BUCKET]/js/mojito.js: the same
  published by  mojito-publish/0.1.0 of acme/site
  version       [..]
versions:
        build  commit   stored (UTC)      bytes  version id
  live  57     0000000  20[..]  803    [..]
  →     56     0000000  20[..]  803    [..]
→: what `mojito-publish rollback --production` would put back
✔ visitors get build 57 (v57, 0000000) of mojito in production
  since 20[..] UTC ([..] ago)

"#]]);
}

#[test]
fn a_bucket_without_versioning_keeps_nothing_before_it() {
    let case = Case::production().arg("status");
    may_read_all(&case);
    store_build(&case, KEY, 57);
    run(&case)
        .exits(0)
        .contains("versions: only this one, as the bucket's versioning is not enabled;")
        .contains("✔ S3 has build 57 (v57, 0000000) of mojito in production\n")
        .contains("not known: what the CDN serves, as `PUBLIC_URL` is not set");
    let (_, status, _) = run_json(&case);
    let container = &status["containers"][0];
    assert_eq!(container["versions"][0]["version_id"], "null");
    assert_eq!(container["served"], Value::Null);
}

#[test]
fn one_version_leaves_nothing_to_put_back() {
    let case = reading();
    store_build(&case, KEY, 57);
    run(&case)
        .exits(0)
        .contains("\n  live  57 ")
        .does_not_contain("rollback");
    store_build(&case, KEY, 57);
    run(&case)
        .exits(0)
        .contains("a rollback would find no version with other content to put back");
}

#[test]
fn of_thousands_of_versions_the_newest_ten_of_the_key_itself_are_shown() {
    let case = reading();
    let keys = [KEY, "js/mojito.js.bak", "js/mojito.js2"];
    case.call::<()>("fill_with_versions", json!({"keys": keys, "count": 1_001}));
    let (code, status, log) = run_json(&case);
    assert_eq!(code, 0, "{log}");
    let container = &status["containers"][0];
    let versions = container["versions"].as_array().unwrap();
    let builds: Vec<&str> = versions
        .iter()
        .map(|it| {
            it["build_number"]
                .as_str()
                .unwrap_or_else(|| panic!("{it}"))
        })
        .collect();
    assert_eq!(
        builds,
        ["1001", "1000", "999", "998", "997", "996", "995", "994", "993", "992"]
    );
    assert_eq!(versions[1]["is_put_back_by_rollback"], true);
    assert_eq!(container["older_versions"], 90);
    assert_eq!(container["has_more_versions"], true);
    assert!(log.contains("\n  (90 or more older)\n"), "{log}");
}

#[test]
fn a_delete_marker_is_said_and_what_the_cdn_still_serves() {
    let case = reading();
    store_build(&case, KEY, 56);
    store_build(&case, KEY, 57);
    case.call::<String>("visit", json!({"path": "/js/mojito.js"}));
    case.call::<()>("delete_object", json!({"key": KEY}));
    let (code, status, log) = run_json(&case);
    assert_eq!(code, 0, "{log}");
    let versions = &status["containers"][0]["versions"];
    assert_eq!(versions[0]["is_delete_marker"], true);
    assert_eq!(versions[0]["is_live"], true);
    assert_eq!(versions[1]["is_put_back_by_rollback"], true);
    run(&case)
        .exits(0)
        .contains("WARNING: S3 has nothing of mojito in production: it is deleted in S3")
        .contains("deleted  ");
    let case = with_public_url(case);
    run(&case)
        .exits(0)
        .contains("WARNING: visitors still get build 57 (v57, 0000000) of mojito in production, which is deleted in S3\n  until 20");
    let (_, status, _) = run_json(&case);
    assert_eq!(status["containers"][0]["stale"], true);
}

#[test]
fn objects_of_other_tools_are_shown_as_what_they_are() {
    #[track_caller]
    fn shows(body: &[u8], headers: Value, expected: &str) {
        let case = with_public_url(reading());
        store(&case, KEY, body, headers);
        run(&case).exits(0).contains(expected);
        run_json(&case);
    }
    let script = sample::minified("mojito");
    // As `gulp publish` stores it.
    let of_gulp = json!({"content-type": "application/javascript", "content-encoding": "gzip", "cache-control": "max-age=300"});
    let label = "visitors get an unnumbered build (1f2e3d4) of mojito in production\n";
    shows(&gzip(&script), of_gulp, label);
    shows(script.as_bytes(), json!({}), label);
    let unknown = "visitors get a file of unknown build of mojito in production\n";
    shows(b"alert(1)", json!({}), unknown);
    let problem = |problem: &str| format!("the live file {problem}");
    let page = json!({"content-type": "text/html"});
    shows(b"<html></html>", page, &problem("is a page, not a script"));
    let brotli = json!({"content-encoding": "br"});
    shows(b"\x0b\x02", brotli, &problem("is compressed with `br`"));
    let cut = json!({"content-encoding": "gzip"});
    let content = &gzip(&script)[..99];
    shows(content, cut, &problem("is truncated or damaged gzip"));
    shows(b"", json!({}), &problem("is empty"));
}

#[test]
fn nothing_at_the_key_is_what_visitors_get() {
    let case = with_public_url(reading());
    run(&case)
        .exits(0)
        .contains("WARNING: visitors get nothing of mojito in production, but HTTP 403");
    // moto responds 404 to whoever may not list the bucket either.
    let (_, status, _) = run_json(&case);
    assert_eq!(status["containers"][0]["stored"]["http_status"], 404);
    store_build(&case, "js/other.js", 57);
    let case = case
        .env("CDN_PREFIX", "elsewhere")
        .env("CONTAINER_NAME", "other");
    run(&case)
        .exits(0)
        .contains("although S3 has build 57 (v57, 0000000)")
        .contains("check `PUBLIC_URL` and `CDN_PREFIX`");
}

#[test]
fn what_the_cdn_serves_may_be_older_than_what_s3_has_and_ends_with_its_cache() {
    let case = with_public_url(reading());
    store_build(&case, KEY, 56);
    case.call::<String>("visit", json!({"path": "/js/mojito.js"}));
    case.call::<()>("set_edge_stale", json!({"stale": true}));
    store_build(&case, KEY, 57);
    let ended = run(&case)
        .exits(0)
        .contains("WARNING: visitors still get build 56 (v56, 0000000) of mojito in production, but S3 has build 57 (v57, 0000000)\n  since 20")
        .contains(" UTC at the latest, unless the distribution's minimum TTL is longer\n  to end that now, re-run the step that published");
    ended.contains("cached by CloudFront for ");
    let (_, status, _) = run_json(&case);
    let container = &status["containers"][0];
    assert_eq!(container["stale"], true);
    assert_eq!(container["served"]["build_number"], "56");
    assert_eq!(container["stored"]["build_number"], "57");
    assert!(container["stale_until"].is_string());
    // By its ETag, where S3 may not be read.
    may_read(&case, &[], true);
    let (_, status, _) = run_json(&case);
    assert_eq!(status["containers"][0]["stale"], true);
    assert_eq!(status["containers"][0]["stored"], Value::Null);
}

#[test]
fn each_missing_permission_costs_a_line_and_not_the_run() {
    let case = reading();
    store_build(&case, KEY, 56);
    store_build(&case, KEY, 57);
    let in_one_line = |ended: Ended, line: &str| {
        assert_eq!(ended.output.matches(line).count(), 1, "{}", ended.output);
    };
    let no_read = "S3: these credentials may not read it (`s3:GetObject`)";
    let no_list = "versions: these credentials lack `s3:ListBucketVersions`";
    let no_version = "builds of the versions: these credentials lack `s3:GetObjectVersion`";
    may_read(&case, &["s3:GetObject", "s3:GetObjectVersion"], false);
    in_one_line(run(&case).exits(0).contains("S3 has build 57"), no_list);
    may_read(&case, &["s3:GetObject"], true);
    in_one_line(
        run(&case).exits(0).contains("\n        ?      ?"),
        no_version,
    );
    // The live version says what it is, too.
    may_read(&case, &["s3:GetObjectVersion"], true);
    in_one_line(run(&case).exits(0).contains("✔ S3 has build 57"), no_read);
    may_read(&case, &[], true);
    let ended = run(&case).exits(3);
    let ended = ended.contains("✖ it is not known what visitors get of mojito in production");
    in_one_line(ended.contains(no_read), no_version);
    may_read(&case, &[], false);
    let (code, status, log) = run_json(&case);
    assert_eq!(code, 3);
    assert_eq!(status["containers"][0]["seen"], false);
    assert!(log.contains(no_read) && log.contains(no_list), "{log}");
    let case = with_public_url(case);
    in_one_line(
        run(&case).exits(0).contains("✔ visitors get build 57"),
        no_list,
    );
}

#[test]
fn the_public_url_needs_no_credentials() {
    let case = with_public_url(reading().without_credentials()).env("NO_COLOR", "1");
    store_build(&case, KEY, 57);
    let sees = |case: &Case, reason: &str| {
        run(case)
            .exits(0)
            .contains("✔ visitors get build 57 (v57, 0000000) of mojito in production\n  since 20")
            .contains(&format!("S3 was not requested, as {reason}"));
        assert_eq!(case.requests().len(), 0);
        let (_, status, _) = run_json(case);
        assert_eq!(status["credentials"], Value::Null);
        assert_eq!(status["containers"][0]["stored"], Value::Null);
    };
    sees(&case, "there are no usable credentials: ");
    let case = case.env("CI", "true");
    sees(&case, "there are no credentials");
    // What is set and wrong is not passed over.
    let case = case.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    run(&case).exits(2).contains("AWS_SECRET_ACCESS_KEY");
    // Without it, somebody must have credentials.
    let case = case.unset("AWS_ACCESS_KEY_ID").unset("PUBLIC_URL");
    let (code, status, _) = run_json(&case);
    assert_eq!(code, 2);
    assert_eq!(status["error"]["kind"], "invalid_settings");
    let (code, status, _) = run_json(&case.unset("CI"));
    assert_eq!(code, 3);
    assert_eq!(status["error"]["kind"], "no_credentials");
}

#[test]
fn a_public_url_that_cannot_be_reached_leaves_s3() {
    let case = reading().env("PUBLIC_URL", "http://127.0.0.1:1");
    store_build(&case, KEY, 57);
    run(&case)
        .exits(0)
        .contains("`PUBLIC_URL`: not reachable: ")
        .contains("✔ S3 has build 57");
    let case = case.without_credentials().env("CI", "true");
    run(&case)
        .exits(3)
        .contains("✖ it is not known what visitors get of mojito in production");
}

#[test]
fn what_is_wrong_with_s3_is_said_once_with_what_to_do() {
    let case = reading();
    case.fault(json!({
        "method": "GET", "path": "", "times": 99, "status": 404,
        "body": "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>",
    }));
    let ended = run(&case).exits(3);
    let remedy = "what to do: the bucket does not exist: check `S3_BUCKET`";
    assert_eq!(ended.output.matches(remedy).count(), 1, "{}", ended.output);
    let (_, status, _) = run_json(&case);
    assert_eq!(status["error"]["kind"], "no_such_bucket");
}

#[test]
fn many_containers_are_one_line_and_a_denial_is_not_repeated() {
    let names: Vec<String> = (0..40).map(|number| format!("site{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let case = with_public_url(reading().list("CONTAINER_NAME", &names));
    for name in &names[1..] {
        store_build(&case, &format!("js/{name}.js"), 57);
    }
    let ended = run(&case).exits(0);
    let ended = ended
        .contains("versions: not listed, as there are more than 10 containers")
        .contains("WARNING: visitors get nothing of site0 in production, but HTTP 403")
        .contains("✔ visitors get build 57 (v57, 0000000) of site1, site2, ")
        .contains("site10 and 29 more in production");
    assert!(ended.output.lines().count() < 12, "{}", ended.output);
    let (_, status, _) = run_json(&case);
    assert_eq!(status["containers"].as_array().unwrap().len(), 40);
    let before = count(&case, "GET", "/js/");
    may_read(&case, &[], false);
    run(&case).exits(0);
    assert_eq!(count(&case, "GET", "/js/") - before, 1);
}

#[test]
fn the_session_of_a_role_may_only_read() {
    let (case, role) = reading().with_broad_role();
    store_build(&case, KEY, 56);
    store_build(&case, KEY, 57);
    let other: String = case.call("add_distribution", json!({}));
    run(&case)
        .exits(0)
        .contains("would put back")
        .does_not_contain("these credentials");
    let allowed: Vec<String> = case.call(
        "what_the_session_may_do",
        json!({"role": role, "key": KEY, "distribution": other}),
    );
    let reading = [
        "get the container",
        "head the container",
        "list the versions",
        "get a version",
    ];
    assert_eq!(allowed, reading);
}

#[test]
fn what_a_rollback_put_back_is_said() {
    let case = Case::production();
    case.call::<()>("set_versioning", json!({"status": "Enabled"}));
    let bucket = format!("arn:aws:s3:::{}", case.world.bucket);
    case.set_policy(json!([
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"], "Resource": format!("{bucket}/js/*")},
        {"Effect": "Allow", "Action": "s3:ListBucketVersions", "Resource": bucket},
        case.may_invalidate(&case.world.distribution),
    ]));
    store_build(&case, KEY, 56);
    store_build(&case, KEY, 57);
    let rollback = case.command().arg("rollback").output().unwrap();
    case.ended(rollback).exits(0);
    let case = case.arg("status");
    let (_, status, log) = run_json(&case);
    let versions = &status["containers"][0]["versions"];
    let from = versions[2]["version_id"].as_str().unwrap();
    assert_eq!(versions[0]["build_number"], "56");
    assert_eq!(versions[0]["restored_from"], from);
    assert!(log.contains(&format!("put back from {from}")), "{log}");
}

#[test]
fn a_signal_ends_it_with_what_is_known() {
    let case = reading();
    let gate = case.hold("GET", KEY);
    let mut command = case.command();
    command.arg("--json");
    let run = crate::support::run::Run::start(&case, command);
    gate.wait();
    run.signal("-TERM");
    let ended = run.end().exits(3);
    ended
        .contains("✖ stopped by SIGTERM; nothing was changed")
        .contains("\"kind\": \"stopped\"");
}
