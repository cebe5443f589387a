//! TLS, proxies and connections: what the machine and its owner say must be trusted and passed through, and what is opened
//! when.

use std::io::{copy, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::support::gateway::{Connection, Gateway, HTTP_1, HTTP_2};
use crate::support::harness::Case;
use crate::support::sample;

#[derive(Deserialize)]
struct Tls {
    endpoint: String,
    certificate: String,
}

/// A case whose AWS speaks TLS, with the certificate in a file of the repository.
fn with_tls() -> (Case, String) {
    let case = Case::production();
    let tls: Tls = case.call("serve_tls", json!({}));
    let bundle = case.repository().join("bundle.pem");
    let case = case
        .file("bundle.pem", &tls.certificate)
        .env("AWS_ENDPOINT_URL", &tls.endpoint);
    (case, bundle.to_str().unwrap().to_owned())
}

#[test]
fn a_certificate_is_trusted_by_its_bundle_alone() {
    let (case, bundle) = with_tls();
    case.run()
        .exits(3)
        .contains("UnknownIssuer")
        .contains("not replaced: mojito");
    assert!(case.requests().is_empty());
    let case = case.env("AWS_CA_BUNDLE", &bundle);
    case.run().exits(0);
    assert_eq!(case.keys(), ["js/mojito.js"]);

    // For AWS it takes the place of the system's.
    let other: Tls = case.call("serve_tls", json!({}));
    let case = case
        .file("other.pem", &other.certificate)
        .env("SSL_CERT_FILE", &bundle);
    let other = case.repository().join("other.pem");
    let case = case.env("AWS_CA_BUNDLE", other.to_str().unwrap());
    case.run().exits(3).contains("not replaced: mojito");
    let case = case.unset("AWS_CA_BUNDLE");
    case.run().exits(0);
}

#[test]
fn requests_go_through_the_proxy_unless_no_proxy_names_the_host() {
    let (case, bundle) = with_tls();
    let (proxy, requested) = proxy();
    let case = case
        .env("AWS_CA_BUNDLE", &bundle)
        .env("HTTPS_PROXY", &proxy);
    case.run().exits(0);
    let host = case.environment()["AWS_ENDPOINT_URL"].replace("https://", "");
    let through_proxy = requested.lock().unwrap().clone();
    assert!(!through_proxy.is_empty());
    assert!(
        through_proxy
            .iter()
            .all(|line| *line == format!("CONNECT {host} HTTP/1.1")),
        "{through_proxy:?}"
    );

    let case = case.env("NO_PROXY", "127.0.0.1");
    case.run().exits(0);
    assert_eq!(requested.lock().unwrap().len(), through_proxy.len());
}

/// Much less than the 5 s that a connection may take to be opened, so that only a run that waits for one exceeds it.
const NO_WAIT: Duration = Duration::from_secs(4);

/// On a machine that is busy with something else, a run that waits for nothing may be as slow, but not each time.
const TRIES: usize = 5;

#[test]
fn the_connection_to_cloudfront_is_opened_during_the_upload_and_used_for_the_invalidation() {
    let case = Case::production();
    let (cloudfront, case) = Gateway::start(case, HTTP_1);
    let case = case.env("AWS_ENDPOINT_URL_CLOUDFRONT", &cloudfront.endpoint);
    let upload = case.hold("PUT", "/js/mojito.js");
    let run = case.start();
    upload.wait();
    cloudfront.wait_for_connections(1);
    upload.open();
    run.end().exits(0);
    assert_eq!(case.invalidations().len(), 1);
    let connections = cloudfront.connections();
    assert_eq!(connections.len(), 1, "{connections:?}");
    assert!(connections[0].is_used());
    // Nothing was requested to open it.
    let requests = case.requests();
    let mut methods: Vec<&str> = requests.iter().map(|it| it.method.as_str()).collect();
    methods.sort_unstable();
    assert_eq!(methods, ["GET", "GET", "POST", "POST", "PUT"]);
}

#[test]
fn the_connection_to_s3_is_opened_while_the_role_is_assumed() {
    let (case, _) = Case::production().with_broad_role();
    let (s3, case) = Gateway::start(case, HTTP_1);
    let case = case.env("AWS_ENDPOINT_URL_S3", &s3.endpoint);
    let role = case.hold("POST", "/");
    let run = case.start();
    role.wait();
    s3.wait_for_connections(1);
    role.open();
    run.end().exits(0);
    let connections = s3.connections();
    assert_eq!(connections.len(), 1, "{connections:?}");
    assert!(connections[0].is_used());
}

/// Publishes until the first connection to S3 was used at once. `case` is what is published, `prepared` the gateway before it.
#[track_caller]
fn uses_the_first_connection_at_once(
    case: impl Fn() -> Case,
    protocol: &'static [u8],
    prepared: impl Fn(&Gateway),
    keys: &[&str],
) -> Vec<Connection> {
    let publish = || {
        let (s3, case) = Gateway::start(case(), protocol);
        prepared(&s3);
        let case = case.env("AWS_ENDPOINT_URL_S3", &s3.endpoint);
        case.run().exits(0);
        assert_eq!(case.keys(), keys);
        s3.connections()
    };
    let mut tries = (0..TRIES).map(|_| publish());
    let quick = tries.find(|connections| connections[0].idle().is_some_and(|idle| idle < NO_WAIT));
    quick.expect("it waits for another connection each time")
}

#[test]
fn one_connection_to_s3_is_waited_for_where_it_speaks_http_2() {
    let connections =
        uses_the_first_connection_at_once(Case::production, HTTP_2, |_| {}, &["js/mojito.js"]);
    // It takes all requests, and no others are kept.
    assert!(
        connections[1..].iter().all(|it| !it.is_used()),
        "{connections:?}"
    );
}

#[test]
fn the_first_of_many_containers_waits_for_no_connection_that_it_does_not_need() {
    let names = ["mojito", "other"];
    let case = || {
        let (case, _) = Case::production().with_broad_role();
        sample::build(case.repository(), names[1]);
        case.list("CONTAINER_NAME", &names)
    };
    let keys = ["js/mojito.js", "js/other.js"];
    uses_the_first_connection_at_once(case, HTTP_1, Gateway::opens_one, &keys);
}

#[test]
fn a_run_that_is_refused_opens_connections_and_sends_nothing() {
    let refused = || {
        let case = Case::production().list("CONTAINER_NAME", &["large", "mojito"]);
        // To read it takes longer than to open a connection, if the gateway gets a processor meanwhile.
        let experiments = "Mojito.addTest({id:'a',name:'b'});".repeat(10_000);
        std::fs::write(case.dist("large.js"), experiments).unwrap();
        std::fs::write(case.dist("mojito.js"), "<html>").unwrap();
        let (aws, case) = Gateway::start(case, HTTP_1);
        let case = case.env("AWS_ENDPOINT_URL", &aws.endpoint);
        case.run().exits(2).contains("nothing was uploaded");
        let connections = aws.connections();
        assert!(
            connections.iter().all(|it| !it.is_used()),
            "{connections:?}"
        );
        connections.len()
    };
    assert!((0..TRIES).any(|_| refused() > 0));
}

/// An HTTP proxy that connects, and remembers to what.
fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requested = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&requested);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let lines = Arc::clone(&lines);
            std::thread::spawn(move || connect(client.unwrap(), &lines));
        }
    });
    (address, requested)
}

fn connect(mut client: TcpStream, lines: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut reader = BufReader::new(client.try_clone().unwrap());
    while !head.ends_with(b"\r\n\r\n") {
        reader.read_until(b'\n', &mut head).unwrap();
    }
    let line = String::from_utf8(head)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    let mut server = TcpStream::connect(line.split(' ').nth(1).unwrap()).unwrap();
    lines.lock().unwrap().push(line);
    client
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .unwrap();
    let mut to_server = server.try_clone().unwrap();
    std::thread::spawn(move || {
        let _ = copy(&mut reader, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let _ = copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}
