//! Reads the container that visitors get now, before it is replaced, for the difference that a publish makes.
//!
//! Nothing depends on it: where it cannot be read, the log says why, and the publish goes on. From the CDN it is read before
//! the upload, from S3 meanwhile, over a connection of its own, as that would cost a round trip to where the bucket is. S3
//! may then answer with what this very run uploads, which is known by its caller reference.

use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_http_client::Connector;
use futures_util::stream::{self, StreamExt};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::cdn;
use crate::aws::error::Fault;
use crate::aws::error_kind::Kind;
use crate::aws::https::Https;
use crate::aws::s3::CALLER_REFERENCE;
use crate::aws::Aws;
use crate::container::changes::Difference;
use crate::container::object::{Container, Object};
use crate::container::served::Served;
use crate::container::MOST_READERS;
use crate::settings::aws::CredentialSource;
use crate::settings::names::{public_url_of, s3_uri};
use crate::settings::Settings;

/// How long a publish waits for each place where the container may be read.
const LONGEST_READ: Duration = Duration::from_secs(5);

/// Containers that a dry run reads at the same time.
const CONCURRENT_READS: usize = 16;

/// Where the containers of a run may be read.
pub(crate) struct Current<'a> {
    /// S3, or why it cannot be asked.
    aws: Result<&'a Aws, String>,
    https: &'a Https,
    connector: OnceCell<Connector>,
    settings: &'a Settings,
    /// Of the run that replaces them, if they are replaced.
    caller_reference: Option<&'a str>,
    /// It had no answer in time once, and is not asked again: each container would cost as long.
    cdn_is_slow: Cell<bool>,
    s3_is_slow: Cell<bool>,
    /// It has said no, and never anything else.
    s3_denies: Cell<bool>,
    s3_was_read: Cell<bool>,
    /// Threads that may look into what was read.
    readers: Semaphore,
}

/// Why something was not read.
#[derive(Debug, Error)]
pub(crate) enum Unread {
    #[error("these credentials may not read it (`s3:GetObject`), or nothing is published yet")]
    Denied,
    #[error("{0}")]
    Other(String),
}

impl From<String> for Unread {
    fn from(reason: String) -> Self {
        Self::Other(reason)
    }
}

impl<'a> Current<'a> {
    pub(crate) fn new(
        aws: Result<&'a Aws, String>,
        https: &'a Https,
        settings: &'a Settings,
        caller_reference: Option<&'a str>,
    ) -> Self {
        Self {
            aws,
            https,
            connector: OnceCell::new(),
            settings,
            caller_reference,
            cdn_is_slow: Cell::default(),
            s3_is_slow: Cell::default(),
            s3_denies: Cell::default(),
            s3_was_read: Cell::default(),
            readers: Semaphore::new(MOST_READERS),
        }
    }

    /// Whether a publish with these settings reads from S3 while it uploads.
    pub(crate) fn reads_s3_meanwhile(settings: &Settings) -> bool {
        may_read_s3(settings)
            && (settings.public_url.is_none() || settings.distributions.is_empty())
    }

    /// What publishing each container would change, in their order.
    pub(crate) async fn differences(
        &self,
        containers: &[Container],
    ) -> Vec<Result<Difference, String>> {
        stream::iter(containers)
            .map(|container| self.difference(container))
            .buffered(CONCURRENT_READS)
            .collect()
            .await
    }

    /// What publishing a container changes, or why that is not known.
    pub(crate) async fn difference(&self, container: &Container) -> Result<Difference, String> {
        let Some(object) = container.minified() else {
            return Err("there is no such file".to_owned());
        };
        let served = self.read(object).await?;
        let _reader = self.readers.acquire().await.expect("it is never closed");
        // On this thread, the uploads and their time limits would wait for it.
        let looked_into = tokio::task::spawn_blocking(|| {
            let _ = served.script();
            served
        });
        let served = looked_into.await.expect("a panic ends the process");
        Ok(Difference::between(
            &served,
            container.script.as_ref(),
            object,
            &self.settings.cache_control,
        ))
    }

    /// From the public URL, where it is known, else from S3, where that is permitted.
    async fn read(&self, object: &Object) -> Result<Served, String> {
        let of_cdn = match &self.settings.public_url {
            None => "`PUBLIC_URL` is not set".to_owned(),
            // It would keep what it is asked for, and nobody would tell it of the new container.
            Some(_) if self.settings.distributions.is_empty() => {
                "the CDN was not asked, as `DISTRIBUTION_ID` is not set".to_owned()
            }
            Some(public_url) => {
                let url = public_url_of(public_url, &object.cdn_path);
                let connector = self.connector.get_or_init(|| self.https.connector());
                let read = from_cdn(connector, &url, object);
                match in_time(&self.cdn_is_slow, read).await {
                    Ok(served) => return Ok(served),
                    Err(problem) => format!("`PUBLIC_URL`: {problem}"),
                }
            }
        };
        let of_s3 = match &self.aws {
            Err(problem) => problem.clone(),
            Ok(_) if !may_read_s3(self.settings) => {
                "the role's session of this run may not read it from S3 (`s3:GetObject`)".to_owned()
            }
            Ok(_) if self.s3_denies.get() => {
                "S3: it was not asked, as it has denied this for another container".to_owned()
            }
            Ok(aws) => match self.ask_s3(aws, object).await {
                Ok(served) => return Ok(served),
                Err(problem) => format!("S3: {problem}"),
            },
        };
        Err(format!("{of_cdn}; {of_s3}"))
    }

