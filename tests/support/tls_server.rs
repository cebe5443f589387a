//! What stands before the local AWS and ends TLS, in tests and benchmarks. It keeps connections open as AWS does and moto does not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, EXPECT, HOST};
use hyper::{client, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::ServerConfig;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// What proves to the program that it talks to AWS, in PEM form.
#[derive(Deserialize)]
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    key: String,
}

/// Takes connections with TLS, and says which of these protocols it speaks.
pub(crate) fn acceptor(made: &Certificate, protocols: &[&[u8]]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(made.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows them")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.expect("it was just made")],
            key.expect("it was just made"),
        );
    let mut config = config.expect("they belong together");
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Passes a request on to the local AWS.
pub(crate) async fn forward(
    mut request: Request<Incoming>,
    upstream: SocketAddr,
) -> io::Result<Response<Incoming>> {
    // The server has said it already.
    request.headers_mut().remove(EXPECT);
    // HTTP/2 has the host in the address, which is signed in either place.
    if let Some(host) = request.uri().authority().cloned() {
        let host = host.as_str().parse().map_err(io::Error::other)?;
        request.headers_mut().insert(HOST, host);
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    }
    *request.version_mut() = hyper::Version::HTTP_11;
    let aws = TcpStream::connect(upstream).await?;
    aws.set_nodelay(true)?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(aws))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    let mut response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    response.headers_mut().remove(CONNECTION);
    Ok(response)
}
