//! What a fault of AWS means: hundreds of codes are sorted into the dozen things that a reader can act on.
//!
//! They are sorted by code, as the messages are no part of AWS's contract; only why access is denied stands nowhere else.

/// What a fault means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AwsErrorKind {
    AccessDenied,
    AclNotSupported,
    Changed,
    ClockSkew,
    ExpiredSession,
    /// Denied by a policy, rather than allowed by none.
    ExplicitlyDenied,
    Kms,
    NoSuchBucket,
    NoSuchDistribution,
    NoSuchKey,
    /// The answer is not of AWS's making.
    NotAws,
    OidcTokenExpired,
    OidcTokenRefused,
    PolicyTooLarge,
    Refused(&'static str),
    Throttled,
    /// The role does not trust the step.
    TrustRefused,
    TooManyInvalidations,
    UnknownKey,
    Unreachable,
    WrongRegion(Option<String>),
    WrongSecret,
    WrongToken,
    Other,
}

/// The action by which a role is assumed with an OIDC token.
pub(crate) const ASSUME_ROLE: &str = "sts:AssumeRoleWithWebIdentity";

impl AwsErrorKind {
    /// What an answer means that failed an action. `message` is AWS's, and `bucket_region` is where S3 says that the bucket is.
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
            Self::AccessDenied if message.contains("explicit deny") => Self::ExplicitlyDenied,
            kind => kind,
        }
    }

    /// Sorts an answer of AWS by its code, or by its status where it has none.
    fn of_code(
        action: &str,
        code: Option<&str>,
        status: Option<u16>,
        bucket_region: Option<String>,
    ) -> Self {
        let Some(code) = code else {
            return match status {
                None => AwsErrorKind::Unreachable,
                Some(301 | 307) => AwsErrorKind::WrongRegion(bucket_region),
                Some(403) => AwsErrorKind::AccessDenied,
                Some(404) => AwsErrorKind::NoSuchKey,
                Some(409 | 412) => AwsErrorKind::Changed,
                Some(429 | 503) => AwsErrorKind::Throttled,
                Some(_) => AwsErrorKind::Other,
            };
        };
        match code {
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" => {
                AwsErrorKind::AccessDenied
            }
            "AccessControlListNotSupported" => AwsErrorKind::AclNotSupported,
            "ConditionalRequestConflict" | "PreconditionFailed" => AwsErrorKind::Changed,
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => {
                AwsErrorKind::ClockSkew
            }
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                AwsErrorKind::ExpiredSession
            }
            "NoSuchBucket" => AwsErrorKind::NoSuchBucket,
            "NoSuchDistribution" => AwsErrorKind::NoSuchDistribution,
            "NoSuchKey" | "NotFound" => AwsErrorKind::NoSuchKey,
            "PackedPolicyTooLarge" | "PackedPolicyTooLargeException" => {
                AwsErrorKind::PolicyTooLarge
            }
            "TooManyInvalidationsInProgress" => AwsErrorKind::TooManyInvalidations,
            "RequestLimitExceeded"
            | "SlowDown"
            | "ServiceUnavailable"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests"
            | "TooManyRequestsException" => AwsErrorKind::Throttled,
            "InvalidAccessKeyId" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
                AwsErrorKind::UnknownKey
            }
            "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "PermanentRedirect"
            | "TemporaryRedirect" => AwsErrorKind::WrongRegion(bucket_region),
            "SignatureDoesNotMatch" => AwsErrorKind::WrongSecret,
            "InvalidToken" | "InvalidIdentityToken" | "IDPRejectedClaim" => {
                AwsErrorKind::WrongToken
            }
            code if code.starts_with("KMS.") || code.starts_with("Kms") => AwsErrorKind::Kms,
            _ if action.starts_with("s3:") && matches!(status, Some(301 | 307)) => {
                AwsErrorKind::WrongRegion(bucket_region)
            }
            _ => AwsErrorKind::Other,
        }
    }

    /// What to do, as a sentence.
    pub(crate) fn remedy(&self, action: &str) -> String {
        match self {
            Self::TrustRefused => "the role does not trust this step: its trust policy must name Bitbucket's identity provider, the workspace's audience and this repository (and deployment environment) as subject".into(),
            Self::ExplicitlyDenied => "a policy denies this explicitly, which no statement of the user's can allow: if it is the bucket's own, it may demand encryption, conditional writes (`ONLY_NEWER` makes them) or a network; AWS's words above name the kind of policy".into(),
            Self::AccessDenied if action.starts_with("cloudfront:") => format!("the credentials may not do `{action}` here: give their user or role the statement below; if they have it, the distribution belongs to another account"),
            Self::AccessDenied => format!("the credentials may not do `{action}` here: give their user or role the statement below, and look for a bucket policy that denies it"),
            Self::AclNotSupported => "the bucket has ACLs disabled, as new buckets have: leave `ACL` empty".into(),
            Self::Changed => "somebody else published at the same moment: look at what is live and run this again if it is not the newest".into(),
            Self::ClockSkew => "the clock of this machine is wrong by more than AWS accepts: set it and run this again".into(),
            Self::NotAws => "something that is not AWS answered: check `HTTPS_PROXY`, any `AWS_ENDPOINT_URL`, and what filters the network here".into(),
            Self::OidcTokenExpired => "the step's OIDC token has expired: run the step again, and publish early in it".into(),
            Self::ExpiredSession => "the session's credentials have expired: sign in again by hand, or run the step again in CI".into(),
            Self::Kms => "the bucket encrypts with a KMS key that these credentials may not use: allow `kms:GenerateDataKey` on the key".into(),
            Self::NoSuchBucket => "there is no such bucket: check `S3_BUCKET`, or `s3BucketPRD` and `s3BucketDev` of `config.js`".into(),
            Self::NoSuchDistribution => "there is no such distribution in this account: check `DISTRIBUTION_ID` and whose credentials these are".into(),
            Self::NoSuchKey => "there is no such object".into(),
            Self::PolicyTooLarge => "the session policy of this run's keys is too large when packed: publish fewer containers in one run".into(),
            Self::Refused(remedy) => (*remedy).into(),
            Self::Throttled => "AWS throttled the requests all the time: run this again in some minutes".into(),
            Self::TooManyInvalidations => "the distribution still works on too many invalidations (3,000 paths at a time): run this again in some minutes".into(),
            Self::UnknownKey => "AWS does not know this access key: check `AWS_ACCESS_KEY_ID` of this deployment environment, and whether the key was deleted or deactivated".into(),
            Self::Unreachable => "AWS was not reached or did not answer: check the network, `HTTPS_PROXY` and any `AWS_ENDPOINT_URL`, and run this again".into(),
            Self::WrongRegion(Some(region)) => format!("the bucket is in another region: set `AWS_DEFAULT_REGION` to `{region}`"),
            Self::WrongRegion(None) => "the bucket is in another region: set `AWS_DEFAULT_REGION` to it".into(),
            Self::WrongSecret => "the secret does not belong to this access key: check `AWS_SECRET_ACCESS_KEY` of this deployment environment for a cut or a blank".into(),
            Self::WrongToken => "the token does not belong to this access key or is not valid: check `AWS_SESSION_TOKEN` (leave it empty for a user's own keys)".into(),
            Self::OidcTokenRefused => "AWS does not accept the step's OIDC token: IAM must have an identity provider with the URL of this workspace and the audience `ari:cloud:bitbucket::workspace/WORKSPACE_UUID`; both are shown in Repository settings > OpenID Connect".into(),
            Self::Other => "run this again; if it stays, AWS's support can look the request id up".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_into_what_they_mean() {
        #[track_caller]
        fn case(code: Option<&str>, status: Option<u16>, expected: &AwsErrorKind) {
            assert_eq!(
                &AwsErrorKind::of_code("s3:PutObject", code, status, Some("eu-west-1".into())),
                expected
            );
        }
        let right_region = AwsErrorKind::WrongRegion(Some("eu-west-1".to_owned()));
        case(Some("AccessDenied"), Some(403), &AwsErrorKind::AccessDenied);
        case(None, Some(403), &AwsErrorKind::AccessDenied);
        case(Some("PermanentRedirect"), Some(301), &right_region);
        case(Some("Unheard"), Some(301), &right_region);
        case(None, Some(307), &right_region);
        case(Some("SlowDown"), Some(503), &AwsErrorKind::Throttled);
        case(Some("Throttling"), Some(400), &AwsErrorKind::Throttled);
        case(
            Some("TooManyInvalidationsInProgress"),
            Some(400),
            &AwsErrorKind::TooManyInvalidations,
        );
        case(Some("KMS.DisabledException"), Some(400), &AwsErrorKind::Kms);
        case(Some("InternalError"), Some(500), &AwsErrorKind::Other);
        case(None, None, &AwsErrorKind::Unreachable);
    }
}
