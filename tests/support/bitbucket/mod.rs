//! The proxy that Bitbucket runs beside a pipeline's step, and its Code Insights behind it: reports and annotations of a
//! commit, without a token.
//!
//! It takes plain requests in the absolute form to `http://api.bitbucket.org` (support.atlassian.com/bitbucket-cloud/docs/
//! code-insights), adds the credentials itself, and passes nothing else on. `PUT` creates or replaces a report and leaves its
//! annotations, so that who wants to be rid of them deletes the report (reviewdog/reviewdog#1344). No document says
//! what deleting a report that is not there is answered with; here it is 404, the more awkward.

mod rules;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::{json, Value};

use super::proxy::{header, read_head, read_to};

/// The repository and the commit of `Case::in_bitbucket`; Bitbucket knows no other.
pub(crate) const REPOSITORY: &str = "acme/site";
pub(crate) const COMMIT: &str = "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c";

/// What is wrong with an answer. Nothing takes effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// It never comes.
    NoResponse,
    /// A byte now and then, without an end.
    ByteByByte,
    /// This status, with Bitbucket's error.
    Status(u16),
    /// 400, with a message that no line holds.
    Message,
    /// 200, and a page where JSON should be.
    Page,
    /// Not HTTP.
    Garbage,
    /// Half of it, and then the end.
    ClosedInTheMiddle,
    /// It does not end.
    Endless,
    /// Headers that do not end.
    EndlessHead,
    /// Somewhere else, which is here, so that whoever goes there is seen.
    Redirect(u16),
}

impl Fault {
    pub(crate) const ALL: [Self; 15] = [
        Self::NoResponse,
        Self::ByteByByte,
        Self::Status(400),
        Self::Status(401),
        Self::Status(403),
        Self::Status(404),
        Self::Status(407),
        Self::Status(500),
        Self::Message,
        Self::Page,
        Self::Garbage,
        Self::ClosedInTheMiddle,
        Self::Endless,
        Self::EndlessHead,
        Self::Redirect(307),
    ];
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// In the absolute form.
    pub(crate) target: String,
    pub(crate) head: String,
    pub(crate) body: String,
    /// `None` until it is answered, and where it never is.
    pub(crate) status: Option<u16>,
}

/// A report with its annotations, in the order in which they came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) id: String,
    pub(crate) content: Value,
    pub(crate) annotations: Vec<Value>,
}

/// Listens until the process ends.
#[derive(Clone)]
pub(crate) struct Bitbucket {
    /// `http://HOST:PORT`
    pub(crate) address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Received>,
    reports: Vec<Report>,
    faults: BTreeMap<&'static str, Fault>,
}

