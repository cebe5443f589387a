//! How a run ends, as a number that a pipeline can act on.

use serde::Serialize;

/// The exit codes. The README describes what each means to a visitor.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    /// Published, and invalidated where `DISTRIBUTION_ID` is set.
    Published = 0,
    /// A bug in this program, or it could not start.
    #[default]
    InternalError = 1,
    /// Settings or container refused; nothing was uploaded.
    Refused = 2,
    /// At least one `NAME.js` was not replaced.
    NotPublished = 3,
    /// Published, but at least one distribution was not invalidated.
    NotInvalidated = 4,
    /// Published and invalidated, but the public URL did not serve it in time, or `WAIT` did not see the invalidation completed.
    NotVerified = 5,
    /// With `ONLY_NEWER`: a newer build is live, and was not replaced.
    Superseded = 6,
}

/// Each exit, in a line.
pub(crate) const MEANINGS: [(Exit, &str); 7] = [
    (
        Exit::Published,
        "published, and invalidated where DISTRIBUTION_ID is set",
    ),
    (
        Exit::InternalError,
        "internal error, or the output of policy cannot be written",
    ),
    (
        Exit::Refused,
        "settings or container refused; nothing was uploaded",
    ),
    (
        Exit::NotPublished,
        "at least one NAME.js was not replaced, or S3 did not confirm it",
    ),
    (
        Exit::NotInvalidated,
        "published, but CloudFront was not invalidated",
    ),
    (
        Exit::NotVerified,
        "published and invalidated, but not verified (PUBLIC_URL, WAIT)",
    ),
    (
        Exit::Superseded,
        "superseded: a newer build is live; nothing was replaced",
    ),
];

impl Exit {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}
