//! The debug log: every AWS request and the status of its response, without secrets.
//!
//! The SDK's own debug log prints headers with tokens and signatures, so it stays off at every level. This module logs the
//! useful part instead.

use std::io;

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use tracing::debug;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::error::request_id;

/// Turns the debug log on. It goes where the rest of the log goes.
pub(crate) fn init(to_stderr: bool) {
    let stream = if to_stderr {
        BoxMakeWriter::new(io::stderr)
    } else {
        BoxMakeWriter::new(io::stdout)
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(stream)
        .with_ansi(false)
        .with_target(false)
        .without_time();
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

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        debug!("{} {}", context.request().method(), context.request().uri());
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let id = request_id(response).unwrap_or_else(|| "none".to_owned());
        debug!("HTTP {}, request id {id}", response.status());
        Ok(())
    }
}