impl Bitbucket {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let of_connections = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&of_connections);
                // Whoever ends the connection early has its reason.
                thread::spawn(move || serve(stream?, &shared));
            }
        });
        Self { address, shared }
    }

    /// Every request gets this from now on.
    pub(crate) fn breaks(&self, fault: Fault) {
        for method in ["DELETE", "PUT", "POST"] {
            self.breaks_at(method, fault);
        }
    }

    /// Every request of this method gets this from now on. Only annotations are sent by `POST`.
    pub(crate) fn breaks_at(&self, method: &'static str, fault: Fault) {
        let mut state = self.shared.state.lock().unwrap();
        state.faults.insert(method, fault);
    }

    /// What somebody reported before.
    pub(crate) fn has(&self, id: &str, report: &Value, annotations: &Value) {
        let mut state = self.shared.state.lock().unwrap();
        let put = state.answer("PUT", id, false, report);
        let post = state.answer("POST", id, true, annotations);
        assert_eq!((put.0, post.0), (200, 200), "{} {}", put.1, post.1);
    }

    /// The reports of the commit, by id.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let mut reports = self.shared.state.lock().unwrap().reports.clone();
        reports.sort_by(|one, other| one.id.cmp(&other.id));
        reports
    }

    /// The only report of the commit.
    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        let reports = self.reports();
        let [report] = reports.as_slice() else {
            panic!("not one report: {reports:#?}\n{:#?}", self.requests());
        };
        report.clone()
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// Waits until as many requests have come.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        let state = self.shared.state.lock().unwrap();
        let too_few = |state: &mut State| state.requests.len() < count;
        drop(self.shared.changed.wait_while(state, too_few).unwrap());
    }

    /// Fails unless requests came and each was accepted. A report that was not there may have been deleted.
    #[track_caller]
    pub(crate) fn assert_accepted_all(&self) {
        let requests = self.requests();
        assert!(!requests.is_empty(), "nothing was reported");
        for request in &requests {
            let is_accepted = match request.method.as_str() {
                "DELETE" => matches!(request.status, Some(204 | 404)),
                _ => request.status == Some(200),
            };
            assert!(is_accepted, "{request:#?}");
        }
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut bytes = Vec::new();
        let Some(head_end) = read_head(&mut stream, &mut bytes)? else {
            return Ok(());
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        read_to(&mut stream, &mut bytes, head_end + length)?;
        let mut words = head.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let request = Received {
            method: word(),
            target: word(),
            body: String::from_utf8_lossy(&bytes[head_end..]).into_owned(),
            head,
            status: None,
        };
        let (number, fault) = {
            let mut state = shared.state.lock().unwrap();
            state.requests.push(request.clone());
            shared.changed.notify_all();
            let fault = state.faults.get(request.method.as_str()).copied();
            (state.requests.len() - 1, fault)
        };
        if let Some(fault) = fault {
            return fail(&mut stream, fault);
        }
        let (status, body) = {
            let mut state = shared.state.lock().unwrap();
            let answer = state.answer_to(&request);
            state.requests[number].status = Some(answer.0);
            answer
        };
        respond(&mut stream, status, "", &body)?;
    }
}

fn respond(stream: &mut TcpStream, status: u16, headers: &str, body: &Value) -> io::Result<()> {
    // A response with this status has no length.
    let content = if status == 204 {
        "\r\n".to_owned()
    } else {
        let body = body.to_string();
        let length = body.len();
        format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    stream.write_all(format!("HTTP/1.1 {status} Bitbucket\r\n{headers}{content}").as_bytes())
}

/// Answers with a fault, and ends the connection.
fn fail(stream: &mut TcpStream, fault: Fault) -> io::Result<()> {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    match fault {
        Fault::NoResponse => {
            // Until the client gives up.
            read_head(stream, &mut Vec::new())?;
        }
        Fault::ByteByByte => {
            stream.write_all(HEAD.as_bytes())?;
            loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(50));
            }
        }
        Fault::Status(status) => {
            respond(
                stream,
                status,
                "Connection: close\r\n",
                &rules::error("It was injected."),
            )?;
        }
        Fault::Message => {
            let message = "\u{1b}[31m\r\n✔ published to mars\u{202e}".repeat(10_000);
            let body = rules::bad_request(&message);
            respond(stream, 400, "Connection: close\r\n", &body)?;
        }
        Fault::Page => {
            let page = "<html>\u{1b}[31mIt works!\n✔ published to mars</html>";
            let length = page.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{page}")?;
        }
        Fault::Garbage => stream.write_all(&[0xff; 4096])?,
        Fault::ClosedInTheMiddle => write!(stream, "{HEAD}Content-Length: 100\r\n\r\n{{")?,
        Fault::Endless => {
            write!(stream, "{HEAD}Connection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 16 * 1024])?;
            }
        }
        Fault::EndlessHead => {
            stream.write_all(HEAD.as_bytes())?;
            loop {
                stream.write_all(b"X-Header: value\r\n")?;
            }
        }
        Fault::Redirect(status) => {
            let here = stream.local_addr()?;
            let headers = format!("Connection: close\r\nLocation: http://{here}/elsewhere\r\n");
            respond(stream, status, &headers, &json!({}))?;
        }
    }
    stream.shutdown(Shutdown::Both)
}

