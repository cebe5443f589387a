//! The validated settings: raw variables, the flags, `config.js` and the build in, types that need no further doubt out.
//!
//! Everything that is wrong is collected and reported in one go: a pipeline that fails five times for five typing
//! errors is five pushes. Precedence is flag, variable, `config.js`, default.

pub(crate) mod aws;
pub(crate) mod ca_bundle;
pub(crate) mod cache_control;
pub(crate) mod environment;
pub(crate) mod names;
pub(crate) mod pipeline;
pub(crate) mod problems;
pub(crate) mod raw;
pub(crate) mod target;
pub(crate) mod variables;

use std::path::PathBuf;

use aws_sdk_s3::types::ObjectCannedAcl;
use http::Uri;

use self::aws::AwsSettings;
use self::cache_control::CacheControl;
use self::environment::Environment;
use self::names::{DistributionId, ObjectKey, Variant};
use self::pipeline::Build;
use self::problems::{InvalidSetting, Problems};
use self::raw::{RawAws, RawBuild, RawSettings};
use self::target::Target;
use self::variables::Variables;
use crate::common::byte_size::ByteSize;
use crate::mojito::config_js::ConfigJs;

/// Where `npm run build` of a Mojito repository puts the container.
const DEFAULT_LOCAL_PATH: &str = "dist/assets/js";

/// What the command line says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) production: bool,
    pub(crate) dry_run: bool,
    /// Incomplete credentials, or none, are no reason to refuse.
    pub(crate) credentials_optional: bool,
}

/// Everything that a run is told.
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
    pub(crate) max_size: Option<ByteSize>,
    pub(crate) validate: bool,
    pub(crate) dry_run: bool,
    pub(crate) aws: AwsSettings,
}

impl Settings {
    /// Validates everything, and reports everything that is wrong.
    ///
    /// `profile_region` is the region of AWS's profile, the last resort for the bucket's region.
    pub(crate) fn new(
        flags: Flags,
        variables: &Variables,
        config: ConfigJs,
        profile_region: Option<&str>,
    ) -> Result<Self, Vec<InvalidSetting>> {
        let raw: RawSettings = read(variables)?;
        let raw_aws: RawAws = read(variables)?;
        let mut raw_build: RawBuild = read(variables)?;
        let token = raw_build.bitbucket_step_oidc_token.take();
        let build = Build::new(raw_build);
        let mut check = Problems::default();
        let environment =
            environment::resolve(flags.production, raw.environment.as_deref(), &build);
        let (environment, environment_reason) = check.ok(environment).unzip();
        let target = Target::new(
            &mut check,
            variables,
            &raw,
            environment,
            config,
            profile_region,
        );
        let distributions = check
            .ok(variables.list("DISTRIBUTION_ID"))
            .unwrap_or_default()
            .iter()
            .filter_map(|id| check.parse("DISTRIBUTION_ID", id, DistributionId::parse))
            .collect();

        let pretty = environment == Some(Environment::Development);
        let pretty = check.boolean("PRETTY", raw.pretty.as_deref(), pretty);
        let wait = check.boolean("WAIT", raw.wait.as_deref(), false);
        let only_newer = check.boolean("ONLY_NEWER", raw.only_newer.as_deref(), false);
        let validate = check.boolean("VALIDATE", raw.validate.as_deref(), true);
        let dry_run = check.boolean("DRY_RUN", raw.dry_run.as_deref(), false) || flags.dry_run;
        check.boolean("DEBUG", raw.debug.as_deref(), false);
        let cache_control = match &raw.cache_control {
            Some(value) => check.parse("CACHE_CONTROL", value, CacheControl::parse),
            None => Some(CacheControl::default()),
        };
        let acl = raw
            .acl
            .as_ref()
            .and_then(|acl| check.parse("ACL", acl, parse_acl));
        let max_size = raw
            .max_size
            .as_ref()
            .and_then(|size| check.parse("MAX_SIZE", size, ByteSize::parse));
        let public_url = raw
            .public_url
            .as_ref()
            .and_then(|url| check.web_address("PUBLIC_URL", url, is_bare));
        if only_newer && build.number().is_none() {
            check.push(
                "ONLY_NEWER",
                "is `true`, but there is no build number to compare (`BITBUCKET_BUILD_NUMBER`); leave it off by hand",
            );
        }
        let aws = AwsSettings::new(&mut check, &raw, raw_aws, token, flags.credentials_optional);

        let (
            true,
            Some(environment),
            Some(environment_reason),
            Some(target),
            Some(cache_control),
            Some(aws),
        ) = (
            check.is_ok(),
            environment,
            environment_reason,
            target,
            cache_control,
            aws,
        )
        else {
            return Err(check.into_problems());
        };
        Ok(Self {
            environment,
            environment_reason,
            build,
            target,
            local_path: raw
                .local_path
                .unwrap_or_else(|| DEFAULT_LOCAL_PATH.to_owned())
                .into(),
            pretty,
            distributions,
            cache_control,
            acl,
            wait,
            public_url,
            only_newer,
            max_size,
            validate,
            dry_run,
            aws,
        })
    }
}

impl Settings {
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
                move |bundle: &Variant| ObjectKey::new(&target.prefix, &bundle.file_name(name));
            self.variants().iter().map(key)
        };
        target.containers.iter().flat_map(of_container).collect()
    }
}

/// Whether `DEBUG` is on. It is asked for before the settings are validated, so a wrong value means no.
pub(crate) fn debug(variables: &Variables) -> bool {
    let raw: RawSettings = variables.read().unwrap_or_default();
    raw.debug
        .is_some_and(|debug| debug.eq_ignore_ascii_case("true"))
}

/// The values of the variables that are secret.
pub(crate) fn secrets(variables: &Variables) -> impl Iterator<Item = String> {
    let settings: RawSettings = variables.read().unwrap_or_default();
    let build: RawBuild = variables.read().unwrap_or_default();
    let secrets = [
        settings.aws_secret_access_key,
        settings.aws_session_token,
        build.bitbucket_step_oidc_token,
    ];
    secrets.into_iter().flatten()
}

fn read<T: serde::de::DeserializeOwned>(variables: &Variables) -> Result<T, Vec<InvalidSetting>> {
    // All fields are optional text, so only a defect of the program can fail here.
    variables
        .read()
        .map_err(|error| vec![InvalidSetting::new("environment", error.to_string())])
}

fn parse_acl(acl: &str) -> Result<ObjectCannedAcl, &'static str> {
    // The SDK knows every canned ACL, but takes an unknown one as it is.
    if ObjectCannedAcl::values().contains(&acl) {
        Ok(ObjectCannedAcl::from(acl))
    } else {
        Err("a canned ACL such as `public-read` or `bucket-owner-full-control`")
    }
}

fn is_bare(url: &Uri) -> Result<(), &'static str> {
    if matches!(url.path(), "" | "/") && url.query().is_none() {
        Ok(())
    } else {
        Err("the address of the CDN alone, such as `https://d111111abcdef8.cloudfront.net`; the path is added from `CDN_PREFIX`")
    }
}

#[cfg(test)]
mod tests;
