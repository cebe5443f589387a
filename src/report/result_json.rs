//! The result as JSON. However the run ended, it has the shape that `docs/result.schema.json` describes.

use std::time::SystemTime;

use serde::Serialize;

use super::console::Console;
use super::rollback::NotRolledBack;
use super::{denied, summary, times, words};
use crate::aws::credentials::{ConnectError, CredentialOrigin};
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::sts::Identity;
use crate::container::changes::{Change, Changes};
use crate::container::consequences::Consequence;
use crate::container::object::{Container, Object};
use crate::exit::Exit;
use crate::mojito::experiment::{BuildInfo, Experiment};
use crate::publish::outcome::Outcome;
use crate::publish::plan::Plan;
use crate::publish::state::{ContainerState, RunState, Verification};
use crate::settings::environment::Environment;
use crate::settings::names::{
    BucketName, CdnPath, ContainerName, DistributionId, ObjectKey, Variant,
};
use crate::settings::pipeline::Build;
use crate::settings::purpose::Purpose;

/// The version of the shape. It rises with each change that may break a reader.
const SCHEMA: u32 = 1;

/// How a run ended. What is unknown because it ended early is null or empty.
#[derive(Default, Serialize)]
pub(crate) struct RunResult<'a> {
    schema: u32,
    version: &'static str,
    pub(super) command: Purpose,
    pub(super) exit: Exit,
    pub(super) exit_code: u8,
    pub(super) dry_run: bool,
    pub(super) stopped_by: Option<&'a str>,
    /// The first error, which decided how the run ended.
    pub(super) error: Option<ErrorResult<'a>>,
    pub(super) warnings: Vec<String>,
    started_at: Option<String>,
    seconds: Option<f64>,
    pub(super) environment: Option<Environment>,
    environment_reason: Option<&'a str>,
    pub(super) build: Build,
    /// What it calls the build that is published, or put back.
    #[serde(skip)]
    pub(super) label: Option<String>,
    bucket: Option<&'a BucketName>,
    region: Option<&'a str>,
    credentials: Option<&'a CredentialOrigin>,
    identity: Option<&'a Identity>,
    pub(super) containers: Vec<ContainerResult<'a>>,
    pub(super) invalidations: Vec<InvalidationResult<'a>>,
    verifications: Vec<VerificationResult<'a>>,
    /// A few lines of Markdown.
    pub(super) summary: String,
}

#[derive(Serialize)]
pub(super) struct ContainerResult<'a> {
    pub(super) name: &'a ContainerName,
    pub(super) state: ContainerState,
    build_info: Option<&'a BuildInfo>,
    experiments: Option<&'a [Experiment]>,
    /// Null where it was not compared.
    pub(super) changes: Option<&'a [Change]>,
    pub(super) consequences: Option<&'a [Consequence]>,
    /// Whether visitors get something else, or may get it.
    #[serde(skip)]
    pub(super) may_change_something: bool,
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
    upload: &'static str,
    version_id: Option<&'a str>,
    error: Option<AwsErrorResult<'a>>,
    /// In a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<RestoredResult<'a>>,
}

/// The version that was put back.
#[derive(Serialize)]
struct RestoredResult<'a> {
    version_id: &'a str,
    build_number: Option<String>,
    commit: Option<String>,
    /// The version that was live until then. Null if it is not known.
    replaced: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct InvalidationResult<'a> {
    distribution_id: &'a DistributionId,
    status: &'static str,
    ids: &'a [String],
    error: Option<AwsErrorResult<'a>>,
}

#[derive(Serialize)]
struct VerificationResult<'a> {
    url: &'a str,
    verified: bool,
    /// What visitors get instead.
    problem: Option<&'a str>,
}

/// What went wrong, and what to do about it.
#[derive(Serialize)]
pub(crate) struct ErrorResult<'a> {
    kind: ErrorKind<'a>,
    /// AWS's error code.
    code: Option<&'a str>,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
}

/// What kind of error it is, for another program to act on.
#[derive(Serialize)]
#[serde(untagged)]
enum ErrorKind<'a> {
    Own(&'static str),
    Aws(&'a AwsErrorKind),
}

/// An error of one request to AWS.
#[derive(Serialize)]
struct AwsErrorResult<'a> {
    kind: &'a AwsErrorKind,
    #[serde(flatten)]
    error: &'a AwsError,
    remedy: String,
}

