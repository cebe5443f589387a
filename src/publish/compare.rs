//! Compares each container with the one that visitors get now, before it is replaced.
//!
//! If that container cannot be read, the log has the reason and the publish continues. It is read from the CDN before the upload.
//! From S3 it is read during the upload, over a connection of its own, to save a round trip to the bucket's region. The read has
//! a head start. If S3 returns what this run has just uploaded all the same, its caller reference shows that.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;
use futures_util::stream::{FuturesUnordered, StreamExt};
use thiserror::Error;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::cdn::{self, Cdn};
use super::parsers::Parsers;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::Aws;
use crate::common::byte_size::ByteSize;
use crate::container::changes::Changes;
use crate::container::object::{Container, Object};
use crate::container::served::ServedContainer;
use crate::settings::aws::CredentialSource;
use crate::settings::names::{s3_uri, ObjectKey};
use crate::settings::Settings;

/// How long to wait for each source of a container.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How many containers a dry run compares at the same time.
const MAX_CONCURRENT: usize = 16;

const OTHER_CACHE: &str =
    "`PUBLIC_URL` was not requested, as another cache than CloudFront answers there, \
    which would keep the old container";

/// What containers are compared with, and where it is read.
pub(crate) struct Comparison<'a> {
    /// The CDN, or why it is not requested.
    cdn: Result<&'a Cdn, ReadError>,
    /// Whether an invalidation reaches what the CDN caches, or why that is not known.
    may_request_cdn: OnceCell<Result<(), ReadError>>,
    /// S3, or why it is not requested.
    s3: Result<&'a Aws, ReadError>,
    settings: &'a Settings,
    /// The reference of the run that replaces the containers, if any does.
    caller_reference: Option<&'a str>,
    parsers: Parsers,
}

/// What is known of the sources from the containers compared so far.
///
/// A source that times out or denies access is not requested again, as that would cost as much for each of thousands of
/// containers. Each container starts with what was known when it started (see `for_each`), so no more of them wait in vain than
/// are compared at the same time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sources {
    pub(super) cdn: Source,
    pub(super) s3: Source,
    /// The list of an object's versions in S3.
    pub(super) versions: Source,
    /// One of these versions.
    pub(super) version: Source,
}

/// What is known of a source. The greatest observation counts.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Source {
    #[default]
    Untried,
    Denied,
    /// It may still deny access to some container.
    Readable,
    TimedOut,
}

/// Why a container was not read from a source.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum ReadError {
    #[error("`PUBLIC_URL` is not set")]
    NoPublicUrl,
    #[error("the role's session of this run may not read it from S3 (`s3:GetObject`)")]
    NotInSession,
    #[error("{0}")]
    NotRequested(String),
    #[error("not requested, as it did not respond in time for another container")]
    TimedOutBefore,
    #[error("not requested, as it denied access to another container")]
    DeniedBefore,
    #[error("no response within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("these credentials may not read it (`s3:GetObject`), or nothing is published yet")]
    Denied,
    #[error("HTTP {0}, as where nothing is published yet")]
    NothingPublished(u16),
    #[error("nothing is published yet")]
    NothingStored,
    /// Any other request fails for the same reason, so an upload does.
    #[error("{0}")]
    Fatal(String),
    #[error("{0}")]
    Other(String),
}

impl ReadError {
    /// With the source, unless the message names it.
    fn of(&self, source: &str) -> String {
        match self {
            Self::NoPublicUrl | Self::NotInSession | Self::NotRequested(_) => self.to_string(),
            _ => format!("{source}: {self}"),
        }
    }
}

/// Why a container was not compared.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{}; {}", .cdn.of("`PUBLIC_URL`"), .s3.of("S3"))]
pub(crate) struct NotCompared {
    cdn: ReadError,
    s3: ReadError,
}

/// The live container, or why it could not be read.
pub(crate) type Read = Result<ServedContainer, NotCompared>;

impl NotCompared {
    /// Whether an upload fails for the same reason, which its error explains.
    pub(crate) fn is_reported_by_the_upload(&self) -> bool {
        matches!(self.s3, ReadError::Fatal(_))
    }

    /// How it is known that there is no such file, as before the first publish.
    pub(crate) fn nothing_published(&self) -> Option<String> {
        match (&self.cdn, &self.s3) {
            (ReadError::NothingPublished(status), _) => {
                Some(format!("`PUBLIC_URL`: HTTP {status}"))
            }
            (_, ReadError::NothingStored) => Some(self.s3.to_string()),
            _ => None,
        }
    }

