//! The settings: variables, flags, `config.js` and the pipeline, validated into types that need no further checks.
//!
//! All problems are collected and reported at once, as each push to fix the next one costs a build. Precedence is flag,
//! variable, `config.js`, default.

pub(crate) mod aws;
pub(crate) mod aws_files;
pub(crate) mod ca_bundle;
pub(crate) mod cache_control;
pub(crate) mod effective;
pub(crate) mod environment;
pub(crate) mod help;
mod misnamed;
pub(crate) mod names;
pub(crate) mod oidc_token;
pub(crate) mod pipeline;
pub(crate) mod problems;
pub(crate) mod raw;
pub(crate) mod region;
pub(crate) mod rollback_to;
mod source;
mod system_roots;
pub(crate) mod target;
mod unreplaced;
pub(crate) mod variables;

use std::path::PathBuf;

use aws_sdk_s3::types::ObjectCannedAcl;
use http::Uri;

use self::aws::{AwsSettings, CredentialSource};
use self::cache_control::CacheControl;
use self::environment::Environment;
use self::names::{DistributionId, ObjectKey, Variant};
use self::pipeline::Build;
use self::problems::{InvalidSetting, Problems};
use self::raw::{Raw, RawSettings};
use self::region::{partition_of, GOVCLOUD};
use self::rollback_to::RollbackTo;
use self::target::Target;
use crate::common::byte_size::ByteSize;
use crate::mojito::config_js::ConfigJs;

/// Where `npm run build` of a Mojito repository puts the container.
const DEFAULT_LOCAL_PATH: &str = "dist/assets/js";

/// The flags of the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) production: bool,
    pub(crate) dry_run: bool,
    pub(crate) purpose: Purpose,
    /// For `check` and `policy`: whether they are about a rollback.
    pub(crate) for_rollback: bool,
    /// The value of `--to`.
    pub(crate) to: Option<String>,
}

/// What the settings are for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Purpose {
    #[default]
    Publish,
    /// Nothing is published.
    Check,
    /// Nothing is published.
    Policy,
    /// Nothing is published.
    Status,
    /// An earlier version is put back.
    Rollback,
}

impl Purpose {
    /// Whether missing credentials are accepted. A dry run of a pull request does without, and `status` where it has `PUBLIC_URL`;
    /// there, wrong ones are refused all the same.
    fn credentials_optional(
        self,
        dry_run: bool,
        build: &Build,
        public_url: Option<&Uri>,
        raw: &RawSettings,
    ) -> bool {
        match self {
            Self::Publish => dry_run && build.pull_request.is_some(),
            Self::Check | Self::Rollback => false,
            Self::Policy => true,
            Self::Status => {
                let given = [
                    &raw.aws_access_key_id,
                    &raw.aws_secret_access_key,
                    &raw.aws_oidc_role_arn,
                ];
                public_url.is_some() && given.into_iter().all(Option::is_none)
            }
        }
    }
}

/// What a run is to do.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting with a name of its own"
)]
pub(crate) struct Settings {
    pub(crate) environment: Environment,
    /// Why this environment: a phrase for the log.
    pub(crate) environment_reason: String,
    pub(crate) build: Build,
    pub(crate) target: Target,
    pub(crate) local_path: PathBuf,
    pub(crate) pretty: bool,
    pub(crate) distributions: Vec<DistributionId>,
    pub(crate) cache_control: CacheControl,
    pub(crate) acl: Option<ObjectCannedAcl>,
    pub(crate) wait: bool,
    pub(crate) public_url: Option<Uri>,
    pub(crate) only_newer: bool,
    /// Which version to put back, if this is about a rollback.
    pub(crate) rollback: Option<RollbackTo>,
    pub(crate) max_size: Option<ByteSize>,
    pub(crate) validate: bool,
    pub(crate) dry_run: bool,
    pub(crate) aws: AwsSettings,
    /// What is probably a mistake.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// Validates everything, and reports every problem.
    ///
    /// `profile_region` is the region of AWS's profile, the last resort for the bucket's region.
    pub(crate) fn new(
        flags: Flags,
        raw: &Raw,
        config: ConfigJs,
        profile_region: Option<&str>,
    ) -> Result<Self, Vec<InvalidSetting>> {
        let mut problems = Problems::default();
        let settings = Self::collect(&mut problems, flags, raw, config, profile_region);
        match settings {
            Some(settings) if problems.0.is_empty() => Ok(settings),
            _ => Err(problems.0),
        }
    }

