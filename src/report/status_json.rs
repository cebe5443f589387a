//! What `status --json` prints: one object of one shape for every end, which `docs/status.schema.json` describes.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;

use super::console::Console;
use super::result_json::ErrorResult;
use super::times;
use crate::aws::credentials::CredentialOrigin;
use crate::aws::error::AwsError;
use crate::container::served::ServedContainer;
use crate::container::stored::RESTORED_FROM;
use crate::exit::Exit;
use crate::mojito::experiment::{BuildInfo, Experiment};
use crate::publish::compare::ReadError;
use crate::publish::live::{Freshness, KeptVersion, Live, Seen};
use crate::settings::environment::Environment;
use crate::settings::names::{BucketName, ContainerName, ObjectKey};
use crate::settings::Settings;

/// The version of this shape.
const SCHEMA: u32 = 1;

/// All that is known. What an early end leaves unknown is null or empty.
#[derive(Serialize)]
pub(crate) struct StatusResult<'a> {
    schema: u32,
    version: &'static str,
    exit_code: u8,
    /// Why it ended early, or why S3 could not be read.
    error: Option<ErrorResult<'a>>,
    warnings: Vec<String>,
    started_at: Option<String>,
    seconds: f64,
    environment: Option<Environment>,
    environment_reason: Option<&'a str>,
    bucket: Option<&'a BucketName>,
    region: Option<&'a str>,
    public_url: Option<String>,
    credentials: Option<&'a CredentialOrigin>,
    containers: Vec<ContainerResult<'a>>,
}

#[derive(Serialize)]
struct ContainerResult<'a> {
    name: &'a ContainerName,
    key: &'a ObjectKey,
    url: Option<&'a str>,
    /// Whether it is known what visitors get.
    seen: bool,
    served: Option<ResponseResult<'a>>,
    served_error: Option<String>,
    stored: Option<ResponseResult<'a>>,
    stored_error: Option<String>,
    stale: Option<bool>,
    stale_until: Option<String>,
    versions: Option<Vec<VersionResult<'a>>>,
    versions_error: Option<String>,
    /// How many versions there are besides these, at least.
    older_versions: Option<usize>,
    has_more_versions: Option<bool>,
}

/// What was stored with an object.
#[derive(Serialize)]
struct Provenance {
    build_number: Option<String>,
    commit: Option<String>,
    tag: Option<String>,
    branch: Option<String>,
    repository: Option<String>,
    published_by: Option<String>,
    /// The version that a rollback put back with this one.
    restored_from: Option<String>,
}

#[derive(Serialize)]
struct ResponseResult<'a> {
    http_status: u16,
    #[serde(flatten)]
    provenance: Provenance,
    stored_at: Option<String>,
    version_id: Option<String>,
    size: Option<u64>,
    content_type: Option<String>,
    content_encoding: Option<String>,
    cache_control: Option<String>,
    /// Of what a cache sent.
    cache: Option<&'static str>,
    cache_hit: Option<bool>,
    cache_age_seconds: Option<u64>,
    build_info: Option<&'a BuildInfo>,
    experiments: Option<&'a [Experiment]>,
    /// Why a browser would not run it.
    problem: Option<&'a str>,
}

#[derive(Serialize)]
struct VersionResult<'a> {
    version_id: &'a str,
    is_live: bool,
    is_delete_marker: bool,
    /// Whether a rollback would put it back.
    is_put_back_by_rollback: bool,
    stored_at: Option<String>,
    size: Option<u64>,
    #[serde(flatten)]
    provenance: Provenance,
    /// Why the rest is not known.
    error: Option<String>,
}

