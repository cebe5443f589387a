//! `mojito-publish policy`: prints the least-privilege policy of a run, or the trust policy of its role.
//!
//! Only JSON goes to standard output, so that it can be piped into `aws iam`; everything else goes to standard error. It needs
//! neither credentials nor a network if `AWS_ACCOUNT_ID` is set. If there are credentials, they supply the account ID of an ARN.

use std::time::Duration;

use serde_json::Value;

use super::error::Error;
use super::loaded;
use crate::aws;
use crate::aws::config;
use crate::aws::credentials::ConnectError;
use crate::aws::gate::Gate;
use crate::aws::https::Https;
use crate::aws::iam_policy::{self, Permissions};
use crate::aws::sts;
use crate::aws::trust_policy::{TrustFlags, TrustPolicy};
use crate::exit::Exit;
use crate::report::console::Console;
use crate::settings::problems::InvalidSetting;
use crate::settings::raw::Raw;
use crate::settings::region::GOVCLOUD;
use crate::settings::{Flags, Settings};

/// How long to wait for the identity.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(3);

/// Prints the policy, or with `trust` the trust policy of the role.
pub(crate) async fn policy(
    flags: Flags,
    trust: Option<TrustFlags>,
    raw: &Raw,
    gate: &Gate,
    console: &Console,
) -> Exit {
    match print(flags, trust, raw, gate, console).await {
        Ok(()) => Exit::Published,
        Err(error) => error.report(console),
    }
}

async fn print(
    flags: Flags,
    trust: Option<TrustFlags>,
    raw: &Raw,
    gate: &Gate,
    console: &Console,
) -> Result<(), Error> {
    let settings = loaded::settings(flags, raw, console).await?;
    let trust = trust
        .map(|flags| {
            TrustPolicy::new(
                flags,
                &raw.trust,
                raw.build.bitbucket_step_oidc_token.as_deref(),
            )
        })
        .transpose()
        .map_err(Error::Settings)?;
    let mut permissions = Permissions::of(&settings);
    let needs_account = trust.is_some() || !permissions.distributions.is_empty();
    if permissions.account_id.is_none() && needs_account {
        permissions.account_id = Some(account_of_caller(&settings, gate).await?);
    }
    let policy = match &trust {
        Some(trust) => {
            let account_id = permissions.account_id.as_deref().unwrap_or_default();
            trust.policy(permissions.partition(), account_id)
        }
        None => permissions.policy(),
    };
    Console::json(&policy).map_err(Error::Output)?;
    match &trust {
        Some(trust) => {
            for note in trust.notes() {
                console.info(&format!("note: {note}"));
            }
        }
        None => warn(&permissions, &policy, console),
    }
    Ok(())
}

/// What the policy does not allow, and where it is too large.
fn warn(permissions: &Permissions, policy: &Value, console: &Console) {
    if permissions.distributions.is_empty() {
        console.warning(if permissions.partition() == GOVCLOUD {
            "this policy does not allow invalidating: AWS GovCloud has no CloudFront"
        } else {
            "this policy does not allow invalidating: `DISTRIBUTION_ID` is not set\n\
             set it to the CloudFront distribution, or a list, and print the policy again"
        });
    }
    if let Some(warning) = iam_policy::size_warning(policy) {
        console.warning(&warning);
    }
}

/// The account of the credentials. A policy without it would be of no use, so it is an error if it is not known.
async fn account_of_caller(settings: &Settings, gate: &Gate) -> Result<String, Error> {
    let identity = async {
        let https = Https::new(&settings.aws, gate);
        let config = config::load(settings, https.client()).await;
        let config = config.map_err(|problem| Error::Settings(vec![problem]))?;
        let aws = aws::connect(settings, config, None).await?;
        let identity = sts::caller_identity(&aws.config).await;
        Ok::<_, Error>(identity.map_err(ConnectError::from)?)
    };
    let problem = match tokio::time::timeout(IDENTITY_TIMEOUT, identity).await {
        Ok(Ok(identity)) => return Ok(identity.account_id),
        Ok(Err(Error::Connect(ConnectError::NoCredentials(reason, _)))) => {
            format!("no usable credentials: {reason}")
        }
        Ok(Err(Error::Connect(ConnectError::Aws { error, .. }))) => error.to_string(),
        Ok(Err(error)) => return Err(error),
        Err(_) => format!(
            "no response from STS within {} s",
            IDENTITY_TIMEOUT.as_secs()
        ),
    };
    let problem = format!(
        "is not set, and the account of the credentials is not known\n{problem}\n\
         what to do: set it to the 12 digits of the account that the policy is for"
    );
    Err(Error::Settings(vec![InvalidSetting::lines(
        "AWS_ACCOUNT_ID",
        &problem,
    )]))
}
