//! `mojito-publish policy`: prints the least-privilege policy of a run, or the trust policy of its role.
//!
//! Only JSON is printed, so that it can be piped into `aws iam`. It needs neither credentials nor a network. If there are
//! credentials, they supply the account ID of an ARN.

use std::time::Duration;

use super::error::Error;
use super::loaded;
use crate::aws;
use crate::aws::config;
use crate::aws::https::Https;
use crate::aws::iam_policy::Permissions;
use crate::aws::sts;
use crate::aws::trust_policy::TrustPolicy;
use crate::exit::Exit;
use crate::report::console::Console;
use crate::settings::raw::{Raw, RawTrust};
use crate::settings::{Flags, Settings};

/// How long to wait for the identity. Nothing depends on it.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(3);

/// Prints the policy, or with `trust` the trust policy of the role.
pub(crate) async fn policy(
    flags: Flags,
    trust: Option<RawTrust>,
    raw: &Raw,
) -> Result<Exit, Error> {
    let settings = loaded::settings(flags, raw).await?;
    let trust = trust
        .map(|flags| TrustPolicy::new(flags, &raw.trust, settings.environment))
        .transpose()
        .map_err(Error::Settings)?;
    let mut permissions = Permissions::of(&settings);
    let needs_account = trust.is_some() || !permissions.distributions.is_empty();
    if permissions.account_id.is_none() && needs_account {
        permissions.account_id = account_of_caller(&settings).await;
    }
    Console::json(&match trust {
        Some(trust) => trust.policy(permissions.partition(), permissions.account_id.as_deref()),
        None => permissions.policy(),
    });
    Ok(Exit::Published)
}

/// The account of the credentials, if there are any and STS responds soon.
async fn account_of_caller(settings: &Settings) -> Option<String> {
    let identity = async {
        let https = Https::new(settings.aws.ca_bundle.as_deref());
        let config = config::load(settings, https.client()).await;
        let aws = aws::connect(settings, config, None).await.ok()?;
        sts::caller_identity(&aws.config).await.ok()
    };
    let identity = tokio::time::timeout(IDENTITY_TIMEOUT, identity).await;
    Some(identity.ok()??.account_id)
}
