//! The debug log: every request to AWS with its answer, and nothing that is secret.
//!
//! The SDK's own debug log prints whole requests, headers with tokens and signatures included, so it stays off whatever
//! the level; what is worth knowing of a request is logged here instead.

use aws_sdk_s3::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;

use crate::fault::request_id;
use tracing::debug;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Switches the debug log on, to standard output like all that the program prints.
pub(crate) fn init() {
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).without_time();
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::DEBUG);
    tracing_subscriber::registry().with(lines).with(own).init();
}

/// Logs each attempt of each request.
#[derive(Debug)]
pub(crate) struct LogRequests;

impl Intercept for LogRequests {
    fn name(&self) -> &'static str {
        "LogRequests"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(request) = context.request() else {
            return Ok(());
        };
        let (method, uri) = (request.method(), request.uri());
        if let Some(response) = context.response() {
            let id = request_id(response).unwrap_or("none");
            debug!("{method} {uri} was answered with HTTP {}, request id {id}", response.status());
        } else {
            debug!("{method} {uri} was not answered");
        }
        Ok(())
    }
}
