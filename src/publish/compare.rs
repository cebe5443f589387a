//! Compares each container with the one that visitors get now, before it is replaced.
//!
//! Nothing depends on it: where that container cannot be read, the log says why, and the publish goes on. It is read from the
//! CDN before the upload. From S3 it is read during the upload, over a connection of its own, to save a round trip to the
//! bucket's region. S3 may then return what this very run uploads, which is known by its caller reference.

use std::fmt::{self, Display, Formatter};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_http_client::Connector;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::Uri;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::cdn;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::https::Https;
use crate::aws::s3::CALLER_REFERENCE;
use crate::aws::Aws;
use crate::container::changes::Changes;
use crate::container::object::{Container, Object};
use crate::container::served::ServedContainer;
use crate::container::MAX_READERS;
use crate::settings::aws::CredentialSource;
use crate::settings::names::{public_url_of, s3_uri};
use crate::settings::Settings;

/// How long to wait for each source of a container.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Containers that a dry run compares at the same time.
const MAX_CONCURRENT: usize = 16;

/// What containers are compared with, and where that is read.
pub(crate) struct Comparison<'a> {
    /// The CDN, or why it is not requested.
    cdn: Result<(Connector, &'a Uri), ReadError>,
    /// S3, or why it is not requested.
    s3: Result<&'a Aws, ReadError>,
    settings: &'a Settings,
    /// Of the run that replaces the containers, if they are replaced.
    caller_reference: Option<&'a str>,
    /// Limits how many scripts are parsed at the same time.
    parsers: Arc<Semaphore>,
}

/// What the containers compared so far have shown of the sources.
///
/// A source that times out or denies access is not requested again, as each of thousands of containers would cost as much.
/// Each container starts with what was known when it started (see `for_each`), so at most as many wait for a source in vain as
/// run at the same time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sources {
    cdn: Source,
    s3: Source,
}

/// What is known of a source. The greater of two observations counts.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum Source {
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
    /// It was not requested at all.
    #[error("{0}")]
    NotRequested(String),
    #[error("not requested, as it did not respond in time for another container")]
    TimedOutBefore,
    #[error("not requested, as it denied access to another container")]
    DeniedBefore,
    #[error("no response within {} s", READ_TIMEOUT.as_secs())]
    TimedOut,
    #[error("these credentials may not read it (`s3:GetObject`), or nothing is published yet")]
    Denied,
    #[error("{0}")]
    Other(String),
}

/// Why a container was not compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NotCompared {
    cdn: ReadError,
    s3: ReadError,
}

impl NotCompared {
    /// Whether `PUBLIC_URL` would have helped, as nothing is wrong with S3 but a permission.
    pub(crate) fn lacks_public_url(&self) -> bool {
        self.cdn == ReadError::NoPublicUrl
            && matches!(
                self.s3,
                ReadError::Denied | ReadError::DeniedBefore | ReadError::NotInSession
            )
    }
}

impl Display for NotCompared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let of_source = |name: &str, error: &ReadError| match error {
            ReadError::NoPublicUrl | ReadError::NotInSession | ReadError::NotRequested(_) => {
                error.to_string()
            }
            error => format!("{name}: {error}"),
        };
        let cdn = of_source("`PUBLIC_URL`", &self.cdn);
        write!(f, "{cdn}; {}", of_source("S3", &self.s3))
    }
}

impl Source {
    /// Whether it may be requested.
    fn check(self) -> Result<(), ReadError> {
        match self {
            Self::TimedOut => Err(ReadError::TimedOutBefore),
            Self::Denied => Err(ReadError::DeniedBefore),
            Self::Untried | Self::Readable => Ok(()),
        }
    }

    fn after(self, read: &Result<ServedContainer, ReadError>) -> Self {
        self.max(match read {
            Ok(_) => Self::Readable,
            Err(ReadError::Denied) => Self::Denied,
            Err(ReadError::TimedOut) => Self::TimedOut,
            Err(_) => Self::Untried,
        })
    }
}

