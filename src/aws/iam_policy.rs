//! The permissions that a run needs, and the least-privilege IAM policy that grants them.
//!
//! Session policies, printed policies and the missing statement in an error all come from here, so they always agree.

use serde::Serialize;
use serde_json::{json, Value};

use super::error::AwsError;
use super::error_kind::AwsErrorKind;
use super::trust_policy::ACCOUNT_PLACEHOLDER;
use crate::settings::names::{s3_uri, BucketName, DistributionId, ObjectKey, Prefix};
use crate::settings::Settings;

/// STS's limit for a session policy, in characters.
pub(crate) const MAX_SESSION_POLICY: usize = 2048;

/// What a run writes and invalidates, and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Permissions {
    pub(crate) bucket: BucketName,
    pub(crate) prefix: Prefix,
    pub(crate) keys: Vec<ObjectKey>,
    pub(crate) distributions: Vec<DistributionId>,
    pub(crate) region: String,
    /// The account of the distributions. If unknown, the policy has a placeholder.
    pub(crate) account_id: Option<String>,
    /// `ACL` needs `s3:PutObjectAcl`.
    pub(crate) acl: bool,
    /// `WAIT` needs `cloudfront:GetInvalidation`.
    pub(crate) wait: bool,
    /// `ONLY_NEWER` needs `s3:GetObject`.
    pub(crate) only_newer: bool,
}

/// One statement of an IAM policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<&'static str>,
    resource: Vec<String>,
}

impl Permissions {
    /// The permissions that a publish with these settings needs.
    pub(crate) fn of(settings: &Settings) -> Self {
        let target = &settings.target;
        Self {
            bucket: target.bucket.clone(),
            prefix: target.prefix.clone(),
            keys: settings.keys(),
            distributions: settings.distributions.clone(),
            region: target.region.clone(),
            account_id: settings.aws.account_id.clone(),
            acl: settings.acl.is_some(),
            wait: settings.wait,
            only_newer: settings.only_newer,
        }
    }

    /// The statements of the least-privilege policy.
    fn statements(&self, resources: Vec<String>) -> Vec<Statement> {
        let mut actions = vec!["s3:PutObject"];
        if self.acl {
            actions.push("s3:PutObjectAcl");
        }
        if self.only_newer {
            actions.push("s3:GetObject");
        }
        let mut statements = vec![Statement {
            sid: "WriteContainer",
            effect: "Allow",
            action: actions,
            resource: resources,
        }];
        if !self.distributions.is_empty() {
            let mut actions = vec!["cloudfront:CreateInvalidation"];
            if self.wait {
                actions.push("cloudfront:GetInvalidation");
            }
            statements.push(Statement {
                sid: "InvalidateContainer",
                effect: "Allow",
                action: actions,
                resource: self
                    .distributions
                    .iter()
                    .map(|id| self.distribution_arn(id))
                    .collect(),
            });
        }
        statements
    }

    /// Uses the caller's account if no setting names one.
    pub(crate) fn with_fallback_account(mut self, account_id: Option<String>) -> Self {
        self.account_id = self.account_id.or(account_id);
        self
    }

    /// The least-privilege policy.
    pub(crate) fn policy(&self) -> Value {
        self.policy_for(
            self.keys
                .iter()
                .map(|key| self.object_arn(key.as_str()))
                .collect(),
        )
    }

    fn policy_for(&self, objects: Vec<String>) -> Value {
        json!({"Version": "2012-10-17", "Statement": self.statements(objects)})
    }

    /// The session policy, as JSON.
    ///
    /// If the keys of many containers exceed STS's limit, the policy allows their folder instead.
    pub(crate) fn session_policy(&self) -> String {
        let exact = self.policy().to_string();
        if exact.chars().count() <= MAX_SESSION_POLICY {
            return exact;
        }
        let whole_folder = ObjectKey::new(&self.prefix, "*");
        self.policy_for(vec![self.object_arn(whole_folder.as_str())])
            .to_string()
    }

    /// The statement that allows writing these objects.
    pub(crate) fn statement_for_objects(&self, keys: &[&ObjectKey]) -> Statement {
        let arns = keys
            .iter()
            .map(|key| self.object_arn(key.as_str()))
            .collect();
        self.statements(arns).swap_remove(0)
    }

