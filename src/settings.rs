//! The validated settings: raw variables, the flags, `config.js` and the build in, types that need no further doubt out.
//!
//! Everything that is wrong is collected and reported in one go: a pipeline that fails five times for five typing
//! errors is five pushes. Precedence is flag, variable, `config.js`, default.

use std::path::PathBuf;
use std::str::FromStr;

use aws_credential_types::Credentials;
use aws_sdk_s3::types::ObjectCannedAcl;
use http::Uri;

use crate::build::Build;
use crate::byte_size::ByteSize;
use crate::cache_control::CacheControl;
use crate::config_js::ConfigJs;
use crate::environment::{self, Environment};
use crate::error::Invalid;
use crate::name::{BucketName, ContainerName, DistributionId, ObjectKey, Prefix};
use crate::oidc::{self, RoleArn};
use crate::raw::{RawAws, RawBuild, RawSettings};
use crate::tls;
use crate::variables::Variables;

/// Where `npm run build` of a Mojito repository puts the container.
const DEFAULT_LOCAL_PATH: &str = "dist/assets/js";

/// What the command line says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) production: bool,
    pub(crate) dry_run: bool,
}

/// Everything that a run is told.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) environment: Environment,
    /// Why this environment: a phrase for the log.
    pub(crate) environment_reason: String,
    pub(crate) build: Build,
    pub(crate) containers: Vec<ContainerName>,
    pub(crate) bucket: BucketName,
    pub(crate) prefix: Prefix,
    pub(crate) cdn_prefix: Prefix,
    pub(crate) region: String,
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

/// How AWS is reached and as whom.
#[derive(Debug)]
pub(crate) struct AwsSettings {
    pub(crate) credentials: CredentialSource,
    /// Digits; the account of the caller unless `AWS_ACCOUNT_ID` names it.
    pub(crate) account_id: Option<String>,
    /// Whether S3 is an endpoint of one's own, whose buckets are addressed by path.
    pub(crate) own_s3_endpoint: bool,
    /// Certificates to trust besides the embedded and the system's, PEM.
    pub(crate) ca_bundle: Option<Vec<u8>>,
}

/// Where the credentials come from.
#[derive(Debug)]
pub(crate) enum CredentialSource {
    Oidc {
        role: RoleArn,
        token: oidc::Token,
    },
    Keys(Credentials),
    /// AWS's default chain, with the profile that `AWS_PROFILE` names.
    DefaultChain {
        profile: Option<String>,
    },
}

