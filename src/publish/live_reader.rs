//! Looks at what is live, for `status`: requests each source, and parses and compares what it got. It only reads.
//!
//! The CDN and S3 are read at the same time, each only as long as it responds (see `Sources`), so that thousands of containers
//! take minutes at most, whatever is wrong.

use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use bytes::Bytes;
use futures_util::future::{join3, join_all};
use tokio::sync::OnceCell;
use tokio::time::{timeout, Instant};

use super::cdn::{self, Cdn};
use super::choice::NoVersion;
use super::compare::{as_visitors_get, get_from_s3, ReadError, Source, Sources};
use super::live::{Freshness, Kept, KeptVersion, Live, Seen};
use super::parsers::Parsers;
use super::rollback;
use crate::aws::error::AwsError;
use crate::aws::versions::{self, Version};
use crate::aws::Aws;
use crate::common::byte_size::ByteSize;
use crate::container::served::ServedContainer;
use crate::container::MAX_FILE;
use crate::settings::names::{s3_uri, CdnPath, ContainerName, ObjectKey, Variant};
use crate::settings::Settings;

/// How many containers are looked at at the same time. Up to `MAX_FILE` of each are held in memory, from both sources.
const MAX_CONCURRENT: usize = 8;

/// How long to wait for each source of a container. Longer than a publish, which has other things to do.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(15);

/// From then on, nothing more is requested.
const TIMEOUT: Duration = Duration::from_mins(5);

/// How many versions of a container are shown, the newest.
const MAX_VERSIONS: usize = 10;

/// How many versions are counted at least, which S3 returns at once.
const MAX_COUNTED: usize = 100;

/// The versions of more containers are not listed.
const MAX_LISTED: usize = 10;

