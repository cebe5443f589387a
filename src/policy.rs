//! `mojito-publish policy`: prints the least-privilege policy of a run, or the trust policy of its role.
//!
//! Nothing but the JSON is printed, so that it can be piped into `aws iam`. It needs no credentials and no network; where
//! there are credentials, they tell the account that an ARN needs.

use serde_json::Value;

use crate::aws;
use crate::scope::Scope;
use crate::settings::Settings;
use crate::tls::Https;
use crate::trust::Trust;

/// The policy that `settings` ask for; with `trust`, the trust policy of the role instead.
pub(crate) async fn policy(settings: &Settings, trust: Option<&Trust>) -> Value {
    let mut scope = Scope::of(settings);
    let needs_account = trust.is_some() || !scope.distributions.is_empty();
    if scope.account_id.is_none() && needs_account {
        let https = Https::new(settings.aws.ca_bundle.as_deref());
        scope.account_id = aws::account_of_caller(settings, https.client()).await;
    }
    match trust {
        Some(trust) => trust.policy(scope.partition(), scope.account_id.as_deref()),
        None => scope.policy(),
    }
}
