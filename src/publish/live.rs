//! What is known of a container that is live: what the CDN serves, what S3 has under the same key, and the versions before it.

use std::time::{Duration, SystemTime};

use super::choice::NoVersion;
use super::compare::ReadError;
use crate::aws::versions::Version;
use crate::common::byte_size::ByteSize;
use crate::container::served::ServedContainer;
use crate::settings::cache_control::longest_age;
use crate::settings::names::{ContainerName, ObjectKey};

/// What is known of a container.
pub(crate) struct Live {
    pub(crate) name: ContainerName,
    pub(crate) key: ObjectKey,
    /// If `PUBLIC_URL` is set.
    pub(crate) url: Option<String>,
    /// What the CDN serves.
    pub(crate) served: Result<Seen, ReadError>,
    /// What S3 has.
    pub(crate) stored: Result<Seen, ReadError>,
    pub(crate) freshness: Freshness,
    pub(crate) versions: Result<Kept, ReadError>,
    /// The ID of the version that a rollback would put back, or that there is none. `None` if that is not known.
    pub(crate) put_back: Option<Result<String, NoVersion>>,
}

/// A response: a container, or that there is none.
#[derive(Clone)]
pub(crate) struct Seen {
    /// 200 for a container.
    pub(crate) status: u16,
    /// Parsed where it is needed, then without its body.
    pub(crate) response: ServedContainer,
    /// The size of what is stored or sent, if it is there.
    pub(crate) size: Option<ByteSize>,
}

/// Whether the CDN serves what S3 has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Freshness {
    Current,
    /// It serves something else. `until`: when its cache ends at the latest, by the headers of what it serves.
    Stale {
        until: Option<SystemTime>,
    },
    Unknown,
}

/// The newest versions that S3 keeps of a container.
pub(crate) struct Kept {
    /// Up to ten.
    pub(crate) newest: Vec<KeptVersion>,
    /// How many older ones S3 has at least.
    pub(crate) older: usize,
    /// Whether it may have more than that.
    pub(crate) has_more: bool,
}

/// A version, and which container it is.
pub(crate) struct KeptVersion {
    pub(crate) version: Version,
    /// The headers. `None` for a delete marker.
    pub(crate) details: Option<Result<Seen, ReadError>>,
}

impl Live {
    /// What visitors get, as far as it is known: from the CDN, else what S3 has, which they get once the CDN's cache ends.
    pub(crate) fn seen(&self) -> Option<&Seen> {
        let sources = [&self.served, &self.stored];
        let mut seen = sources
            .into_iter()
            .filter_map(|source| source.as_ref().ok());
        seen.next()
            .or_else(|| self.live_version()?.details.as_ref()?.as_ref().ok())
    }

    /// The ID of the version that a rollback would put back, unless the same pipeline run has done so.
    pub(crate) fn put_back(&self) -> Option<&str> {
        let id = self.put_back.as_ref()?.as_deref().ok()?;
        let is_live = self
            .live_version()
            .is_some_and(|live| live.version.id == id);
        (!is_live).then_some(id)
    }

    /// Whether it is known what visitors get, or that they get nothing.
    pub(crate) fn is_seen(&self) -> bool {
        self.seen().is_some() || self.is_deleted()
    }

    /// Whether the live version in S3 is a delete marker.
    pub(crate) fn is_deleted(&self) -> bool {
        self.live_version()
            .is_some_and(|it| it.version.is_delete_marker)
    }

    fn live_version(&self) -> Option<&KeptVersion> {
        let mut newest = self.versions.as_ref().ok()?.newest.iter();
        newest.find(|it| it.version.is_live)
    }

    /// When all caches have dropped what the CDN serves, by its own headers: it was fetched before S3 got what it has now.
    pub(super) fn cache_end(&self) -> Option<SystemTime> {
        let served = self.served.as_ref().ok().filter(|it| it.is_there())?;
        let age = longest_age(served.response.header("cache-control")?)?;
        let stored = self.stored.as_ref().ok();
        let stored_at = stored.and_then(|it| it.response.stored_at());
        let replaced_at = stored_at.or_else(|| self.live_version()?.version.modified)?;
        Some(replaced_at + Duration::from_secs(age.into()))
    }
}

impl Seen {
    /// Whether a container is there, of whatever quality.
    pub(crate) fn is_there(&self) -> bool {
        self.status == 200
    }

    pub(super) fn new(status: u16, response: ServedContainer) -> Self {
        let size = (status == 200).then_some(ByteSize(response.body.len() as u64));
        Self {
            status,
            response,
            size,
        }
    }
}
