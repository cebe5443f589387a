//! Checks that credentials can be used, whatever their source, before the first request is signed with them.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;

use crate::common::secrets;

pub(super) const REMEDY: &str = "locally, set `AWS_PROFILE` or run `aws sso login`;\n\
                      in CI, set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_OIDC_ROLE_ARN`";

/// Why there are no credentials, and what to do about it.
#[derive(Debug)]
pub(crate) struct NoCredentials {
    pub(super) reason: String,
    pub(super) remedy: &'static str,
}

/// Registers credentials as secrets, and refuses those that cannot be used. `source` is a phrase.
pub(crate) fn check(credentials: &Credentials, source: &str) -> Result<(), NoCredentials> {
    let (secret, token) = (credentials.secret_access_key(), credentials.session_token());
    secrets::register([secret].into_iter().chain(token));
    let id = credentials.access_key_id();
    let parts = [
        ("access key id", Some(id)),
        ("secret", Some(secret)),
        ("session token", token),
    ];
    for (name, part) in parts {
        // AWS's SDK panics where one does not fit into a header.
        if part.is_some_and(|part| !part.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(NoCredentials {
                reason: format!("the {name} from {source} contains a space, a line break or another character that none has"),
                remedy: "copy the key again, and nothing else, or look into what supplies it",
            });
        }
    }
    let expiry = credentials
        .expiry()
        .filter(|expiry| *expiry <= SystemTime::now());
    expiry.map_or(Ok(()), |expiry| {
        let expiry = DateTime::from_secs(DateTime::from(expiry).secs()).fmt(Format::DateTime);
        let expiry = expiry.unwrap_or_default();
        Err(NoCredentials {
            reason: format!("the credentials from {source} expired at {expiry}"),
            remedy: "sign in again locally (`aws sso login`), or re-run the step in CI; if they are new, set this machine's clock",
        })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refusal(id: &str, secret: &str, token: Option<&str>, valid: Duration) -> Option<String> {
        let token = token.map(str::to_owned);
        let expiry = SystemTime::UNIX_EPOCH + valid;
        let credentials = Credentials::new(id, secret, token, Some(expiry), "test");
        check(&credentials, "a test").err().map(|it| it.reason)
    }

    #[test]
    fn what_does_not_fit_into_a_header_is_refused() {
        let forever = Duration::from_secs(9_999_999_999);
        assert_eq!(
            refusal("AKIA", "se/cr+et=", Some("to.k-en_"), forever),
            None
        );
        // The container's service sends an empty token where there is none.
        assert_eq!(refusal("AKIA", "secret", Some(""), forever), None);
        for bad in [
            "AK\nIA",
            "AK\u{1}IA",
            "AKIA\u{7f}",
            "AKIA ",
            "ÄKIA",
            "AK\u{200b}IA",
        ] {
            let reason = refusal(bad, "secret", None, forever).unwrap();
            assert!(
                reason.starts_with("the access key id from a test contains"),
                "{reason}"
            );
            let reason = refusal("AKIA", bad, None, forever).unwrap();
            assert!(
                reason.starts_with("the secret from a test contains"),
                "{reason}"
            );
            let reason = refusal("AKIA", "secret", Some(bad), forever).unwrap();
            assert!(
                reason.starts_with("the session token from a test contains"),
                "{reason}"
            );
        }
    }

    #[test]
    fn expired_credentials_are_refused_with_the_time() {
        let reason = refusal("AKIA", "secret", None, Duration::from_secs(1_600_000_000));
        assert_eq!(
            reason.unwrap(),
            "the credentials from a test expired at 2020-09-13T12:26:40Z"
        );
    }

    #[test]
    fn what_was_checked_is_redacted() {
        let forever = Duration::from_secs(9_999_999_999);
        refusal("AKIA", "checked-secret-1", Some("checked-token-1"), forever);
        assert_eq!(
            secrets::redact("checked-secret-1 checked%2dtoken-1"),
            "*** ***"
        );
    }
}