impl<'a> ErrorResult<'a> {
    /// `kind` is a word of the schema.
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Own(kind),
            code: None,
            message: message.into(),
            remedy: None,
        }
    }

    pub(crate) fn of_aws(error: &'a AwsError) -> Self {
        Self {
            kind: ErrorKind::Aws(&error.kind),
            code: error.code.as_deref(),
            message: error.to_string(),
            remedy: Some(error.remedy()),
        }
    }

    pub(crate) fn of_connect(error: &'a ConnectError) -> Self {
        match error {
            ConnectError::NoCredentials(reason, remedy) => Self {
                remedy: Some((*remedy).to_owned()),
                ..Self::new("no_credentials", reason)
            },
            ConnectError::Aws { error, remedy } => Self {
                remedy: Some(remedy.clone()),
                ..Self::of_aws(error)
            },
        }
    }

    /// The first reason why nothing was put back.
    pub(crate) fn not_rolled_back(problems: &'a [NotRolledBack]) -> Self {
        let Some(first) = problems.first() else {
            return Self::new("no_version", "");
        };
        let kind = if first.is_refused {
            "invalid_files"
        } else {
            "no_version"
        };
        Self {
            remedy: Some(first.remedy.clone()),
            ..match &first.error {
                Some(error) => Self::of_aws(error),
                None => Self::new(kind, &first.message),
            }
        }
    }

    /// The first error of a run, if there is one.
    fn of_run(plan: &Plan, state: &'a RunState) -> Option<Self> {
        let of_aws = state.errors().next().map(|error| Self {
            remedy: Some(denied::remedy(error, plan, state)),
            ..Self::of_aws(error)
        });
        of_aws.or_else(|| {
            let mut verifications = state.verifications.iter();
            let (message, remedy) =
                verifications.find_map(|(url, it)| summary::why_not_verified(state, url, it))?;
            Some(Self {
                remedy: Some(remedy.to_owned()),
                ..Self::new("not_verified", message)
            })
        })
    }
}

impl<'a> AwsErrorResult<'a> {
    fn new(error: &'a AwsError, plan: &Plan, state: &RunState) -> Self {
        Self {
            kind: &error.kind,
            error,
            remedy: denied::remedy(error, plan, state),
        }
    }
}

impl<'a> RunResult<'a> {
    /// The containers that visitors get, may get, or in a dry run would get.
    pub(super) fn replaced(&self) -> impl Iterator<Item = &ContainerResult<'a>> {
        let is_replaced = |container: &&ContainerResult| match container.state {
            ContainerState::Published | ContainerState::Unknown => true,
            ContainerState::NotPublished => self.dry_run && self.error.is_none(),
            ContainerState::Superseded => false,
        };
        self.containers.iter().filter(is_replaced)
    }

    /// The result of a run that ended before its first upload, by an error or a signal.
    pub(crate) fn early(
        command: Purpose,
        build: &Build,
        exit: Exit,
        error: Option<ErrorResult<'a>>,
        stopped_by: Option<&'a str>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            command,
            exit,
            exit_code: exit.code(),
            stopped_by,
            error,
            build: build.clone(),
            label: build.label().filter(|_| command != Purpose::Rollback),
            ..Self::default()
        }
    }

    /// `error` is why a publish would fail.
    pub(crate) fn dry_run(
        plan: &'a Plan,
        exit: Exit,
        error: Option<ErrorResult<'a>>,
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
        let in_result = |error: &'a AwsError| AwsErrorResult::new(error, plan, state);
        let invalidations = state.invalidations.iter();
        let verifications = state.verifications.iter();
        Self {
            stopped_by: outcome.stopped_by,
            error: ErrorResult::of_run(plan, state),
            invalidations: invalidations
                .map(|(distribution_id, invalidation)| InvalidationResult {
                    distribution_id,
                    status: invalidation.status(),
                    ids: invalidation.ids(),
                    error: invalidation
                        .error()
                        .or(state.wait_error(distribution_id))
                        .map(in_result),
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

    /// Adds what the whole process knows: when it started, how long it took, and its warnings.
    pub(crate) fn finish(self, console: &Console) -> Self {
        let elapsed = console.elapsed();
        Self {
            started_at: times::second(SystemTime::now() - elapsed),
            seconds: Some(elapsed.as_secs_f64()),
            warnings: console.warnings(),
            ..self
        }
    }

    fn planned(plan: &'a Plan, exit: Exit, state: &'a RunState) -> Self {
        let settings = &plan.settings;
        let containers = plan.containers.iter();
        Self {
            label: words::label(plan),
            environment: Some(settings.environment),
            environment_reason: Some(&settings.environment_reason),
            bucket: Some(&settings.target.bucket),
            region: Some(&settings.target.region),
            credentials: state.credentials.as_ref(),
            identity: state.identity.as_ref(),
            containers: containers
                .map(|container| ContainerResult::new(container, plan, state))
                .collect(),
            ..Self::early(settings.purpose, &settings.build, exit, None, None)
        }
    }
}

impl<'a> ContainerResult<'a> {
    fn new(container: &'a Container, plan: &Plan, state: &'a RunState) -> Self {
        let in_result = |error: &'a AwsError| AwsErrorResult::new(error, plan, state);
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
                upload: upload.status(),
                version_id: upload.version_id(),
                error: upload.error().map(in_result),
                restored: object.restored.as_deref().map(|restored| RestoredResult {
                    version_id: &restored.version_id,
                    build_number: restored.stored.shown_build(),
                    commit: restored.stored.shown_commit(),
                    replaced: restored.replaces.as_deref(),
                }),
            }
        };
        Self {
            name: &container.name,
            state: state.container(container),
            build_info: script.and_then(|script| script.build_info.as_ref()),
            experiments: script.map(|script| &script.experiments[..]),
            changes: compared.map(|changes| &changes.list[..]),
            may_change_something: compared.is_none_or(Changes::may_change_something),
            consequences: compared.map(|changes| &changes.consequences[..]),
            compared_with: compared.map(|changes| changes.against.as_str()),
            comparison_skipped: skipped.map(ToString::to_string),
            objects: container.objects.iter().map(object_result).collect(),
        }
    }
}
