//! What happens during a publish. The log's words for it are in `report/`.

use std::time::Duration;

use super::compare::NotCompared;
use super::race::Protected;
use crate::aws::credentials::CredentialOrigin;
use crate::aws::error::AwsError;
use crate::aws::sts::Identity;
use crate::container::changes::Changes;
use crate::container::object::{Container, Object};
use crate::settings::names::{CdnPath, DistributionId};

/// Something that has happened. An invalidation is named by its distribution and ID.
pub(crate) enum Event<'a> {
    /// The comparison with the live container has ended, one way or the other.
    Compared {
        container: &'a Container,
        changes: &'a Result<Changes, NotCompared>,
        /// Another container was not compared for the same reason.
        already_reported: bool,
    },
    Uploaded(&'a Object),
    AllUploaded,
    /// CloudFront accepts no request now. It is repeated after the duration.
    Busy(&'a DistributionId, &'a AwsError, Duration),
    Invalidating(&'a DistributionId, &'a str, &'a [CdnPath]),
    /// After the duration, the invalidation is not completed.
    InvalidationPending(&'a DistributionId, &'a str, Duration),
    InvalidationCompleted(&'a DistributionId, &'a str),
    /// A re-run has replaced what `ONLY_NEWER` protects from others.
    Overridden(&'a Object, &'a Protected),
    /// The store ignores preconditions, so that `ONLY_NEWER` cannot win a race.
    NoConditionalWrites,
    /// Visitors do not get the new container yet.
    VerificationPending {
        url: &'a str,
        last_seen: &'a str,
        waited: Duration,
    },
    /// Visitors get the new container from this URL.
    Verified(&'a str),
    /// Where the credentials come from, and whose they are if STS has said so.
    Identified(&'a CredentialOrigin, Option<&'a Identity>),
}
