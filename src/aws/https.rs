//! The HTTPS client and the certificates that it trusts.
//!
//! The image contains only the binary, so Mozilla's root certificates are embedded. System certificates are added if there
//! are any. `AWS_CA_BUNDLE`, which companies with a TLS-inspecting proxy set, replaces both for AWS, as in AWS's own tools,
//! and is added to both for everything else.
//!
//! All AWS clients share one connection pool, so that `preconnect` can open connections before they are needed. Whatever is
//! sent passes the process's gate.

use std::fs;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::pool::{
    Client, ConnectionEvent, ConnectionEventListener, ConnectionPool,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime::client::auth::no_auth::{NoAuthScheme, NO_AUTH_SCHEME_ID};
use aws_smithy_runtime::client::identity::no_auth::NoAuthIdentityResolver;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::orchestrator::endpoints::StaticUriEndpointResolver;
use aws_smithy_runtime::client::retries::strategy::NeverRetryStrategy;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio::sync::watch;

use super::debug_log::{logged, logged_connector};
use super::gate::Gate;
use super::preconnect::ConnectionCounter;
use super::response_limit::limited;
use crate::common::causes::causes;
use crate::settings::aws::AwsSettings;
use crate::settings::ca_bundle::push_pem;

/// Enough bytes for the embedded roots in PEM form, so that the string is not reallocated while it is built.
const ROOTS_PEM_CAPACITY: usize = 300_000;

/// Opens connections, through the proxy from the environment if there is one, with the roots described above.
pub(crate) struct Https {
    ca_bundle: Option<String>,
    system_roots: Option<String>,
    pool: Client,
    gate: Gate,
    pub(crate) connections: ConnectionCounter,
}

impl Https {
    pub(crate) fn new(settings: &AwsSettings, gate: &Gate) -> Self {
        let ca_bundle = settings.ca_bundle.clone();
        let system_roots = settings.system_roots.clone();
        let trusted = match ca_bundle.as_deref() {
            Some(only) => TrustStore::empty().with_pem_certificate(only),
            None => roots(system_roots.as_deref()),
        };
        let connections = ConnectionCounter::default();
        let pool = pool(connections.clone(), trusted);
        Self {
            ca_bundle,
            system_roots,
            pool,
            gate: gate.clone(),
            connections,
        }
    }

    /// A connector for requests to a host other than AWS, and how its first connection goes.
    pub(crate) fn connector(&self) -> (SharedHttpConnector, FirstConnection) {
        let roots = roots(self.system_roots.as_deref());
        let trusted = self.ca_bundle.iter().fold(roots, |roots, bundle| {
            roots.with_pem_certificate(bundle.as_str())
        });
        let first = FirstConnection::default();
        let pool = pool(first.clone(), trusted);
        let settings = HttpConnectorSettings::default();
        let connector = pool.http_connector(&settings, &components());
        (
            logged_connector(self.gate.before_connector(connector)),
            first,
        )
    }

    /// The client for the AWS SDK.
    pub(crate) fn client(&self) -> SharedHttpClient {
        let pool = SharedHttpClient::new(self.pool.clone());
        logged(limited(self.gate.before(pool)))
    }
}

/// How the first connection goes: open, or the error.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstConnection(watch::Sender<Option<Result<(), String>>>);

impl FirstConnection {
    /// Waits until it is open, or cannot be opened.
    pub(crate) async fn ended(&self) -> Result<(), String> {
        let mut ended = self.0.subscribe();
        // It cannot fail while `self` has the sender.
        let ended = ended.wait_for(Option::is_some).await;
        ended.map_or(Ok(()), |it| it.clone().unwrap_or(Ok(())))
    }
}

impl ConnectionEventListener for FirstConnection {
    fn on_event(&self, event: &ConnectionEvent<'_>) {
        let ended = match event {
            ConnectionEvent::Opened(_) => Ok(()),
            ConnectionEvent::EstablishmentFailed(failed) => {
                let error = failed.error();
                Err(error.source().map_or_else(|| error.to_string(), causes))
            }
            _ => return,
        };
        self.0.send_modify(|first| {
            first.get_or_insert(ended);
        });
    }
}

fn pool(listener: impl ConnectionEventListener, trusted: TrustStore) -> Client {
    let pool = ConnectionPool::builder()
        .event_listener(listener)
        .proxy_config(ProxyConfig::from_env())
        .sleep_impl(TokioSleep::new())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context(trusted))
        .build_https()
        .expect("a pool without limits is always valid");
    Client::new(&pool).expect("a pool without partitions has an anonymous one")
}

/// What a connector must be given, although it uses none of these.
pub(crate) fn components() -> RuntimeComponents {
    let nowhere = StaticUriEndpointResolver::uri("http://localhost");
    RuntimeComponents::builder("connector")
        .with_auth_scheme(NoAuthScheme::new())
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(Vec::new())))
        .with_endpoint_resolver(Some(nowhere))
        .with_identity_cache(Some(IdentityCache::no_cache()))
        .with_identity_resolver(NO_AUTH_SCHEME_ID, NoAuthIdentityResolver::new())
        .with_retry_strategy(Some(NeverRetryStrategy::new()))
        .build()
        .expect("nothing that is required is missing")
}

fn context(trusted: TrustStore) -> TlsContext {
    TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .expect("a trust store alone makes a valid TLS context")
}

/// Embedded and system certificates, the latter from where variables name them, else from the system's folders.
fn roots(system: Option<&str>) -> TrustStore {
    let embedded = TrustStore::empty().with_pem_certificate(embedded_roots());
    match system {
        Some(pem) => embedded.with_pem_certificate(pem),
        None => embedded.with_native_roots(system_has_roots()),
    }
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
    let folders = [
        "/etc/ssl/certs",
        "/etc/pki/tls/certs",
        "/System/Library/Keychains",
    ];
    let has_entries =
        |folder| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    folders.into_iter().any(has_entries)
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
