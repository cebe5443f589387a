//! What a fault of AWS means: hundreds of codes are sorted into the dozen things that a reader can act on.
//!
//! They are sorted by code, as the messages are no part of AWS's contract; only why access is denied stands nowhere else.

/// What a fault means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
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

impl Kind {
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
                None => Kind::Unreachable,
                Some(301 | 307) => Kind::WrongRegion(bucket_region),
                Some(403) => Kind::AccessDenied,
                Some(404) => Kind::NoSuchKey,
                Some(409 | 412) => Kind::Changed,
                Some(429 | 503) => Kind::Throttled,
                Some(_) => Kind::Other,
            };
        };
        match code {
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" => Kind::AccessDenied,
            "AccessControlListNotSupported" => Kind::AclNotSupported,
            "ConditionalRequestConflict" | "PreconditionFailed" => Kind::Changed,
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => Kind::ClockSkew,
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                Kind::ExpiredSession
            }
            "NoSuchBucket" => Kind::NoSuchBucket,
            "NoSuchDistribution" => Kind::NoSuchDistribution,
            "NoSuchKey" | "NotFound" => Kind::NoSuchKey,
            "PackedPolicyTooLarge" | "PackedPolicyTooLargeException" => Kind::PolicyTooLarge,
            "TooManyInvalidationsInProgress" => Kind::TooManyInvalidations,
            "RequestLimitExceeded"
            | "SlowDown"
            | "ServiceUnavailable"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests"
            | "TooManyRequestsException" => Kind::Throttled,
            "InvalidAccessKeyId" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
                Kind::UnknownKey
            }
            "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "PermanentRedirect"
            | "TemporaryRedirect" => Kind::WrongRegion(bucket_region),
            "SignatureDoesNotMatch" => Kind::WrongSecret,
            "InvalidToken" | "InvalidIdentityToken" | "IDPRejectedClaim" => Kind::WrongToken,
            code if code.starts_with("KMS.") || code.starts_with("Kms") => Kind::Kms,
            _ if action.starts_with("s3:") && matches!(status, Some(301 | 307)) => {
                Kind::WrongRegion(bucket_region)
            }
            _ => Kind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_into_what_they_mean() {
        #[track_caller]
        fn case(code: Option<&str>, status: Option<u16>, expected: &Kind) {
            assert_eq!(
                &Kind::of_code("s3:PutObject", code, status, Some("eu-west-1".into())),
                expected
            );
        }
        let right_region = Kind::WrongRegion(Some("eu-west-1".to_owned()));
        case(Some("AccessDenied"), Some(403), &Kind::AccessDenied);
        case(None, Some(403), &Kind::AccessDenied);
        case(Some("PermanentRedirect"), Some(301), &right_region);
        case(Some("Unheard"), Some(301), &right_region);
        case(None, Some(307), &right_region);
        case(Some("SlowDown"), Some(503), &Kind::Throttled);
        case(Some("Throttling"), Some(400), &Kind::Throttled);
        case(
            Some("TooManyInvalidationsInProgress"),
            Some(400),
            &Kind::TooManyInvalidations,
        );
        case(Some("KMS.DisabledException"), Some(400), &Kind::Kms);
        case(Some("InternalError"), Some(500), &Kind::Other);
        case(None, None, &Kind::Unreachable);
    }
}
