//! Whether a request that failed may have been carried out all the same.
//!
//! The SDK tries again by itself and tells only how the last attempt ended. An attempt before it may have been sent whole
//! and lost its answer, been answered with an internal error that says nothing of what was done, or
//! with a success that broke off.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use aws_sdk_s3::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;

use crate::fault::causes;

/// Watches the attempts of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    is_sent: AtomicBool,
    may_be_done: AtomicBool,
}

impl Attempts {
    pub(crate) fn may_be_done(&self) -> bool {
        self.0.may_be_done.load(Ordering::Relaxed)
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.is_sent.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_sent = self.0.is_sent.swap(false, Ordering::Relaxed);
        let in_doubt = match context.response() {
            // Of a success that could not be read to its end, only the end is missing.
            Some(response) => matches!(response.status().as_u16(), 200..300 | 500),
            // Where there was no connection, nothing was sent.
            None => {
                !matches!(context.output_or_error(), Some(Err(error)) if causes(error).contains("(Connect)"))
            }
        };
        let failed = matches!(context.output_or_error(), Some(Err(_)) | None);
        if is_sent && failed && in_doubt {
            self.0.may_be_done.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
