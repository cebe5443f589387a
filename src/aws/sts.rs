//! Gets the caller's identity from STS, which needs no permissions.

use aws_config::SdkConfig;
use serde::Serialize;

use super::debug_log::LogRequests;
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
    const RESOURCE: &str = "the credentials";
    let config = aws_sdk_sts::config::Builder::from(config).interceptor(LogRequests);
    let request = aws_sdk_sts::Client::from_conf(config.build()).get_caller_identity();
    let response = request.send().await;
    let response = response.map_err(|error| AwsError::new(ACTION, RESOURCE, &error))?;
    let account_id = response.account.filter(|id| parse_account_id(id).is_ok());
    let (Some(account_id), Some(arn)) = (account_id, response.arn) else {
        let message = "the response has no valid identity";
        return Err(AwsError::unexpected(ACTION, RESOURCE, message));
    };
    let arn = sanitize_message(&arn);
    Ok(Identity { account_id, arn })
}
