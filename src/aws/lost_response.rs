//! Detects that a request without a body, such as `CreateMultipartUpload`, may have taken effect although nobody got its response.
//!
//! `attempts` sees that a request is sent by its body, which these do not have. A connection whose opening failed has sent nothing.

use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use aws_sdk_s3::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::create_multipart_upload::CreateMultipartUploadError;
use aws_smithy_runtime_api::box_error::BoxError;

use crate::common::causes::chain;

/// Watches the attempts of one `CreateMultipartUpload`, as an interceptor.
#[derive(Clone, Debug, Default)]
pub(crate) struct LostResponse(Arc<AtomicBool>);

impl LostResponse {
    /// Whether an attempt whose response was lost, or is not S3's own, may have taken effect.
    pub(crate) fn is_possible(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for LostResponse {
    fn name(&self) -> &'static str {
        "LostResponse"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let error = match context.output_or_error() {
            Some(Ok(_)) => return Ok(()),
            result => result.and_then(Result::err),
        };
        let status = context.response().map(|it| it.status().as_u16());
        let of_s3 = error.and_then(|error| {
            let error = error.as_operation_error()?;
            error.downcast_ref::<CreateMultipartUploadError>()?.code()
        });
        let is_possible = match (status, of_s3) {
            (None, _) => {
                let connector = error.and_then(|error| error.as_connector_error());
                connector.is_none_or(|error| was_connected(error))
            }
            (Some(status), of_s3) => {
                matches!(status, 200..300 | 500)
                    || of_s3.is_none() && matches!(status, 408 | 429 | 501..)
            }
        };
        if is_possible {
            self.0.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// HTTP itself fails only over a connection that is open.
fn was_connected(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(<dyn StdError>::is::<hyper::Error>)
}
