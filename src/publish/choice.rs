//! Which version of a container a rollback puts back, or why there is none.

use crate::aws::error::AwsError;
use crate::aws::versions::Version;
use crate::container::object::Container;
use crate::container::served::ServedContainer;
use crate::container::stored::Stored;
use crate::container::InvalidFile;

/// A version that is put back, with how it was chosen.
pub(crate) struct Choice {
    pub(crate) container: Container,
    /// What is live, unless it is deleted or cannot be read.
    pub(crate) live: Option<ServedContainer>,
    /// The newest versions of `NAME.js`. Empty if it was named by its ID.
    pub(crate) shown: Vec<Shown>,
    /// How many older ones there are.
    pub(crate) unshown: usize,
    pub(crate) reason: Reason,
    /// Whether what is replaced is not kept, as the bucket's versioning is suspended.
    pub(crate) is_suspended: bool,
    /// Why `NAME.pretty.js` stays as it is, although it is published.
    pub(crate) pretty_left: Option<PrettyLeft>,
}

/// A version in the list of a choice.
pub(crate) struct Shown {
    pub(crate) version: Version,
    /// `None` if it was not looked at.
    pub(crate) stored: Option<Stored>,
    pub(crate) is_chosen: bool,
}

/// Why a version was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    BeforeLive,
    /// The live one is a delete marker.
    BeforeDeletion,
    /// The live one was put back by an earlier rollback.
    BeforeRestored,
    /// This pipeline run has put it back before.
    SameRun,
    Named,
}

/// Why there is no version to put back.
pub(crate) enum NoVersion {
    Aws(AwsError),
    /// Nothing is stored at the key.
    NothingStored,
    /// The only version is from before versioning.
    NotVersioned,
    /// Nothing was stored before the live one, as far as S3 keeps it.
    OnlyVersion,
    /// All that S3 keeps has the content of the live one.
    SameContent,
    /// The live one was put back, and nothing is kept from before the version that it is a copy of.
    NothingBeforeRestored(String),
    NoSuchBuild {
        build: u64,
        looked_at: usize,
        has_more: bool,
    },
    NoSuchVersion(String),
    Invalid(InvalidFile),
}

impl From<AwsError> for NoVersion {
    fn from(error: AwsError) -> Self {
        Self::Aws(error)
    }
}

/// Why `NAME.pretty.js` is not put back.
pub(crate) enum PrettyLeft {
    Aws(AwsError),
    /// S3 keeps no version of the same build.
    NoneOfBuild,
    Invalid(String),
}

impl From<AwsError> for PrettyLeft {
    fn from(error: AwsError) -> Self {
        Self::Aws(error)
    }
}

/// The file for which there is no version.
pub(crate) struct NotChosen {
    pub(crate) uri: String,
    pub(crate) reason: NoVersion,
}
