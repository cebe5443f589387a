//! A proxy that stands between the real binary and the local AWS, and breaks the requests that a test chooses.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The request is passed on, and so is its response.
    Nothing,
    /// The connection is reset when the head has come, and nothing is passed on.
    ResetInRequest,
    /// The request is passed on and takes effect; its response never leaves.
    ResetBeforeResponse,
    /// The same, but the connection ends in order.
    ClosedBeforeResponse,
    /// Half of the response leaves, then the connection is reset.
    ResetInResponse,
    /// Nothing is passed on, and nothing comes back.
    NoResponse,
    /// Half of the response leaves, and then nothing.
    StalledResponse,
    /// The request is passed on and takes effect; a gateway responds instead, with this status.
    Gateway(u16),
    /// The response comes late.
    SlowResponse,
    /// Nothing is passed on; this status and code come back.
    Status(u16, &'static str),
    /// The request takes effect; half of the document in the response is missing, and its length is right.
    CutDocument,
    /// The request takes effect; the response is no document.
    MalformedDocument,
    /// The request takes effect; the response is shorter than it says.
    TooLongLength,
    /// Nothing is passed on; what comes back looks like a success.
    Forged(Forged),
}

/// A success that is not AWS's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Forged {
    /// 200 with a page.
    Page,
    /// This status with nothing.
    Status(u16),
    /// AWS's own status with nothing else: no checksum, no `ETag`, no document.
    Bare,
    /// 200 with an error document.
    ErrorDocument,
    /// What AWS answers to another request: another checksum, or another invalidation.
    OfAnotherRequest,
}

impl Forged {
    fn response(self, head: &str) -> String {
        let is_invalidation = head.starts_with("POST /2020-05-31/");
        let (status, headers, body) = match self {
            Self::Page => (200, "Content-Type: text/html\r\n", "<html>It works!</html>".to_owned()),
            Self::Status(status) => (status, "", String::new()),
            Self::Bare if is_invalidation => (201, "", String::new()),
            Self::Bare => (200, "", String::new()),
            Self::ErrorDocument => (
                200,
                "Content-Type: application/xml\r\n",
                error_document(head, "InternalError"),
            ),
            Self::OfAnotherRequest if is_invalidation => (
                201,
                "Location: https://cloudfront.amazonaws.com/2020-05-31/distribution/EOTHER/invalidation/IOTHER\r\n",
                "<Invalidation><Id>IOTHER</Id><Status>InProgress</Status><CreateTime>2026-11-24T05:00:00Z</CreateTime>\
                 <InvalidationBatch><Paths><Quantity>1</Quantity><Items><Path>/*</Path></Items></Paths>\
                 <CallerReference>other</CallerReference></InvalidationBatch></Invalidation>"
                    .to_owned(),
            ),
            Self::OfAnotherRequest => (
                200,
                "ETag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\n\
                 x-amz-checksum-sha256: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\r\n",
                String::new(),
            ),
        };
        // A response with this status has no length.
        let length = match status {
            204 => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        format!("HTTP/1.1 {status} Forged\r\n{headers}{length}\r\n{body}")
    }
}

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) method: &'static str,
    /// Its path holds this, or is `/`; after a `?`, its query holds it.
    pub(crate) path: &'static str,
}

struct Rule {
    target: Target,
    fault: Fault,
    times: usize,
}

/// Listens until the process ends.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    rules: Arc<Mutex<Vec<Rule>>>,
}

impl Proxy {
    /// `upstream` is an endpoint, `http://HOST:PORT`.
    pub(crate) fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let rules: Arc<Mutex<Vec<Rule>>> = Arc::default();
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let of_connections = Arc::clone(&rules);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (upstream, rules) = (upstream.clone(), Arc::clone(&of_connections));
                thread::spawn(move || {
                    // Whoever ends the connection early has its reason.
                    let _ = serve(stream, &upstream, &rules);
                });
            }
        });
        Self { endpoint, rules }
    }

    pub(crate) fn breaks(&self, target: Target, fault: Fault, times: usize) {
        self.rules.lock().unwrap().push(Rule {
            target,
            fault,
            times,
        });
    }

    pub(crate) fn heals(&self) {
        self.rules.lock().unwrap().clear();
    }
}