impl Settings {
    /// Validates everything, and reports everything that is wrong.
    ///
    /// `profile_region` is the region of AWS's profile, the last resort for the bucket's region.
    pub(crate) fn new(
        flags: Flags,
        variables: &Variables,
        config: Result<ConfigJs, Invalid>,
        profile_region: Option<String>,
    ) -> Result<Self, Vec<Invalid>> {
        let raw: RawSettings = read(variables)?;
        let raw_aws: RawAws = read(variables)?;
        let raw_build: RawBuild = read(variables)?;
        let token = raw_build.bitbucket_step_oidc_token.clone();
        let build = Build::new(raw_build);
        let mut check = Check::default();

        let environment = check.ok(environment::resolve(
            flags.production,
            raw.environment.as_deref(),
            &build,
        ));
        // A `config.js` that cannot be read matters only where a value of it is wanted.
        let (config, config_error) = match config {
            Ok(config) => (config, None),
            Err(error) => (ConfigJs::default(), Some(error)),
        };
        let mut config_wanted = false;

        let mut names = check
            .ok(variables.list("CONTAINER_NAME"))
            .unwrap_or_default();
        let mut names_from = "CONTAINER_NAME";
        if names.is_empty() && !check.mentions("CONTAINER_NAME") {
            config_wanted = true;
            if let Some(name) = config.container_name {
                names.push(name);
                names_from = "config.js containerName";
            } else if config_error.is_none() {
                check.push("CONTAINER_NAME", "is not set, and no `config.js` with a `containerName` is here; set it, or run this in the root of the Mojito repository");
            }
        }
        let containers: Vec<ContainerName> = names
            .iter()
            .filter_map(|name| check.parse(names_from, name, ContainerName::parse))
            .collect();

        let (bucket, bucket_prefix) = match (&raw.s3_bucket, &environment) {
            (Some(bucket), _) => check.bucket("S3_BUCKET", bucket),
            (None, Some((environment, _))) => {
                config_wanted = true;
                let (from, value) = match environment {
                    Environment::Production => ("config.js s3BucketPRD", config.s3_bucket_prd),
                    Environment::Development => ("config.js s3BucketDev", config.s3_bucket_dev),
                };
                if let Some(bucket) = value {
                    check.bucket(from, &bucket)
                } else {
                    if config_error.is_none() {
                        let key = environment.config_key();
                        check.push("S3_BUCKET", format!("is not set, and no `config.js` with a `{key}` is here; set it to `BUCKET` or `BUCKET/PREFIX`"));
                    }
                    (None, None)
                }
            }
            (None, None) => (None, None),
        };
        let prefix = match &raw.s3_prefix {
            Some(prefix) => check.parse("S3_PREFIX", prefix, Prefix::parse),
            None => bucket_prefix.or_else(|| {
                let (environment, _) = environment.as_ref()?;
                Prefix::parse(environment.default_prefix()).ok()
            }),
        };
        let cdn_prefix = match &raw.cdn_prefix {
            Some(prefix) => check.parse("CDN_PREFIX", prefix, Prefix::parse),
            None => prefix.clone(),
        };
        if let Some(prefix) = &prefix {
            for name in &containers {
                if !ObjectKey::new(prefix, &format!("{name}.pretty.js")).fits() {
                    check.push(names_from, "makes a key that is longer than the 1,024 bytes S3 allows; shorten it or `S3_PREFIX`");
                }
            }
        }

        let region = if let Some(region) =
            raw.aws_default_region.as_ref().or(raw.aws_region.as_ref())
        {
            let from = if raw.aws_default_region.is_some() {
                "AWS_DEFAULT_REGION"
            } else {
                "AWS_REGION"
            };
            check.parse(from, region, parse_region)
        } else {
            config_wanted |= profile_region.is_none();
            if let Some(region) = config.s3_region {
                check.parse("config.js s3Region", &region, parse_region)
            } else if let Some(region) = profile_region {
                check.parse("region of the AWS profile", &region, parse_region)
            } else {
                if config_error.is_none() {
                    check.push("AWS_DEFAULT_REGION", "is not set, and neither `s3Region` of `config.js` nor the AWS profile names a region; set it to the bucket's region, such as `ap-southeast-2`");
                }
                None
            }
        };
        if let Some(error) = config_error.filter(|_| config_wanted) {
            check.problems.push(error);
        }

        let distributions = check
            .ok(variables.list("DISTRIBUTION_ID"))
            .unwrap_or_default();
        let distributions = distributions
            .iter()
            .filter_map(|id| check.parse("DISTRIBUTION_ID", id, DistributionId::parse))
            .collect();

        let default_pretty = matches!(environment, Some((Environment::Development, _)));
        let pretty = check.boolean("PRETTY", raw.pretty.as_deref(), default_pretty);
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
            .and_then(|url| check.web_address("PUBLIC_URL", url, parse_public_url));
        if only_newer
            && !build
                .build_number
                .as_ref()
                .is_some_and(|number| number.parse::<u64>().is_ok())
        {
            check.push("ONLY_NEWER", "is `true`, but there is no build number to compare (`BITBUCKET_BUILD_NUMBER`); leave it off by hand");
        }

        let aws = check.aws(&raw, raw_aws, token);

        match (
            check.problems.is_empty(),
            environment,
            bucket,
            prefix,
            cdn_prefix,
            region,
            cache_control,
            aws,
        ) {
            (
                true,
                Some((environment, environment_reason)),
                Some(bucket),
                Some(prefix),
                Some(cdn_prefix),
                Some(region),
                Some(cache_control),
                Some(aws),
            ) => Ok(Self {
                environment,
                environment_reason,
                build,
                containers,
                bucket,
                prefix,
                cdn_prefix,
                region,
                local_path: raw
                    .local_path
                    .map_or_else(|| PathBuf::from(DEFAULT_LOCAL_PATH), PathBuf::from),
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
            }),
            _ => Err(check.problems),
        }
    }
}

