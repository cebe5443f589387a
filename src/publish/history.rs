//! The versions of one key, as far as a rollback has looked at them. A listing has no metadata, so each takes a request of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::choice::Shown;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::versions::{self, stored_of_get, stored_of_head, Version, Versions};
use crate::aws::Aws;
use crate::container::served::ServedContainer;
use crate::container::stored::Stored;
use crate::container::MAX_FILE;
use crate::settings::names::{s3_uri, ObjectKey};
use crate::settings::Settings;

/// How many versions are looked at at the same time, and how many of the newest are shown. Each takes a connection.
pub(super) const LOOKED_AT_ONCE: usize = 6;

/// How many versions are looked at for a build number.
const MAX_LOOKED_AT: usize = 300;

/// How many versions are listed. Whoever wants an older one back names it by its ID.
const MAX_LISTED: usize = 1_000;

/// Where versions are read, and until when.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) aws: &'a Aws,
    pub(super) settings: &'a Settings,
    pub(super) deadline: Instant,
}

/// A version that was read.
pub(super) struct Read {
    pub(super) id: String,
    pub(super) modified: Option<SystemTime>,
    pub(super) stored: Stored,
    pub(super) served: ServedContainer,
}

/// The versions of a key, newest first.
pub(super) struct History<'a> {
    source: Source<'a>,
    key: &'a ObjectKey,
    pub(super) list: Vec<Version>,
    has_more: bool,
    looked_at: BTreeMap<usize, Stored>,
}

impl<'a> Source<'a> {
    /// Reads a version by its ID.
    pub(super) async fn read(
        self,
        key: &ObjectKey,
        id: &str,
        modified: Option<SystemTime>,
    ) -> Result<Read, AwsError> {
        let read = versions::get(&self.aws.s3, self.settings, key, id, self.deadline);
        let (output, body) = read.await?;
        let stored = stored_of_get(&output);
        let of_output = output.last_modified().copied();
        let of_output = of_output.and_then(|time| time.try_into().ok());
        Ok(Read {
            id: id.to_owned(),
            modified: modified.or(of_output),
            served: self.served(key, Some(id), &stored, body),
            stored,
        })
    }

    /// A version as it is served.
    pub(super) fn served(
        self,
        key: &ObjectKey,
        id: Option<&str>,
        stored: &Stored,
        body: Bytes,
    ) -> ServedContainer {
        let uri = uri_of_version(self.settings, key, id);
        let headers = stored
            .headers()
            .map(|(name, value)| (name.to_owned(), value));
        let metadata = stored.metadata.iter();
        let metadata = metadata.map(|(name, value)| (format!("x-amz-meta-{name}"), value.as_str()));
        let headers: Vec<(String, &str)> = headers.chain(metadata).collect();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), *value));
        ServedContainer::new(&uri, headers, body, MAX_FILE)
    }

    pub(super) async fn history(self, key: &'a ObjectKey) -> Result<History<'a>, AwsError> {
        let (client, settings) = (&self.aws.s3, self.settings);
        let listed = versions::list(client, settings, key, MAX_LISTED, self.deadline);
        let Versions { list, has_more } = listed.await?;
        Ok(History {
            source: self,
            key,
            list,
            has_more,
            looked_at: BTreeMap::new(),
        })
    }
}

impl History<'_> {
    pub(super) async fn read(&self, at: usize) -> Result<Read, AwsError> {
        let Version { id, modified, .. } = &self.list[at];
        self.source.read(self.key, id, *modified).await
    }

    /// What is known of a version.
    pub(super) fn stored(&self, at: usize) -> Option<&Stored> {
        self.looked_at.get(&at)
    }

    pub(super) fn remember(&mut self, stored: impl IntoIterator<Item = (usize, Stored)>) {
        self.looked_at.extend(stored);
    }

    /// Looks at these versions at the same time, as far as they are not known.
    pub(super) async fn look(
        &self,
        which: impl IntoIterator<Item = usize>,
    ) -> Result<Vec<(usize, Stored)>, AwsError> {
        let is_new = |at: &usize| {
            let version = self.list.get(*at);
            version.is_some_and(|it| !it.is_delete_marker) && !self.looked_at.contains_key(at)
        };
        let which: Vec<usize> = which.into_iter().filter(is_new).collect();
        let Source {
            aws,
            settings,
            deadline,
        } = self.source;
        let heads = which.iter().map(async |&at| {
            let id = &self.list[at].id;
            versions::head(&aws.s3, settings, self.key, id, deadline).await
        });
        let mut found = Vec::new();
        for (at, head) in which.iter().zip(join_all(heads).await) {
            match head {
                Ok(head) => found.push((*at, stored_of_head(&head))),
                // A lifecycle rule may have removed it since.
                Err(error) if error.kind == AwsErrorKind::NoSuchKey => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The newest version that is wanted, by what is stored with it.
    pub(super) async fn find(
        &mut self,
        is_wanted: impl Fn(&Stored) -> bool,
    ) -> Result<Option<usize>, AwsError> {
        let end = self.searched();
        for start in (0..end).step_by(LOOKED_AT_ONCE) {
            let batch = start..(start + LOOKED_AT_ONCE).min(end);
            let found = self.look(batch.clone()).await?;
            self.remember(found);
            let is_wanted = |at: &usize| self.stored(*at).is_some_and(&is_wanted);
            if let Some(at) = batch.into_iter().find(is_wanted) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// How many versions `find` looks at.
    pub(super) fn searched(&self) -> usize {
        self.list.len().min(MAX_LOOKED_AT)
    }

    /// Whether there are versions that `find` does not look at.
    pub(super) fn has_unsearched(&self) -> bool {
        self.has_more || self.list.len() > self.searched()
    }

    /// The newest versions and the chosen one, and how many others there are.
    pub(super) fn shown(mut self, chosen: usize) -> (Vec<Shown>, usize) {
        let newest = 0..self.list.len().min(LOOKED_AT_ONCE);
        let shown: BTreeSet<usize> = newest.chain([chosen]).collect();
        let unshown = self.list.len() - shown.len();
        let shown = shown.into_iter().map(|at| Shown {
            version: self.list[at].clone(),
            stored: self.looked_at.remove(&at),
            is_chosen: at == chosen,
        });
        (shown.collect(), unshown)
    }
}

/// The address of a version, as S3's own links have it.
pub(super) fn uri_of_version(settings: &Settings, key: &ObjectKey, id: Option<&str>) -> String {
    let uri = s3_uri(&settings.target.bucket, key);
    match id {
        Some(id) => format!("{uri}?versionId={id}"),
        None => uri,
    }
}