/// A source for what visitors get now.
pub(crate) struct Reader<'a> {
    settings: &'a Settings,
    /// If `PUBLIC_URL` is set.
    cdn: Option<&'a Cdn>,
    /// S3, or why it is not requested.
    aws: Result<&'a Aws, String>,
    parsers: Parsers,
    deadline: Instant,
    /// The first failure of S3 that is no denial.
    pub(crate) failure: OnceCell<AwsError>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        cdn: Option<&'a Cdn>,
        aws: Result<&'a Aws, String>,
    ) -> Self {
        Self {
            settings,
            cdn,
            aws,
            parsers: Parsers::new(),
            deadline: Instant::now() + TIMEOUT,
            failure: OnceCell::new(),
        }
    }

    /// Looks at every container. The results are in their order.
    pub(crate) async fn all(&self) -> Vec<Live> {
        let containers = &self.settings.target.containers;
        Sources::for_each(containers, MAX_CONCURRENT, async |name, mut sources| {
            let live = Box::pin(self.live(name, &mut sources)).await;
            (sources, live)
        })
        .await
    }

    async fn live(&self, name: &ContainerName, sources: &mut Sources) -> Live {
        let target = &self.settings.target;
        let file_name = Variant::Minified.file_name(name);
        let key = ObjectKey::new(&target.prefix, &file_name);
        let path = CdnPath::new(&target.cdn_prefix, &file_name);
        let url = self.cdn.map(|cdn| cdn.url_of(&path));
        let (served, stored, listed) = join3(
            self.request(&mut sources.cdn, Box::pin(self.read_cdn(url.as_deref()))),
            self.request(&mut sources.s3, Box::pin(self.read_s3(&key))),
            self.request(&mut sources.versions, Box::pin(self.list(&key))),
        )
        .await;
        let (served, stored, same) = self.examined(served, stored, listed.as_ref().ok()).await;
        let versions = match listed {
            Ok(listed) => Ok(self
                .details(&key, listed, stored.as_ref().ok(), &mut sources.version)
                .await),
            Err(error) => Err(error),
        };
        let put_back = match &versions {
            Ok(kept) if kept.newest.len() > 1 => self.put_back(name).await,
            _ => None,
        };
        let mut live = Live {
            name: name.clone(),
            key,
            url,
            served,
            stored,
            freshness: Freshness::Unknown,
            versions,
            put_back,
        };
        live.freshness = match same {
            Some(true) => Freshness::Current,
            Some(false) => Freshness::Stale {
                until: live.cache_end(),
            },
            None => Freshness::Unknown,
        };
        live
    }

    /// Reads from a source, unless that would be in vain or too late.
    async fn request<T>(
        &self,
        source: &mut Source,
        read: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        if Instant::now() >= self.deadline {
            let minutes = TIMEOUT.as_secs() / 60;
            return Err(ReadError::NotRequested(format!(
                "not requested, as the {minutes} min for all containers were over"
            )));
        }
        source.read(SOURCE_TIMEOUT, read).await
    }

    async fn read_cdn(&self, url: Option<&str>) -> Result<Seen, ReadError> {
        let (Some(cdn), Some(url)) = (self.cdn, url) else {
            return Err(ReadError::NoPublicUrl);
        };
        // Longer than it is waited for.
        let timeout = 2 * SOURCE_TIMEOUT;
        let response = cdn::get(&cdn.connector, url, expected_size(), timeout).await;
        let (status, response) = response.map_err(ReadError::Other)?;
        match status {
            // Where it leads to is not looked at.
            300..400 => Err(ReadError::Other(format!(
                "HTTP {status}{}",
                response.redirects_to()
            ))),
            _ => Ok(Seen::new(status, response)),
        }
    }

    fn s3(&self) -> Result<&'a Aws, ReadError> {
        self.aws.clone().map_err(ReadError::NotRequested)
    }

    async fn read_s3(&self, key: &ObjectKey) -> Result<Seen, ReadError> {
        let aws = self.s3()?;
        // Again once only, as somebody waits for it.
        let twice = RetryConfig::standard().with_max_attempts(2);
        match get_from_s3(aws, self.settings, key, expected_size(), twice).await {
            Ok(response) => Ok(Seen::new(200, response)),
            Err(error) => match self.noted(error) {
                ReadError::NothingStored => {
                    let uri = s3_uri(&self.settings.target.bucket, key);
                    let nothing = ServedContainer::new(&uri, [], Bytes::new(), ByteSize(0));
                    Ok(Seen::new(404, nothing))
                }
                error => Err(error),
            },
        }
    }

    async fn list(&self, key: &ObjectKey) -> Result<versions::Versions, ReadError> {
        let aws = self.s3()?;
        if self.settings.target.containers.len() > MAX_LISTED {
            return Err(ReadError::NotRequested(format!(
                "not listed, as there are more than {MAX_LISTED} containers"
            )));
        }
        let deadline = Instant::now() + SOURCE_TIMEOUT;
        let listed = versions::list(&aws.s3, self.settings, key, MAX_COUNTED, deadline).await;
        listed.map_err(|error| self.noted(error))
    }

    /// The error, of which the first that is no denial is kept whole.
    fn noted(&self, error: AwsError) -> ReadError {
        let kind = ReadError::from(error.clone());
        if !matches!(kind, ReadError::Denied | ReadError::NothingStored) {
            let _ = self.failure.set(error);
        }
        kind
    }

    /// Parses what was read, and compares it, so that the bodies need not be kept. The last is whether both are the same.
    async fn examined(
        &self,
        served: Result<Seen, ReadError>,
        stored: Result<Seen, ReadError>,
        listed: Option<&versions::Versions>,
    ) -> (
        Result<Seen, ReadError>,
        Result<Seen, ReadError>,
        Option<bool>,
    ) {
        let live = listed
            .and_then(|it| it.list.iter().find(|it| it.is_live))
            .cloned();
        let compare = move || {
            let same = match (&served, &stored, &live) {
                (Ok(served), Ok(stored), _) => Some(match (served.is_there(), stored.is_there()) {
                    (true, true) => served.response.is_same_as(&stored.response),
                    (served, stored) => served == stored,
                }),
                (Ok(served), Err(_), Some(live)) => match (&live.etag, served.is_there()) {
                    (Some(etag), true) => served.response.has_etag(etag),
                    (etag, served) => Some(served == etag.is_some()),
                },
                _ => None,
            };
            (served, stored, same)
        };
        let (served, stored, same) = self.parsers.run(compare).await;
        let served = match served {
            Ok(served) => Ok(self.parsed(served).await),
            Err(error) => Err(error),
        };
        let stored = match (stored, &served) {
            // It need not be parsed twice.
            (Ok(stored), Ok(served)) if same == Some(true) => {
                let response = stored.response.with_script_of(&served.response);
                let response = response.without_body();
                Ok(Seen { response, ..stored })
            }
            (Ok(stored), _) => Ok(self.parsed(stored).await),
            (Err(error), _) => Err(error),
        };
        (served, stored, same)
    }

    /// With its script parsed, if it is a container, and without its body.
    async fn parsed(&self, seen: Seen) -> Seen {
        if !seen.is_there() {
            return seen;
        }
        let response = self.parsers.parse(seen.response).await;
        let response = response.without_body();
        Seen { response, ..seen }
    }

    /// Which containers the newest versions are. The live one may have been read already.
    async fn details(
        &self,
        key: &ObjectKey,
        listed: versions::Versions,
        stored: Option<&Seen>,
        source: &mut Source,
    ) -> Kept {
        let older = listed.list.len().saturating_sub(MAX_VERSIONS);
        let newest = listed.list.into_iter().take(MAX_VERSIONS);
        let mut kept: Vec<KeptVersion> = newest
            .map(|version| {
                let is_read = |it: &&Seen| it.response.version_id().as_deref() == Some(&version.id);
                let details = stored.filter(is_read).cloned().map(Ok);
                KeptVersion { version, details }
            })
            .collect();
        let is_unread =
            |it: &&mut KeptVersion| it.details.is_none() && !it.version.is_delete_marker;
        let mut unread = kept.iter_mut().filter(is_unread);
        // The first shows whether the others can be read.
        if let Some(first) = unread.next() {
            first.details = Some(self.request(source, self.head(key, &first.version)).await);
        }
        let known = *source;
        let read = unread.map(async |it| {
            let mut source = known;
            it.details = Some(self.request(&mut source, self.head(key, &it.version)).await);
        });
        join_all(read).await;
        Kept {
            newest: kept,
            older,
            has_more: listed.has_more,
        }
    }

    /// Which version a rollback would put back, by its own code.
    async fn put_back(&self, name: &ContainerName) -> Option<Result<String, NoVersion>> {
        let chosen = rollback::chosen(self.s3().ok()?, self.settings, &self.parsers, name);
        match timeout(SOURCE_TIMEOUT, chosen).await.ok()? {
            // It is a missing permission, of which the versions tell already.
            Err(NoVersion::Aws(_)) => None,
            chosen => Some(chosen),
        }
    }

    async fn head(&self, key: &ObjectKey, version: &Version) -> Result<Seen, ReadError> {
        let (aws, deadline) = (self.s3()?, Instant::now() + SOURCE_TIMEOUT);
        let head = versions::head(&aws.s3, self.settings, key, &version.id, deadline).await;
        let head = head.map_err(|error| self.noted(error))?;
        let headers = [
            ("content-type", head.content_type()),
            ("content-encoding", head.content_encoding()),
            ("cache-control", head.cache_control()),
            ("x-amz-version-id", Some(&*version.id)),
        ];
        let headers = as_visitors_get(&headers, head.last_modified(), head.metadata());
        let headers = headers.iter().map(|(name, value)| (&**name, &**value));
        let uri = s3_uri(&self.settings.target.bucket, key);
        let response = ServedContainer::new(&uri, headers, Bytes::new(), ByteSize(0));
        response.leave_unparsed();
        Ok(Seen {
            size: version.size.map(ByteSize),
            ..Seen::new(200, response)
        })
    }
}

/// As large as what a publish reads may be, so that everything it published is read.
fn expected_size() -> ByteSize {
    ByteSize(MAX_FILE.0 / 2)
}