impl State {
    fn answer_to(&mut self, request: &Received) -> (u16, Value) {
        let Received { method, target, .. } = request;
        if let Err(problem) = check_of_proxy(request) {
            return (403, rules::error(&problem));
        }
        let is_json = header(&request.head, "content-type") == Some("application/json");
        if !request.body.is_empty() && !is_json {
            return (415, rules::error("the body is not application/json"));
        }
        let path = target.strip_prefix("http://api.bitbucket.org/2.0/repositories/");
        let parts = path.unwrap_or_default().split('/').map(|part| {
            let part = percent_decode_str(part).decode_utf8();
            part.map_or_else(|_| "\0".to_owned(), Cow::into_owned)
        });
        let parts: Vec<String> = parts.collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (workspace, slug, id, of_annotations) = match parts.as_slice() {
            [workspace, slug, "commit", COMMIT, "reports", id] => (workspace, slug, id, false),
            [workspace, slug, "commit", COMMIT, "reports", id, "annotations"] => {
                (workspace, slug, id, true)
            }
            _ => return (404, rules::error("Resource not found")),
        };
        if format!("{workspace}/{slug}") != REPOSITORY {
            let message = format!("Repository {workspace}/{slug} not found");
            return (404, rules::error(&message));
        }
        let Ok(body) = (match request.body.as_str() {
            "" => Ok(Value::Null),
            body => serde_json::from_str(body),
        }) else {
            return (400, rules::bad_request("the body is not JSON"));
        };
        self.answer(method, id, of_annotations, &body)
    }

    fn answer(
        &mut self,
        method: &str,
        id: &str,
        of_annotations: bool,
        body: &Value,
    ) -> (u16, Value) {
        if let Err(problem) = rules::check_id(id) {
            return (400, rules::bad_request(&problem));
        }
        let at = self.reports.iter().position(|report| report.id == id);
        let not_found = || (404, rules::error("Report not found"));
        match (method, of_annotations) {
            ("PUT", false) => {
                if let Err(problem) = rules::check_report(body) {
                    return (400, rules::bad_request(&problem));
                }
                match at {
                    // What annotated the previous one stays.
                    Some(at) => self.reports[at].content = body.clone(),
                    None => self.reports.push(Report {
                        id: id.to_owned(),
                        content: body.clone(),
                        annotations: Vec::new(),
                    }),
                }
                (200, body.clone())
            }
            ("DELETE", false) => match at {
                Some(at) => {
                    self.reports.remove(at);
                    (204, Value::Null)
                }
                None => not_found(),
            },
            ("POST", true) => {
                let ids = match rules::check_annotations(body) {
                    Ok(ids) => ids,
                    Err(answer) => return (400, answer),
                };
                let Some(at) = at else {
                    return not_found();
                };
                let stored = &mut self.reports[at].annotations;
                stored.retain(|it| !ids.iter().any(|id| it["external_id"] == id.as_str()));
                if stored.len() + ids.len() > rules::MAX_ANNOTATIONS {
                    return (400, rules::bad_request("more than 1000 annotations"));
                }
                stored.extend(body.as_array().unwrap().iter().cloned());
                (200, body.clone())
            }
            _ => (405, rules::error("Method not allowed")),
        }
    }
}

/// What the proxy passes on: a plain request to Bitbucket's API that brings no credentials of its own.
fn check_of_proxy(request: &Received) -> Result<(), String> {
    let Received {
        method,
        target,
        head,
        ..
    } = request;
    if method == "CONNECT" {
        return Err("CONNECT is not supported".to_owned());
    }
    if !target.starts_with("http://api.bitbucket.org/") {
        return Err(format!("{target} is not passed on"));
    }
    if header(head, "host") != Some("api.bitbucket.org") {
        return Err("the host is not that of the address".to_owned());
    }
    for line in head.lines().skip(1) {
        let name = line
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let is_credential = matches!(
            name.as_str(),
            "authorization" | "proxy-authorization" | "cookie"
        ) || name.starts_with("x-amz-")
            || name.starts_with("amz-");
        if is_credential {
            return Err(format!("credentials in {name}"));
        }
    }
    Ok(())
}
