//! What happens during a publish. `report/` words it.

use std::time::Duration;

use super::compare::NotCompared;
use crate::aws::error::AwsError;
use crate::aws::sts::Identity;
use crate::container::changes::Changes;
use crate::container::object::{Container, Object};
use crate::settings::names::{CdnPath, DistributionId};

/// One thing that has happened.
pub(crate) enum Event<'a> {
    /// What a container changes for visitors is known, or why it is not.
    Compared {
        container: &'a Container,
        changes: &'a Result<Changes, NotCompared>,
        /// The reason was already reported of another container.
        already_reported: bool,
    },
    Uploaded(&'a Object),
    AllUploaded,
    /// CloudFront accepts no request now. It is repeated after `delay`.
    Busy {
        distribution: &'a DistributionId,
        error: &'a AwsError,
        delay: Duration,
    },
    Invalidating {
        distribution: &'a DistributionId,
        id: &'a str,
        paths: &'a [CdnPath],
    },
    InvalidationPending {
        distribution: &'a DistributionId,
        id: &'a str,
        waited: Duration,
    },
    InvalidationCompleted {
        distribution: &'a DistributionId,
        id: &'a str,
    },
    /// The invalidation continues, but its completion was not seen.
    NotWatched {
        distribution: &'a DistributionId,
        id: &'a str,
        why: &'a NotCompleted,
    },
    /// Visitors do not get the new container yet.
    VerificationPending {
        url: &'a str,
        last_seen: &'a str,
        waited: Duration,
    },
    /// Visitors get the new container.
    Verified {
        url: &'a str,
    },
    /// Whose credentials these are.
    Identified(&'a Identity),
}

/// Why an invalidation was not seen to be completed.
#[derive(Debug)]
pub(crate) enum NotCompleted {
    /// It was still in progress after this time.
    After(Duration),
    /// Its state could not be requested.
    Error(Box<AwsError>),
}
