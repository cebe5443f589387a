//! Gets the caller's identity from STS, which needs no permissions.

use aws_config::SdkConfig;
use serde::Serialize;

use super::error::AwsError;
use crate::common::printable::sanitize_message;
use crate::settings::names::parse_account_id;

/// The identity that the credentials belong to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Identity {
    /// 12 digits.
    pub(crate) account_id: String,
    /// The ARN of the user or role session.
    pub(crate) arn: String,
}

/// Calls `sts:GetCallerIdentity`.
pub(crate) async fn caller_identity(config: &SdkConfig) -> Result<Identity, AwsError> {
    const ACTION: &str = "sts:GetCallerIdentity";
    let resource = "the credentials".to_owned();
    let response = aws_sdk_sts::Client::new(config)
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| AwsError::new(ACTION, resource.clone(), &error))?;
    let account_id = response.account.filter(|id| parse_account_id(id).is_ok());
    match (account_id, response.arn) {
        (Some(account_id), Some(arn)) => Ok(Identity {
            account_id,
            arn: sanitize_message(&arn),
        }),
        _ => Err(AwsError::unexpected(
            ACTION,
            resource,
            "the response has no valid identity",
        )),
    }
}
