//! Whose credentials these are, as STS knows them. It takes no permission to ask.

use aws_config::SdkConfig;
use serde::Serialize;

use super::error::AwsError;
use crate::common::printable::sanitize_message;
use crate::settings::names::parse_account_id;

/// A caller of AWS.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Identity {
    /// 12 digits.
    pub(crate) account_id: String,
    /// The ARN of the user or of the role's session.
    pub(crate) arn: String,
}

/// Asks who the credentials are.
pub(crate) async fn of_caller(config: &SdkConfig) -> Result<Identity, AwsError> {
    const ACTION: &str = "sts:GetCallerIdentity";
    let whose = "the credentials".to_owned();
    let answer = aws_sdk_sts::Client::new(config)
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| AwsError::new(ACTION, whose.clone(), &error))?;
    let account_id = answer.account.filter(|id| parse_account_id(id).is_ok());
    match (account_id, answer.arn) {
        (Some(account_id), Some(arn)) => Ok(Identity {
            account_id,
            arn: sanitize_message(&arn),
        }),
        _ => Err(AwsError::unexpected(
            ACTION,
            whose,
            "the answer names nobody",
        )),
    }
}