impl Sources {
    /// Calls `work` for every container: for the first alone, as it shows whether the others can be read at all, then for up
    /// to `max_concurrent` at the same time. Each gets what the finished ones have shown of the sources, and returns it with
    /// what it has shown itself. The results are in the order of the containers.
    pub(crate) async fn for_each<'a, C, T, W>(
        containers: &'a [C],
        max_concurrent: usize,
        work: impl Fn(&'a C, Self) -> W,
    ) -> Vec<T>
    where
        W: Future<Output = (Self, T)>,
    {
        let mut sources = Self::default();
        let mut results = Vec::with_capacity(containers.len());
        let mut running = FuturesUnordered::new();
        for (number, container) in containers.iter().enumerate() {
            let max = if number == 1 { 1 } else { max_concurrent };
            if running.len() == max {
                if let Some((number, (shown, result))) = running.next().await {
                    sources = sources.and(shown);
                    results.push((number, result));
                }
            }
            let work = work(container, sources);
            running.push(async move { (number, work.await) });
        }
        while let Some((number, (_, result))) = running.next().await {
            results.push((number, result));
        }
        results.sort_by_key(|(number, _)| *number);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn and(self, shown: Self) -> Self {
        Self {
            cdn: self.cdn.max(shown.cdn),
            s3: self.s3.max(shown.s3),
        }
    }
}

impl<'a> Comparison<'a> {
    /// `aws` may be why S3 cannot be requested.
    pub(crate) fn new(
        aws: Result<&'a Aws, String>,
        https: &'a Https,
        settings: &'a Settings,
        caller_reference: Option<&'a str>,
    ) -> Self {
        let no_cdn = |why: &str| Err(ReadError::NotRequested(why.to_owned()));
        let cdn = match &settings.public_url {
            None => Err(ReadError::NoPublicUrl),
            // It would cache what it serves, and nothing would invalidate that.
            Some(_) if settings.distributions.is_empty() => {
                no_cdn("`PUBLIC_URL` was not requested, as `DISTRIBUTION_ID` is not set")
            }
            Some(public_url) => Ok((https.connector(), public_url)),
        };
        let s3 = aws.map_err(ReadError::NotRequested).and_then(|aws| {
            may_read_s3(settings)
                .then_some(aws)
                .ok_or(ReadError::NotInSession)
        });
        Self {
            cdn,
            s3,
            settings,
            caller_reference,
            parsers: Arc::new(Semaphore::new(MAX_READERS)),
        }
    }

    /// Whether a publish with these settings reads from S3 while it uploads.
    pub(crate) fn reads_s3_meanwhile(settings: &Settings) -> bool {
        may_read_s3(settings)
            && (settings.public_url.is_none() || settings.distributions.is_empty())
    }

    /// What publishing each container would change, in their order.
    pub(crate) async fn all(&self, containers: &[Container]) -> Vec<Result<Changes, NotCompared>> {
        Sources::for_each(containers, MAX_CONCURRENT, |container, sources| {
            self.compare(container, sources)
        })
        .await
    }

    /// What publishing a container changes, or why that is not known; and what that has shown of the sources.
    pub(crate) async fn compare(
        &self,
        container: &Container,
        sources: Sources,
    ) -> (Sources, Result<Changes, NotCompared>) {
        let object = container
            .minified()
            .expect("every container has a `NAME.js`");
        let (sources, served) = self.read(object, sources).await;
        let served = match served {
            Ok(served) => served,
            Err(not_compared) => return (sources, Err(not_compared)),
        };
        let parser = Arc::clone(&self.parsers).acquire_owned().await;
        // On the runtime's thread, the uploads and their time limits would wait for the parser.
        let parsed = tokio::task::spawn_blocking(|| {
            let _parser = parser;
            let _ = served.script();
            served
        });
        let served = parsed.await.expect("a panic ends the process");
        let changes = Changes::between(
            &served,
            container.script.as_ref(),
            object,
            &self.settings.cache_control,
        );
        (sources, Ok(changes))
    }

    /// From the CDN if possible, else from S3.
    async fn read(
        &self,
        object: &Object,
        mut sources: Sources,
    ) -> (Sources, Result<ServedContainer, NotCompared>) {
        let of_cdn = self.read_cdn(object, sources.cdn).await;
        sources.cdn = sources.cdn.after(&of_cdn);
        let cdn = match of_cdn {
            Ok(served) => return (sources, Ok(served)),
            Err(error) => error,
        };
        let of_s3 = self.read_s3(object, sources.s3).await;
        sources.s3 = sources.s3.after(&of_s3);
        let served = of_s3.and_then(|served| self.unless_uploaded_by_this_run(served));
        (sources, served.map_err(|s3| NotCompared { cdn, s3 }))
    }

    async fn read_cdn(
        &self,
        object: &Object,
        source: Source,
    ) -> Result<ServedContainer, ReadError> {
        let (connector, public_url) = self.cdn.as_ref().map_err(Clone::clone)?;
        source.check()?;
        let url = public_url_of(public_url, &object.cdn_path);
        in_time(async {
            let response = cdn::get(connector, &url, object.size, 2 * READ_TIMEOUT).await;
            let (status, served) = response.map_err(ReadError::Other)?;
            match status {
                200 => Ok(served),
                // Without permission to list the bucket, S3 responds 403 for what does not exist.
                403 | 404 => Err(format!("HTTP {status}, as where nothing is published yet")),
                _ => Err(format!("HTTP {status}{}", served.redirects_to())),
            }
            .map_err(ReadError::Other)
        })
        .await
    }

    async fn read_s3(&self, object: &Object, source: Source) -> Result<ServedContainer, ReadError> {
        let aws = self.s3.as_ref().map_err(Clone::clone)?;
        source.check()?;
        in_time(from_s3(aws, self.settings, object)).await
    }