impl<'a> StatusResult<'a> {
    pub(crate) fn early(error: ErrorResult<'a>) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            exit_code: 0,
            error: Some(error),
            warnings: Vec::new(),
            started_at: None,
            seconds: 0.0,
            environment: None,
            environment_reason: None,
            bucket: None,
            region: None,
            public_url: None,
            credentials: None,
            containers: Vec::new(),
        }
    }

    pub(crate) fn new(
        settings: &'a Settings,
        credentials: Option<&'a CredentialOrigin>,
        all: &'a [Live],
        failure: Option<&'a AwsError>,
    ) -> Self {
        Self {
            error: failure.map(ErrorResult::of_aws),
            environment: Some(settings.environment),
            environment_reason: Some(&settings.environment_reason),
            bucket: Some(&settings.target.bucket),
            region: Some(&settings.target.region),
            public_url: settings.public_url.as_ref().map(ToString::to_string),
            credentials,
            containers: all.iter().map(ContainerResult::new).collect(),
            ..Self::early(ErrorResult::new("", ""))
        }
    }

    /// With what the whole process knows.
    pub(crate) fn finish(&self, exit: Exit, console: &Console) -> Value {
        let elapsed = console.elapsed();
        let mut value = serde_json::to_value(self).expect("it has only text, numbers and lists");
        value["exit_code"] = exit.code().into();
        value["warnings"] = console.warnings().into();
        value["started_at"] = times::second(SystemTime::now() - elapsed).into();
        value["seconds"] = elapsed.as_secs_f64().into();
        value
    }
}

impl<'a> ContainerResult<'a> {
    fn new(live: &'a Live) -> Self {
        let (served, served_error) = parts(&live.served);
        let (stored, stored_error) = parts(&live.stored);
        let (versions, versions_error) = parts(&live.versions);
        let (stale, until) = match live.freshness {
            Freshness::Current => (Some(false), None),
            Freshness::Stale { until } => (Some(true), until),
            Freshness::Unknown => (None, None),
        };
        Self {
            name: &live.name,
            key: &live.key,
            url: live.url.as_deref(),
            seen: live.is_seen(),
            served: served.map(ResponseResult::new),
            served_error,
            stored: stored.map(ResponseResult::new),
            stored_error,
            stale,
            stale_until: until.and_then(times::second),
            versions: versions.map(|it| versions_of(live, &it.newest)),
            versions_error,
            older_versions: versions.map(|it| it.older),
            has_more_versions: versions.map(|it| it.has_more),
        }
    }
}

fn parts<T>(read: &Result<T, ReadError>) -> (Option<&T>, Option<String>) {
    (
        read.as_ref().ok(),
        read.as_ref().err().map(ToString::to_string),
    )
}

fn versions_of<'a>(live: &Live, newest: &'a [KeptVersion]) -> Vec<VersionResult<'a>> {
    let put_back = live.put_back();
    let newest = newest.iter();
    newest
        .map(|kept| VersionResult::new(kept, put_back))
        .collect()
}

impl Provenance {
    fn new(response: Option<&ServedContainer>) -> Self {
        let metadata = |name| response?.metadata(name);
        Self {
            build_number: metadata("build-number"),
            commit: metadata("commit"),
            tag: metadata("tag"),
            branch: metadata("branch"),
            repository: metadata("repository"),
            published_by: metadata("published-by"),
            restored_from: metadata(RESTORED_FROM),
        }
    }
}

impl<'a> ResponseResult<'a> {
    fn new(seen: &'a Seen) -> Self {
        let response = &seen.response;
        let script = seen.is_there().then(|| response.script());
        let (script, problem) = match script {
            None => (None, None),
            Some(Ok(script)) => (Some(script), None),
            Some(Err(problem)) => (None, Some(problem)),
        };
        Self {
            http_status: seen.status,
            provenance: Provenance::new(Some(response)),
            stored_at: response.stored_at().and_then(times::second),
            version_id: response.version_id(),
            size: seen.size.map(|size| size.0),
            content_type: response.shown_header("content-type"),
            content_encoding: response.shown_header("content-encoding"),
            cache_control: response.shown_header("cache-control"),
            cache: response.cache_name(),
            cache_hit: response.is_hit(),
            cache_age_seconds: response.age().map(|age| age.as_secs()),
            build_info: script.and_then(|script| script.build_info.as_ref()),
            experiments: script.map(|script| &*script.experiments),
            problem,
        }
    }
}

impl<'a> VersionResult<'a> {
    fn new(kept: &'a KeptVersion, put_back: Option<&str>) -> Self {
        let version = &kept.version;
        let details = kept.details.as_ref();
        let known = details.and_then(|details| details.as_ref().ok());
        let error = details.and_then(|details| details.as_ref().err());
        Self {
            version_id: &version.id,
            is_live: version.is_live,
            is_delete_marker: version.is_delete_marker,
            is_put_back_by_rollback: put_back == Some(&version.id),
            stored_at: version.modified.and_then(times::second),
            size: version.size,
            provenance: Provenance::new(known.map(|seen| &seen.response)),
            error: error.map(ToString::to_string),
        }
    }
}
