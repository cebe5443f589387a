//! Assumes a role with the step's `OpenID` Connect token from Bitbucket, so that no access key is stored anywhere.
//!
//! The token stays in memory: the image has no home and no /tmp for a token file, and others could read such a file.

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityOutput;
use aws_sdk_sts::types::Credentials as StsCredentials;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::Instant;

use super::attempts::Attempts;
use super::config::{gateway_statuses, OPERATION_TIMEOUT};
use super::error::AwsError;
use super::error_kind::ASSUME_ROLE;
use super::iam_policy::{Permissions, MAX_SESSION_POLICY};
use super::oidc_refused;
use super::unconfirmed::Unconfirmed;
use crate::common::printable::UntrustedText;
use crate::settings::aws::RoleArn;
use crate::settings::oidc_token::Token;
use crate::settings::pipeline::Build;

/// STS's limit for a session name.
const MAX_SESSION_NAME: usize = 64;

const MISSING: &str = "the response has no complete credentials";

/// Assumes the role. The session policy allows `limit` and nothing else.
pub(crate) async fn assume_role(
    config: &SdkConfig,
    role: &RoleArn,
    token: &Token,
    build: &Build,
    limit: Option<&Permissions>,
) -> Result<Credentials, AwsError> {
    let policy = limit.map(Permissions::session_policy);
    let length = policy.as_ref().map_or(0, |policy| policy.chars().count());
    if length > MAX_SESSION_POLICY {
        return Err(AwsError::refused(
            ASSUME_ROLE,
            role.as_str(),
            "the distributions do not fit into a session policy of 2,048 characters",
            "set fewer distributions in `DISTRIBUTION_ID`, in several runs if needed",
        ));
    }
    let config = aws_sdk_sts::config::Builder::from(config)
        .retry_classifier(gateway_statuses())
        .retry_classifier(oidc_refused::KeysNotFetched)
        .build();
    let confirm = |_: &HttpResponse, output: &AssumeRoleWithWebIdentityOutput| {
        let is_complete = output.credentials().is_some_and(is_complete);
        let not_aws = || Unconfirmed::NotAws(MISSING.to_owned());
        is_complete.then_some(()).ok_or_else(not_aws)
    };
    let attempts = Attempts::read(ASSUME_ROLE, role.as_str(), confirm);
    let request = aws_sdk_sts::Client::from_conf(config)
        .assume_role_with_web_identity()
        .role_arn(role.as_str())
        .role_session_name(session_name(build))
        .web_identity_token(token.expose())
        .set_policy(policy)
        .customize()
        .interceptor(attempts.clone())
        .send();
    let deadline = Instant::now() + OPERATION_TIMEOUT;
    let output = attempts.send(deadline, request).await?;
    let missing = || AwsError::unexpected(ASSUME_ROLE, role.as_str(), MISSING);
    let credentials = output.credentials().ok_or_else(missing)?;
    Ok(Credentials::new(
        credentials.access_key_id(),
        credentials.secret_access_key(),
        Some(credentials.session_token().to_owned()),
        (*credentials.expiration()).try_into().ok(),
        "BitbucketOidc",
    ))
}

/// Whether nothing is missing, which the SDK replaces by nothing and by 1970 where a response is cut off.
fn is_complete(credentials: &StsCredentials) -> bool {
    let parts = [
        credentials.access_key_id(),
        credentials.secret_access_key(),
        credentials.session_token(),
    ];
    !parts.contains(&"") && credentials.expiration().secs() > 0
}

/// Names the session after the repository and build, so that `CloudTrail` events lead back to the pipeline.
fn session_name(build: &Build) -> String {
    let repository = build.repository.as_ref().map(UntrustedText::exact);
    let repository = repository.unwrap_or("mojito-publish");
    let number = build.build_number.as_ref();
    let number = number.map(|number| format!("-{}", number.exact()));
    let number = number.unwrap_or_default();
    let is_refused = |c: char| !(c.is_ascii_alphanumeric() || "_=,.@-".contains(c));
    let mut name = repository.replace(is_refused, "-");
    name.truncate(MAX_SESSION_NAME.saturating_sub(number.len()));
    name += &number.replace(is_refused, "-");
    name.truncate(MAX_SESSION_NAME);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_after_the_repository_and_build() {
        let build = |repository: &str| Build {
            repository: Some(repository.into()),
            build_number: Some("57".into()),
            ..Build::default()
        };
        assert_eq!(session_name(&build("acme/site")), "acme-site-57");
        let long = session_name(&build(&"größe/".repeat(40)));
        assert_eq!(long.len(), MAX_SESSION_NAME);
        assert!(session_name(&build(&"x".repeat(90))).ends_with("x-57"));
        assert_eq!(session_name(&Build::default()), "mojito-publish");
    }
}