    /// Whether only a permission was missing in S3, so that `PUBLIC_URL` would help.
    pub(crate) fn lacks_public_url(&self) -> bool {
        use ReadError::{Denied, DeniedBefore, NoPublicUrl, NotInSession};
        self.cdn == NoPublicUrl && matches!(self.s3, Denied | DeniedBefore | NotInSession)
    }
}

impl Source {
    /// Reads from the source, unless it would be in vain.
    pub(super) async fn read<T>(
        &mut self,
        max: Duration,
        read: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        match self {
            Self::TimedOut => return Err(ReadError::TimedOutBefore),
            Self::Denied => return Err(ReadError::DeniedBefore),
            Self::Untried | Self::Readable => {}
        }
        let read = timeout(max, read).await;
        let read = read.unwrap_or(Err(ReadError::TimedOut(max)));
        *self = (*self).max(match read {
            Ok(_) => Self::Readable,
            Err(ReadError::Denied) => Self::Denied,
            Err(ReadError::TimedOut(_)) => Self::TimedOut,
            Err(_) => Self::Untried,
        });
        read
    }
}

impl Sources {
    /// Calls `work` for every container: for the first alone, as it shows whether the others can be read at all, then for up
    /// to `max_concurrent` at the same time. Each call gets what the finished ones have observed of the sources, and returns
    /// that with its own observations. The results are in the order of the containers.
    pub(crate) async fn for_each<'a, C, T, W>(
        containers: &'a [C],
        max_concurrent: usize,
        work: impl Fn(&'a C, Self) -> W,
    ) -> Vec<T>
    where
        W: Future<Output = (Self, T)>,
    {
        let mut sources = Self::default();
        let mut results = BTreeMap::new();
        let mut running = FuturesUnordered::new();
        for (number, container) in containers.iter().enumerate() {
            let max = if number == 1 { 1 } else { max_concurrent };
            if running.len() == max {
                if let Some((number, (observed, result))) = running.next().await {
                    sources.learn(observed);
                    results.insert(number, result);
                }
            }
            let work = work(container, sources);
            running.push(async move { (number, work.await) });
        }
        while let Some((number, (_, result))) = running.next().await {
            results.insert(number, result);
        }
        results.into_values().collect()
    }

    fn learn(&mut self, observed: Self) {
        self.cdn = self.cdn.max(observed.cdn);
        self.s3 = self.s3.max(observed.s3);
        self.versions = self.versions.max(observed.versions);
        self.version = self.version.max(observed.version);
    }
}

impl<'a> Comparison<'a> {
    /// `aws` may be the reason why S3 cannot be requested.
    pub(crate) fn new(
        aws: Result<&'a Aws, String>,
        cdn: Option<&'a Cdn>,
        settings: &'a Settings,
        caller_reference: Option<&'a str>,
    ) -> Self {
        let cdn = match cdn {
            None => Err(ReadError::NoPublicUrl),
            // The CDN would cache the old container just before it is replaced, and nothing would invalidate it.
            Some(_) if settings.distributions.is_empty() && !settings.is_preview() => {
                Err(ReadError::NotRequested(
                    "`PUBLIC_URL` was not requested, as `DISTRIBUTION_ID` is not set".to_owned(),
                ))
            }
            Some(cdn) => Ok(cdn),
        };
        let s3 = match aws {
            Ok(_) if !may_read_s3(settings) => Err(ReadError::NotInSession),
            aws => aws.map_err(ReadError::NotRequested),
        };
        Self {
            cdn,
            may_request_cdn: OnceCell::new(),
            s3,
            settings,
            caller_reference,
            parsers: Parsers::new(),
        }
    }

    /// Whether a publish with these settings reads from S3 while it uploads.
    pub(crate) fn reads_s3_meanwhile(settings: &Settings) -> bool {
        may_read_s3(settings)
            && (settings.public_url.is_none() || settings.distributions.is_empty())
    }

    /// What publishing each container would change, in their order.
    pub(crate) async fn all(&self, containers: &[Container]) -> Vec<Result<Changes, NotCompared>> {
        Sources::for_each(
            containers,
            MAX_CONCURRENT,
            async |container, mut sources| {
                let read = self.read(container, &mut sources).await;
                (sources, self.changes(container, read).await)
            },
        )
        .await
    }

