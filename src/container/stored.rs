//! What a rollback keeps of the version that it puts back: its headers and its metadata, and what it adds to them.
//!
//! S3 copies nothing here: the version is read and stored again, so that the new version has the checksum of an upload, and what
//! was read can be validated first. What is added says where it came from, so that the next rollback does not put back what
//! this one replaced.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::common::layout::join_known;
use crate::common::printable::sanitize;
use crate::settings::pipeline::{short, Build};

/// The metadata key for the version that was put back.
pub(crate) const RESTORED_FROM: &str = "restored-from";
/// The metadata key for the version that it replaced.
const REPLACED: &str = "replaced";
/// The metadata key for the run that put it back.
const RESTORED_BY: &str = "restored-by";

/// A version of an object, as S3 describes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) metadata: HashMap<String, String>,
}

/// A version that is put back, and what it replaces.
#[derive(Clone, Debug)]
pub(crate) struct Restored {
    /// What is stored, with what this rollback adds.
    pub(crate) stored: Stored,
    /// The version that was read.
    pub(crate) version_id: String,
    pub(crate) modified: Option<SystemTime>,
    /// The version that is live until then, or the delete marker. `None` if it is not known.
    pub(crate) replaces: Option<String>,
    /// The `ETag` that must still be live when it is written. `None` if nothing must be.
    pub(crate) live_etag: Option<String>,
}

impl Stored {
    /// The headers that visitors get, by lower-case name.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Stored {
            content_type,
            content_encoding,
            cache_control,
            ..
        } = self;
        let headers = [
            ("content-type", content_type),
            ("content-encoding", content_encoding),
            ("cache-control", cache_control),
        ];
        let headers = headers.into_iter();
        headers.filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str)
    }

    /// The build number, as far as it is one.
    pub(crate) fn build_number(&self) -> Option<u64> {
        self.metadata("build-number")?.parse().ok()
    }

    /// The build number to be shown.
    pub(crate) fn shown_build(&self) -> Option<String> {
        self.metadata("build-number").map(sanitize)
    }

    /// The commit to be shown, abbreviated.
    pub(crate) fn shown_commit(&self) -> Option<String> {
        let commit = self.metadata("commit").map(sanitize);
        commit.map(|commit| short(&commit))
    }

    /// The version that a rollback has put back with this one.
    pub(crate) fn restored_from(&self) -> Option<&str> {
        self.metadata(RESTORED_FROM)
    }

    /// Whether the pipeline run that `build` is a step of has put it back.
    pub(crate) fn is_restored_by(&self, build: &Build) -> bool {
        let own = build.stamp_of_run();
        own.is_some() && own.as_deref() == self.metadata(RESTORED_BY)
    }

    /// Whether a run has stored both, or the builds have the same number.
    pub(crate) fn is_of_same_build(&self, other: &Self, reference: &str) -> bool {
        let same = |name| {
            let value = self.metadata(name);
            (value == other.metadata(name)).then_some(value).flatten()
        };
        same(reference).is_some()
            || same("build-number").is_some()
                && self.metadata("repository") == other.metadata("repository")
    }

    /// What the log calls it: `build 56 (v1.4.0, 1f2e3d4)`. `None` if another tool stored it, or somebody by hand.
    pub(crate) fn label(&self) -> Option<String> {
        let number = self.shown_build()?;
        let version = self.metadata("tag").or(self.metadata("branch"));
        let details = join_known([version.map(sanitize), self.shown_commit()]);
        Some(match details.as_str() {
            "" => format!("build {number}"),
            _ => format!("build {number} ({details})"),
        })
    }
}

impl Restored {
    /// What a rollback by `build` stores for this version of `stored`.
    pub(crate) fn new(
        stored: Stored,
        version_id: &str,
        modified: Option<SystemTime>,
        (replaces, live_etag): (Option<String>, Option<String>),
        build: &Build,
    ) -> Self {
        let mut stored = stored;
        // Where this is a copy already, what it is a copy of.
        let metadata = &mut stored.metadata;
        let from = metadata.entry(RESTORED_FROM.to_owned());
        from.or_insert_with(|| version_id.to_owned());
        metadata.remove(REPLACED);
        metadata.extend(replaces.clone().map(|id| (REPLACED.to_owned(), id)));
        let by = build.stamp_of_run().unwrap_or_else(|| "hand".to_owned());
        metadata.insert(RESTORED_BY.to_owned(), by);
        Self {
            stored,
            version_id: version_id.to_owned(),
            modified,
            replaces,
            live_etag,
        }
    }
}
