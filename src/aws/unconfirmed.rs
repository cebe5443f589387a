//! A response that says a request succeeded, but not as AWS says it.
//!
//! Proxies, web filters and gateways answer with a 200 and a page, or with another 2xx, for requests that they never passed on.

use thiserror::Error;

/// Why a successful response does not confirm the request.
#[derive(Debug, Error)]
pub(crate) enum Unconfirmed {
    /// It did not come from AWS, so the request is repeated. With what came instead.
    #[error("{0}")]
    NotAws(String),
    /// It may come from a store that proves less than AWS does. A repeated request would prove no more.
    #[error("the response has neither the checksum of the upload nor its MD5 as the ETag")]
    Unproven,
}
