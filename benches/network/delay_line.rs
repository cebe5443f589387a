//! Simulates a distant AWS: delays every byte by half a round trip in each direction, and terminates TLS.
//!
//! Opening a connection takes a round trip, like the TCP handshake. TLS is terminated behind the delay, so its handshake
//! takes round trips too.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ProtocolVersion;
use tokio::io::{duplex, split, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, Instant};
use tokio_rustls::TlsAcceptor;

use crate::tls_server::forward;

/// The most bytes in flight on a connection.
const WINDOW: usize = 1 << 20;

/// The traffic of a line.
pub(crate) struct Traffic {
    pub(crate) connections: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Whether every connection spoke TLS 1.3.
    pub(crate) only_tls_13: AtomicBool,
    /// When the first request arrived at AWS, and the last response at the program.
    pub(crate) busy: Mutex<Option<(Instant, Instant)>>,
}

/// The local AWS servers, which take requests in turn.
pub(crate) struct Upstreams {
    addresses: Vec<SocketAddr>,
    taken: AtomicUsize,
}

impl Upstreams {
    pub(crate) fn new(endpoints: &[&str]) -> Self {
        let address = |endpoint: &&str| endpoint.trim_start_matches("http://").parse();
        let addresses: Result<_, _> = endpoints.iter().map(address).collect();
        Self {
            addresses: addresses.expect("a local AWS has an address"),
            taken: AtomicUsize::default(),
        }
    }

    fn next(&self) -> SocketAddr {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        self.addresses[number % self.addresses.len()]
    }
}

/// A line that accepts connections until its runtime ends.
pub(crate) struct DelayLine {
    pub(crate) address: SocketAddr,
    pub(crate) traffic: Arc<Traffic>,
}

impl DelayLine {
    pub(crate) async fn start(
        upstreams: &Arc<Upstreams>,
        acceptor: TlsAcceptor,
        round_trip: Duration,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
        let traffic = Arc::new(Traffic {
            connections: AtomicU64::default(),
            bytes: AtomicU64::default(),
            only_tls_13: AtomicBool::new(true),
            busy: Mutex::default(),
        });
        let line_traffic = Arc::clone(&traffic);
        let upstreams = Arc::clone(upstreams);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, traffic) = (acceptor.clone(), Arc::clone(&line_traffic));
                let upstreams = Arc::clone(&upstreams);
                tokio::spawn(serve(client, upstreams, acceptor, round_trip, traffic));
            }
        });
        Self { address, traffic }
    }
}

/// Serves a connection. Ends early if the client disconnects.
async fn serve(
    client: TcpStream,
    upstreams: Arc<Upstreams>,
    acceptor: TlsAcceptor,
    round_trip: Duration,
    traffic: Arc<Traffic>,
) -> Option<()> {
    traffic.connections.fetch_add(1, Ordering::Relaxed);
    client.set_nodelay(true).ok()?;
    let opened = Instant::now() + round_trip;
    let (near, far) = duplex(WINDOW);
    let (from_client, to_client) = client.into_split();
    let (from_aws, to_aws) = split(near);
    let (there, back) = (Arc::clone(&traffic), Arc::clone(&traffic));
    tokio::spawn(pump(
        from_client,
        to_aws,
        opened,
        round_trip / 2,
        move |bytes| {
            there.bytes.fetch_add(bytes, Ordering::Relaxed);
        },
    ));
    tokio::spawn(pump(
        from_aws,
        to_client,
        opened,
        round_trip / 2,
        move |bytes| {
            back.bytes.fetch_add(bytes, Ordering::Relaxed);
        },
    ));
    let tls = acceptor.accept(far).await.ok()?;
    if tls.get_ref().1.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        traffic.only_tls_13.store(false, Ordering::Relaxed);
    }
    let service = service_fn(move |request| {
        let (traffic, upstream) = (Arc::clone(&traffic), upstreams.next());
        async move {
            let sent = Instant::now();
            let answer = forward(request, upstream).await;
            let mut busy = traffic.busy.lock().expect("nothing panics with it");
            let first = busy.map_or(sent, |(first, _)| first);
            *busy = Some((first, Instant::now() + round_trip / 2));
            answer
        }
    });
    let connection =
        server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service);
    connection.await.ok()
}

/// Forwards bytes after `delay`, which starts when the connection has opened at the earliest.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    opened: Instant,
    delay: Duration,
    arrived: impl Fn(u64) + Send + 'static,
) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, bytes)) = receiver.recv().await {
            if !delay.is_zero() {
                sleep_until(due).await;
            }
            if to.write_all(&bytes).await.is_err() {
                break;
            }
            arrived(bytes.len() as u64);
        }
        let _ = to.shutdown().await;
    });
    let mut part = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut part).await {
        let due = Instant::now().max(opened) + delay;
        if sender.send((due, part[..length].to_vec())).is_err() {
            break;
        }
    }
}