    /// What publishing a container changes compared with what was read, or why that is not known.
    pub(crate) async fn changes(
        &self,
        container: &Container,
        read: Read,
    ) -> Result<Changes, NotCompared> {
        let served = self.parsers.parse(read?).await;
        let (script, cache_control) = (container.script.as_ref(), &self.settings.cache_control);
        let changes = Changes::between(&served, script, of(container), cache_control);
        Ok(changes)
    }

    /// Reads the live container, from the CDN if possible, else from S3. `sources` then has what is known of the two.
    pub(crate) async fn read(&self, container: &Container, sources: &mut Sources) -> Read {
        let object = of(container);
        let of_cdn = match &self.cdn {
            Ok(cdn) => {
                sources
                    .cdn
                    .read(READ_TIMEOUT, self.read_cdn(cdn, object))
                    .await
            }
            Err(error) => Err(error.clone()),
        };
        let cdn = match of_cdn {
            Ok(served) => return Ok(served),
            Err(error) => error,
        };
        let of_s3 = match &self.s3 {
            Ok(aws) => {
                let read = from_s3(aws, self.settings, object);
                sources.s3.read(READ_TIMEOUT, read).await
            }
            Err(error) => Err(error.clone()),
        };
        match of_s3 {
            Ok(served) if self.is_of_this_run(&served, object) => Err(ReadError::Other(
                "it returned what this run had just uploaded".to_owned(),
            )),
            of_s3 => of_s3,
        }
        .map_err(|s3| NotCompared { cdn, s3 })
    }

    /// A store may drop the reference. Then the same bytes may be what this run has just uploaded.
    fn is_of_this_run(&self, served: &ServedContainer, object: &Object) -> bool {
        let Some(reference) = self.caller_reference else {
            return false;
        };
        match served.caller_reference() {
            Some(run) => run == reference,
            None => served.body == object.body,
        }
    }

    async fn read_cdn(&self, cdn: &Cdn, object: &Object) -> Result<ServedContainer, ReadError> {
        let (connector, url, timeout) = (&cdn.connector, cdn.url(object), 2 * READ_TIMEOUT);
        let may_request = async {
            // Nothing is published after a preview.
            if self.settings.is_preview() {
                return Ok(());
            }
            match cdn::has_other_cache(connector, &url, timeout).await {
                Ok(false) => Ok(()),
                Ok(true) => Err(ReadError::NotRequested(OTHER_CACHE.to_owned())),
                Err(problem) => Err(ReadError::Other(problem)),
            }
        };
        let may_request = self.may_request_cdn.get_or_init(|| may_request).await;
        may_request.clone()?;
        let response = cdn::get(connector, &url, object.size, timeout).await;
        let (status, served) = response.map_err(ReadError::Other)?;
        Err(match status {
            200 => return Ok(served),
            // Without permission to list the bucket, S3 responds 403 for what does not exist.
            403 | 404 => ReadError::NothingPublished(status),
            _ => ReadError::Other(format!("HTTP {status}{}", served.redirects_to())),
        })
    }
}

/// The object that pages load.
fn of(container: &Container) -> &Object {
    container
        .minified()
        .expect("every container has a `NAME.js`")
}

/// Whether a container that was not compared needs no line in the log, as another one had the same reason.
pub(crate) fn already_reported<'a>(
    changes: &Result<Changes, NotCompared>,
    mut reported: impl Iterator<Item = &'a Result<Changes, NotCompared>>,
) -> bool {
    changes.as_ref().is_err_and(|problem| {
        let is_alike =
            |it: &NotCompared| it == problem || it.lacks_public_url() && problem.lacks_public_url();
        reported.any(|reported| reported.as_ref().is_err_and(is_alike))
    })
}

/// The session of a role is limited to what the run needs.
pub(super) fn may_read_s3(settings: &Settings) -> bool {
    let by_session = settings.only_newer || settings.rollback.is_some();
    by_session || !matches!(settings.aws.credentials, CredentialSource::Oidc { .. })
}

pub(crate) async fn from_s3(
    aws: &Aws,
    settings: &Settings,
    object: &Object,
) -> Result<ServedContainer, ReadError> {
    // One attempt: if something is wrong with S3, the upload reports it better.
    let once = RetryConfig::disabled();
    let read = get_from_s3(aws, settings, &object.key, object.size, once).await;
    read.map_err(Into::into)
}