    /// The statement that allows the invalidations. `None` without distributions.
    pub(crate) fn statement_for_distributions(&self) -> Option<Statement> {
        self.statements(Vec::new()).into_iter().nth(1)
    }

    fn object_arn(&self, key: &str) -> String {
        format!("arn:{}:s3:::{}/{key}", self.partition(), self.bucket)
    }

    fn distribution_arn(&self, id: &DistributionId) -> String {
        let account = self.account_id.as_deref().unwrap_or(ACCOUNT_PLACEHOLDER);
        format!(
            "arn:{}:cloudfront::{account}:distribution/{id}",
            self.partition()
        )
    }

    /// The partition of ARNs, which follows from the region.
    pub(crate) fn partition(&self) -> &'static str {
        if self.region.starts_with("cn-") {
            "aws-cn"
        } else if self.region.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        }
    }
}

/// The policy statement that would allow what was denied. `None` if nothing was.
pub(crate) fn missing_statement<'a>(
    errors: impl Iterator<Item = &'a AwsError>,
    permissions: &Permissions,
) -> Option<Statement> {
    let denied: Vec<&AwsError> = errors
        .filter(|error| error.kind == AwsErrorKind::AccessDenied)
        .collect();
    if denied.first()?.action.starts_with("cloudfront:") {
        return permissions.statement_for_distributions();
    }
    let is_denied = |key: &&ObjectKey| {
        let uri = s3_uri(&permissions.bucket, key);
        denied.iter().any(|error| error.resource == uri)
    };
    let keys: Vec<&ObjectKey> = permissions.keys.iter().filter(is_denied).collect();
    (!keys.is_empty()).then(|| permissions.statement_for_objects(&keys))
}

impl Statement {
    /// The statement as indented JSON.
    pub(crate) fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and lists of strings always serialize")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(names: &[&str]) -> Permissions {
        let prefix = Prefix::parse("js").unwrap();
        Permissions {
            bucket: BucketName::parse("acme").unwrap(),
            keys: names
                .iter()
                .map(|name| ObjectKey::new(&prefix, name))
                .collect(),
            prefix,
            distributions: vec![DistributionId::parse("E1A2B3C4D5E6F7").unwrap()],
            region: "ap-southeast-2".to_owned(),
            account_id: Some("123456789012".to_owned()),
            acl: false,
            wait: false,
            only_newer: false,
        }
    }

    #[test]
    fn a_session_may_only_write_the_keys_and_invalidate_the_distribution() {
        let policy: serde_json::Value =
            serde_json::from_str(&permissions(&["mojito.js"]).session_policy()).unwrap();
        assert_eq!(
            policy,
            json!({
                "Version": "2012-10-17",
                "Statement": [
                    {"Sid": "WriteContainer", "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::acme/js/mojito.js"]},
                    {"Sid": "InvalidateContainer", "Effect": "Allow", "Action": ["cloudfront:CreateInvalidation"],
                     "Resource": ["arn:aws:cloudfront::123456789012:distribution/E1A2B3C4D5E6F7"]},
                ]
            })
        );
    }

    #[test]
    fn acl_wait_and_only_newer_add_their_actions() {
        let mut permissions = permissions(&["mojito.js"]);
        (permissions.acl, permissions.wait, permissions.only_newer) = (true, true, true);
        permissions.region = "cn-north-1".to_owned();
        permissions.account_id = None;
        assert_eq!(
            serde_json::to_value([
                permissions.statement_for_objects(&[&permissions.keys[0]]),
                permissions.statement_for_distributions().unwrap()
            ])
            .unwrap(),
            json!([
                {"Sid": "WriteContainer", "Effect": "Allow", "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject"],
                 "Resource": ["arn:aws-cn:s3:::acme/js/mojito.js"]},
                {"Sid": "InvalidateContainer", "Effect": "Allow", "Action": ["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"],
                 "Resource": ["arn:aws-cn:cloudfront::AWS_ACCOUNT_ID:distribution/E1A2B3C4D5E6F7"]},
            ])
        );
    }

    #[test]
    fn a_session_of_many_containers_is_limited_to_their_folder() {
        let names: Vec<String> = (0..100)
            .map(|number| format!("container-{number}.js"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let policy = permissions(&names).session_policy();
        assert!(policy.len() <= MAX_SESSION_POLICY);
        assert!(
            policy.contains(r#""Resource":["arn:aws:s3:::acme/js/*"]"#),
            "{policy}"
        );
    }
}
