//! What AWS refused, or why it was not reached: code, message and request id, and a sentence on what to do about it.
//!
//! The SDK prints only `service error` for its errors, so they are taken apart here.

use std::error::Error as StdError;
use std::fmt::{self, Display, Formatter};
use std::iter::successors;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde::Serialize;

use super::error_kind::AwsErrorKind;
use super::response_limit::TooLarge;
use crate::common::printable::{sanitize_message, MAX_MESSAGE};

/// A request to AWS that failed for good.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AwsError {
    /// The IAM action, such as `s3:PutObject`.
    pub(crate) action: &'static str,
    /// What it was done to: an object's address, a distribution or a role.
    pub(crate) resource: String,
    /// AWS's own code. `None` where no answer came, or none with a code.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) status: Option<u16>,
    pub(crate) request_id: Option<String>,
    /// S3's second id, which AWS's support asks for (`x-amz-id-2`).
    pub(crate) host_id: Option<String>,
    #[serde(skip)]
    pub(crate) kind: AwsErrorKind,
    /// Whether the request may have been carried out, as it was sent and its answer never came.
    #[serde(skip)]
    pub(crate) outcome_unknown: bool,
}

impl AwsError {
    pub(crate) fn new<E>(
        action: &'static str,
        resource: String,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let response = error.raw_response();
        let header = |name: &str| {
            response
                .and_then(|response| response.headers().get(name))
                .map(sanitize_message)
        };
        let status = response.map(|response| response.status().as_u16());
        let code = error.code().map(sanitize_message);
        let message = error
            .message()
            .map_or_else(|| unexplained(error), sanitize_message);
        let region = header("x-amz-bucket-region");
        let has_body = response
            .and_then(|response| response.body().bytes())
            .is_some_and(|body| !body.is_empty());
        let is_nameless = code.is_none() && has_body && !matches!(status, Some(301 | 307));
        let kind = if is_nameless || is_too_large(error) {
            AwsErrorKind::NotAws
        } else {
            AwsErrorKind::of(action, code.as_deref(), status, &message, region)
        };
        Self {
            action,
            resource,
            message,
            code,
            status,
            request_id: response.and_then(request_id),
            host_id: header("x-amz-id-2"),
            kind,
            outcome_unknown: false,
        }
    }

    /// A fault that AWS's SDK has no error for.
    pub(crate) fn unexpected(
        action: &'static str,
        resource: String,
        message: impl Into<String>,
    ) -> Self {
        Self {
            action,
            resource,
            code: None,
            message: message.into(),
            status: None,
            request_id: None,
            host_id: None,
            kind: AwsErrorKind::Other,
            outcome_unknown: false,
        }
    }

    /// A refusal of the program's own, which no retry changes.
    pub(crate) fn refused(
        action: &'static str,
        resource: String,
        message: String,
        remedy: &'static str,
    ) -> Self {
        Self {
            kind: AwsErrorKind::Refused(remedy),
            ..Self::unexpected(action, resource, message)
        }
    }

    /// What to do, as a sentence.
    pub(crate) fn remedy(&self) -> String {
        self.kind.remedy(self.action)
    }
}

impl Display for AwsError {
    /// What was done to what, and AWS's own words.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} failed", self.action, self.resource)?;
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

/// What is known of an error that came without a message of AWS's: the answer's beginning, or why there is none.
fn unexplained<E: StdError + 'static>(error: &SdkError<E, HttpResponse>) -> String {
    const SHOWN: usize = 200;
    let body = error
        .raw_response()
        .and_then(|response| response.body().bytes());
    let Some(body) = body else {
        return causes(error);
    };
    if body.trim_ascii().is_empty() {
        return "the answer is empty".to_owned();
    }
    let beginning = String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE)]);
    let mut words: Vec<&str> = beginning.split_whitespace().collect();
    if body.len() > MAX_MESSAGE {
        // It may be half of a secret, which nobody would know.
        words.pop();
    }
    let shown: String = sanitize_message(&words.join(" "))
        .chars()
        .take(SHOWN)
        .collect();
    format!("the answer is not AWS's: {shown}")
}

/// The id by which AWS's support finds a request. S3 and the other services have a header each for it.
pub(crate) fn request_id(response: &HttpResponse) -> Option<String> {
    let headers = response.headers();
    headers
        .get("x-amz-request-id")
        .or_else(|| headers.get("x-amzn-requestid"))
        .map(sanitize_message)
}

/// Whether no more was read, as nothing of AWS's is that large.
fn is_too_large(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(<dyn StdError>::is::<TooLarge>)
}

/// An error and its causes.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// The chain of an error's causes, without the repetitions that wrapping makes. They may quote an answer.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for error in chain(error) {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    sanitize_message(&parts.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_where_and_in_awss_words() {
        let error = AwsError {
            code: Some("AccessDenied".into()),
            status: Some(403),
            request_id: Some("R1".into()),
            host_id: Some("H1".into()),
            kind: AwsErrorKind::AccessDenied,
            ..AwsError::unexpected(
                "s3:PutObject",
                "s3://acme/js/mojito.js".into(),
                "Access Denied",
            )
        };
        assert_eq!(
            error.to_string(),
            "s3:PutObject on s3://acme/js/mojito.js failed: AccessDenied (HTTP 403): Access Denied (request id R1, host id H1)"
        );
    }
}
