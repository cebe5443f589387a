//! The settings in effect, each with its value and where that comes from: for `settings`, and for the debug log.

use std::fmt::{self, Display, Formatter};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::names::{ContainerName, DistributionId};
use super::raw::Raw;
use super::rollback_to::RollbackTo;
use super::source::Source;
use super::Settings;
use crate::common::printable::sanitize;
use crate::common::secrets;

/// Stands for the value of a secret.
const SECRET: &str = "(secret)";

/// A setting in effect. Displayed, it is a line: `S3_BUCKET: acme-mojito (config.js s3BucketPRD)`.
pub(crate) struct Effective {
    name: &'static str,
    /// Never a secret. `None` if it is not set and has no default.
    value: Option<Value>,
    source: Source,
}

/// The value of a setting.
#[derive(Serialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    List(Vec<String>),
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::List(texts) => f.write_str(&texts.join(", ")),
        }
    }
}

impl Effective {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// `None` if it is not set.
    fn source(&self) -> Option<String> {
        self.value.as_ref()?;
        Some(match &self.source {
            Source::Variable(name) if *name == self.name => "variable".to_owned(),
            source => source.to_string(),
        })
    }
}

/// As an object with `value` and `source`, which are null where it is not set.
impl Serialize for Effective {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Effective", 2)?;
        object.serialize_field("value", &self.value)?;
        object.serialize_field("source", &self.source())?;
        object.end()
    }
}

impl Display for Effective {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.value, self.source()) {
            (Some(value), Some(source)) => {
                write!(
                    f,
                    "{}: {} ({source})",
                    self.name,
                    sanitize(&value.to_string())
                )
            }
            _ => write!(f, "{}: not set", self.name),
        }
    }
}

/// A secret may be in the wrong place.
fn text(value: &str) -> Value {
    Value::Text(secrets::redact(value).into_owned())
}

/// A setting with this value, which comes from `otherwise` if the variable is not given.
fn row(name: &'static str, is_given: bool, value: &dyn Display, otherwise: Source) -> Effective {
    let source = if is_given {
        Source::Variable(name)
    } else {
        otherwise
    };
    Effective {
        name,
        value: Some(text(&value.to_string())),
        source,
    }
}

/// A setting without a default.
fn optional(name: &'static str, value: Option<String>) -> Effective {
    Effective {
        name,
        value: value.map(|value| text(&value)),
        source: Source::Variable(name),
    }
}

/// A list, which is not set if it is empty.
fn list<'a>(
    name: &'static str,
    values: impl Iterator<Item = &'a str>,
    source: &Source,
) -> Effective {
    let values: Vec<String> = values.map(|it| secrets::redact(it).into_owned()).collect();
    Effective {
        name,
        value: (!values.is_empty()).then_some(Value::List(values)),
        source: source.clone(),
    }
}

/// All settings in effect, in the order of `pipe.yml`, then those of AWS's tools.
pub(crate) fn effective(settings: &Settings, raw: &Raw) -> Vec<Effective> {
    let mut rows = where_to(settings, raw);
    rows.extend(how(settings, raw));
    rows.extend(of_aws(raw));
    rows
}

