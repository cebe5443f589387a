//! The settings of how AWS is reached and as whom.

use std::fmt::{self, Debug, Display, Formatter};

use aws_credential_types::Credentials;
use http::Uri;

use super::ca_bundle;
use super::names::parse_account_id;
use super::problems::{InvalidSetting, Problems};
use super::raw::{RawAws, RawSettings};
use crate::common::byte_size::ByteSize;

/// STS's limit for the token of a web identity.
const MAX_TOKEN: usize = 20_000;

/// How AWS is reached and as whom.
#[derive(Debug)]
pub(crate) struct AwsSettings {
    pub(crate) credentials: CredentialSource,
    /// 12 digits: `AWS_ACCOUNT_ID`, or the account of the role.
    pub(crate) account_id: Option<String>,
    /// Whether S3 is an endpoint of one's own, whose buckets are addressed by path.
    pub(crate) custom_s3_endpoint: bool,
    /// Whether STS can tell whose credentials these are: not where S3 alone is an endpoint of one's own.
    pub(crate) can_call_sts: bool,
    /// Certificates that AWS must have, in PEM form, instead of the embedded and the system's.
    pub(crate) ca_bundle: Option<String>,
}

/// Where the credentials come from.
#[derive(Debug)]
pub(crate) enum CredentialSource {
    Oidc {
        role: RoleArn,
        token: Token,
    },
    Keys(Credentials),
    /// AWS's default chain, with the profile that `AWS_PROFILE` names.
    DefaultChain {
        profile: Option<String>,
    },
}

/// `BITBUCKET_STEP_OIDC_TOKEN`. It cannot be printed.
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new(token: String) -> Self {
        Self(token)
    }

    /// The token itself, to be sent.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl Debug for Token {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("** redacted **")
    }
}

/// The ARN of an IAM role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RoleArn(String);

impl RoleArn {
    /// On failure, what is expected of an ARN.
    pub(crate) fn parse(arn: &str) -> Result<Self, &'static str> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let valid = matches!(
            parts[..],
            ["arn", partition, "iam", "", account, resource]
                if partition.starts_with("aws")
                    && account.len() == 12
                    && account.bytes().all(|byte| byte.is_ascii_digit())
                    && resource.strip_prefix("role/").is_some_and(|name| {
                        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
                    })
        );
        if valid {
            Ok(Self(arn.to_owned()))
        } else {
            Err("the ARN of a role, such as `arn:aws:iam::123456789012:role/mojito-production`")
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The 12 digits of the account that the role is in.
    pub(crate) fn account_id(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }
}

impl Display for RoleArn {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AwsSettings {
    /// `token` is the step's OIDC token. `None` if anything that it needs is wrong, which `check` then knows.
    pub(crate) fn new(
        check: &mut Problems,
        raw: &RawSettings,
        raw_aws: RawAws,
        token: Option<String>,
        credentials_optional: bool,
    ) -> Option<Self> {
        let account_id = raw
            .aws_account_id
            .as_ref()
            .and_then(|id| check.parse("AWS_ACCOUNT_ID", id, parse_account_id));
        let role = raw
            .aws_oidc_role_arn
            .as_ref()
            .and_then(|arn| check.parse("AWS_OIDC_ROLE_ARN", arn, RoleArn::parse));
        let account_of_role = role.as_ref().map(|role| role.account_id().to_owned());
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
                check.web_address(setting, url, |_| Ok(()));
            }
        }
        // It may hold a password, so it is not shown.
        let is_address =
            |proxy: &String| proxy.parse::<Uri>().is_ok_and(|uri| uri.host().is_some());
        if raw_aws.https_proxy.is_some_and(|proxy| !is_address(&proxy)) {
            check.push(
                "HTTPS_PROXY",
                "is not the address of a proxy, such as `http://proxy.example.com:3128`",
            );
        }
        let ca_bundle = raw_aws.aws_ca_bundle.and_then(|path| {
            let bundle = ca_bundle::read(&path);
            check.ok(bundle.map_err(|problem| InvalidSetting::new("AWS_CA_BUNDLE", problem)))
        });
        let profile = raw_aws.aws_profile.clone();
        let credentials = if credentials_optional {
            credentials(&mut Problems::default(), raw, role, profile, token).unwrap_or(
                CredentialSource::DefaultChain {
                    profile: raw_aws.aws_profile,
                },
            )
        } else {
            credentials(check, raw, role, profile, token)?
        };
        Some(Self {
            credentials,
            account_id: account_id.or(account_of_role),
            custom_s3_endpoint: raw_aws.aws_endpoint_url_s3.is_some()
                || raw_aws.aws_endpoint_url.is_some(),
            can_call_sts: raw_aws.aws_endpoint_url_s3.is_none()
                || raw_aws.aws_endpoint_url.is_some()
                || raw_aws.aws_endpoint_url_sts.is_some(),
            ca_bundle,
        })
    }
}

