//! The result as JSON: one shape for every end, which `docs/result.schema.json` describes.

use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;
use serde::Serialize;

use crate::aws::error::AwsError;
use crate::aws::sts::Identity;
use crate::container::changes::{Change, Changes};
use crate::container::object::{Container, Object};
use crate::exit::Exit;
use crate::mojito::experiment::{BuildInfo, Experiment};
use crate::publish::compare::NotCompared;
use crate::publish::outcome::Outcome;
use crate::publish::plan::Plan;
use crate::publish::state::{ContainerState, Invalidation, RunState, Upload, Verification};
use crate::settings::environment::Environment;
use crate::settings::names::{
    BucketName, CdnPath, ContainerName, DistributionId, ObjectKey, Variant,
};
use crate::settings::pipeline::Build;

/// The version of the shape. It rises with each change that a reader could stumble over.
const SCHEMA: u32 = 1;

/// How a run ended. What an early end leaves unknown is null or empty.
#[derive(Serialize)]
pub(crate) struct RunResult<'a> {
    schema: u32,
    version: &'static str,
    exit: Exit,
    exit_code: u8,
    dry_run: bool,
    stopped_by: Option<&'a str>,
    /// What ended the run before its first upload.
    error: Option<String>,
    started_at: Option<String>,
    seconds: Option<f64>,
    environment: Option<Environment>,
    environment_reason: Option<&'a str>,
    build: &'a Build,
    bucket: Option<&'a BucketName>,
    region: Option<&'a str>,
    credentials: Option<&'a str>,
    identity: Option<&'a Identity>,
    containers: Vec<ContainerResult<'a>>,
    invalidations: Vec<InvalidationResult<'a>>,
    verifications: Vec<VerificationResult<'a>>,
}

#[derive(Serialize)]
struct ContainerResult<'a> {
    name: &'a ContainerName,
    state: ContainerState,
    build_info: Option<&'a BuildInfo>,
    experiments: Option<&'a [Experiment]>,
    /// Null where it was not compared.
    changes: Option<&'a [Change]>,
    /// The address of the container that visitors got, and what it is.
    compared_with: Option<&'a str>,
    comparison_skipped: Option<String>,
    objects: Vec<ObjectResult<'a>>,
}

#[derive(Serialize)]
struct ObjectResult<'a> {
    key: &'a ObjectKey,
    variant: Variant,
    path: &'a CdnPath,
    /// Bytes.
    size: u64,
    compressed_size: u64,
    upload: UploadResult,
    error: Option<&'a AwsError>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum UploadResult {
    NotStarted,
    /// Sent, without a response.
    Unknown,
    Uploaded,
    Failed,
}

#[derive(Serialize)]
struct InvalidationResult<'a> {
    distribution_id: &'a DistributionId,
    status: InvalidationStatus,
    ids: &'a [String],
    error: Option<&'a AwsError>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum InvalidationStatus {
    NotStarted,
    /// Sent, without a response.
    Unknown,
    InProgress,
    Completed,
    Failed,
}

#[derive(Serialize)]
struct VerificationResult<'a> {
    url: &'a str,
    verified: bool,
    /// What visitors get instead.
    problem: Option<&'a str>,
}