    async fn ask_s3(&self, aws: &Aws, object: &Object) -> Result<Served, Unread> {
        let read = in_time(&self.s3_is_slow, from_s3(aws, self.settings, object)).await;
        match &read {
            Ok(_) => self.s3_was_read.set(true),
            Err(Unread::Denied) if !self.s3_was_read.get() => self.s3_denies.set(true),
            Err(_) => {}
        }
        let served = read?;
        let run = served.header(&format!("x-amz-meta-{CALLER_REFERENCE}"));
        if run.is_some() && run == self.caller_reference {
            return Err("it answered with what this run has just uploaded"
                .to_owned()
                .into());
        }
        Ok(served)
    }
}

/// Whether the reason why a difference is not known is one of these.
pub(crate) fn is_told<'a>(
    difference: &Result<Difference, String>,
    mut told: impl Iterator<Item = &'a Result<Difference, String>>,
) -> bool {
    difference
        .as_ref()
        .is_err_and(|problem| told.any(|told| told.as_ref().err() == Some(problem)))
}

/// The session of a role is limited to what the run needs.
fn may_read_s3(settings: &Settings) -> bool {
    settings.only_newer || !matches!(settings.aws.credentials, CredentialSource::Oidc { .. })
}

async fn in_time<E: From<String>>(
    is_slow: &Cell<bool>,
    read: impl Future<Output = Result<Served, E>>,
) -> Result<Served, E> {
    if is_slow.get() {
        return Err(E::from(
            "it was not asked, as it had no answer in time before".to_owned(),
        ));
    }
    let read = tokio::time::timeout(LONGEST_READ, read).await;
    read.unwrap_or_else(|_| {
        is_slow.set(true);
        Err(E::from(format!(
            "it has not answered within {} s",
            LONGEST_READ.as_secs()
        )))
    })
}

async fn from_cdn(connector: &Connector, url: &str, object: &Object) -> Result<Served, String> {
    match cdn::get(connector, url, object.size, 2 * LONGEST_READ).await? {
        (200, served) => Ok(served),
        // Where nobody may list the bucket, S3 says 403 of what is not there.
        (status @ (403 | 404), _) => Err(format!(
            "it answers HTTP {status}, as it does where nothing is published yet"
        )),
        (status, served) => Err(format!("it answers HTTP {status}{}", served.leads_to())),
    }
}

pub(crate) async fn from_s3(
    aws: &Aws,
    settings: &Settings,
    object: &Object,
) -> Result<Served, Unread> {
    let address = s3_uri(&settings.target.bucket, &object.key);
    // One attempt: what is wrong with S3, the upload says better.
    let once = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled());
    let answer = aws
        .s3
        .get_object()
        .bucket(settings.target.bucket.as_str())
        .key(object.key.as_str())
        .customize()
        .config_override(once)
        .send()
        .await;
    let answer = answer.map_err(|error| {
        let fault = Fault::new("s3:GetObject", address.clone(), &error);
        match fault.kind {
            Kind::AccessDenied => Unread::Denied,
            Kind::NoSuchKey => Unread::Other("nothing is published yet".to_owned()),
            _ => Unread::Other(fault.code.unwrap_or(fault.message)),
        }
    })?;
    let limit = Served::limit(object.size);
    let too_large = || Unread::Other(format!("what is there is larger than {limit}"));
    if answer
        .content_length()
        .is_some_and(|length| length.unsigned_abs() > limit.0)
    {
        return Err(too_large());
    }
    let headers = [
        ("content-type", answer.content_type()),
        ("content-encoding", answer.content_encoding()),
        ("cache-control", answer.cache_control()),
    ];
    let headers = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    let metadata = answer.metadata().into_iter().flatten();
    let metadata = metadata.map(|(name, value)| (format!("x-amz-meta-{name}"), value.clone()));
    let headers: Vec<(String, String)> = headers.chain(metadata).collect();
    let body = cdn::content(answer.body, limit).await?;
    if body.len() as u64 > limit.0 {
        return Err(too_large());
    }
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(Served::new(&address, headers, body, limit))
}
