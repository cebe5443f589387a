//! The permissions that a run needs, and the least-privilege IAM policy that grants them.
//!
//! Session policies, printed policies and the missing statement in an error all come from here, so they always agree.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{json, Value};

use super::error::AwsError;
use super::error_kind::AwsErrorKind;
use super::versions::{GET_VERSION, LIST_VERSIONS};
use crate::common::byte_size::with_separators;
use crate::settings::kms::KmsKeyArn;
use crate::settings::names::{BucketName, DistributionId, ObjectKey, Prefix};
use crate::settings::region::partition_of;
use crate::settings::Settings;

/// STS's limit for a session policy, in characters.
pub(crate) const MAX_SESSION_POLICY: usize = 2048;

/// IAM's limits for a policy, in characters other than white space.
const IAM_LIMITS: [(&str, u64); 4] = [
    ("inline for a user", 2_048),
    ("inline for a group", 5_120),
    ("managed", 6_144),
    ("inline for a role", 10_240),
];

/// Stands for an account that is not known.
pub(crate) const ACCOUNT_PLACEHOLDER: &str = "AWS_ACCOUNT_ID";

/// The action that reading an object needs on the key that it is encrypted with.
const DECRYPT: &str = "kms:Decrypt";

/// What a run writes and invalidates, and nothing else.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting that needs an action"
)]
pub(crate) struct Permissions {
    pub(crate) bucket: BucketName,
    pub(crate) prefix: Prefix,
    pub(crate) keys: Vec<ObjectKey>,
    pub(crate) distributions: Vec<DistributionId>,
    pub(crate) region: String,
    /// The account of the distributions. If unknown, a statement has a placeholder.
    pub(crate) account_id: Option<String>,
    /// `ACL` needs `s3:PutObjectAcl`.
    pub(crate) acl: bool,
    /// `WAIT` needs `cloudfront:GetInvalidation`.
    pub(crate) wait: bool,
    /// `ONLY_NEWER` needs `s3:GetObject`.
    pub(crate) only_newer: bool,
    /// The bucket's customer managed key.
    pub(crate) kms_key: Option<KmsKeyArn>,
    /// A rollback lists and reads the versions of the keys.
    pub(crate) rollback: bool,
    /// Nothing is written or invalidated.
    pub(crate) reads_only: bool,
}

/// One statement of an IAM policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<&'static str>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