impl From<AwsError> for ReadError {
    fn from(error: AwsError) -> Self {
        match error.kind {
            AwsErrorKind::AccessDenied | AwsErrorKind::DeniedElsewhere(_) => Self::Denied,
            AwsErrorKind::NoSuchKey => Self::NothingStored,
            _ => match error.code {
                Some(code) if error.kind.fails_every_request() => Self::Fatal(code),
                code => Self::Other(code.unwrap_or(error.message)),
            },
        }
    }
}

/// Reads what is stored under a key, with the headers that visitors get. `size` is the uncompressed size that is expected.
pub(super) async fn get_from_s3(
    aws: &Aws,
    settings: &Settings,
    key: &ObjectKey,
    size: ByteSize,
    retries: RetryConfig,
) -> Result<ServedContainer, AwsError> {
    const ACTION: &str = "s3:GetObject";
    let address = s3_uri(&settings.target.bucket, key);
    let retries = aws_sdk_s3::config::Builder::new().retry_config(retries);
    let response = aws
        .s3
        .get_object()
        .bucket(settings.target.bucket.as_str())
        .key(key.as_str())
        .customize()
        .config_override(retries)
        .send()
        .await;
    let mut response = response.map_err(|error| AwsError::new(ACTION, address.clone(), &error))?;
    let limit = ServedContainer::limit(size);
    let body = std::mem::take(&mut response.body).into_inner();
    let body = cdn::content(body, limit).await;
    let headers = [
        ("content-type", response.content_type()),
        ("content-encoding", response.content_encoding()),
        ("cache-control", response.cache_control()),
        ("etag", response.e_tag()),
        ("x-amz-version-id", response.version_id()),
    ];
    let headers = as_visitors_get(&headers, response.last_modified(), response.metadata());
    let headers = headers.iter().map(|(name, value)| (&**name, &**value));
    let body = body.map_err(|problem| AwsError::unexpected(ACTION, &address, problem))?;
    Ok(ServedContainer::new(&address, headers, body, limit))
}

/// The headers of an object by the names that they have for visitors, from what the SDK makes of them.
pub(super) fn as_visitors_get(
    headers: &[(&str, Option<&str>)],
    stored_at: Option<&DateTime>,
    metadata: Option<&HashMap<String, String>>,
) -> Vec<(String, String)> {
    let headers = headers.iter();
    let headers = headers.filter_map(|(name, value)| Some(((*name).into(), (*value)?.into())));
    let stored_at = stored_at.and_then(|date| date.fmt(Format::HttpDate).ok());
    let stored_at = stored_at.map(|date| ("last-modified".to_owned(), date));
    let metadata = metadata.into_iter().flatten();
    let metadata = metadata.map(|(name, value)| (format!("x-amz-meta-{name}"), value.clone()));
    headers.chain(stored_at).chain(metadata).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_source_that_times_out_later_is_requested_only_for_those_that_run_then() {
        let requests = Cell::new(0);
        let containers: Vec<usize> = (0..1_000).collect();
        let started = Instant::now();
        let results = Sources::for_each(&containers, 64, async |&container, mut sources| {
            let read = async {
                requests.set(requests.get() + 1);
                match container {
                    0 => Err(ReadError::Other(String::new())),
                    _ => pending().await,
                }
            };
            let _: Result<(), _> = sources.cdn.read(READ_TIMEOUT, read).await;
            (sources, container)
        })
        .await;
        assert_eq!(results, containers);
        assert_eq!(requests.get(), 1 + 64);
        assert_eq!(started.elapsed(), READ_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_counts_until_something_was_read() {
        async fn case(mut source: Source, first: ReadError, second: Option<ReadError>) {
            let _ = source.read(READ_TIMEOUT, ready(Err::<(), _>(first))).await;
            let requested = ReadError::Other("requested".to_owned());
            let second_read = ready(Err::<(), _>(requested.clone()));
            let error = source.read(READ_TIMEOUT, second_read).await;
            assert_eq!(error.unwrap_err(), second.unwrap_or(requested));
        }
        use ReadError::{Denied, DeniedBefore, Other, TimedOut, TimedOutBefore};
        case(Source::Untried, Denied, Some(DeniedBefore)).await;
        case(Source::Readable, Denied, None).await;
        case(
            Source::Readable,
            TimedOut(READ_TIMEOUT),
            Some(TimedOutBefore),
        )
        .await;
        case(Source::Untried, Other(String::new()), None).await;
    }
}
