//! Opens connections to AWS during earlier work, since opening one with TLS takes two round trips.
//!
//! No request is sent over them yet, as the settings or the container may still be refused; only a proxy sees a CONNECT.
//! Nothing depends on them: a request that finds no open connection opens its own.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use aws_config::retry::RetryConfig;
use aws_config::SdkConfig;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_http_client::pool::{
    ConnectionEvent, ConnectionEventListener, ConnectionProtocol, OriginKey,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use futures_util::future::{join_all, select, BoxFuture, FutureExt, Shared};
use http::uri::PathAndQuery;
use http::Uri;
use tokio::sync::watch;

use super::config;
use crate::settings::Settings;

/// Connections that are being opened. Waiting for them also ends if they cannot be opened.
pub(crate) struct Preconnect {
    s3: Opening<()>,
    cloudfront: Opening<()>,
}

/// A connection that is being opened in the background, and what came of it: `None` if it took too long.
pub(crate) type Opening<T> = Shared<BoxFuture<'static, Option<T>>>;

/// How many connections to open to S3.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// For concurrent uploads.
    pub(crate) uploads: usize,
    /// For reading the live container while the first container is uploaded.
    pub(crate) reads: usize,
}

impl Preconnect {
    /// Starts opening the connections that a publish with these settings needs. `config` is that of its clients.
    pub(crate) fn start(
        counter: &ConnectionCounter,
        config: SdkConfig,
        settings: &Settings,
        wanted: Wanted,
    ) -> Self {
        let config = config
            .into_builder()
            .retry_config(RetryConfig::disabled())
            .build();
        // Nothing is sent, so nothing is signed.
        let s3 = config::s3_config(&config, &settings.aws).allow_no_auth();
        let s3 = aws_sdk_s3::Client::from_conf(s3.build());
        let cloudfront = aws_sdk_cloudfront::config::Builder::from(&config).allow_no_auth();
        let cloudfront = aws_sdk_cloudfront::Client::from_conf(cloudfront.build());
        let bucket = settings.target.bucket.to_string();
        let needs_cloudfront = !settings.distributions.is_empty();
        let for_s3 = AbandonedRequest::new(counter);
        let for_cloudfront = AbandonedRequest::new(counter);
        let to_s3 = async move {
            let request = || {
                let request = s3.head_object().bucket(&bucket).key("none").customize();
                request.interceptor(for_s3.clone()).send()
            };
            let requests = join_all((0..wanted.uploads + wanted.reads).map(|_| request()));
            // The first container is uploaded alone, so do not wait for more than it needs.
            let needed = 1 + wanted.reads;
            for_s3.abandon_when_connected(needed, requests).await;
        };
        let to_cloudfront = async move {
            if needs_cloudfront {
                let request = cloudfront.get_invalidation().distribution_id("none");
                let request = request.id("none").customize();
                let request = request.interceptor(for_cloudfront.clone()).send();
                for_cloudfront.abandon_when_connected(1, request).await;
            }
        };
        Self {
            s3: in_background(to_s3),
            cloudfront: in_background(to_cloudfront),
        }
    }

    pub(crate) async fn s3(&self) {
        self.s3.clone().await;
    }

    pub(crate) async fn cloudfront(&self) {
        self.cloudfront.clone().await;
    }
}

pub(crate) fn in_background<T: Clone + Send + 'static>(
    opening: impl Future<Output = T> + Send + 'static,
) -> Opening<T> {
    tokio::spawn(tokio::time::timeout(config::CONNECT_TIMEOUT, opening))
        .map(|opened| opened.ok()?.ok())
        .boxed()
        .shared()
}

/// Counts, by origin, the requests that the pool has opened a connection for, or failed to.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionCounter(watch::Sender<HashMap<OriginKey, usize>>);

impl ConnectionEventListener for ConnectionCounter {
    fn on_event(&self, event: &ConnectionEvent<'_>) {
        let (origin, requests) = match event {
            ConnectionEvent::Opened(opened) => match opened.connection().protocol() {
                // One connection carries all requests.
                ConnectionProtocol::Http2 => (opened.connection().origin(), usize::MAX),
                _ => (opened.connection().origin(), 1),
            },
            ConnectionEvent::EstablishmentFailed(failed) => (failed.establishment().origin(), 1),
            _ => return,
        };
        self.0.send_modify(|counts| {
            let count = counts.entry(origin.clone()).or_default();
            *count = count.saturating_add(requests);
        });
    }
}

/// A request that is abandoned once the client has opened a connection for it. Should it be sent after all, it is a bare
/// `HEAD /` without credentials.
#[derive(Clone, Debug)]
struct AbandonedRequest {
    counter: ConnectionCounter,
    /// The request's origin, once known.
    origin: Arc<OnceLock<OriginKey>>,
}

impl AbandonedRequest {
    fn new(counter: &ConnectionCounter) -> Self {
        Self {
            counter: counter.clone(),
            origin: Arc::default(),
        }
    }

    /// Starts the requests and abandons them when the first connection is open, then waits for `wanted` connections.
    async fn abandon_when_connected<T>(&self, wanted: usize, requests: impl Future<Output = T>) {
        // The order matters: once both are ready, the requests must not be polled further.
        select(pin!(self.opened(1)), pin!(requests)).await;
        if self.origin.get().is_some() {
            self.opened(wanted).await;
        }
    }

    async fn opened(&self, wanted: usize) {
        let mut counts = self.counter.0.subscribe();
        let count = |counts: &HashMap<_, _>| counts.get(self.origin.get()?).copied();
        let is_open = |counts: &HashMap<_, _>| count(counts).is_some_and(|count| count >= wanted);
        // It cannot fail while `self` has the sender.
        let _ = counts.wait_for(is_open).await;
    }
}

impl Intercept for AbandonedRequest {
    fn name(&self) -> &'static str {
        "AbandonedRequest"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let uri: Uri = request.uri().parse()?;
        let origin = OriginKey::from_uri(&uri)?;
        if self.counter.0.borrow().contains_key(&origin) {
            return Err("a connection is already open, or failed to open".into());
        }
        self.origin.get_or_init(|| origin);
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let mut nothing = HttpRequest::new(SdkBody::empty());
        nothing.set_method("HEAD")?;
        nothing.set_uri(Uri::from_parts(parts)?)?;
        *request = nothing;
        Ok(())
    }
}
