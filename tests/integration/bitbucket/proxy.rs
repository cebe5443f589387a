//! The tests' own Bitbucket: it refuses what Bitbucket refuses, or no test that a report is accepted would mean anything.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{json, Value};

use crate::support::bitbucket::{Bitbucket, COMMIT};

const HOST: &str = "Host: api.bitbucket.org\r\nContent-Type: application/json\r\n";

fn address(rest: &str) -> String {
    format!("http://api.bitbucket.org/2.0/repositories/acme/site/commit/{COMMIT}/reports/{rest}")
}

fn valid_report() -> Value {
    json!({
        "title": "mojito → production", "details": "1 experiment changes", "report_type": "TEST", "reporter": "mojito-publish",
        "result": "PASSED", "link": "https://bitbucket.org/acme/site/pipelines/results/57",
        "data": [
            {"title": "Live", "type": "NUMBER", "value": 3},
            {"title": "Share", "type": "PERCENTAGE", "value": 50.5},
            {"title": "Took", "type": "DURATION", "value": 1200},
            {"title": "Since", "type": "DATE", "value": 1_700_000_000_000_u64},
            {"title": "Changed", "type": "BOOLEAN", "value": true},
            {"title": "Environment", "type": "TEXT", "value": "production"},
            {"title": "Build", "type": "LINK", "value": {"text": "57", "href": "https://bitbucket.org/57"}},
            {"title": "Plain", "value": "text"},
        ],
    })
}

fn annotation(number: usize) -> Value {
    json!({
        "external_id": format!("w{number}"), "annotation_type": "CODE_SMELL", "severity": "LOW", "summary": "10% → 50%",
        "details": "of new visitors", "path": "lib/waves/w1/config.yml", "line": 3,
    })
}

