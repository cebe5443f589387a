//! The settings: variables, flags, `config.js` and the pipeline, validated into types that need no further checks.
//!
//! All problems are collected and reported at once, as each push to fix the next one costs a build. Precedence is flag,
//! variable, `config.js`, default.

pub(crate) mod aws;
pub(crate) mod aws_files;
pub(crate) mod ca_bundle;
pub(crate) mod cache_control;
mod cdn;
pub(crate) mod code_insights;
pub(crate) mod effective;
pub(crate) mod environment;
pub(crate) mod help;
pub(crate) mod kms;
mod misnamed;
pub(crate) mod names;
pub(crate) mod oidc_token;
pub(crate) mod pipeline;
pub(crate) mod problems;
pub(crate) mod purpose;
pub(crate) mod raw;
pub(crate) mod region;
pub(crate) mod rollback_to;
pub(crate) mod source;
mod sources;
mod system_roots;
pub(crate) mod target;
mod unreplaced;
pub(crate) mod variables;

use std::collections::HashMap;
use std::path::PathBuf;

use aws_sdk_s3::types::ObjectCannedAcl;
use http::Uri;

use self::aws::{AwsSettings, CredentialSource};
use self::cache_control::CacheControl;
use self::environment::Environment;
use self::kms::KmsKeyArn;
use self::names::{CdnPath, DistributionId, ObjectKey, Variant, MAX_PATHS, MAX_WILDCARDS};
use self::pipeline::Build;
use self::problems::{InvalidSetting, Problems};
pub(crate) use self::purpose::Flags;
use self::purpose::Purpose;
use self::raw::Raw;
use self::rollback_to::RollbackTo;
use self::source::Source;
use self::sources::Sources;
use self::target::Target;
use crate::common::byte_size::ByteSize;
use crate::mojito::config_js::ConfigJs;

/// Where `npm run build` of a Mojito repository puts the container.
const DEFAULT_LOCAL_PATH: &str = "dist/assets/js";