/// Whether `DEBUG` is on. It is asked for before the settings are validated, so a wrong value means no.
pub(crate) fn debug(variables: &Variables) -> bool {
    let raw: RawSettings = variables.read().unwrap_or_default();
    raw.debug
        .is_some_and(|debug| debug.eq_ignore_ascii_case("true"))
}

fn read<T: serde::de::DeserializeOwned>(variables: &Variables) -> Result<T, Vec<Invalid>> {
    // All fields are optional text, so only a defect of the program can fail here.
    variables
        .read()
        .map_err(|error| vec![Invalid::new("environment", error.to_string())])
}

/// Collects what is wrong.
#[derive(Default)]
struct Check {
    problems: Vec<Invalid>,
}

impl Check {
    fn push(&mut self, setting: &'static str, problem: impl Into<String>) {
        self.problems.push(Invalid::new(setting, problem));
    }

    fn mentions(&self, setting: &str) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.setting() == setting)
    }

    fn ok<T>(&mut self, result: Result<T, Invalid>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn parse<T>(
        &mut self,
        setting: &'static str,
        value: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        self.ok(parse(value).map_err(|expected| Invalid::value(setting, value, expected)))
    }

    fn boolean(&mut self, setting: &'static str, value: Option<&str>, default: bool) -> bool {
        let parse = |value: &str| match value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("`true` or `false`"),
        };
        value
            .and_then(|value| self.parse(setting, value, parse))
            .unwrap_or(default)
    }

    /// An address, which is not shown where it holds a password.
    fn web_address(
        &mut self,
        setting: &'static str,
        url: &str,
        parse: impl FnOnce(&str) -> Result<Uri, &'static str>,
    ) -> Option<Uri> {
        if url.contains('@') {
            self.push(
                setting,
                "is an address with a user name or password, expected one without",
            );
            return None;
        }
        self.parse(setting, url, parse)
    }

    /// `BUCKET`, or `BUCKET/PREFIX` as Mojito writes it.
    fn bucket(
        &mut self,
        setting: &'static str,
        value: &str,
    ) -> (Option<BucketName>, Option<Prefix>) {
        if value.contains("://") || value.starts_with("arn:") {
            self.problems.push(Invalid::value(
                setting,
                value,
                "`BUCKET` or `BUCKET/PREFIX`, without `s3://` and no ARN",
            ));
            return (None, None);
        }
        let (name, folder) = value.split_once('/').unwrap_or((value, ""));
        let bucket = self.parse(setting, name, BucketName::parse);
        let prefix = (!folder.is_empty())
            .then(|| self.parse(setting, folder, Prefix::parse))
            .flatten();
        (bucket, prefix)
    }

    fn aws(
        &mut self,
        raw: &RawSettings,
        raw_aws: RawAws,
        token: Option<String>,
    ) -> Option<AwsSettings> {
        let credentials = self.credentials(raw, raw_aws.aws_profile, token);
        if let Some(id) = &raw.aws_account_id {
            let parse =
                |id: &str| match id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()) {
                    true => Ok(()),
                    false => Err("the 12 digits of an AWS account"),
                };
            self.parse("AWS_ACCOUNT_ID", id, parse);
        }
        for (setting, value) in [
            ("AWS_ENDPOINT_URL", &raw_aws.aws_endpoint_url),
            ("AWS_ENDPOINT_URL_S3", &raw_aws.aws_endpoint_url_s3),
            (
                "AWS_ENDPOINT_URL_CLOUDFRONT",
                &raw_aws.aws_endpoint_url_cloudfront,
            ),
            ("AWS_ENDPOINT_URL_STS", &raw_aws.aws_endpoint_url_sts),
        ] {
            if let Some(url) = value {
                self.web_address(setting, url, parse_web_address);
            }
        }
        if let Some(proxy) = &raw_aws.https_proxy {
            // It may hold a password, so it is not shown.
            if proxy
                .parse::<Uri>()
                .map_or(true, |uri| uri.host().is_none())
            {
                self.push(
                    "HTTPS_PROXY",
                    "is not the address of a proxy, such as `http://proxy.example.com:3128`",
                );
            }
        }
        let ca_bundle = raw_aws.aws_ca_bundle.and_then(|path| {
            self.ok(tls::read_ca_bundle(&path)
                .map_err(|problem| Invalid::new("AWS_CA_BUNDLE", problem)))
        });
        Some(AwsSettings {
            credentials: credentials?,
            account_id: raw.aws_account_id.clone(),
            own_s3_endpoint: raw_aws.aws_endpoint_url_s3.is_some()
                || raw_aws.aws_endpoint_url.is_some(),
            ca_bundle,
        })
    }

    fn credentials(
        &mut self,
        raw: &RawSettings,
        profile: Option<String>,
        token: Option<String>,
    ) -> Option<CredentialSource> {
        if let Some(arn) = &raw.aws_oidc_role_arn {
            let role = self.parse("AWS_OIDC_ROLE_ARN", arn, RoleArn::parse);
            let Some(token) = token else {
                self.push("AWS_OIDC_ROLE_ARN", "is set, but the step has no OIDC token (`BITBUCKET_STEP_OIDC_TOKEN`): add `oidc: true` to the step in `bitbucket-pipelines.yml`");
                return None;
            };
            return Some(CredentialSource::Oidc {
                role: role?,
                token: oidc::Token::new(token),
            });
        }
        match (&raw.aws_access_key_id, &raw.aws_secret_access_key) {
            (Some(id), Some(secret)) => Some(CredentialSource::Keys(Credentials::new(
                id.trim(),
                secret.trim(),
                raw.aws_session_token
                    .as_ref()
                    .map(|token| token.trim().to_owned()),
                None,
                "environment",
            ))),
            (Some(_), None) => {
                self.push("AWS_SECRET_ACCESS_KEY", "is not set, but `AWS_ACCESS_KEY_ID` is; in Bitbucket, a secured variable of another deployment environment is empty here");
                None
            }
            (None, Some(_)) => {
                self.push(
                    "AWS_ACCESS_KEY_ID",
                    "is not set, but `AWS_SECRET_ACCESS_KEY` is; set both",
                );
                None
            }
            (None, None) => Some(CredentialSource::DefaultChain { profile }),
        }
    }
}

fn parse_region(region: &str) -> Result<String, &'static str> {
    let valid = region.split('-').count() >= 3
        && region
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if valid {
        Ok(region.to_owned())
    } else {
        Err("a region such as `ap-southeast-2`")
    }
}

fn parse_acl(acl: &str) -> Result<ObjectCannedAcl, &'static str> {
    // The SDK knows every canned ACL, but takes an unknown one as it is.
    if ObjectCannedAcl::values().contains(&acl) {
        Ok(ObjectCannedAcl::from(acl))
    } else {
        Err("a canned ACL such as `public-read` or `bucket-owner-full-control`")
    }
}

fn parse_web_address(url: &str) -> Result<Uri, &'static str> {
    Uri::from_str(url)
        .ok()
        .filter(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
        })
        .ok_or("an address that starts with `https://` or `http://`")
}

fn parse_public_url(url: &str) -> Result<Uri, &'static str> {
    let uri = parse_web_address(url)?;
    if matches!(uri.path(), "" | "/") && uri.query().is_none() {
        Ok(uri)
    } else {
        Err("the address of the CDN alone, such as `https://d111111abcdef8.cloudfront.net`; the path is added from `CDN_PREFIX`")
    }
}

#[cfg(test)]
mod tests;
