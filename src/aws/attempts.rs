//! Detects failed requests that may have taken effect anyway.
//!
//! The SDK retries by itself and reports only the last attempt. The response to an earlier attempt may have been lost or
//! truncated, or may not say what happened, as with an internal error or a gateway error.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use aws_sdk_s3::config::interceptors::{
    BeforeTransmitInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;

/// Watches the attempts of one request, as an interceptor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    /// Whether any of the current attempt was sent.
    is_sent: Arc<AtomicBool>,
    outcome_unknown: Arc<AtomicBool>,
}

impl Attempts {
    pub(crate) fn outcome_unknown(&self) -> bool {
        self.outcome_unknown.load(Ordering::Relaxed)
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
        let is_sent = Arc::clone(&self.is_sent);
        let request = context.request_mut();
        let body = std::mem::replace(request.body_mut(), SdkBody::taken());
        // The connection reads the body after it has taken the head.
        let body = body.inspect_frame(move |_| is_sent.store(true, Ordering::Relaxed));
        *request.body_mut() = SdkBody::from_body_1_x(body);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_sent = self.is_sent.swap(false, Ordering::Relaxed);
        let may_have_taken_effect = match context.response() {
            // A 2xx that failed is a success with a truncated body. A gateway may have forwarded the request before it
            // returned 502 or 504.
            Some(response) => matches!(response.status().as_u16(), 200..300 | 500 | 502 | 504),
            None => is_sent,
        };
        let failed = matches!(context.output_or_error(), Some(Err(_)) | None);
        if failed && may_have_taken_effect {
            self.outcome_unknown.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
