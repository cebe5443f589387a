//! TLS and proxies: what the machine and its owner say must be trusted and passed through.

use std::io::{copy, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::json;

use crate::harness::Case;

#[derive(Deserialize)]
struct Tls {
    endpoint: String,
    certificate: String,
}

/// A case whose AWS speaks TLS, with the certificate in a file of the repository.
fn with_tls() -> (Case, String) {
    let case = Case::production();
    let tls: Tls = case.ask("serve_tls", json!({}));
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
        .says("UnknownIssuer")
        .says("not replaced: mojito");
    assert!(case.requests().is_empty());
    let case = case.env("AWS_CA_BUNDLE", &bundle);
    case.run().exits(0);
    assert_eq!(case.keys(), ["js/mojito.js"]);
}

#[test]
fn requests_go_through_the_proxy_unless_it_is_told_otherwise() {
    let (case, bundle) = with_tls();
    let (proxy, asked) = proxy();
    let case = case
        .env("AWS_CA_BUNDLE", &bundle)
        .env("HTTPS_PROXY", &proxy);
    case.run().exits(0);
    let host = case.environment()["AWS_ENDPOINT_URL"].replace("https://", "");
    let through_proxy = asked.lock().unwrap().clone();
    assert!(!through_proxy.is_empty());
    assert!(
        through_proxy
            .iter()
            .all(|line| *line == format!("CONNECT {host} HTTP/1.1")),
        "{through_proxy:?}"
    );

    let case = case.env("NO_PROXY", "127.0.0.1");
    case.run().exits(0);
    assert_eq!(asked.lock().unwrap().len(), through_proxy.len());
}

/// An HTTP proxy that connects, and remembers to what.
fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&asked);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let lines = Arc::clone(&lines);
            std::thread::spawn(move || connect(client.unwrap(), &lines));
        }
    });
    (address, asked)
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
