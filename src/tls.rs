//! The HTTPS client and the certificates that it trusts.
//!
//! The image holds nothing but the binary, so Mozilla's root certificates are embedded; the system's are added where
//! there are any, and those of `AWS_CA_BUNDLE`, which is how a company's inspecting proxy is made known to AWS's tools.
//!
//! All of AWS's clients share one pool of connections, so that one may be opened before it is needed (`warm`).

use std::fs;
use std::path::Path;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::pool::{Client, ConnectionPool};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::CertificateDer;
use rustls::RootCertStore;

use crate::byte_size::ByteSize;
use crate::file;
use crate::limit::limited;
use crate::printable::printable;
use crate::warm::Openings;

/// Far beyond the 250 kB of all the certificates that a system trusts.
const LARGEST_BUNDLE: ByteSize = ByteSize(10_000_000);

/// Reads a bundle of PEM certificates and keeps those that can be trusted. On failure, a phrase about the variable.
///
/// It is checked here because the HTTP client panics on a certificate that it cannot read.
pub(crate) fn read_ca_bundle(path: &str) -> Result<Vec<u8>, String> {
    let pem = file::read(Path::new(path), LARGEST_BUNDLE)
        .map_err(|unread| format!("is `{}`, which {unread}", printable(path)))?;
    let mut bundle = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem).flatten() {
        if RootCertStore::empty().add(certificate.clone()).is_ok() {
            push_pem(&mut bundle, &certificate);
        }
    }
    if bundle.is_empty() {
        Err(format!(
            "is `{}`, which holds no certificate in PEM form",
            printable(path)
        ))
    } else {
        Ok(bundle)
    }
}

/// What opens connections: through the proxy that the environment names, with the roots described above.
pub(crate) struct Https {
    context: TlsContext,
    pool: Client,
    pub(crate) openings: Openings,
}

impl Https {
    pub(crate) fn new(ca_bundle: Option<&[u8]>) -> Self {
        let mut pem = ca_bundle.map(<[u8]>::to_vec).unwrap_or_default();
        for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            push_pem(&mut pem, root);
        }
        let trust_store = TrustStore::empty()
            .with_native_roots(system_has_roots())
            .with_pem_certificate(pem);
        let context = TlsContext::builder()
            .with_trust_store(trust_store)
            .build()
            .expect("a trust store alone is always a TLS context");
        let openings = Openings::default();
        let pool = ConnectionPool::builder()
            .event_listener(openings.clone())
            .proxy_config(ProxyConfig::from_env())
            .sleep_impl(TokioSleep::new())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone())
            .build_https()
            .expect("a pool without limits is always sound");
        let pool = Client::new(&pool).expect("a pool without partitions has the anonymous one");
        Self {
            context,
            pool,
            openings,
        }
    }

    /// A connector for requests that are not AWS's.
    pub(crate) fn connector(&self) -> Connector {
        Connector::builder()
            .proxy_config(ProxyConfig::from_env())
            .sleep_impl(TokioSleep::new())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(self.context.clone())
            .build()
    }

    /// The client of AWS's SDK.
    pub(crate) fn client(&self) -> SharedHttpClient {
        limited(SharedHttpClient::new(self.pool.clone()))
    }
}

/// Without a system's certificates the HTTP client would warn, and panic where debug assertions are on.
fn system_has_roots() -> bool {
    ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
        || [
            "/etc/ssl/certs",
            "/etc/pki/tls/certs",
            "/System/Library/Keychains",
        ]
        .iter()
        .any(|directory| fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()))
}

fn push_pem(pem: &mut Vec<u8>, certificate: &CertificateDer<'_>) {
    pem.extend_from_slice(b"-----BEGIN CERTIFICATE-----\n");
    pem.extend_from_slice(STANDARD.encode(certificate).as_bytes());
    pem.extend_from_slice(b"\n-----END CERTIFICATE-----\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_a_certificate_is_refused() {
        let no_certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(read_ca_bundle(no_certificate)
            .unwrap_err()
            .contains("holds no certificate"));
        assert!(read_ca_bundle("/no/such/file")
            .unwrap_err()
            .contains("cannot be read"));
    }

    #[test]
    fn the_embedded_roots_are_all_usable() {
        let mut pem = Vec::new();
        for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            push_pem(&mut pem, root);
        }
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            store.add(certificate.unwrap()).unwrap();
        }
        assert_eq!(store.len(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(store.len() > 100);
    }
}
