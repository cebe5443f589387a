//! A gateway before the local AWS that speaks HTTP/1.1 or HTTP/2 over TLS, as AWS, S3-compatible services and companies'
//! proxies do. It remembers how long each connection was open before something was asked over it.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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
use super::tls_server::{acceptor, ask, Certificate};

pub(crate) const HTTP_1: &[u8] = b"http/1.1";
pub(crate) const HTTP_2: &[u8] = b"h2";

/// Listens until the process ends.
pub(crate) struct Gateway {
    pub(crate) endpoint: String,
    connections: Connections,
    opens_one: Arc<AtomicBool>,
}

/// By connection, how long nothing was asked over it. `None` where nothing ever was.
type Connections = Arc<Mutex<Vec<Option<Duration>>>>;

impl Gateway {
    /// A gateway to the case's AWS that speaks one protocol, and the case that trusts it.
    pub(crate) fn start(case: Case, protocol: &'static [u8]) -> (Self, Case) {
        let made: Certificate = case.ask("make_certificate", json!({}));
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

    /// By connection, how long nothing was asked over it.
    pub(crate) fn idle(&self) -> Vec<Option<Duration>> {
        self.connections.lock().unwrap().clone()
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
    let opened = Instant::now();
    let number = {
        let mut connections = connections.lock().unwrap();
        connections.push(None);
        connections.len() - 1
    };
    let is_http_2 = tls.get_ref().1.alpn_protocol() == Some(HTTP_2);
    let service = service_fn(move |request| {
        connections.lock().unwrap()[number].get_or_insert_with(|| opened.elapsed());
        ask(request, upstream)
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