fn credentials(
    check: &mut Problems,
    raw: &RawSettings,
    role: Option<RoleArn>,
    profile: Option<String>,
    token: Option<String>,
) -> Option<CredentialSource> {
    if raw.aws_oidc_role_arn.is_some() {
        let Some(token) = token else {
            check.push(
                "AWS_OIDC_ROLE_ARN",
                "is set, but the step has no OIDC token (`BITBUCKET_STEP_OIDC_TOKEN`): add `oidc: true` to the step in \
                 `bitbucket-pipelines.yml`",
            );
            return None;
        };
        if token.len() > MAX_TOKEN {
            // It is a secret, so it is not shown.
            check.push(
                "BITBUCKET_STEP_OIDC_TOKEN",
                format!(
                    "has {}, and STS takes at most {MAX_TOKEN} characters of a token",
                    ByteSize(token.len() as u64)
                ),
            );
            return None;
        }
        let token = Token::new(token);
        return Some(CredentialSource::Oidc { role: role?, token });
    }
    let [id, secret, session] = [
        ("AWS_ACCESS_KEY_ID", &raw.aws_access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &raw.aws_secret_access_key),
        ("AWS_SESSION_TOKEN", &raw.aws_session_token),
    ]
    .map(|(setting, value)| {
        let value = value.as_ref().map(|value| value.trim()).filter(|value| !value.is_empty());
        if value.is_some_and(|value| !value.bytes().all(|byte| byte.is_ascii_graphic())) {
            // It is a secret, so it is not shown.
            check.push(setting, "has a blank, a line break or another character that no key has: copy it again, alone");
        }
        value
    });
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let credentials =
                Credentials::new(id, secret, session.map(str::to_owned), None, "environment");
            Some(CredentialSource::Keys(credentials))
        }
        (Some(_), None) => {
            check.push(
                "AWS_SECRET_ACCESS_KEY",
                "is not set, but `AWS_ACCESS_KEY_ID` is; in Bitbucket, a secured variable of another deployment environment is \
                 empty here",
            );
            None
        }
        (None, Some(_)) => {
            check.push(
                "AWS_ACCESS_KEY_ID",
                "is not set, but `AWS_SECRET_ACCESS_KEY` is; set both",
            );
            None
        }
        (None, None) => Some(CredentialSource::DefaultChain { profile }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_named_by_its_arn_in_every_partition() {
        for arn in [
            "arn:aws:iam::123456789012:role/mojito",
            "arn:aws-us-gov:iam::123456789012:role/ci/mojito",
            "arn:aws-cn:iam::123456789012:role/mojito",
        ] {
            assert_eq!(RoleArn::parse(arn).unwrap().account_id(), "123456789012");
        }
        for arn in [
            "mojito",
            "arn:aws:iam::123456789012:user/mojito",
            "arn:aws:iam::1234:role/mojito",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:sts::123456789012:assumed-role/a/b",
        ] {
            assert!(RoleArn::parse(arn).is_err(), "{arn}");
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", Token::new("secret".to_owned())).contains("secret"));
    }
}