    fn unless_uploaded_by_this_run(
        &self,
        served: ServedContainer,
    ) -> Result<ServedContainer, ReadError> {
        let run = served.header(&format!("x-amz-meta-{CALLER_REFERENCE}"));
        if run.is_some() && run == self.caller_reference {
            return Err(ReadError::Other(
                "it returned what this run had just uploaded".to_owned(),
            ));
        }
        Ok(served)
    }
}

/// Whether the reason why a container was not compared is one of these.
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
fn may_read_s3(settings: &Settings) -> bool {
    settings.only_newer || !matches!(settings.aws.credentials, CredentialSource::Oidc { .. })
}

async fn in_time(
    read: impl Future<Output = Result<ServedContainer, ReadError>>,
) -> Result<ServedContainer, ReadError> {
    let read = tokio::time::timeout(READ_TIMEOUT, read).await;
    read.unwrap_or(Err(ReadError::TimedOut))
}

pub(crate) async fn from_s3(
    aws: &Aws,
    settings: &Settings,
    object: &Object,
) -> Result<ServedContainer, ReadError> {
    let address = s3_uri(&settings.target.bucket, &object.key);
    // One attempt: the upload reports better what is wrong with S3.
    let once = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled());
    let response = aws
        .s3
        .get_object()
        .bucket(settings.target.bucket.as_str())
        .key(object.key.as_str())
        .customize()
        .config_override(once)
        .send()
        .await;
    let response = response.map_err(|error| {
        let error = AwsError::new("s3:GetObject", address.clone(), &error);
        match error.kind {
            AwsErrorKind::AccessDenied => ReadError::Denied,
            AwsErrorKind::NoSuchKey => ReadError::Other("nothing is published yet".to_owned()),
            _ => ReadError::Other(error.code.unwrap_or(error.message)),
        }
    })?;
    let limit = ServedContainer::limit(object.size);
    let headers = [
        ("content-type", response.content_type()),
        ("content-encoding", response.content_encoding()),
        ("cache-control", response.cache_control()),
    ];
    let headers = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    let metadata = response.metadata().into_iter().flatten();
    let metadata = metadata.map(|(name, value)| (format!("x-amz-meta-{name}"), value.clone()));
    let headers: Vec<(String, String)> = headers.chain(metadata).collect();
    let body = cdn::content(response.body.into_inner(), limit)
        .await
        .map_err(ReadError::Other)?;
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(ServedContainer::new(&address, headers, body, limit))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::time::Instant;

    use super::*;

    fn timed_out() -> Sources {
        Sources {
            cdn: Source::TimedOut,
            s3: Source::Untried,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_times_out_for_the_first_container_is_requested_for_no_other() {
        let requested = RefCell::new(Vec::new());
        let containers: Vec<usize> = (0..1_000).collect();
        let results = Sources::for_each(&containers, 64, |&container, sources| {
            let requested = &requested;
            async move {
                if sources.cdn.check().is_err() {
                    return (sources, container);
                }
                requested.borrow_mut().push(container);
                tokio::time::sleep(READ_TIMEOUT).await;
                (timed_out(), container)
            }
        })
        .await;
        assert_eq!(results, containers);
        assert_eq!(requested.take(), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_times_out_later_is_requested_only_for_those_that_run_then() {
        let requests = Cell::new(0);
        let containers: Vec<usize> = (0..1_000).collect();
        let started = Instant::now();
        Sources::for_each(&containers, 64, |&container, sources| {
            let requests = &requests;
            async move {
                if sources.cdn.check().is_err() {
                    return (sources, ());
                }
                requests.set(requests.get() + 1);
                if container == 0 {
                    return (sources, ());
                }
                tokio::time::sleep(READ_TIMEOUT).await;
                (timed_out(), ())
            }
        })
        .await;
        assert_eq!(requests.get(), 1 + 64);
        assert_eq!(started.elapsed().as_secs(), READ_TIMEOUT.as_secs());
    }

    #[test]
    fn a_denial_counts_until_something_was_read() {
        let denied = Source::Untried.after(&Err(ReadError::Denied));
        assert_eq!(denied.check(), Err(ReadError::DeniedBefore));
        let readable = Source::Readable.after(&Err(ReadError::Denied));
        assert_eq!(readable.check(), Ok(()));
        let timed_out = readable.after(&Err(ReadError::TimedOut));
        assert_eq!(timed_out.check(), Err(ReadError::TimedOutBefore));
        let other = Source::Untried.after(&Err(ReadError::Other(String::new())));
        assert_eq!(other.check(), Ok(()));
    }

    #[test]
    fn each_source_says_why_it_was_not_read() {
        let not_compared = NotCompared {
            cdn: ReadError::NotRequested("`PUBLIC_URL` is not set".to_owned()),
            s3: ReadError::TimedOut,
        };
        assert_eq!(
            not_compared.to_string(),
            "`PUBLIC_URL` is not set; S3: no response within 5 s"
        );
    }
}
