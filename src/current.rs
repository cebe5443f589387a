//! Reads the container that visitors get now, before it is replaced, for the difference that a publish makes.
//!
//! Nothing depends on it: where it cannot be read, the log says why, and the publish goes on.

use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_http_client::Connector;

use futures_util::stream::{self, StreamExt};

use crate::aws::Aws;
use crate::container::LARGEST_FILE;
use crate::difference::Difference;
use crate::fault::Fault;
use crate::kind::Kind;
use crate::object::{Container, Object};
use crate::plan::{s3_address, Plan};
use crate::served::Served;
use crate::settings::Settings;
use crate::tls::Https;
use crate::visitor;

/// How long a publish waits for each place where the container may be read.
const LONGEST_READ: Duration = Duration::from_secs(5);

/// Containers that are read at the same time.
const CONCURRENT_READS: usize = 16;

/// What publishing each container would change, in their order.
pub(crate) async fn differences(
    aws: Result<&Aws, String>,
    https: &Https,
    plan: &Plan,
) -> Vec<Result<Difference, String>> {
    let connector = &https.connector(None);
    let aws = &aws;
    stream::iter(&plan.containers)
        .map(|container| difference(aws, connector, &plan.settings, container))
        .buffered(CONCURRENT_READS)
        .collect()
        .await
}

/// What publishing a container changes, or why that is not known.
pub(crate) async fn difference(
    aws: &Result<&Aws, String>,
    connector: &Connector,
    settings: &Settings,
    container: &Container,
) -> Result<Difference, String> {
    let Some(object) = container.minified() else {
        return Err("there is no such file".to_owned());
    };
    let served = read(aws, connector, settings, object).await?;
    Ok(Difference::between(
        &served,
        container.script.as_ref(),
        object,
        &settings.cache_control,
    ))
}

/// From the public URL, where it is known, else from S3, where that is permitted.
async fn read(
    aws: &Result<&Aws, String>,
    connector: &Connector,
    settings: &Settings,
    object: &Object,
) -> Result<Served, String> {
    let of_visitors = match &settings.public_url {
        Some(public_url) => {
            let url = visitor::url(public_url, &object.cdn_path);
            match in_time(from_cdn(connector, &url)).await {
                Ok(served) => return Ok(served),
                Err(problem) => format!("{url}: {problem}"),
            }
        }
        None => "`PUBLIC_URL` is not set".to_owned(),
    };
    let of_s3 = match aws {
        Ok(aws) => match in_time(from_s3(aws, settings, object)).await {
            Ok(served) => return Ok(served),
            Err(problem) => format!(
                "{}: {problem}",
                s3_address(&settings.target.bucket, &object.key)
            ),
        },
        Err(problem) => problem.clone(),
    };
    Err(format!("{of_visitors}; {of_s3}"))
}

async fn in_time(read: impl Future<Output = Result<Served, String>>) -> Result<Served, String> {
    let read = tokio::time::timeout(LONGEST_READ, read).await;
    read.unwrap_or_else(|_| Err(format!("no answer within {} s", LONGEST_READ.as_secs())))
}

async fn from_cdn(connector: &Connector, url: &str) -> Result<Served, String> {
    let limit = usize::try_from(LARGEST_FILE.0).unwrap_or(usize::MAX);
    match visitor::get(connector, url, limit).await? {
        (200, served) => Ok(served),
        // Where nobody may list the bucket, S3 says 403 of what is not there.
        (status @ (403 | 404), _) => Err(format!(
            "HTTP {status}, which is the answer where nothing is published yet"
        )),
        (status, _) => Err(format!("HTTP {status}")),
    }
}

async fn from_s3(aws: &Aws, settings: &Settings, object: &Object) -> Result<Served, String> {
    let address = s3_address(&settings.target.bucket, &object.key);
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
            Kind::AccessDenied => {
                "these credentials may not read it (`s3:GetObject`), or nothing is published yet"
                    .to_owned()
            }
            Kind::NoSuchKey => "nothing is published yet".to_owned(),
            _ => fault.code.unwrap_or(fault.message),
        }
    })?;
    if answer
        .content_length()
        .is_some_and(|length| length.unsigned_abs() > LARGEST_FILE.0)
    {
        return Err(format!("it is larger than {LARGEST_FILE}"));
    }
    let headers = [
        ("content-type", answer.content_type()),
        ("content-encoding", answer.content_encoding()),
        ("cache-control", answer.cache_control()),
        ("x-amz-meta-commit", metadata(&answer, "commit")),
        ("x-amz-meta-build-number", metadata(&answer, "build-number")),
    ];
    let headers: Vec<(String, String)> = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    let body = answer
        .body
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(Served::new(&address, headers, body.into_bytes()))
}

fn metadata<'a>(
    answer: &'a aws_sdk_s3::operation::get_object::GetObjectOutput,
    name: &str,
) -> Option<&'a str> {
    answer.metadata()?.get(name).map(String::as_str)
}
