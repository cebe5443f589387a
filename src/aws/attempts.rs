//! Whether a request that failed may have been carried out all the same.
//!
//! The SDK tries again by itself and tells only how the last attempt ended. An attempt before it may have been sent whole
//! and lost its answer, been answered with what says nothing of what was done (an internal error, or a gateway's), or with a
//! success that broke off.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use aws_sdk_s3::config::interceptors::{
    BeforeTransmitInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;

/// Watches the attempts of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// A connection has taken the request of the attempt that is under way.
    is_sent: AtomicBool,
    outcome_unknown: AtomicBool,
}

impl Attempts {
    pub(crate) fn outcome_unknown(&self) -> bool {
        self.0.outcome_unknown.load(Ordering::Relaxed)
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let seen = Arc::clone(&self.0);
        let request = context.request_mut();
        let body = std::mem::replace(request.body_mut(), SdkBody::taken());
        // A connection asks for the body once it has the head.
        let body = body.inspect_frame(move |_| seen.is_sent.store(true, Ordering::Relaxed));
        *request.body_mut() = SdkBody::from_body_1_x(body);
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
            // Of a success that could not be read to its end, only the end is missing. A gateway that got no answer, or none
            // that it took, may have passed the request on.
            Some(response) => matches!(response.status().as_u16(), 200..300 | 500 | 502 | 504),
            None => is_sent,
        };
        let failed = matches!(context.output_or_error(), Some(Err(_)) | None);
        if failed && in_doubt {
            self.0.outcome_unknown.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
