//! Answers without end, from whatever answers in the place of AWS or of the CDN: no more of them is read than can matter.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::support::harness::Case;
use crate::support::measured::Measured;

/// What a run takes that publishes a container, in a debug build, and as much again.
const MEMORY: u64 = 70_000_000;
/// In a debug build; a run that publishes takes a tenth of a second.
const PROCESSOR_TIME: Duration = Duration::from_secs(5);

/// Answers of this server never end.
struct Endless {
    address: String,
    /// Bytes that were sent, whether or not they were read.
    sent: Arc<AtomicU64>,
}

/// How the requests of a method are answered.
#[derive(Clone, Copy)]
struct Answer {
    method: &'static str,
    /// Status line and headers.
    head: &'static str,
    /// What is repeated for ever after it. Empty: the answer ends with its head.
    part: &'static str,
}

const NOT_FOUND: Answer = Answer {
    method: "",
    head: "404 Not Found",
    part: "",
};

impl Endless {
    fn start(answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let sent: Arc<AtomicU64> = Arc::default();
        let of_connections = Arc::clone(&sent);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sent = Arc::clone(&of_connections);
                thread::spawn(move || {
                    // It ends when the client has had enough.
                    let _ = serve(stream, answers, &sent);
                });
            }
        });
        Self { address, sent }
    }
}

fn serve(mut stream: TcpStream, answers: &[Answer], sent: &AtomicU64) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    let head = String::from_utf8_lossy(&request);
    let request = head.to_ascii_lowercase();
    // S3 returns the checksum of what it has stored.
    let is_checksum = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("x-amz-checksum-sha256: ")
    };
    let checksum = head.lines().find(is_checksum);
    let checksum = checksum.map_or_else(String::new, |line| format!("{line}\r\n"));
    let length = request.lines().find_map(|line| {
        let length = line.strip_prefix("content-length: ")?;
        length.parse::<u64>().ok()
    });
    io::copy(
        &mut (&stream).take(length.unwrap_or_default()),
        &mut io::sink(),
    )?;
    let of_method = |answer: &&Answer| request.starts_with(&answer.method.to_ascii_lowercase());
    let Answer { head, part, .. } = answers.iter().find(of_method).unwrap_or(&NOT_FOUND);
    let line = if head.contains("\r\n") { "" } else { "\r\n" };
    if part.is_empty() {
        return write!(
            stream,
            "HTTP/1.1 {head}{line}{checksum}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let is_body = part.contains('<') || part.contains(';');
    let many = part.repeat(64 * 1024 / part.len());
    if !is_body {
        // Headers without end.
        write!(stream, "HTTP/1.1 {head}\r\n")?;
        loop {
            stream.write_all(many.as_bytes())?;
            sent.fetch_add(many.len() as u64, Ordering::Relaxed);
        }
    }
    write!(
        stream,
        "HTTP/1.1 {head}{line}Transfer-Encoding: chunked\r\n\r\n"
    )?;
    loop {
        write!(stream, "{:x}\r\n{many}\r\n", many.len())?;
        sent.fetch_add(many.len() as u64, Ordering::Relaxed);
    }
}

/// A container of production whose S3 answers so.
fn with_s3(answers: &'static [Answer]) -> (Case, Endless) {
    let server = Endless::start(answers);
    let case = Case::production().env("AWS_ENDPOINT_URL_S3", &server.address);
    (case, server)
}

#[test]
fn an_error_without_end_is_not_from_aws() {
    let (case, server) = with_s3(&[Answer {
        method: "PUT",
        head: "403 Forbidden",
        part: "<Error><Code>AccessDenied</Code>",
    }]);
    Measured::run(&case)
        .within(MEMORY, PROCESSOR_TIME)
        .exits(3)
        .contains("s3:PutObject on s3://")
        .contains("the response is larger than 1,000,000 bytes")
        .contains("what to do: check `HTTPS_PROXY`")
        .contains("not known whether mojito was replaced");
    // Five attempts, and what is on its way when the connection ends.
    assert!(server.sent.load(Ordering::Relaxed) < 100_000_000);
    assert_eq!(case.invalidations().len(), 1);
}

#[test]
fn a_success_without_end_leaves_in_doubt_whether_the_container_was_replaced() {
    let (case, _server) = with_s3(&[Answer {
        method: "PUT",
        head: "200 OK",
        part: "a;",
    }]);
    Measured::run(&case)
        .within(MEMORY, PROCESSOR_TIME)
        .exits(3)
        .contains("the response is larger than ")
        .contains("not known whether mojito was replaced");
}

#[test]
fn headers_without_end_are_no_response() {
    let (case, _server) = with_s3(&[Answer {
        method: "PUT",
        head: "200 OK",
        part: "X: 1\r\n",
    }]);
    Measured::run(&case)
        .within(MEMORY, PROCESSOR_TIME)
        .exits(3)
        .contains("not known whether mojito was replaced");
}

#[test]
fn a_current_container_without_end_is_not_compared() {
    let (case, server) = with_s3(&[
        Answer {
            method: "PUT",
            head: "200 OK",
            part: "",
        },
        Answer {
            method: "GET",
            head: "200 OK",
            part: "a;",
        },
    ]);
    Measured::run(&case)
        .within(MEMORY, PROCESSOR_TIME)
        .exits(0)
        .contains("S3: the response is larger than 1,000,000 bytes")
        .contains("uploaded s3://");
    assert!(server.sent.load(Ordering::Relaxed) < 20_000_000);
}

#[test]
fn a_page_without_end_at_the_public_url_is_not_compared() {
    const PLAIN: &[Answer] = &[Answer {
        method: "GET",
        head: "200 OK",
        part: "a;",
    }];
    const COMPRESSED: &[Answer] = &[Answer {
        method: "GET",
        head: "200 OK\r\nContent-Encoding: gzip\r\n",
        part: "\u{1f};",
    }];
    for answers in [PLAIN, COMPRESSED] {
        let server = Endless::start(answers);
        let case = Case::production()
            .env("PUBLIC_URL", &server.address)
            .env("DRY_RUN", "true");
        Measured::run(&case)
            .within(MEMORY, PROCESSOR_TIME)
            .exits(0)
            .contains("`PUBLIC_URL`: the response is larger than 1,000,000 bytes")
            .contains("nothing was written");
        assert!(server.sent.load(Ordering::Relaxed) < 20_000_000);
    }
}

#[test]
fn an_invalidation_without_end_may_have_been_made() {
    let server = Endless::start(&[Answer {
        method: "POST",
        head: "201 Created",
        part: "<Invalidation>",
    }]);
    let case = Case::production().env("AWS_ENDPOINT_URL_CLOUDFRONT", &server.address);
    Measured::run(&case)
        .within(MEMORY, PROCESSOR_TIME)
        .exits(4)
        .contains("cloudfront:CreateInvalidation on ")
        .contains("the response is larger than ");
    assert_eq!(case.keys(), ["js/mojito.js"]);
}