    /// The settings as far as they are valid: an invalid optional one has its default here, and `problems` has the reason.
    fn collect(
        problems: &mut Problems,
        flags: Flags,
        raw: &Raw,
        config: ConfigJs,
        profile_region: Option<&str>,
    ) -> Option<Self> {
        let build = Build::new(&raw.build);
        let variables = &raw.settings;
        let mut warnings = Vec::new();
        let in_pipe = build.storage_dir.is_some();
        misnamed::check(&raw.variables, in_pipe, problems, &mut warnings);
        let dry_run = variables.dry_run.as_deref();
        let dry_run = problems.boolean("DRY_RUN", dry_run, false) || flags.dry_run;
        let environment = variables.environment.as_deref();
        let publishes = matches!(flags.purpose, Purpose::Publish | Purpose::Rollback) && !dry_run;
        let environment = environment::resolve(flags.production, environment, &build, publishes);
        let environment = problems.ok(environment);
        let known = environment.as_ref().map(|(environment, _)| *environment);
        let target = Target::new(problems, &mut warnings, raw, known, config, profile_region);
        let distributions = distributions(problems, raw);
        check_partition(problems, target.as_ref(), &distributions);
        let mut boolean = |setting, value: &Option<String>, default| {
            problems.boolean(setting, value.as_deref(), default)
        };
        let is_development = known == Some(Environment::Development);
        let pretty = boolean("PRETTY", &variables.pretty, is_development);
        let wait = boolean("WAIT", &variables.wait, false);
        let only_newer = boolean("ONLY_NEWER", &variables.only_newer, false);
        let validate = boolean("VALIDATE", &variables.validate, true);
        // Its value was needed earlier (`Raw::debug`).
        boolean("DEBUG", &variables.debug, false);
        check_only_newer(problems, only_newer, flags.purpose, &build);
        let rolls_back = flags.purpose == Purpose::Rollback || flags.for_rollback;
        let variable = variables.rollback_to.as_deref();
        let rollback = rollback_to::resolve(problems, rolls_back, flags.to, variable);
        check_one_version(problems, rollback.as_ref(), target.as_ref());
        let cache_control = variables.cache_control.as_deref();
        let cache_control = problems.optional("CACHE_CONTROL", cache_control, CacheControl::parse);
        let acl = problems.optional("ACL", variables.acl.as_deref(), parse_acl);
        let max_size = variables.max_size.as_deref();
        let max_size = problems.optional("MAX_SIZE", max_size, ByteSize::parse);
        let public_url = problems.url("PUBLIC_URL", variables.public_url.as_deref(), is_base);
        let credentials_optional =
            flags
                .purpose
                .credentials_optional(dry_run, &build, public_url.as_ref(), variables);
        let aws = AwsSettings::new(problems, raw, &build, credentials_optional);
        check_unreplaced(problems, raw, &build, credentials_optional);
        let local_path = variables.local_path.as_deref();
        let (environment, environment_reason) = environment?;
        Some(Self {
            environment,
            environment_reason,
            build,
            target: target?,
            local_path: local_path.unwrap_or(DEFAULT_LOCAL_PATH).into(),
            pretty,
            distributions,
            cache_control: cache_control.unwrap_or_default(),
            acl,
            wait,
            public_url,
            only_newer,
            rollback,
            max_size,
            validate,
            dry_run,
            aws: aws?,
            warnings,
        })
    }

    /// Whether this only shows a pull request's reviewers what would change for visitors, without credentials.
    pub(crate) fn is_preview(&self) -> bool {
        let has_none = matches!(self.aws.credentials, CredentialSource::None);
        self.dry_run && has_none && self.build.pull_request.is_some()
    }

    /// The files of a container that are published, in the order in which they must be uploaded.
    pub(crate) fn variants(&self) -> &'static [Variant] {
        if self.pretty {
            &[Variant::Pretty, Variant::Minified]
        } else {
            &[Variant::Minified]
        }
    }

    /// The keys that are written.
    pub(crate) fn keys(&self) -> Vec<ObjectKey> {
        let target = &self.target;
        let of_container = |name| {
            let key =
                move |variant: &Variant| ObjectKey::new(&target.prefix, &variant.file_name(name));
            self.variants().iter().map(key)
        };
        target.containers.iter().flat_map(of_container).collect()
    }
}