/// What must hold of a request that a statement allows: the operator, the condition key, and the values that it may have.
type Condition = BTreeMap<&'static str, BTreeMap<&'static str, Vec<String>>>;

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
            kms_key: settings.kms_key.clone(),
            rollback: settings.rollback.is_some(),
            reads_only: false,
        }
    }

    /// The permissions that `status` needs.
    pub(crate) fn of_status(settings: &Settings) -> Self {
        Self {
            reads_only: true,
            ..Self::of(settings)
        }
    }

    /// The statement that allows writing these objects.
    pub(crate) fn statement_for_objects<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a ObjectKey>,
    ) -> Statement {
        let mut action = vec!["s3:PutObject"];
        if self.acl {
            action.push("s3:PutObjectAcl");
        }
        if self.only_newer {
            action.push("s3:GetObject");
        }
        let bucket = self.arn_of_bucket();
        let arns = keys.into_iter().map(|key| format!("{bucket}/{key}"));
        Statement {
            sid: "WriteContainer",
            effect: "Allow",
            action,
            resource: arns.collect(),
            condition: None,
        }
    }

    /// What a rollback needs besides, in statements of their own: to list the versions of these objects, and to read them.
    fn statements_for_versions(&self, keys: &[&ObjectKey]) -> Vec<Statement> {
        let statements = [
            self.statement_for_listing(keys),
            self.statement_for_reading(keys),
        ];
        let decrypting = self.statement_for_decrypting();
        statements.into_iter().chain(decrypting).collect()
    }

    fn statement_for_listing(&self, keys: &[&ObjectKey]) -> Statement {
        let prefixes: Vec<String> = keys.iter().map(ToString::to_string).collect();
        // Keys have no `*`; a folder that stands for them has.
        let has_wildcard = prefixes.iter().any(|prefix| prefix.ends_with('*'));
        let operator = if has_wildcard {
            "StringLike"
        } else {
            "StringEquals"
        };
        let condition = BTreeMap::from([(operator, BTreeMap::from([("s3:prefix", prefixes)]))]);
        Statement {
            sid: "ListVersions",
            effect: "Allow",
            action: vec![LIST_VERSIONS],
            resource: vec![self.arn_of_bucket()],
            condition: Some(condition),
        }
    }

    /// `s3:GetObject` is for the object that is live, on which the upload is conditional.
    fn statement_for_reading(&self, keys: &[&ObjectKey]) -> Statement {
        let bucket = self.arn_of_bucket();
        let arns = keys.iter().map(|key| format!("{bucket}/{key}"));
        Statement {
            sid: "ReadVersions",
            effect: "Allow",
            action: vec![GET_VERSION, "s3:GetObject"],
            resource: arns.collect(),
            condition: None,
        }
    }

    /// If the bucket's key is named.
    pub(crate) fn statement_for_decrypting(&self) -> Option<Statement> {
        Some(Statement {
            sid: "DecryptVersions",
            effect: "Allow",
            action: vec![DECRYPT],
            resource: vec![self.kms_key.as_ref()?.to_string()],
            condition: None,
        })
    }

    /// The statement that allows the invalidations. `None` without distributions.
    pub(crate) fn statement_for_distributions(&self) -> Option<Statement> {
        let mut action = vec!["cloudfront:CreateInvalidation"];
        if self.wait {
            action.push("cloudfront:GetInvalidation");
        }
        let account = self.account_id.as_deref().unwrap_or(ACCOUNT_PLACEHOLDER);
        let account = format!("arn:{}:cloudfront::{account}", self.partition());
        let arns = self.distributions.iter();
        let arns = arns.map(|id| format!("{account}:distribution/{id}"));
        let statement = Statement {
            sid: "InvalidateContainer",
            effect: "Allow",
            action,
            resource: arns.collect(),
            condition: None,
        };
        (!self.distributions.is_empty()).then_some(statement)
    }

    /// The statement that allows using the bucket's key, if one is named.
    pub(crate) fn statement_for_key(&self) -> Option<Statement> {
        let mut action = vec!["kms:GenerateDataKey"];
        if self.only_newer {
            action.push(DECRYPT);
        }
        Some(Statement {
            sid: "EncryptContainer",
            effect: "Allow",
            action,
            resource: vec![self.kms_key.as_ref()?.to_string()],
            condition: None,
        })
    }

    /// Uses the caller's account if no setting names one.
    pub(crate) fn with_fallback_account(mut self, account_id: Option<String>) -> Self {
        self.account_id = self.account_id.or(account_id);
        self
    }

    /// The least-privilege policy.
    pub(crate) fn policy(&self) -> Value {
        self.policy_for(&self.keys)
    }

    fn policy_for<'a>(&self, keys: impl IntoIterator<Item = &'a ObjectKey>) -> Value {
        let keys: Vec<&ObjectKey> = keys.into_iter().collect();
        if self.reads_only {
            let statements = self.statements_for_versions(&keys);
            return json!({"Version": "2012-10-17", "Statement": statements});
        }
        let mut statements = vec![self.statement_for_objects(keys.iter().copied())];
        statements.extend(self.statement_for_key());
        statements.extend(self.statement_for_distributions());
        if self.rollback {
            statements.extend(self.statements_for_versions(&keys));
        }
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    /// The session policy, as JSON.
    pub(crate) fn session_policy(&self) -> String {
        match self.widened_to() {
            Some(whole_folder) => self.policy_for([&whole_folder]),
            None => self.policy(),
        }
        .to_string()
    }

    /// What the session policy allows in place of the keys, if those of many containers exceed STS's limit: their folder.
    pub(crate) fn widened_to(&self) -> Option<ObjectKey> {
        let exact = self.policy().to_string();
        let fits = exact.chars().count() <= MAX_SESSION_POLICY;
        (!fits).then(|| ObjectKey::new(&self.prefix, "*"))
    }

    /// The statement that would allow what was denied, with all that the run needs of it: a statement for the first file alone
    /// would only lead to the next denial. `None` if no statement of a user or role would.
    pub(crate) fn missing_statement(&self, error: &AwsError) -> Option<Statement> {
        let keys: Vec<&ObjectKey> = self.keys.iter().collect();
        let reads_versions = self.rollback || self.reads_only;
        if error.kind == AwsErrorKind::Kms {
            // Other errors are about the state of the key.
            let is_denial = error.message.contains("kms:");
            let is_read = reads_versions && error.message.contains(DECRYPT);
            let statement = if is_read {
                self.statement_for_decrypting()
            } else {
                self.statement_for_key()
            };
            statement.filter(|_| is_denial)
        } else if error.kind != AwsErrorKind::AccessDenied {
            None
        } else if error.action == LIST_VERSIONS {
            Some(self.statement_for_listing(&keys))
        } else if error.action == GET_VERSION || reads_versions && error.action == "s3:GetObject" {
            Some(self.statement_for_reading(&keys))
        } else if error.action.starts_with("cloudfront:") {
            self.statement_for_distributions()
        } else if error.action.starts_with("s3:") {
            Some(self.statement_for_objects(&self.keys))
        } else {
            None
        }
    }

    fn arn_of_bucket(&self) -> String {
        format!("arn:{}:s3:::{}", self.partition(), self.bucket)
    }

    /// The partition of ARNs, which follows from the region.
    pub(crate) fn partition(&self) -> &'static str {
        partition_of(&self.region)
    }
}