/// What a run is to do.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting with a name of its own"
)]
pub(crate) struct Settings {
    pub(crate) purpose: Purpose,
    pub(crate) environment: Environment,
    /// Why this environment: a phrase for the log.
    pub(crate) environment_reason: String,
    pub(crate) build: Build,
    pub(crate) target: Target,
    pub(crate) local_path: PathBuf,
    pub(crate) pretty: bool,
    pub(crate) distributions: Vec<DistributionId>,
    pub(crate) distributions_source: Source,
    /// Whether the variants of a path by query string are invalidated with it.
    pub(crate) invalidate_variants: bool,
    pub(crate) cache_control: CacheControl,
    pub(crate) acl: Option<ObjectCannedAcl>,
    pub(crate) wait: bool,
    /// Whether all that is known of the build is stored with the objects. See `Settings::stored_metadata`.
    pub(crate) metadata: bool,
    pub(crate) kms_key: Option<KmsKeyArn>,
    pub(crate) public_url: Option<Uri>,
    pub(crate) code_insights: bool,
    pub(crate) public_url_source: Source,
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
    /// The settings, if they are all valid.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn new(
        flags: Flags,
        raw: &Raw,
        config: ConfigJs,
        profile_region: Option<&str>,
    ) -> Result<Self, Vec<InvalidSetting>> {
        match Self::inspect(flags, raw, config, profile_region) {
            (Some(settings), problems) if problems.is_empty() => Ok(settings),
            (_, problems) => Err(problems),
        }
    }

    /// Validates everything: the settings as far as they are valid, and every problem. `None` if the target or the credentials
    /// are invalid.
    ///
    /// `profile_region` is the region of AWS's profile, the last resort for the bucket's region.
    pub(crate) fn inspect(
        flags: Flags,
        raw: &Raw,
        config: ConfigJs,
        profile_region: Option<&str>,
    ) -> (Option<Self>, Vec<InvalidSetting>) {
        let mut problems = Problems::default();
        let settings = Self::collect(&mut problems, flags, raw, config, profile_region);
        (settings, problems.0)
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
        let purpose = Purpose::resolve(&flags, variables.command.as_deref());
        let purpose = problems.ok(purpose).unwrap_or_default();
        let dry_run = variables.dry_run.as_deref();
        let dry_run = problems.boolean("DRY_RUN", dry_run, false) || flags.dry_run;
        let environment = variables.environment.as_deref();
        let publishes = purpose.writes() && !dry_run;
        let environment = environment::resolve(flags.production, environment, &build, publishes);
        let environment = problems.ok(environment);
        let known = environment.as_ref().map(|(environment, _)| *environment);
        let mut sources = Sources::new(raw, known, config);
        let target = Target::new(problems, &mut sources, profile_region);
        let (of_distributions, distributions) = cdn::distributions(problems, &mut sources);
        let (of_public_url, public_url) = cdn::public_url(problems, &mut sources);
        warnings.extend(sources.report(problems));
        cdn::check_partition(problems, target.as_ref(), &distributions, &of_distributions);
        let mut boolean = |setting, value: &Option<String>, default| {
            problems.boolean(setting, value.as_deref(), default)
        };
        let is_development = known == Some(Environment::Development);
        let pretty = boolean("PRETTY", &variables.pretty, is_development);
        let invalidate_variants =
            boolean("INVALIDATE_VARIANTS", &variables.invalidate_variants, false);
        let wait = boolean("WAIT", &variables.wait, false);
        let metadata = boolean("METADATA", &variables.metadata, true);
        let only_newer = boolean("ONLY_NEWER", &variables.only_newer, false);
        let validate = boolean("VALIDATE", &variables.validate, true);
        let code_insights = boolean("CODE_INSIGHTS", &variables.code_insights, true);
        // Its value was needed earlier (`Raw::debug`).
        boolean("DEBUG", &variables.debug, false);
        if invalidate_variants && !distributions.is_empty() {
            cdn::check_variants(problems, target.as_ref(), pretty);
        }
        check_only_newer(problems, only_newer, purpose, &build);
        let rolls_back = purpose == Purpose::Rollback || flags.for_rollback;
        let variable = variables.rollback_to.as_deref();
        let rollback = rollback_to::resolve(problems, rolls_back, flags.to, variable);
        rollback_to::check_containers(problems, rollback.as_ref(), target.as_ref());
        let cache_control = variables.cache_control.as_deref();
        let cache_control = problems.optional("CACHE_CONTROL", cache_control, CacheControl::parse);
        let kms_key = variables.kms_key_arn.as_deref();
        let kms_key = problems.optional("KMS_KEY_ARN", kms_key, KmsKeyArn::parse);
        kms::check_region(problems, kms_key.as_ref(), target.as_ref());
        let acl = problems.optional("ACL", variables.acl.as_deref(), parse_acl);
        let max_size = variables.max_size.as_deref();
        let max_size = problems.optional("MAX_SIZE", max_size, ByteSize::parse);
        let url = public_url.as_ref();
        let credentials_optional = purpose.credentials_optional(dry_run, &build, url, variables);
        let aws = AwsSettings::new(problems, raw, &build, credentials_optional);
        check_unreplaced(problems, raw, &build, credentials_optional);
        let local_path = variables.local_path.as_deref();
        let (environment, environment_reason) = environment?;
        Some(Self {
            purpose,
            environment,
            environment_reason,
            build,
            target: target?,
            local_path: local_path.unwrap_or(DEFAULT_LOCAL_PATH).into(),
            pretty,
            distributions,
            distributions_source: of_distributions,
            invalidate_variants,
            cache_control: cache_control.unwrap_or_default(),
            acl,
            wait,
            metadata,
            kms_key,
            public_url,
            code_insights,
            public_url_source: of_public_url,
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

    /// The path that invalidates an object.
    pub(crate) fn invalidated(&self, path: &CdnPath) -> CdnPath {
        if self.invalidate_variants {
            path.with_variants()
        } else {
            path.clone()
        }
    }

    /// How many paths one invalidation may have.
    pub(crate) fn max_paths(&self) -> usize {
        if self.invalidate_variants {
            MAX_WILDCARDS
        } else {
            MAX_PATHS
        }
    }

    /// The user-defined metadata of every object, besides the run's caller reference. Visitors see it, as CloudFront passes it
    /// on, so without `METADATA` it is only what `ONLY_NEWER` compares.
    pub(crate) fn stored_metadata(&self) -> HashMap<String, String> {
        let mut metadata = self.build.metadata();
        let is_compared = |name: &str| self.only_newer && Build::COMPARED.contains(&name);
        metadata.retain(|name, _| self.metadata || is_compared(name));
        metadata
    }

    /// What `policy` and `check` must be called with to be about the same: ` --rollback --production`.
    pub(crate) fn arguments(&self) -> String {
        let rollback = self.rollback.as_ref().map_or("", |_| " --rollback");
        format!("{rollback}{}", self.environment.flag())
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

fn parse_acl(acl: &str) -> Result<ObjectCannedAcl, &'static str> {
    // The SDK's own conversion accepts any text.
    let is_valid = ObjectCannedAcl::values().contains(&acl);
    let expected = "a canned ACL such as `public-read` or `bucket-owner-full-control`";
    is_valid.then(|| acl.into()).ok_or(expected)
}

#[cfg(test)]
mod tests;
