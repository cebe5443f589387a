//! Maps AWS's hundreds of error codes to the few kinds that a reader can act on.
//!
//! Classification goes by code, since messages are not part of AWS's contract. The exception is why access is denied, which
//! only the message says.

use serde::Serialize;

use super::unconfirmed::Unconfirmed;

/// What an AWS error means to the reader.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AwsErrorKind {
    AccessDenied,
    AclNotSupported,
    Changed,
    ClockSkew,
    ExpiredSession,
    /// By a policy that no statement of the user or role overrides, with what to do about it.
    DeniedElsewhere(#[serde(skip)] &'static str),
    /// Something between here and AWS answered.
    Gateway,
    Kms,
    NoSuchBucket,
    NoSuchDistribution,
    NoSuchKey,
    /// The response did not come from AWS.
    NotAws,
    OidcTokenExpired,
    OidcTokenRefused,
    PolicyTooLarge,
    Refused(#[serde(skip)] &'static str),
    Throttled,
    /// The role's trust policy does not cover the step.
    TrustRefused,
    TooManyInvalidations,
    /// A store that is not AWS's does not prove what it stored.
    Unproven,
    /// With the region that is part of the host's name.
    UnknownHost(#[serde(skip)] Option<String>),
    UnknownKey,
    Unreachable,
    WrongRegion(#[serde(skip)] Option<String>),
    WrongSecret,
    WrongToken,
    #[default]
    Other,
}

/// The action by which a role is assumed with an OIDC token.
pub(crate) const ASSUME_ROLE: &str = "sts:AssumeRoleWithWebIdentity";

impl AwsErrorKind {
    /// Classifies an error response. `message` is AWS's; `bucket_region` is the region that S3 gives for the bucket.
    pub(crate) fn of(
        action: &str,
        code: Option<&str>,
        status: Option<u16>,
        message: &str,
        bucket_region: Option<String>,
    ) -> Self {
        match Self::of_code(action, code, status, bucket_region) {
            Self::AccessDenied if action == ASSUME_ROLE => Self::TrustRefused,
            Self::ExpiredSession if action == ASSUME_ROLE => Self::OidcTokenExpired,
            Self::WrongToken if action == ASSUME_ROLE => Self::OidcTokenRefused,
            Self::AccessDenied if message.contains("kms:") => Self::Kms,
            Self::AccessDenied => denied_elsewhere(message).unwrap_or(Self::AccessDenied),
            kind => kind,
        }
    }

    /// Classifies a success that does not confirm the request.
    pub(super) fn of_unconfirmed(unconfirmed: &Unconfirmed) -> Self {
        match unconfirmed {
            Unconfirmed::NotAws(_) => Self::NotAws,
            Unconfirmed::Unproven => Self::Unproven,
        }
    }

    /// Classifies by the error code, or by the status if there is no code.
    fn of_code(
        action: &str,
        code: Option<&str>,
        status: Option<u16>,
        bucket_region: Option<String>,
    ) -> Self {
        let Some(code) = code else {
            return match status {
                None => Self::Unreachable,
                Some(301 | 307) => Self::WrongRegion(bucket_region),
                Some(403) => Self::AccessDenied,
                Some(404) => Self::NoSuchKey,
                Some(409 | 412) => Self::Changed,
                Some(429 | 503) => Self::Throttled,
                Some(_) => Self::Other,
            };
        };
        match code {
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" => Self::AccessDenied,
            "AccessControlListNotSupported" => Self::AclNotSupported,
            "ConditionalRequestConflict" | "PreconditionFailed" => Self::Changed,
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => Self::ClockSkew,
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                Self::ExpiredSession
            }
            "NoSuchBucket" => Self::NoSuchBucket,
            "NoSuchDistribution" => Self::NoSuchDistribution,
            "NoSuchKey" | "NotFound" => Self::NoSuchKey,
            "PackedPolicyTooLarge" | "PackedPolicyTooLargeException" => Self::PolicyTooLarge,
            "TooManyInvalidationsInProgress" => Self::TooManyInvalidations,
            "RequestLimitExceeded"
            | "SlowDown"
            | "ServiceUnavailable"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests"
            | "TooManyRequestsException" => Self::Throttled,
            "InvalidAccessKeyId" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
                Self::UnknownKey
            }
            "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "PermanentRedirect"
            | "TemporaryRedirect" => Self::WrongRegion(bucket_region),
            "SignatureDoesNotMatch" => Self::WrongSecret,
            "InvalidToken" | "InvalidIdentityToken" | "IDPRejectedClaim" => Self::WrongToken,
            code if code.starts_with("KMS.") || code.starts_with("Kms") => Self::Kms,
            _ if action.starts_with("s3:") && matches!(status, Some(301 | 307)) => {
                Self::WrongRegion(bucket_region)
            }
            _ => Self::Other,
        }
    }

    /// Whether any other request to S3 fails for the same reason, whatever it may do.
    pub(crate) fn fails_every_request(&self) -> bool {
        matches!(
            self,
            Self::ClockSkew
                | Self::ExpiredSession
                | Self::NoSuchBucket
                | Self::NotAws
                | Self::UnknownHost(_)
                | Self::UnknownKey
                | Self::Unreachable
                | Self::WrongRegion(_)
                | Self::WrongSecret
                | Self::WrongToken
        )
    }

    /// What to do about it.
    pub(crate) fn remedy(&self, action: &str) -> String {
        match self {
            Self::TrustRefused => "the role does not trust this step: its trust policy must name Bitbucket's identity provider, the workspace's audience, and this repository (and deployment environment) as the subject".into(),
            Self::AccessDenied => format!("the credentials do not allow `{action}` here"),
            Self::AclNotSupported => "the bucket has ACLs disabled, which is the default: leave `ACL` empty".into(),
            Self::Changed => "someone else published at the same time: check what is live, and re-run if it is not the newest".into(),
            Self::ClockSkew => "this machine's clock is off by more than AWS accepts: set it and re-run".into(),
            Self::NotAws => "check `HTTPS_PROXY`, any `AWS_ENDPOINT_URL` and network filters".into(),
            Self::Gateway => "a proxy or gateway answered in place of AWS: re-run in a few minutes; if it stays so, check `HTTPS_PROXY`, any `AWS_ENDPOINT_URL` and network filters".into(),
            Self::OidcTokenExpired => "the step's OIDC token has expired: re-run the step, and publish early in it".into(),
            Self::ExpiredSession => "the session credentials have expired: sign in again locally, or re-run the step in CI".into(),
            Self::Kms => "the bucket is encrypted with a KMS key that these credentials cannot use: allow `kms:GenerateDataKey` on the key, and set `KMS_KEY_ARN` to its ARN, so that `policy` and the session of a role include it".into(),
            Self::NoSuchBucket => "the bucket does not exist: check `S3_BUCKET`, or `s3BucketPRD` and `s3BucketDev` in `config.js`".into(),
            Self::NoSuchDistribution => "the distribution does not exist in this account: check `DISTRIBUTION_ID` and which account the credentials belong to".into(),
            Self::NoSuchKey => "the object does not exist".into(),
            Self::PolicyTooLarge => "the session policy for this run's keys is too large when packed: publish fewer containers in one run".into(),
            Self::DeniedElsewhere(remedy) | Self::Refused(remedy) => (*remedy).into(),
            Self::Throttled => "AWS throttled every attempt: re-run in a few minutes".into(),
            Self::TooManyInvalidations => "the distribution has too many invalidations in progress (the limit is 3,000 paths, and 15 of `INVALIDATE_VARIANTS`): re-run in a few minutes".into(),
            Self::Unproven => "the store does not confirm what it stored: allow `s3:GetObject`, so that the run can check it".into(),
            Self::UnknownHost(Some(region)) => format!("the region `{region}` may not exist: check `AWS_DEFAULT_REGION`, or `s3Region` in `config.js`; if it does, check the network's DNS and re-run"),
            Self::UnknownHost(None) => "check any `AWS_ENDPOINT_URL` and the network's DNS, then re-run".into(),
            Self::UnknownKey => "AWS does not recognize this access key: check `AWS_ACCESS_KEY_ID` of this deployment environment, and whether the key was deleted or deactivated".into(),
            Self::Unreachable => "AWS was unreachable or did not respond: check the network, `HTTPS_PROXY` and any `AWS_ENDPOINT_URL`, then re-run".into(),
            Self::WrongRegion(Some(region)) => format!("the bucket is in another region: set `AWS_DEFAULT_REGION` to `{region}`"),
            Self::WrongRegion(None) => "the bucket is in another region: set `AWS_DEFAULT_REGION` to that region".into(),
            Self::WrongSecret => "the secret does not match this access key: `AWS_SECRET_ACCESS_KEY` of this deployment environment may be truncated or contain a space".into(),
            Self::WrongToken => "the session token is invalid or does not match this access key: check `AWS_SESSION_TOKEN` (leave it empty for an IAM user's keys)".into(),
            Self::OidcTokenRefused => "AWS rejected the step's OIDC token: IAM needs an identity provider with this workspace's URL and the audience `ari:cloud:bitbucket::workspace/WORKSPACE_UUID`; both are shown in Repository settings > OpenID Connect".into(),
            Self::Other => "re-run; if it keeps failing, give AWS support the request id".into(),
        }
    }
}

/// Which policy denies access, if AWS's message names one that a statement for the user or role does not override.
fn denied_elsewhere(message: &str) -> Option<AwsErrorKind> {
    let is_explicit = message.contains("explicit deny");
    let by = |policy: &str| message.contains(policy);
    let remedy = if by("service control policy") || by("resource control policy") {
        "a policy of the AWS organization forbids this: its administrators can allow it"
    } else if by("permissions boundary") {
        "the permissions boundary of the user or role forbids this: allow it there as well"
    } else if by("VPC endpoint policy") {
        "the policy of the VPC endpoint that the request went through forbids this: allow it there, or use another network"
    } else if by("session policy") {
        "the policy of the session forbids this: it was given when the role was assumed, so allow it there"
    } else if is_explicit && by("identity-based policy") {
        "a statement with `\"Effect\": \"Deny\"` in a policy of the user, its groups or the role forbids this, and no other statement \
         overrides it: remove or narrow it"
    } else if is_explicit {
        "a policy explicitly denies this, which no allow statement overrides: a bucket policy may require encryption, conditional \
         writes (set `ONLY_NEWER`) or a certain network; AWS's message above names the kind of policy"
    } else {
        return None;
    };
    Some(AwsErrorKind::DeniedElsewhere(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    #[test]
    fn only_what_a_statement_for_the_user_or_role_would_allow_lacks_one() {
        for [message, expected] in rows(
            "Access Denied | the credentials do not allow
             because no identity-based policy allows the s3:PutObject action | the credentials do not allow
             because no resource-based policy allows the s3:PutObject action | the credentials do not allow
             with an explicit deny in an identity-based policy | a statement with
             with an explicit deny in a resource-based policy | a bucket policy may
             with an explicit deny in a service control policy | a policy of the AWS organization
             because no service control policy allows the s3:PutObject action | a policy of the AWS organization
             with an explicit deny in a resource control policy | a policy of the AWS organization
             because no permissions boundary allows the s3:PutObject action | the permissions boundary
             because no session policy allows the s3:PutObject action | the policy of the session
             with an explicit deny in a VPC endpoint policy | the policy of the VPC endpoint",
        ) {
            let (action, code) = ("s3:PutObject", Some("AccessDenied"));
            let kind = AwsErrorKind::of(action, code, Some(403), message, None);
            let remedy = kind.remedy(action);
            assert!(remedy.contains(expected), "{message}: {remedy}");
            let may_lack_statement = kind == AwsErrorKind::AccessDenied;
            assert_eq!(may_lack_statement, expected.starts_with("the credentials"));
        }
    }

    #[test]
    fn codes_and_statuses_map_to_kinds() {
        #[track_caller]
        fn case(code: &str, status: u16, expected: &AwsErrorKind) {
            let code = Some(code).filter(|code| !code.is_empty());
            let status = Some(status).filter(|status| *status > 0);
            let region = Some("eu-west-1".to_owned());
            let kind = AwsErrorKind::of("s3:PutObject", code, status, "", region);
            assert_eq!(&kind, expected);
        }
        let right_region = AwsErrorKind::WrongRegion(Some("eu-west-1".to_owned()));
        let too_many = AwsErrorKind::TooManyInvalidations;
        case("AccessDenied", 403, &AwsErrorKind::AccessDenied);
        case("", 403, &AwsErrorKind::AccessDenied);
        case("PermanentRedirect", 301, &right_region);
        case("NewCode", 301, &right_region);
        case("", 307, &right_region);
        case("SlowDown", 503, &AwsErrorKind::Throttled);
        case("Throttling", 400, &AwsErrorKind::Throttled);
        case("TooManyInvalidationsInProgress", 400, &too_many);
        case("KMS.DisabledException", 400, &AwsErrorKind::Kms);
        case("InternalError", 500, &AwsErrorKind::Other);
        case("", 0, &AwsErrorKind::Unreachable);
    }
}
