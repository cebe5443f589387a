//! A gateway before the local AWS that speaks HTTP/1.1 or HTTP/2 over TLS, as AWS, S3-compatible services and companies'
//! proxies do. It remembers when each connection was opened and how many requests came over it.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio_rustls::TlsAcceptor;

use super::harness::Case;
use super::tls_server::{acceptor, forward, Certificate};

pub(crate) const HTTP_1: &[u8] = b"http/1.1";
pub(crate) const HTTP_2: &[u8] = b"h2";

/// Listens until the process ends.
pub(crate) struct Gateway {
    pub(crate) endpoint: String,
    connections: Connections,
    opens_one: Arc<AtomicBool>,
}

/// What came over the connections, in the order in which they were opened.
type Connections = Arc<(Mutex<Vec<Connection>>, Condvar)>;

#[derive(Clone, Debug)]
pub(crate) struct Connection {
    opened: Instant,
    /// When the first request came.
    first_request: Option<Instant>,
}

impl Connection {
    pub(crate) fn is_used(&self) -> bool {
        self.first_request.is_some()
    }

    /// How long it was open before the first request came.
    pub(crate) fn idle(&self) -> Option<Duration> {
        Some(self.first_request? - self.opened)
    }
}

impl Gateway {
    /// A gateway to the case's AWS that speaks one protocol, and the case that trusts it.
    pub(crate) fn start(case: Case, protocol: &'static [u8]) -> (Self, Case) {
        let made: Certificate = case.call("make_certificate", json!({}));
        let case = case.trusting(&made.certificate);
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap());
        let upstream = case.world.endpoint.replace("http://", "").parse().unwrap();
        let acceptor = acceptor(&made, &[protocol]);
        let connections = Connections::default();
        let opens_one = Arc::<AtomicBool>::default();
        let (of_thread, only_one) = (Arc::clone(&connections), Arc::clone(&opens_one));
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let mut unanswered = Vec::new();
                let mut is_first = true;
                while let Ok((client, _)) = listener.accept().await {
                    if !std::mem::replace(&mut is_first, false) && only_one.load(Ordering::Relaxed)
                    {
                        unanswered.push(client);
                        continue;
                    }
                    let connections = Arc::clone(&of_thread);
                    tokio::spawn(serve(client, acceptor.clone(), upstream, connections));
                }
            });
        });
        let gateway = Self {
            endpoint,
            connections,
            opens_one,
        };
        (gateway, case)
    }

    /// After the first connection, nobody answers any more.
    pub(crate) fn opens_one(&self) {
        self.opens_one.store(true, Ordering::Relaxed);
    }

    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.connections.0.lock().unwrap().clone()
    }

    /// Waits until as many connections were opened.
    pub(crate) fn wait_for_connections(&self, count: usize) {
        let (connections, changed) = &*self.connections;
        let too_few = |connections: &mut Vec<Connection>| connections.len() < count;
        let connections = connections.lock().unwrap();
        drop(changed.wait_while(connections, too_few).unwrap());
    }
}

/// Whoever ends the connection early has its reason.
async fn serve(
    client: TcpStream,
    acceptor: TlsAcceptor,
    upstream: SocketAddr,
    connections: Connections,
) -> Option<()> {
    let tls = acceptor.accept(client).await.ok()?;
    let number = {
        let (connections, changed) = &*connections;
        let mut connections = connections.lock().unwrap();
        connections.push(Connection {
            opened: Instant::now(),
            first_request: None,
        });
        changed.notify_all();
        connections.len() - 1
    };
    let is_http_2 = tls.get_ref().1.alpn_protocol() == Some(HTTP_2);
    let service = service_fn(move |request| {
        let first_request = &mut connections.0.lock().unwrap()[number].first_request;
        first_request.get_or_insert_with(Instant::now);
        forward(request, upstream)
    });
    let io = TokioIo::new(tls);
    if is_http_2 {
        let builder = http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(io, service).await.ok()
    } else {
        http1::Builder::new()
            .serve_connection(io, service)
            .await
            .ok()
    }
}
