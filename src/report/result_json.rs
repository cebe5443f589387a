//! The result as JSON. However the run ended, it has the shape that `docs/result.schema.json` describes.

use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;
use serde::Serialize;

use crate::aws::error::AwsError;
use crate::aws::sts::Identity;
use crate::container::changes::Change;
use crate::container::object::{Container, Object};
use crate::exit::Exit;
use crate::mojito::experiment::{BuildInfo, Experiment};
use crate::publish::outcome::Outcome;
use crate::publish::plan::Plan;
use crate::publish::state::{ContainerState, Invalidation, RunState, Upload, Verification};
use crate::settings::environment::Environment;
use crate::settings::names::{
    BucketName, CdnPath, ContainerName, DistributionId, ObjectKey, Variant,
};
use crate::settings::pipeline::Build;

/// The version of the shape. It rises with each change that may break a reader.
const SCHEMA: u32 = 1;

/// How a run ended. What is unknown because it ended early is null or empty.
#[derive(Default, Serialize)]
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
    build: Build,
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
    /// The URL of the container that visitors got, and its build.
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
    upload: &'a Upload,
    error: Option<&'a AwsError>,
}

#[derive(Serialize)]
struct InvalidationResult<'a> {
    distribution_id: &'a DistributionId,
    status: &'a Invalidation,
    ids: &'a [String],
    error: Option<&'a AwsError>,
}

#[derive(Serialize)]
struct VerificationResult<'a> {
    url: &'a str,
    verified: bool,
    /// What visitors get instead.
    problem: Option<&'a str>,
}

impl<'a> RunResult<'a> {
    /// The result of a run that ended before its first upload, by an error or a signal.
    pub(crate) fn early(
        build: &Build,
        exit: Exit,
        error: Option<String>,
        stopped_by: Option<&'a str>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            exit,
            exit_code: exit.code(),
            stopped_by,
            error,
            build: build.clone(),
            ..Self::default()
        }
    }

    /// `error` is why a publish would fail.
    pub(crate) fn dry_run(
        plan: &'a Plan,
        exit: Exit,
        error: Option<String>,
        state: &'a RunState,
    ) -> Self {
        Self {
            dry_run: true,
            error,
            ..Self::planned(plan, exit, state)
        }
    }

    pub(crate) fn published(plan: &'a Plan, outcome: &'a Outcome) -> Self {
        let state = &outcome.state;
        let started_at = DateTime::from_secs(DateTime::from(outcome.started_at).secs());
        let invalidations = state.invalidations.iter();
        let verifications = state.verifications.iter();
        Self {
            stopped_by: outcome.stopped_by,
            started_at: started_at.fmt(Format::DateTime).ok(),
            seconds: Some(outcome.elapsed.as_secs_f64()),
            invalidations: invalidations
                .map(|(distribution_id, invalidation)| InvalidationResult {
                    distribution_id,
                    status: invalidation,
                    ids: invalidation.ids(),
                    error: invalidation.error().or(state.wait_error(distribution_id)),
                })
                .collect(),
            verifications: verifications
                .map(|(url, verification)| VerificationResult {
                    url,
                    verified: *verification == Verification::Verified,
                    problem: verification.problem(),
                })
                .collect(),
            ..Self::planned(plan, outcome.exit, state)
        }
    }

    fn planned(plan: &'a Plan, exit: Exit, state: &'a RunState) -> Self {
        let settings = &plan.settings;
        let containers = plan.containers.iter();
        Self {
            environment: Some(settings.environment),
            environment_reason: Some(&settings.environment_reason),
            bucket: Some(&settings.target.bucket),
            region: Some(&settings.target.region),
            credentials: state.credentials.as_deref(),
            identity: state.identity.as_ref(),
            containers: containers
                .map(|container| ContainerResult::new(container, state))
                .collect(),
            ..Self::early(&settings.build, exit, None, None)
        }
    }
}

impl<'a> ContainerResult<'a> {
    fn new(container: &'a Container, state: &'a RunState) -> Self {
        let script = container.script.as_ref();
        let (compared, skipped) = match state.changes.get(&container.name) {
            Some(Ok(changes)) => (Some(changes), None),
            Some(Err(not_compared)) => (None, Some(not_compared)),
            None => (None, None),
        };
        let object_result = |object: &'a Object| {
            let upload = &state.uploads[&object.key];
            ObjectResult {
                key: &object.key,
                variant: object.variant,
                path: &object.cdn_path,
                size: object.size.0,
                compressed_size: object.compressed_size().0,
                upload,
                error: upload.error(),
            }
        };
        Self {
            name: &container.name,
            state: state.container(container),
            build_info: script.and_then(|script| script.build_info.as_ref()),
            experiments: script.map(|script| &script.experiments[..]),
            changes: compared.map(|changes| &changes.list[..]),
            compared_with: compared.map(|changes| changes.against.as_str()),
            comparison_skipped: skipped.map(ToString::to_string),
            objects: container.objects.iter().map(object_result).collect(),
        }
    }
}