/// The settings from the first to `CDN_PREFIX`: with which credentials, and what is published where.
fn where_to(settings: &Settings, raw: &Raw) -> Vec<Effective> {
    let (given, target) = (&raw.settings, &settings.target);
    let secret = |value: &Option<String>| value.as_ref().map(|_| SECRET.to_owned());
    let containers = target.containers.iter().map(ContainerName::as_str);
    let distributions = settings.distributions.iter().map(DistributionId::as_str);
    let account = settings.aws.account_id.clone();
    let folder = |prefix: &str| if prefix.is_empty() { "/" } else { prefix }.to_owned();
    vec![
        optional("AWS_ACCESS_KEY_ID", secret(&given.aws_access_key_id)),
        optional(
            "AWS_SECRET_ACCESS_KEY",
            secret(&given.aws_secret_access_key),
        ),
        optional("AWS_SESSION_TOKEN", secret(&given.aws_session_token)),
        optional("AWS_OIDC_ROLE_ARN", given.aws_oidc_role_arn.clone()),
        row(
            "AWS_DEFAULT_REGION",
            false,
            &target.region,
            target.sources.region.clone(),
        ),
        optional("AWS_REGION", given.aws_region.clone()),
        Effective {
            source: match given.aws_account_id {
                Some(_) => Source::Variable("AWS_ACCOUNT_ID"),
                None => Source::Setting("AWS_OIDC_ROLE_ARN"),
            },
            ..optional("AWS_ACCOUNT_ID", account)
        },
        row(
            "ENVIRONMENT",
            given.environment.is_some(),
            &settings.environment,
            Source::Pipeline(settings.environment_reason.clone()),
        ),
        list("CONTAINER_NAME", containers, &target.sources.containers),
        row(
            "COMMAND",
            given.command.is_some(),
            &given.command.as_deref().unwrap_or("publish"),
            Source::Default,
        ),
        row(
            "S3_BUCKET",
            false,
            &target.bucket,
            target.sources.bucket.clone(),
        ),
        row(
            "S3_PREFIX",
            false,
            &folder(target.prefix.as_str()),
            target.sources.prefix.clone(),
        ),
        row(
            "LOCAL_PATH",
            given.local_path.is_some(),
            &settings.local_path.display(),
            Source::Default,
        ),
        row(
            "PRETTY",
            given.pretty.is_some(),
            &settings.pretty,
            Source::Default,
        ),
        list(
            "DISTRIBUTION_ID",
            distributions,
            &settings.distributions_source,
        ),
        row(
            "INVALIDATE_VARIANTS",
            given.invalidate_variants.is_some(),
            &settings.invalidate_variants,
            Source::Default,
        ),
        row(
            "CDN_PREFIX",
            given.cdn_prefix.is_some(),
            &folder(target.cdn_prefix.as_str()),
            Source::Setting("S3_PREFIX"),
        ),
    ]
}

/// The settings from `CACHE_CONTROL` to the last: how it is published.
fn how(settings: &Settings, raw: &Raw) -> Vec<Effective> {
    let given = &raw.settings;
    let default = Source::Default;
    let of_dry_run = match given.dry_run.as_deref() {
        Some(value) if value.eq_ignore_ascii_case("true") => Source::Variable("DRY_RUN"),
        _ if settings.dry_run => Source::Flag("--dry-run"),
        Some(_) => Source::Variable("DRY_RUN"),
        None => Source::Default,
    };
    vec![
        row(
            "CACHE_CONTROL",
            given.cache_control.is_some(),
            &settings.cache_control,
            default.clone(),
        ),
        optional("ACL", settings.acl.as_ref().map(ToString::to_string)),
        row(
            "WAIT",
            given.wait.is_some(),
            &settings.wait,
            default.clone(),
        ),
        row(
            "METADATA",
            given.metadata.is_some(),
            &settings.metadata,
            default.clone(),
        ),
        optional(
            "KMS_KEY_ARN",
            settings.kms_key.as_ref().map(ToString::to_string),
        ),
        Effective {
            source: settings.public_url_source.clone(),
            ..optional(
                "PUBLIC_URL",
                settings.public_url.as_ref().map(ToString::to_string),
            )
        },
        row(
            "CODE_INSIGHTS",
            given.code_insights.is_some(),
            &settings.code_insights,
            default.clone(),
        ),
        row(
            "ONLY_NEWER",
            given.only_newer.is_some(),
            &settings.only_newer,
            default.clone(),
        ),
        match settings.rollback.as_ref() {
            Some(RollbackTo::Previous) | None => optional("ROLLBACK_TO", given.rollback_to.clone()),
            Some(to) => row(
                "ROLLBACK_TO",
                given.rollback_to.as_deref() == Some(to.to_string().as_str()),
                to,
                Source::Flag("--to"),
            ),
        },
        optional("MAX_SIZE", settings.max_size.map(|size| size.to_string())),
        row(
            "VALIDATE",
            given.validate.is_some(),
            &settings.validate,
            default.clone(),
        ),
        row("DRY_RUN", false, &settings.dry_run, of_dry_run),
        row("DEBUG", given.debug.is_some(), &raw.debug(), default),
    ]
}

