//! A host that cannot be found: usually a region that does not exist, whose name is part of the host's.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::dns::ResolveDnsError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use http::Uri;
use thiserror::Error;

use crate::common::causes::chain;

/// The host of a request cannot be found.
#[derive(Debug, Error)]
#[error("the host `{host}` cannot be found: dns error: {cause}")]
pub(crate) struct UnknownHost {
    host: String,
    cause: String,
}

impl UnknownHost {
    /// Names the host of a request in its error, if the host is what cannot be found.
    pub(super) fn named(error: ConnectorError, uri: &str) -> ConnectorError {
        let host = uri.parse().ok();
        let host = host.and_then(|uri: Uri| uri.host().map(str::to_owned));
        let is_unknown = chain(&error).any(<dyn StdError>::is::<ResolveDnsError>);
        // With a proxy, only the proxy's host is looked up.
        let is_proxy = chain(&error).any(|error| error.to_string().starts_with("tunnel error"));
        let cause = chain(&error).last().map(ToString::to_string);
        match (host, cause) {
            (Some(host), Some(cause)) if is_unknown && !is_proxy => {
                ConnectorError::io(Box::new(Self { host, cause }))
            }
            _ => error,
        }
    }

    /// The region in the host's name, as in `BUCKET.s3.REGION.amazonaws.com`.
    pub(super) fn region(&self) -> Option<&str> {
        let (host, _) = self.host.split_once(".amazonaws.")?;
        let (_, region) = host.rsplit_once('.')?;
        Some(region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    #[test]
    fn the_region_is_part_of_the_hosts_name() {
        for [host, region] in rows(
            "acme.s3.eu-west-9.amazonaws.com    | eu-west-9
             sts.eu-west-9.amazonaws.com        | eu-west-9
             a.b.s3.cn-south-1.amazonaws.com.cn | cn-south-1
             cloudfront.amazonaws.com           |
             s3.example.com                     |",
        ) {
            let (host, cause) = (host.to_owned(), String::new());
            let named = UnknownHost { host, cause };
            assert_eq!(named.region().unwrap_or_default(), region);
        }
    }
}