/// How large a policy is for IAM, and where it is too large and where it is not. `None` if it fits everywhere.
pub(crate) fn size_warning(policy: &Value) -> Option<String> {
    let policy = policy.to_string();
    let size = policy.chars().filter(|c| !c.is_whitespace()).count() as u64;
    let limits = |fits: bool| {
        let limits = IAM_LIMITS
            .iter()
            .filter(|(_, limit)| (size <= *limit) == fits);
        let limits: Vec<String> = limits
            .map(|(kind, limit)| format!("{kind} ({})", with_separators(*limit)))
            .collect();
        limits.join(", ")
    };
    let (fits, too_large) = (limits(true), limits(false));
    if too_large.is_empty() {
        return None;
    }
    let remedy = match fits.as_str() {
        "" => "it fits nowhere: publish fewer containers with one user or role".to_owned(),
        fits => format!("it fits: {fits}"),
    };
    let size = with_separators(size);
    Some(format!(
        "this policy has {size} characters without white space, more than IAM takes\n\
         too large: {too_large}\n{remedy}"
    ))
}

impl Statement {
    /// The statement as indented JSON.
    pub(crate) fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and lists of strings always serialize")
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn permissions(names: impl Iterator<Item = String>) -> Permissions {
        let prefix = Prefix::parse("js").unwrap();
        Permissions {
            bucket: BucketName::parse("acme").unwrap(),
            keys: names.map(|name| ObjectKey::new(&prefix, &name)).collect(),
            prefix,
            distributions: vec![DistributionId::parse("E1A2B3C4D5E6F7").unwrap()],
            region: "ap-southeast-2".to_owned(),
            account_id: Some("123456789012".to_owned()),
            acl: false,
            wait: false,
            only_newer: false,
            kms_key: None,
            rollback: false,
            reads_only: false,
        }
    }

    #[test]
    fn acl_wait_only_newer_and_a_key_add_their_actions() {
        let mut permissions = permissions(iter::once("mojito.js".to_owned()));
        (permissions.acl, permissions.wait, permissions.only_newer) = (true, true, true);
        permissions.region = "cn-north-1".to_owned();
        let key = KmsKeyArn::parse("arn:aws-cn:kms:cn-north-1:123456789012:key/1234abcd");
        permissions.kms_key = key.ok();
        permissions.account_id = None;
        assert_eq!(
            permissions.policy()["Statement"],
            json!([
                {"Sid": "WriteContainer", "Effect": "Allow", "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject"],
                 "Resource": ["arn:aws-cn:s3:::acme/js/mojito.js"]},
                {"Sid": "EncryptContainer", "Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                 "Resource": ["arn:aws-cn:kms:cn-north-1:123456789012:key/1234abcd"]},
                {"Sid": "InvalidateContainer", "Effect": "Allow", "Action": ["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"],
                 "Resource": ["arn:aws-cn:cloudfront::AWS_ACCOUNT_ID:distribution/E1A2B3C4D5E6F7"]},
            ])
        );
    }

    #[test]
    fn a_rollback_lists_and_reads_exactly_its_keys_in_statements_of_their_own() {
        let mut permissions = permissions(iter::once("mojito.js".to_owned()));
        let publish = permissions.policy()["Statement"].clone();
        permissions.rollback = true;
        let policy = permissions.policy();
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(json!(statements[..2]), publish);
        assert_eq!(
            json!(statements[2..]),
            json!([
                {"Sid": "ListVersions", "Effect": "Allow", "Action": ["s3:ListBucketVersions"], "Resource": ["arn:aws:s3:::acme"],
                 "Condition": {"StringEquals": {"s3:prefix": ["js/mojito.js"]}}},
                {"Sid": "ReadVersions", "Effect": "Allow", "Action": ["s3:GetObjectVersion", "s3:GetObject"],
                 "Resource": ["arn:aws:s3:::acme/js/mojito.js"]},
            ])
        );
        let names = (0..100).map(|number| format!("container-{number}.js"));
        let mut many = super::tests::permissions(names);
        many.rollback = true;
        let session = many.session_policy();
        assert!(session.len() <= MAX_SESSION_POLICY);
        let folder = r#""Condition":{"StringLike":{"s3:prefix":["js/*"]}}"#;
        assert!(session.contains(folder), "{session}");
    }

    #[test]
    fn a_session_of_many_containers_is_limited_to_their_folder() {
        let names = (0..100).map(|number| format!("container-{number}.js"));
        let policy = permissions(names).session_policy();
        assert!(policy.len() <= MAX_SESSION_POLICY);
        let folder = r#""Resource":["arn:aws:s3:::acme/js/*"]"#;
        assert!(policy.contains(folder), "{policy}");
    }
}
