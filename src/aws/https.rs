//! The HTTPS client and the certificates that it trusts.
//!
//! The image contains only the binary, so Mozilla's root certificates are embedded. System certificates are added if there
//! are any. `AWS_CA_BUNDLE`, which companies with a TLS-inspecting proxy set, replaces both for AWS, as in AWS's own tools,
//! and is added to both for everything else.
//!
//! All AWS clients share one connection pool, so that `preconnect` can open connections before they are needed.

use std::fs;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::pool::{Client, ConnectionPool};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};

use super::debug_log::{logged, logged_connector};
use super::preconnect::ConnectionCounter;
use super::response_limit::limited;
use crate::settings::ca_bundle::push_pem;

/// Enough bytes for the embedded roots in PEM form, so that the string is not reallocated while it is built.
const ROOTS_PEM_CAPACITY: usize = 300_000;

/// Opens connections, through the proxy from the environment if there is one, with the roots described above.
pub(crate) struct Https {
    ca_bundle: Option<String>,
    pool: Client,
    pub(crate) connections: ConnectionCounter,
}

impl Https {
    /// `ca_bundle` is in PEM form.
    pub(crate) fn new(ca_bundle: Option<&str>) -> Self {
        let only = |bundle| TrustStore::empty().with_pem_certificate(bundle);
        let trusted = ca_bundle.map_or_else(roots, only);
        let connections = ConnectionCounter::default();
        let pool = ConnectionPool::builder()
            .event_listener(connections.clone())
            .proxy_config(ProxyConfig::from_env())
            .sleep_impl(TokioSleep::new())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context(trusted))
            .build_https()
            .expect("a pool without limits is always valid");
        let pool = Client::new(&pool).expect("a pool without partitions has an anonymous one");
        Self {
            ca_bundle: ca_bundle.map(str::to_owned),
            pool,
            connections,
        }
    }

    /// A connector for requests to hosts other than AWS.
    pub(crate) fn connector(&self) -> SharedHttpConnector {
        let trusted = self.ca_bundle.iter().fold(roots(), |roots, bundle| {
            roots.with_pem_certificate(bundle.as_str())
        });
        let connector = Connector::builder()
            .proxy_config(ProxyConfig::from_env())
            .sleep_impl(TokioSleep::new())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context(trusted))
            .build();
        logged_connector(SharedHttpConnector::new(connector))
    }

    /// The client for the AWS SDK.
    pub(crate) fn client(&self) -> SharedHttpClient {
        logged(limited(SharedHttpClient::new(self.pool.clone())))
    }
}

fn context(trusted: TrustStore) -> TlsContext {
    TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .expect("a trust store alone makes a valid TLS context")
}

/// Embedded and system certificates.
fn roots() -> TrustStore {
    TrustStore::empty()
        .with_native_roots(system_has_roots())
        .with_pem_certificate(embedded_roots())
}

fn embedded_roots() -> String {
    let mut pem = String::with_capacity(ROOTS_PEM_CAPACITY);
    for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        push_pem(&mut pem, root);
    }
    pem
}

/// If native roots are enabled but there are none, the HTTP client warns, and panics with debug assertions.
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

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::CertificateDer;
    use rustls::RootCertStore;

    use super::*;

    #[test]
    fn the_embedded_roots_are_all_usable() {
        let pem = embedded_roots();
        let mut store = RootCertStore::empty();
        assert!(pem.len() <= ROOTS_PEM_CAPACITY, "{}", pem.len());
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            store.add(certificate.unwrap()).unwrap();
        }
        assert_eq!(store.len(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(store.len() > 100);
    }
}