fn serve(mut stream: TcpStream, upstream: &str, rules: &Mutex<Vec<Rule>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut request = Vec::new();
        let Some(head_end) = read_head(&mut stream, &mut request)? else {
            return Ok(());
        };
        let head = String::from_utf8_lossy(&request[..head_end]).into_owned();
        let fault = fault_for(&head, rules);
        if fault == Some(Fault::ResetInRequest) {
            return reset(&stream);
        }
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        read_to(&mut stream, &mut request, head_end + length)?;
        match fault {
            Some(Fault::NoResponse) => {
                // Until the client gives up.
                let _ = stream.read(&mut [0]);
                return Ok(());
            }
            Some(Fault::Forged(forged)) => {
                stream.write_all(forged.response(&head).as_bytes())?;
                continue;
            }
            Some(Fault::Status(status, code)) => {
                let body = if head.starts_with("HEAD ") {
                    String::new()
                } else {
                    error_document(&head, code)
                };
                write!(
                    stream,
                    "HTTP/1.1 {status} Fault\r\nContent-Type: application/xml\r\nx-amz-request-id: INJECTED\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )?;
                continue;
            }
            _ => {}
        }
        let answer = forward(upstream, &head, &request[head_end..])?;
        match fault {
            Some(Fault::ResetBeforeResponse) => return reset(&stream),
            Some(Fault::Gateway(status)) => {
                write!(
                    stream,
                    "HTTP/1.1 {status} Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
                )?;
                continue;
            }
            Some(Fault::ClosedBeforeResponse) => return stream.shutdown(Shutdown::Both),
            Some(Fault::SlowResponse) => thread::sleep(Duration::from_secs(3)),
            _ => {}
        }
        let Response { head, mut body } = answer;
        let mut announced = body.len();
        match fault {
            Some(Fault::CutDocument) => {
                body.truncate(body.len() / 2);
                announced = body.len();
            }
            Some(Fault::MalformedDocument) => {
                body = b"<html><body>It works!".to_vec();
                announced = body.len();
            }
            Some(Fault::TooLongLength) => announced += 100,
            _ => {}
        }
        let mut bytes = format!("{head}Content-Length: {announced}\r\n\r\n").into_bytes();
        let head_length = bytes.len();
        bytes.extend(body);
        if matches!(fault, Some(Fault::ResetInResponse | Fault::StalledResponse)) {
            // Within the document, or within the head where there is none.
            let end = if bytes.len() > head_length {
                usize::midpoint(head_length, bytes.len())
            } else {
                head_length / 2
            };
            stream.write_all(&bytes[..end])?;
            if fault == Some(Fault::StalledResponse) {
                // Until the client gives up.
                let _ = stream.read(&mut [0]);
                return Ok(());
            }
            // The bytes are on their way before the reset overtakes them.
            thread::sleep(Duration::from_millis(50));
            return reset(&stream);
        }
        stream.write_all(&bytes)?;
        if fault == Some(Fault::TooLongLength) {
            return stream.shutdown(Shutdown::Both);
        }
    }
}

fn fault_for(head: &str, rules: &Mutex<Vec<Rule>>) -> Option<Fault> {
    let mut words = head.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut rules = rules.lock().unwrap();
    let matches = |rule: &&mut Rule| {
        let Target {
            method: of_rule,
            path: part,
        } = rule.target;
        let is_its_path = if let Some(part) = part.strip_prefix('?') {
            query.contains(part)
        } else if part == "/" {
            path == part
        } else {
            path.contains(part)
        };
        rule.times > 0 && method == of_rule && is_its_path
    };
    let rule = rules.iter_mut().find(matches)?;
    rule.times -= 1;
    Some(rule.fault)
}

/// AWS's errors, as S3 and as the other services write them.
fn error_document(head: &str, code: &str) -> String {
    let error = format!("<Code>{code}</Code><Message>It was injected.</Message>");
    if head.contains("/2020-05-31/") || head.starts_with("POST / ") {
        format!("<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>INJECTED</RequestId></ErrorResponse>")
    } else {
        format!("<?xml version=\"1.0\"?><Error>{error}<RequestId>INJECTED</RequestId></Error>")
    }
}

struct Response {
    /// Without the headers about the connection and the length.
    head: String,
    body: Vec<u8>,
}

fn forward(upstream: &str, head: &str, body: &[u8]) -> io::Result<Response> {
    let mut stream = TcpStream::connect(upstream)?;
    stream.write_all(head.trim_end().as_bytes())?;
    stream.write_all(b"\r\nConnection: close\r\n\r\n")?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = head_end(&bytes).ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let lines = head.split_inclusive("\r\n").filter(|line| {
        let line = line.to_ascii_lowercase();
        line != "\r\n" && !line.starts_with("connection:") && !line.starts_with("content-length:")
    });
    Ok(Response {
        head: lines.collect(),
        body: bytes[end..].to_vec(),
    })
}

/// Reads until the end of a head, and says where that is. `None` if the client is done.
pub(super) fn read_head(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<usize>> {
    loop {
        if let Some(end) = head_end(bytes) {
            return Ok(Some(end));
        }
        let mut part = [0; 16 * 1024];
        match stream.read(&mut part)? {
            0 => return Ok(None),
            length => bytes.extend_from_slice(&part[..length]),
        }
    }
}

pub(super) fn read_to(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    length: usize,
) -> io::Result<()> {
    let have = bytes.len();
    if have < length {
        bytes.resize(length, 0);
        stream.read_exact(&mut bytes[have..])?;
    }
    Ok(())
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(at + 4)
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Ends a connection with a reset instead of in order.
fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}
