//! Lets no request start once the process has decided how it ends, so that what is then said of the state stays true.
//!
//! Every connector is behind it. After it has closed, a request is never sent and a response never arrives: nothing fails, so
//! nothing is retried or reported. What is already on its way cannot be called back, so whoever changes something marks it as in
//! flight before the request reaches the gate; then either the gate stops it, or the mark is seen by whoever closed the gate.

use std::future::{poll_fn, Future};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::Poll;

use aws_smithy_runtime_api::client::http::{
    http_client_fn, HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// Open until the end of the process is decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<AtomicBool>);

impl Gate {
    /// Closes it for good.
    pub(crate) fn close(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Puts the gate before a client.
    pub(super) fn before(&self, client: SharedHttpClient) -> SharedHttpClient {
        let gate = self.clone();
        http_client_fn(move |settings, components| {
            gate.before_connector(client.http_connector(settings, components))
        })
    }

    /// The same for one connector.
    pub(super) fn before_connector(&self, connector: SharedHttpConnector) -> SharedHttpConnector {
        let gate = self.clone();
        SharedHttpConnector::new(Gated { gate, connector })
    }
}

#[derive(Debug)]
struct Gated {
    gate: Gate,
    connector: SharedHttpConnector,
}

impl HttpConnector for Gated {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (gate, connector) = (self.gate.clone(), self.connector.clone());
        HttpConnectorFuture::new(async move {
            // In a block of its own, as it must not even be called when the gate is closed.
            let mut response = pin!(async { connector.call(request).await });
            poll_fn(|context| {
                // Before each step, as a request may wait for its connection for seconds before it is sent.
                if gate.is_closed() {
                    return Poll::Pending;
                }
                response.as_mut().poll(context)
            })
            .await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;
    use futures_util::FutureExt;
    use tokio::sync::Semaphore;

    use super::*;

    /// Responds once it has a permit, and counts the requests.
    #[derive(Clone, Debug)]
    struct Server {
        requests: Arc<AtomicUsize>,
        permits: Arc<Semaphore>,
    }

    impl HttpConnector for Server {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            self.requests.fetch_add(1, Ordering::Relaxed);
            let permits = Arc::clone(&self.permits);
            HttpConnectorFuture::new(async move {
                permits.acquire().await.unwrap().forget();
                let status = 200.try_into().unwrap();
                Ok(HttpResponse::new(status, SdkBody::empty()))
            })
        }
    }

    /// A gate, a connector behind it, and the server that it leads to.
    fn gated(permits: usize) -> (Gate, SharedHttpConnector, Server) {
        let server = Server {
            requests: Arc::default(),
            permits: Arc::new(Semaphore::new(permits)),
        };
        let gate = Gate::default();
        let connector = gate.before_connector(SharedHttpConnector::new(server.clone()));
        (gate, connector, server)
    }

    fn request() -> HttpRequest {
        HttpRequest::get("http://localhost/").unwrap()
    }

    #[test]
    fn an_open_gate_lets_requests_and_responses_through() {
        let (_, connector, _) = gated(1);
        let response = connector.call(request()).now_or_never();
        assert_eq!(response.unwrap().unwrap().status().as_u16(), 200);
    }

    #[test]
    fn a_closed_gate_lets_no_request_through_not_even_one_that_was_made_before() {
        let (gate, connector, server) = gated(9);
        let made_before = connector.call(request());
        gate.close();
        assert!(made_before.now_or_never().is_none());
        assert!(connector.call(request()).now_or_never().is_none());
        assert_eq!(server.requests.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_response_to_an_earlier_request_does_not_arrive_after_the_gate_is_closed() {
        let (gate, connector, server) = gated(0);
        let mut response = Box::pin(connector.call(request()));
        assert!((&mut response).now_or_never().is_none());
        assert_eq!(server.requests.load(Ordering::Relaxed), 1);
        gate.close();
        server.permits.add_permits(1);
        assert!(response.now_or_never().is_none());
    }
}