/// `check` and `policy` are also about what a build will need.
fn check_only_newer(problems: &mut Problems, only_newer: bool, purpose: Purpose, build: &Build) {
    if only_newer && purpose == Purpose::Publish && build.number().is_none() {
        problems.push(
            "ONLY_NEWER",
            "is `true`, but there is no build number to compare (`BITBUCKET_BUILD_NUMBER`); do not set it when you publish by \
             hand",
        );
    }
}

/// A version is of one key.
fn check_one_version(
    problems: &mut Problems,
    rollback: Option<&RollbackTo>,
    target: Option<&Target>,
) {
    let containers = target.map_or(1, |target| target.containers.len());
    if let (Some(RollbackTo::Version(_)), 2..) = (rollback, containers) {
        problems.push(
            "ROLLBACK_TO",
            format!(
                "is the ID of one version, but there are {containers} containers: set `CONTAINER_NAME` to the one that it is of, or \
                 give a build number"
            ),
        );
    }
}

fn check_partition(
    problems: &mut Problems,
    target: Option<&Target>,
    distributions: &[DistributionId],
) {
    let region = target.map(|target| target.region.as_str());
    let Some(region) = region.filter(|region| partition_of(region) == GOVCLOUD) else {
        return;
    };
    if !distributions.is_empty() {
        problems.push(
            "DISTRIBUTION_ID",
            format!(
                "is set, but the bucket's region `{region}` is in AWS GovCloud, which has no CloudFront: leave it empty, and \
                 invalidate with credentials of the account that has the distribution"
            ),
        );
    }
}

/// Replaces what was found out about settings that hold the name of a variable in place of its value.
fn check_unreplaced(problems: &mut Problems, raw: &Raw, build: &Build, credentials_optional: bool) {
    let is_needed = |setting: &String| {
        !(credentials_optional && unreplaced::CREDENTIALS.contains(&setting.as_str()))
    };
    let settings = raw.unreplaced.iter();
    let mut settings = settings.filter(|(it, _)| is_needed(it)).peekable();
    while let Some((setting, reference)) = settings.next() {
        problems.0.retain(|problem| !problem.is_of(setting));
        let cause = if build.in_ci {
            format!(", as no variable `{reference}` is defined here")
        } else {
            String::new()
        };
        // Once for all of them.
        let advice = match settings.peek() {
            Some(_) => String::new(),
            None => how_to_define(build),
        };
        let problem = format!("contains the text `${reference}` itself{cause}\n{advice}");
        problems.0.push(InvalidSetting::lines(setting, &problem));
    }
}

/// What to do about settings that hold the name of a variable.
fn how_to_define(build: &Build) -> String {
    if !build.in_ci {
        return "the shell replaces it in double quotes or in none, but not in single quotes"
            .into();
    }
    match &build.deployment_environment {
        Some(name) => format!(
            "define such variables for the deployment environment `{name}` (Repository settings > Deployments),\n\
             or for the whole repository (Repository settings > Repository variables)"
        ),
        None => "define such variables for the repository (Repository settings > Repository variables);\n\
                 a step without `deployment:` gets no deployment variables"
            .into(),
    }
}

fn distributions(problems: &mut Problems, raw: &Raw) -> Vec<DistributionId> {
    let ids = problems.ok(raw.variables.list("DISTRIBUTION_ID"));
    ids.unwrap_or_default()
        .iter()
        .filter_map(|id| problems.parse("DISTRIBUTION_ID", id, DistributionId::parse))
        .collect()
}

fn parse_acl(acl: &str) -> Result<ObjectCannedAcl, &'static str> {
    // The SDK's own conversion accepts any text.
    let is_valid = ObjectCannedAcl::values().contains(&acl);
    let expected = "a canned ACL such as `public-read` or `bucket-owner-full-control`";
    is_valid.then(|| acl.into()).ok_or(expected)
}

fn is_base(url: &Uri) -> Result<(), &'static str> {
    let is_valid = matches!(url.path(), "" | "/") && url.query().is_none();
    let expected = "only the CDN's base URL, such as `https://d111111abcdef8.cloudfront.net`; the path is added from `CDN_PREFIX`";
    is_valid.then_some(()).ok_or(expected)
}

#[cfg(test)]
mod tests;
