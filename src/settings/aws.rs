//! The settings of how AWS is reached, and with which credentials.

use aws_credential_types::Credentials;
use http::Uri;

use super::names::{parse_account_id, text_newtypes, valid_text};
use super::oidc_token::Token;
use super::pipeline::Build;
use super::problems::{InvalidSetting, Problems};
use super::raw::{Raw, RawAws, RawSettings};
use super::{ca_bundle, system_roots};
use crate::common::byte_size::ByteSize;

/// STS's limit for a web identity token, in characters.
const MAX_TOKEN: usize = 20_000;

/// How AWS is reached, and with which credentials.
#[derive(Debug)]
pub(crate) struct AwsSettings {
    pub(crate) credentials: CredentialSource,
    /// 12 digits: `AWS_ACCOUNT_ID`, or the account of the role.
    pub(crate) account_id: Option<String>,
    /// Whether S3 is a custom endpoint, whose buckets are addressed by path.
    pub(crate) custom_s3_endpoint: bool,
    /// Whether STS can identify the credentials. It cannot where only S3 is a custom endpoint.
    pub(crate) can_call_sts: bool,
    /// The certificates to trust for AWS, in PEM format, instead of the built-in ones and the system's.
    pub(crate) ca_bundle: Option<String>,
    /// The system's certificates in PEM format, if variables name them.
    pub(crate) system_roots: Option<String>,
}

/// Where the credentials come from.
#[derive(Debug)]
pub(crate) enum CredentialSource {
    Oidc {
        role: RoleArn,
        token: Token,
    },
    Keys(Credentials),
    /// AWS's default credential provider chain, with the profile that `AWS_PROFILE` names.
    DefaultChain {
        profile: Option<String>,
    },
    /// None are set. In CI, nothing else is looked for.
    None,
}

text_newtypes! {
    /// The ARN of an IAM role.
    RoleArn;
}

impl RoleArn {
    /// On failure, what is expected of an ARN.
    pub(crate) fn parse(arn: &str) -> Result<Self, &'static str> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let is_valid = matches!(
            parts[..],
            ["arn", partition, "iam", "", account, resource]
                if partition.starts_with("aws")
                    && parse_account_id(account).is_ok()
                    && resource.strip_prefix("role/").is_some_and(|name| {
                        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
                    })
        );
        let expected =
            "the ARN of a role, such as `arn:aws:iam::123456789012:role/mojito-production`";
        valid_text(is_valid, arn, expected).map(Self)
    }

    /// `aws`, or that of another set of regions.
    pub(crate) fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }

    /// The name, which is what IAM's commands want.
    pub(crate) fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The 12 digits of the account that the role is in.
    pub(crate) fn account_id(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }
}

impl AwsSettings {
    /// `None` if the credentials are invalid, which `problems` then has.
    pub(crate) fn new(
        problems: &mut Problems,
        raw: &Raw,
        build: &Build,
        credentials_optional: bool,
    ) -> Option<Self> {
        let account_id = raw.settings.aws_account_id.as_deref();
        let account_id = problems.optional("AWS_ACCOUNT_ID", account_id, parse_account_id);
        let role = raw.settings.aws_oidc_role_arn.as_deref();
        let role = problems.optional("AWS_OIDC_ROLE_ARN", role, RoleArn::parse);
        let account_of_role = role.as_ref().map(|role| role.account_id().to_owned());
        check_addresses(problems, &raw.aws);
        let ca_bundle = raw.aws.aws_ca_bundle.as_ref().and_then(|path| {
            let bundle = ca_bundle::read(path);
            problems.ok(bundle.map_err(|problem| InvalidSetting::new("AWS_CA_BUNDLE", problem)))
        });
        let system_roots = problems.ok(system_roots::read(&raw.variables));
        let credentials = if credentials_optional {
            let valid = CredentialSource::new(&mut Problems::default(), raw, build, role);
            valid.unwrap_or_else(|| CredentialSource::unset(raw, build))
        } else {
            CredentialSource::new(problems, raw, build, role)?
        };
        let is_custom = raw.aws.aws_endpoint_url.is_some();
        let is_custom_s3 = raw.aws.aws_endpoint_url_s3.is_some();
        let is_custom_sts = raw.aws.aws_endpoint_url_sts.is_some();
        Some(Self {
            credentials,
            account_id: account_id.or(account_of_role),
            custom_s3_endpoint: is_custom_s3 || is_custom,
            can_call_sts: !is_custom_s3 || is_custom || is_custom_sts,
            ca_bundle,
            system_roots: system_roots.flatten(),
        })
    }
}

impl AwsSettings {
    /// Whether the run assumes a role, in a session that is limited to what it needs.
    pub(crate) fn is_role(&self) -> bool {
        matches!(self.credentials, CredentialSource::Oidc { .. })
    }
}

/// Validates the URLs that AWS's SDK reads itself.
fn check_addresses(problems: &mut Problems, raw: &RawAws) {
    for (setting, url) in [
        ("AWS_ENDPOINT_URL", &raw.aws_endpoint_url),
        ("AWS_ENDPOINT_URL_S3", &raw.aws_endpoint_url_s3),
        (
            "AWS_ENDPOINT_URL_CLOUDFRONT",
            &raw.aws_endpoint_url_cloudfront,
        ),
        ("AWS_ENDPOINT_URL_STS", &raw.aws_endpoint_url_sts),
    ] {
        problems.url(setting, url.as_deref(), |_| Ok(()));
    }
    let is_url = |proxy: &String| proxy.parse::<Uri>().is_ok_and(|uri| uri.host().is_some());
    if raw.https_proxy.as_ref().is_some_and(|proxy| !is_url(proxy)) {
        // It may hold a password, so it is not shown.
        problems.push(
            "HTTPS_PROXY",
            "is not the URL of a proxy, such as `http://proxy.example.com:3128`",
        );
    }
}