impl<'a> RunResult<'a> {
    /// The result of a run that ended before its first upload.
    pub(crate) fn early(build: &'a Build, exit: Exit, error: Option<String>) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            exit,
            exit_code: exit.code(),
            dry_run: false,
            stopped_by: None,
            error,
            started_at: None,
            seconds: None,
            environment: None,
            environment_reason: None,
            build,
            bucket: None,
            region: None,
            credentials: None,
            identity: None,
            containers: Vec::new(),
            invalidations: Vec::new(),
            verifications: Vec::new(),
        }
    }

    /// The result of a run that a signal stopped before its first upload.
    pub(crate) fn stopped_early(build: &'a Build, exit: Exit, signal: &'a str) -> Self {
        Self {
            stopped_by: Some(signal),
            ..Self::early(build, exit, None)
        }
    }

    pub(crate) fn dry_run(
        plan: &'a Plan,
        credentials: Option<&'a str>,
        changes: &'a [Result<Changes, NotCompared>],
    ) -> Self {
        let containers = plan.containers.iter().zip(changes);
        Self {
            dry_run: true,
            credentials,
            containers: containers
                .map(|(container, changes)| ContainerResult::new(container, Some(changes), None))
                .collect(),
            ..Self::planned(plan, Exit::Published)
        }
    }

    pub(crate) fn published(plan: &'a Plan, outcome: &'a Outcome) -> Self {
        let state = &outcome.state;
        let started_at = DateTime::from_secs(DateTime::from(outcome.started_at).secs());
        let containers = plan.containers.iter();
        let invalidations = state.invalidations.iter();
        let verifications = state.verifications.iter();
        Self {
            stopped_by: outcome.stopped_by,
            started_at: started_at.fmt(Format::DateTime).ok(),
            seconds: Some(outcome.elapsed.as_secs_f64()),
            credentials: state.credentials.as_deref(),
            identity: state.identity.as_ref(),
            containers: containers
                .map(|container| {
                    let changes = state.changes.get(&container.name);
                    ContainerResult::new(container, changes, Some(state))
                })
                .collect(),
            invalidations: invalidations
                .map(|(distribution, invalidation)| {
                    InvalidationResult::new(distribution, invalidation)
                })
                .collect(),
            verifications: verifications
                .map(|(url, verification)| VerificationResult::new(url, verification))
                .collect(),
            ..Self::planned(plan, outcome.exit)
        }
    }

    fn planned(plan: &'a Plan, exit: Exit) -> Self {
        let settings = &plan.settings;
        Self {
            environment: Some(settings.environment),
            environment_reason: Some(&settings.environment_reason),
            bucket: Some(&settings.target.bucket),
            region: Some(&settings.target.region),
            ..Self::early(&settings.build, exit, None)
        }
    }
}

impl<'a> ContainerResult<'a> {
    fn new(
        container: &'a Container,
        changes: Option<&'a Result<Changes, NotCompared>>,
        state: Option<&'a RunState>,
    ) -> Self {
        let script = container.script.as_ref();
        let compared = changes.and_then(|changes| changes.as_ref().ok());
        let skipped = changes.and_then(|changes| changes.as_ref().err());
        let objects = container.objects.iter();
        Self {
            name: &container.name,
            state: state.map_or(ContainerState::NotPublished, |it| it.container(container)),
            build_info: script.and_then(|script| script.build_info.as_ref()),
            experiments: script.map(|script| &script.experiments[..]),
            changes: compared.map(|changes| &changes.list[..]),
            compared_with: compared.map(|changes| changes.against.as_str()),
            comparison_skipped: skipped.map(ToString::to_string),
            objects: objects
                .map(|object| {
                    let upload = state.and_then(|state| state.uploads.get(&object.key));
                    ObjectResult::new(object, upload)
                })
                .collect(),
        }
    }
}

impl<'a> ObjectResult<'a> {
    fn new(object: &'a Object, upload: Option<&'a Upload>) -> Self {
        let (upload, error) = match upload {
            Some(Upload::Uploaded) => (UploadResult::Uploaded, None),
            Some(Upload::InFlight) => (UploadResult::Unknown, None),
            Some(Upload::Failed(error)) => (UploadResult::Failed, Some(error)),
            Some(Upload::Pending) | None => (UploadResult::NotStarted, None),
        };
        Self {
            key: &object.key,
            variant: object.variant,
            path: &object.cdn_path,
            size: object.size.0,
            compressed_size: object.compressed_size().0,
            upload,
            error,
        }
    }
}

impl<'a> InvalidationResult<'a> {
    fn new(distribution_id: &'a DistributionId, invalidation: &'a Invalidation) -> Self {
        let (status, ids, error) = match invalidation {
            Invalidation::Pending => (InvalidationStatus::NotStarted, &[][..], None),
            Invalidation::InFlight => (InvalidationStatus::Unknown, &[][..], None),
            Invalidation::InProgress(ids) => (InvalidationStatus::InProgress, &ids[..], None),
            Invalidation::Completed(ids) => (InvalidationStatus::Completed, &ids[..], None),
            Invalidation::Failed(error) => (InvalidationStatus::Failed, &[][..], Some(error)),
        };
        Self {
            distribution_id,
            status,
            ids,
            error,
        }
    }
}

impl<'a> VerificationResult<'a> {
    fn new(url: &'a str, verification: &'a Verification) -> Self {
        let problem = verification.problem();
        Self {
            url,
            verified: problem.is_none(),
            problem,
        }
    }
}
