//! A failed AWS request: error code, message, request ID and remedy.
//!
//! The SDK's errors display only as `service error`, so this module extracts the details.

use std::error::Error as StdError;
use std::fmt::{self, Display, Formatter};

use aws_sdk_s3::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde::Serialize;

use super::error_kind::AwsErrorKind;
use super::response_limit::TooLarge;
use super::unconfirmed::Unconfirmed;
use super::unknown_host::UnknownHost;
use crate::common::causes::{causes, chain};
use crate::common::printable::{sanitize_message, MAX_MESSAGE};

/// A request to AWS that failed for good.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct AwsError {
    /// The IAM action, such as `s3:PutObject`.
    pub(crate) action: &'static str,
    /// The target: an object's URI, a distribution or a role.
    pub(crate) resource: String,
    /// AWS's error code. `None` without a response, or if the response has no code.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) status: Option<u16>,
    pub(crate) request_id: Option<String>,
    /// S3's extended request ID (`x-amz-id-2`), which AWS support asks for.
    pub(crate) host_id: Option<String>,
    #[serde(skip)]
    pub(crate) kind: AwsErrorKind,
    /// Whether the request may have taken effect: it was sent, but no conclusive response arrived.
    #[serde(skip)]
    pub(crate) outcome_unknown: bool,
}

impl AwsError {
    pub(crate) fn new<E: ProvideErrorMetadata + StdError + 'static>(
        action: &'static str,
        resource: impl Into<String>,
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        let (metadata, response) = (Some(error.meta()), error.raw_response());
        Self::of(action, resource, metadata, response, error)
    }

    /// `metadata` is what AWS's error document says, and `error` wraps all of it.
    pub(super) fn of(
        action: &'static str,
        resource: impl Into<String>,
        metadata: Option<&ErrorMetadata>,
        response: Option<&HttpResponse>,
        error: &(dyn StdError + 'static),
    ) -> Self {
        let header = |name: &str| response?.headers().get(name).map(sanitize_message);
        let status = response.map(|response| response.status().as_u16());
        let code = metadata.and_then(ErrorMetadata::code).map(sanitize_message);
        let body = response.and_then(|response| response.body().bytes());
        let unconfirmed = chain(error).find_map(<dyn StdError>::downcast_ref::<Unconfirmed>);
        let message = match (unconfirmed, metadata.and_then(ErrorMetadata::message), body) {
            (Some(unconfirmed), _, _) => unconfirmed.to_string(),
            (None, Some(message), _) => sanitize_message(message),
            (None, None, Some(body)) => describe_response(body),
            (None, None, None) => causes(error),
        };
        let request_id = response.and_then(request_id);
        let region = header("x-amz-bucket-region");
        let has_body = body.is_some_and(|body| !body.is_empty());
        let lacks_code = code.is_none() && has_body && !matches!(status, Some(301 | 307));
        let unknown = chain(error).find_map(<dyn StdError>::downcast_ref::<UnknownHost>);
        // No response from AWS is too large.
        let kind = if let Some(unknown) = unknown {
            AwsErrorKind::UnknownHost(unknown.region().map(str::to_owned))
        } else if let Some(unconfirmed) = unconfirmed {
            AwsErrorKind::of_unconfirmed(unconfirmed)
        } else if code.is_none() && request_id.is_none() && status.is_some_and(is_of_gateway) {
            AwsErrorKind::Gateway
        } else if lacks_code || chain(error).any(<dyn StdError>::is::<TooLarge>) {
            AwsErrorKind::NotAws
        } else {
            AwsErrorKind::of(action, code.as_deref(), status, &message, region)
        };
        Self {
            action,
            resource: resource.into(),
            message,
            code,
            status,
            request_id,
            host_id: header("x-amz-id-2"),
            kind,
            outcome_unknown: false,
        }
    }

    /// A failure that is not an SDK error, such as an incomplete response.
    pub(crate) fn unexpected(
        action: &'static str,
        resource: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            action,
            resource: resource.into(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// What this program itself finds wrong, with its own remedy.
    pub(crate) fn refused(
        action: &'static str,
        resource: impl Into<String>,
        message: impl Into<String>,
        remedy: &'static str,
    ) -> Self {
        Self {
            kind: AwsErrorKind::Refused(remedy),
            ..Self::unexpected(action, resource, message)
        }
    }

    /// Whether AWS says, by its own error document, that it did not do what was requested.
    pub(super) fn is_denial(&self) -> bool {
        // S3 may have stored an object for which it then returns an internal error.
        let is_open = self.code.as_deref() == Some("InternalError")
            || matches!(self.status, Some(500 | 502 | 504));
        self.code.is_some() && !is_open
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        self.kind.remedy(self.action)
    }
}

impl Display for AwsError {
    /// The action, its target and AWS's own message.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verb = if self.outcome_unknown {
            "was not confirmed"
        } else {
            "failed"
        };
        write!(f, "{} on {} {verb}", self.action, self.resource)?;
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        if let Some(status) = self.status {
            write!(f, " (HTTP {status})")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id}")?;
            if let Some(id) = &self.host_id {
                write!(f, ", host id {id}")?;
            }
            write!(f, ")")?;
        }
        Ok(())
    }
}

/// Whether something between here and AWS answers with this status, such as a proxy, a load balancer or a CDN.
fn is_of_gateway(status: u16) -> bool {
    matches!(status, 408 | 429 | 502..=504 | 520..=524)
}

/// Describes a response without a message from AWS by its start.
pub(super) fn describe_response(body: &[u8]) -> String {
    const SHOWN: usize = 200;
    if body.trim_ascii().is_empty() {
        return "the response is empty".to_owned();
    }
    let start = String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE)]);
    let mut words: Vec<&str> = start.split_whitespace().collect();
    if body.len() > MAX_MESSAGE {
        // The last word may be half of a secret, which would not be recognized and redacted.
        words.pop();
    }
    let message = sanitize_message(&words.join(" "));
    let shown: String = message.chars().take(SHOWN).collect();
    format!("the response did not come from AWS: {shown}")
}

/// The request ID, which AWS support asks for. S3 uses another header for it than the other services.
pub(crate) fn request_id(response: &HttpResponse) -> Option<String> {
    let headers = response.headers();
    let id = headers.get("x-amz-request-id");
    let id = id.or_else(|| headers.get("x-amzn-requestid"));
    id.map(sanitize_message)
}