fn send(
    bitbucket: &Bitbucket,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(bitbucket.address.replace("http://", "")).unwrap();
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn put(bitbucket: &Bitbucket, report: &Value) -> u16 {
    send(bitbucket, "PUT", &address("one"), HOST, &report.to_string()).0
}

fn post(bitbucket: &Bitbucket, annotations: &Value) -> u16 {
    let target = address("one/annotations");
    send(bitbucket, "POST", &target, HOST, &annotations.to_string()).0
}

/// The value with another one at a place; null takes it away.
fn with(mut value: Value, pointer: &str, other: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap();
    if other.is_null() {
        parent.as_object_mut().unwrap().remove(name);
    } else if let Some(object) = parent.as_object_mut() {
        object.insert(name.to_owned(), other);
    } else {
        parent[name.parse::<usize>().unwrap()] = other;
    }
    value
}

#[test]
fn a_field_of_a_report_that_bitbucket_does_not_accept_is_refused() {
    let bitbucket = Bitbucket::start();
    assert_eq!(put(&bitbucket, &valid_report()), 200);
    let long = |length| Value::from("x".repeat(length));
    let smileys = "😀".repeat(226);
    for (pointer, value) in [
        ("/title", json!(null)),
        ("/title", json!("")),
        ("/title", json!(" \n")),
        ("/title", json!(5)),
        ("/title", long(451)),
        ("/title", json!(smileys)),
        ("/title", json!("a\u{1b}b")),
        ("/details", json!(null)),
        ("/details", long(2001)),
        ("/report_type", json!(null)),
        ("/report_type", json!("BUILD")),
        ("/reporter", long(451)),
        ("/result", json!("SKIPPED")),
        ("/link", json!("bitbucket.org/57")),
        ("/link", json!("javascript:alert(1)")),
        ("/link", json!("https://a/b c")),
        ("/unknown", json!("x")),
        ("/data", json!({})),
        ("/data", json!(vec![json!({"title": "a", "value": 1}); 11])),
        ("/data/0/title", json!("")),
        ("/data/0/title", json!(null)),
        ("/data/0/type", json!("INTEGER")),
        ("/data/0/value", json!("3")),
        ("/data/0/unknown", json!("3")),
        ("/data/1/value", json!(100.1)),
        ("/data/1/value", json!(-1)),
        ("/data/2/value", json!(1.5)),
        ("/data/2/value", json!(-1)),
        ("/data/3/value", json!("yesterday")),
        ("/data/4/value", json!("true")),
        ("/data/5/value", json!("")),
        ("/data/5/value", long(2001)),
        ("/data/6/value", json!("https://bitbucket.org")),
        ("/data/6/value/href", json!("57")),
        ("/data/6/value/text", json!(null)),
        ("/data/7/value", json!([])),
        ("/data/7", json!(7)),
    ] {
        let report = with(valid_report(), pointer, value.clone());
        assert_eq!(put(&bitbucket, &report), 400, "{pointer} {value}");
    }
    assert_eq!(bitbucket.report().content, valid_report());
    for (pointer, value) in [
        ("/title", long(450)),
        ("/title", json!("😀".repeat(225))),
        ("/details", json!("two\nlines")),
        ("/link", json!(null)),
        ("/data", json!([])),
    ] {
        let report = with(valid_report(), pointer, value);
        assert_eq!(put(&bitbucket, &report), 200, "{pointer}");
    }
}

#[test]
fn an_annotation_that_bitbucket_does_not_accept_is_refused_with_all_of_its_request() {
    let bitbucket = Bitbucket::start();
    bitbucket.has("one", &valid_report(), &json!([annotation(0)]));
    let long = |length| Value::from("x".repeat(length));
    for (pointer, value) in [
        ("/external_id", json!(null)),
        ("/external_id", json!("w1")),
        ("/external_id", long(451)),
        ("/annotation_type", json!(null)),
        ("/annotation_type", json!("WARNING")),
        ("/severity", json!("low")),
        ("/summary", json!(null)),
        ("/summary", json!("")),
        ("/summary", long(451)),
        ("/summary", json!("a\u{0}b")),
        ("/details", long(2001)),
        ("/path", json!("/lib/waves/w1/config.yml")),
        ("/path", json!("../config.yml")),
        ("/path", json!("lib//config.yml")),
        ("/path", json!(null)),
        ("/line", json!(0)),
        ("/line", json!(-1)),
        ("/line", json!("3")),
        ("/line", json!(5_000_000_000_u64)),
        ("/unknown", json!("x")),
    ] {
        let refused = with(annotation(2), pointer, value.clone());
        let annotations = json!([annotation(1), refused]);
        assert_eq!(post(&bitbucket, &annotations), 400, "{pointer} {value}");
    }
    let many = |range: std::ops::Range<usize>| range.map(annotation).collect::<Value>();
    assert_eq!(post(&bitbucket, &json!([])), 400);
    assert_eq!(post(&bitbucket, &annotation(1)), 400);
    assert_eq!(post(&bitbucket, &many(1..102)), 400);
    assert_eq!(bitbucket.report().annotations, [annotation(0)]);
    for hundred in 0..10 {
        let annotations = many(hundred * 100..hundred * 100 + 100);
        assert_eq!(post(&bitbucket, &annotations), 200);
    }
    assert_eq!(post(&bitbucket, &many(1000..1001)), 400);
    assert_eq!(bitbucket.report().annotations.len(), 1000);
}

#[test]
fn annotations_stay_until_their_report_is_deleted() {
    let bitbucket = Bitbucket::start();
    let delete = || send(&bitbucket, "DELETE", &address("one"), HOST, "").0;
    assert_eq!(post(&bitbucket, &json!([annotation(1)])), 404);
    assert_eq!(delete(), 404);
    bitbucket.has("one", &valid_report(), &json!([annotation(1)]));
    let other = with(valid_report(), "/title", json!("other"));
    assert_eq!(put(&bitbucket, &other), 200);
    assert_eq!(bitbucket.report().annotations, [annotation(1)]);
    assert_eq!(bitbucket.report().content, other);
    assert_eq!(delete(), 204);
    assert_eq!(put(&bitbucket, &other), 200);
    assert!(bitbucket.report().annotations.is_empty());
}

#[test]
fn only_plain_requests_to_bitbucket_without_credentials_are_passed_on() {
    let bitbucket = Bitbucket::start();
    let report = valid_report().to_string();
    let put = |target: &str, headers: &str| send(&bitbucket, "PUT", target, headers, &report).0;
    let target = address("one");
    assert_eq!(put(&target, HOST), 200);
    for credential in [
        "Authorization: Bearer x",
        "Proxy-Authorization: Basic x",
        "Cookie: a=b",
        "X-Amz-Security-Token: x",
        "amz-sdk-request: attempt=1",
    ] {
        assert_eq!(
            put(&target, &format!("{HOST}{credential}\r\n")),
            403,
            "{credential}"
        );
    }
    for (refused, status) in [
        (target.replace("http:", "https:"), 403),
        (target.replace("api.bitbucket.org", "bitbucket.org"), 403),
        (target.replace("http://api.bitbucket.org", ""), 403),
        (target.replace("acme", "other"), 404),
        (
            target.replace(COMMIT, "0000000000000000000000000000000000000000"),
            404,
        ),
        (target.replace("2.0", "1.0"), 404),
    ] {
        assert_eq!(put(&refused, HOST), status, "{refused}");
    }
    assert_eq!(
        put(
            &target,
            "Host: bitbucket.org\r\nContent-Type: application/json\r\n"
        ),
        403
    );
    assert_eq!(put(&target, "Host: api.bitbucket.org\r\n"), 415);
    let connect = send(&bitbucket, "CONNECT", "api.bitbucket.org:443", HOST, "");
    assert_eq!(connect.0, 403);
    assert_eq!(send(&bitbucket, "PUT", &target, HOST, "{").0, 400);
    let (_, error) = send(&bitbucket, "PUT", &target, HOST, "[]");
    assert!(
        error.contains(r#""key":"report-service.general.bad-request""#),
        "{error}"
    );
}