/// The settings of AWS's tools that are set.
fn of_aws(raw: &Raw) -> Vec<Effective> {
    let given = &raw.aws;
    let rows = [
        ("AWS_ENDPOINT_URL", &given.aws_endpoint_url),
        ("AWS_ENDPOINT_URL_S3", &given.aws_endpoint_url_s3),
        (
            "AWS_ENDPOINT_URL_CLOUDFRONT",
            &given.aws_endpoint_url_cloudfront,
        ),
        ("AWS_ENDPOINT_URL_STS", &given.aws_endpoint_url_sts),
        ("AWS_PROFILE", &given.aws_profile),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            &given.aws_web_identity_token_file,
        ),
        ("AWS_CA_BUNDLE", &given.aws_ca_bundle),
    ];
    let set = rows.into_iter().filter(|(_, value)| value.is_some());
    let set = set.map(|(name, value)| optional(name, value.clone()));
    // It may hold a password.
    let proxy = given.https_proxy.as_ref().map(|_| SECRET.to_owned());
    let proxy = proxy.map(|value| optional("HTTPS_PROXY", Some(value)));
    set.chain(proxy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mojito::config_js::ConfigJs;
    use crate::settings::raw::RawSettings;
    use crate::settings::variables::names_of;
    use crate::settings::Flags;

    fn lines(
        variables: &[(&str, &str)],
        flags: Flags,
        profile_region: Option<&str>,
    ) -> Vec<String> {
        let raw: Raw = variables.iter().copied().collect();
        let config = "module.exports = {containerName: 'shop', s3BucketDev: 'acme/dev', s3BucketPRD: 'acme'}";
        let config = ConfigJs::parse(config);
        let settings = Settings::new(flags, &raw, config, profile_region).unwrap();
        let lines = effective(&settings, &raw).into_iter();
        lines.map(|it| it.to_string()).collect()
    }

    #[test]
    fn every_setting_is_listed_in_the_order_of_pipe_yml() {
        let lines = lines(&[], Flags::default(), Some("eu-west-1"));
        let names = lines
            .iter()
            .filter_map(|line| Some(line.split_once(':')?.0));
        assert_eq!(names.collect::<Vec<_>>(), names_of::<RawSettings>());
    }

    #[test]
    fn each_value_has_its_source_and_secrets_are_not_shown() {
        let by_hand = lines(&[], Flags::default(), Some("eu-west-1"));
        for line in [
            "AWS_ACCESS_KEY_ID: not set",
            "AWS_DEFAULT_REGION: eu-west-1 (region of the AWS profile)",
            "ENVIRONMENT: development (by hand, without `--production`)",
            "CONTAINER_NAME: shop (config.js containerName)",
            "S3_BUCKET: acme (config.js s3BucketDev)",
            "S3_PREFIX: dev (config.js s3BucketDev)",
            "CDN_PREFIX: dev (S3_PREFIX)",
            "PRETTY: true (default)",
            "DISTRIBUTION_ID: not set",
        ] {
            assert!(by_hand.iter().any(|it| it == line), "{line}: {by_hand:#?}");
        }
        let flags = Flags {
            dry_run: true,
            ..Flags::default()
        };
        let set = lines(
            &[
                ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"),
                ("AWS_REGION", "eu-west-2"),
                ("CONTAINER_NAME_COUNT", "2"),
                ("CONTAINER_NAME_0", "shop"),
                ("CONTAINER_NAME_1", "blog"),
                ("ENVIRONMENT", "production"),
                ("S3_PREFIX", "/"),
                ("HTTPS_PROXY", "http://me:password@proxy:3128"),
            ],
            flags,
            None,
        );
        for line in [
            "AWS_SECRET_ACCESS_KEY: (secret) (variable)",
            "AWS_DEFAULT_REGION: eu-west-2 (AWS_REGION)",
            "AWS_REGION: eu-west-2 (variable)",
            "ENVIRONMENT: production (variable)",
            "CONTAINER_NAME: shop, blog (variable)",
            "S3_BUCKET: acme (config.js s3BucketPRD)",
            "S3_PREFIX: / (variable)",
            "DRY_RUN: true (--dry-run)",
            "HTTPS_PROXY: (secret) (variable)",
        ] {
            assert!(set.iter().any(|it| it == line), "{line}: {set:#?}");
        }
        let all = set.concat();
        assert!(!all.contains("wJalr") && !all.contains("password"), "{all}");
    }
}