impl CredentialSource {
    /// `None` if the credentials are invalid, which `problems` then has. A role never falls back to static keys.
    fn new(
        problems: &mut Problems,
        raw: &Raw,
        build: &Build,
        role: Option<RoleArn>,
    ) -> Option<Self> {
        if raw.settings.aws_oidc_role_arn.is_some() {
            let token = problems.ok(token(raw.build.bitbucket_step_oidc_token.as_deref()))?;
            return role.map(|role| Self::Oidc { role, token });
        }
        let [id, secret, session] = keys(problems, &raw.settings);
        problems.ok(match (id, secret) {
            (Some(id), Some(secret)) => {
                let session = session.map(str::to_owned);
                let credentials = Credentials::new(id, secret, session, None, "environment");
                Ok(Self::Keys(credentials))
            }
            (Some(_), None) => Err(InvalidSetting::lines(
                "AWS_SECRET_ACCESS_KEY",
                "is not set, but `AWS_ACCESS_KEY_ID` is\n\
                 in Bitbucket, a secured variable of another deployment environment is empty here",
            )),
            (None, Some(_)) => Err(InvalidSetting::new(
                "AWS_ACCESS_KEY_ID",
                "is not set, but `AWS_SECRET_ACCESS_KEY` is; set both",
            )),
            (None, None) => match Self::unset(raw, build) {
                // What is wrong with the role is reported already.
                Self::None if !raw.unreplaced.contains_key("AWS_OIDC_ROLE_ARN") => {
                    Err(no_credentials(build))
                }
                source => Ok(source),
            },
        })
    }

    /// Without keys and a role: the default chain, in CI only where a profile, a web identity or a container's role is named.
    /// So no build uses credentials that nobody meant, such as the role of the machine that the runner is on.
    fn unset(raw: &Raw, build: &Build) -> Self {
        let raw = &raw.aws;
        let is_named = raw.aws_profile.is_some()
            || raw.aws_web_identity_token_file.is_some()
            || raw.aws_container_credentials_full_uri.is_some()
            || raw.aws_container_credentials_relative_uri.is_some();
        if build.in_ci && !is_named {
            return Self::None;
        }
        let profile = raw.aws_profile.clone();
        Self::DefaultChain { profile }
    }
}

fn no_credentials(build: &Build) -> InvalidSetting {
    let place = build.deployment_environment.as_ref().map_or_else(
        || "the step has no `deployment:`, so it gets no deployment variables".to_owned(),
        |name| {
            format!(
                "the step has `deployment: {name}`, so it gets only that environment's variables"
            )
        },
    );
    let problem = format!(
        "is not set, and neither is `AWS_OIDC_ROLE_ARN`\n\
         pass the access key or the role of this environment to the pipe\n{place}"
    );
    InvalidSetting::lines("AWS_ACCESS_KEY_ID", &problem)
}

/// The step's OIDC token. It is a secret, so it is never shown.
fn token(token: Option<&str>) -> Result<Token, InvalidSetting> {
    let token = token.ok_or_else(|| {
        InvalidSetting::lines(
            "AWS_OIDC_ROLE_ARN",
            "is set, but the step has no OIDC token (`BITBUCKET_STEP_OIDC_TOKEN`)\n\
             add `oidc: true` to the step in `bitbucket-pipelines.yml`",
        )
    })?;
    if token.len() <= MAX_TOKEN {
        return Ok(Token::new(token.to_owned()));
    }
    let size = ByteSize(token.len() as u64);
    Err(InvalidSetting::new(
        "BITBUCKET_STEP_OIDC_TOKEN",
        format!("is {size}, and STS accepts at most {MAX_TOKEN} characters"),
    ))
}

/// The access key's ID, its secret and the session token, as far as they are set. They are never shown.
fn keys<'a>(problems: &mut Problems, raw: &'a RawSettings) -> [Option<&'a str>; 3] {
    [
        ("AWS_ACCESS_KEY_ID", &raw.aws_access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &raw.aws_secret_access_key),
        ("AWS_SESSION_TOKEN", &raw.aws_session_token),
    ]
    .map(|(setting, value)| {
        let value = value.as_deref();
        if value.is_some_and(|value| !value.bytes().all(|byte| byte.is_ascii_graphic())) {
            problems.push(
                setting,
                "contains a space, a line break or another character that no key has: copy the key again, and nothing else",
            );
        }
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    #[test]
    fn a_role_is_named_by_its_arn_in_every_partition() {
        for arn in [
            "arn:aws:iam::123456789012:role/mojito",
            "arn:aws-us-gov:iam::123456789012:role/ci/mojito",
            "arn:aws-cn:iam::123456789012:role/mojito",
        ] {
            assert_eq!(RoleArn::parse(arn).unwrap().account_id(), "123456789012");
        }
        for [arn] in rows(
            "mojito
             arn:aws:iam::123456789012:user/mojito
             arn:aws:iam::1234:role/mojito
             arn:aws:iam::123456789012:role/
             arn:aws:sts::123456789012:assumed-role/a/b",
        ) {
            assert!(RoleArn::parse(arn).is_err(), "{arn}");
        }
    }
}
