//! Why STS refuses a step's token, which AWS does not say: what the token says, and the trust policy that would let it in.
//!
//! Seen side by side with the role's own trust policy, they show what differs.

use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;

use super::error::AwsError;
use super::error_kind::AwsErrorKind;
use super::trust_policy::TrustPolicy;
use crate::common::layout::first_ten;
use crate::common::printable::sanitize;
use crate::settings::aws::RoleArn;
use crate::settings::oidc_token::{Claims, Token};

/// The message of `InvalidIdentityToken` if AWS could not fetch Bitbucket's keys, which passes.
const KEYS_NOT_FETCHED: &str = "retrieve verification key";

/// Retries while AWS cannot fetch Bitbucket's keys.
#[derive(Debug)]
pub(super) struct KeysNotFetched;

impl ClassifyRetry for KeysNotFetched {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err);
        let error = error.and_then(OrchestratorError::as_operation_error);
        let error = error.and_then(|it| it.downcast_ref::<AssumeRoleWithWebIdentityError>());
        match error.and_then(ProvideErrorMetadata::message) {
            Some(message) if message.contains(KEYS_NOT_FETCHED) => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Bitbucket's keys could not be fetched"
    }
}

/// What to do about an error of `AssumeRoleWithWebIdentity`.
pub(super) fn remedy(error: &AwsError, role: &RoleArn, token: &Token) -> String {
    let Some(claims) = Claims::of(token.expose()) else {
        return error.remedy();
    };
    let first = match error.kind {
        AwsErrorKind::OidcTokenExpired => return expired(error, &claims),
        AwsErrorKind::OidcTokenRefused if error.message.contains(KEYS_NOT_FETCHED) => {
            return "AWS could not fetch Bitbucket's keys: re-run in a few minutes".to_owned()
        }
        AwsErrorKind::OidcTokenRefused => provider(error, role, &claims),
        AwsErrorKind::TrustRefused => format!(
            "there is no role `{}` in account {}, or it does not trust this step",
            role.name(),
            role.account_id()
        ),
        _ => return error.remedy(),
    };
    [first, what_it_says(&claims), fitting(role, &claims)].join("\n")
}

fn expired(error: &AwsError, claims: &Claims) -> String {
    let expired = claims.expires_at.map(DateTime::from_secs);
    let expired = expired.and_then(|it| it.fmt(Format::DateTime).ok());
    let expired = expired.map_or_else(String::new, |time| format!("; it expired at {time}"));
    error.remedy() + &expired
}

/// The identity provider that the account lacks, or its audience.
fn provider(error: &AwsError, role: &RoleArn, claims: &Claims) -> String {
    let Some(trust) = TrustPolicy::of_step(claims) else {
        return error.remedy();
    };
    let account = role.account_id();
    let (issuer, audience) = (&claims.issuer, &claims.audiences[0]);
    if error.message.contains("audience") {
        let provider = trust.provider_arn(role.partition(), account);
        format!(
            "the identity provider in account {account} does not accept this audience: add it\n  \
             aws iam add-client-id-to-open-id-connect-provider --client-id {audience} \\\n    \
             --open-id-connect-provider-arn {provider}"
        )
    } else {
        format!(
            "account {account} needs an identity provider for this workspace: create it\n  \
             aws iam create-open-id-connect-provider --url {issuer} \\\n    \
             --client-id-list {audience}"
        )
    }
}

/// The claims that AWS compares with the identity provider and the trust policy.
fn what_it_says(claims: &Claims) -> String {
    let audiences: Vec<String> = claims.audiences.iter().map(|it| sanitize(it)).collect();
    let audiences: Vec<&str> = audiences.iter().map(String::as_str).collect();
    format!(
        "the step's token says\n  issuer: {}\n  audience: {}\n  subject: {}",
        sanitize(&claims.issuer),
        first_ten(&audiences),
        sanitize(&claims.subject)
    )
}

/// The trust policy that lets the step in.
fn fitting(role: &RoleArn, claims: &Claims) -> String {
    let Some(trust) = TrustPolicy::of_step(claims) else {
        return "this is not a token of Bitbucket Pipelines".to_owned();
    };
    let lets_in = if trust.is_of_environment() {
        "this trust policy lets in every step of this repository and deployment environment"
    } else {
        "the step has no `deployment:`, so its subject names no deployment environment:\n\
         a role that trusts only an environment refuses it; add `deployment:` to the step\n\
         without that, only a trust policy for all steps of the repository fits: it lets in\n\
         every step of this repository, of any branch and pull request"
    };
    let policy = trust.policy(role.partition(), role.account_id());
    let policy = serde_json::to_string_pretty(&policy).expect("it has only text and lists");
    format!(
        "{lets_in}:\n{policy}\nas trust.json, it replaces that of the role:\n  \
         aws iam update-assume-role-policy --role-name {} --policy-document file://trust.json",
        role.name()
    )
}
