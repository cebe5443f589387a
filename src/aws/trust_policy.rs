//! The trust policy of a role for Bitbucket's `OpenID` Connect: which pipeline steps may assume it.

use serde_json::{json, Value};

use crate::settings::environment::Environment;
use crate::settings::problems::InvalidSetting;
use crate::settings::raw::RawTrust;

/// Stands for an unknown account.
pub(crate) const ACCOUNT_PLACEHOLDER: &str = "AWS_ACCOUNT_ID";

/// Who may assume the role. The UUIDs have no braces.
#[derive(Debug)]
pub(crate) struct TrustPolicy {
    workspace: String,
    workspace_uuid: String,
    repository_uuid: String,
    /// Only steps with this `deployment:` may assume the role.
    environment_uuid: Option<String>,
}

impl TrustPolicy {
    /// Flags take precedence over Bitbucket's variables. Production's role must be limited to its deployment environment.
    pub(crate) fn new(
        flags: RawTrust,
        raw: &RawTrust,
        environment: Environment,
    ) -> Result<Self, Vec<InvalidSetting>> {
        let mut problems = Vec::new();
        let workspace = valid(
            &mut problems,
            "--workspace",
            flags.bitbucket_workspace.or_else(|| raw.bitbucket_workspace.clone()),
            Some("it is the part after `bitbucket.org/` in the repository's URL (`BITBUCKET_WORKSPACE` in a pipeline)"),
            is_slug,
            "a workspace id such as `acme`",
        );
        let mut uuid = |flag, given: Option<String>, variable: &Option<String>, hint| {
            let value = given.or_else(|| variable.clone());
            let expected = "a UUID such as `{1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f}`";
            let uuid = valid(&mut problems, flag, value, hint, is_uuid, expected);
            uuid.map(|uuid| bare(&uuid).to_owned())
        };
        let workspace_uuid = uuid(
            "--workspace-uuid",
            flags.bitbucket_repo_owner_uuid,
            &raw.bitbucket_repo_owner_uuid,
            Some("see Repository settings > OpenID Connect (`BITBUCKET_REPO_OWNER_UUID` in a pipeline)"),
        );
        let repository_uuid = uuid(
            "--repository-uuid",
            flags.bitbucket_repo_uuid,
            &raw.bitbucket_repo_uuid,
            Some("see Repository settings > OpenID Connect (`BITBUCKET_REPO_UUID` in a pipeline)"),
        );
        let environment_uuid = uuid(
            "--environment-uuid",
            flags.bitbucket_deployment_environment_uuid,
            &raw.bitbucket_deployment_environment_uuid,
            (environment == Environment::Production).then_some(
                "without it every step of the repository could publish to production; see Repository settings > OpenID Connect \
                 (`BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID` in a step with `deployment:`)",
            ),
        );
        match (workspace, workspace_uuid, repository_uuid) {
            (Some(workspace), Some(workspace_uuid), Some(repository_uuid))
                if problems.is_empty() =>
            {
                Ok(Self {
                    workspace,
                    workspace_uuid,
                    repository_uuid,
                    environment_uuid,
                })
            }
            _ => Err(problems),
        }
    }

    /// The policy. Bitbucket's subject claim has literal braces, and includes the environment only if the step has one.
    pub(crate) fn policy(&self, partition: &str, account_id: Option<&str>) -> Value {
        let account = account_id.unwrap_or(ACCOUNT_PLACEHOLDER);
        let provider = format!(
            "api.bitbucket.org/2.0/workspaces/{}/pipelines-config/identity/oidc",
            self.workspace
        );
        let subject = match &self.environment_uuid {
            Some(environment) => format!("{{{}}}:{{{environment}}}:*", self.repository_uuid),
            None => format!("{{{}}}:*", self.repository_uuid),
        };
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "BitbucketPipelines",
                "Effect": "Allow",
                "Principal": {"Federated": format!("arn:{partition}:iam::{account}:oidc-provider/{provider}")},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        format!("{provider}:aud"): format!("ari:cloud:bitbucket::workspace/{}", self.workspace_uuid),
                    },
                    "StringLike": {format!("{provider}:sub"): subject},
                },
            }],
        })
    }
}

/// The value, after adding a problem if it is invalid, or if it is missing and `hint` says that it is required.
fn valid(
    problems: &mut Vec<InvalidSetting>,
    flag: &'static str,
    value: Option<String>,
    hint: Option<&str>,
    is_valid: fn(&str) -> bool,
    expected: &str,
) -> Option<String> {
    match (&value, hint) {
        (Some(value), _) if !is_valid(value) => {
            problems.push(InvalidSetting::value(flag, value, expected));
        }
        (None, Some(hint)) => {
            problems.push(InvalidSetting::new(flag, format!("is missing; {hint}")));
        }
        _ => {}
    }
    value
}

/// Strips the braces, which Bitbucket's variables have and people leave off.
fn bare(uuid: &str) -> &str {
    let inner = uuid.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
    inner.unwrap_or(uuid)
}

fn is_uuid(text: &str) -> bool {
    let text = bare(text);
    let is_valid = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(is_valid)
}

fn is_slug(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    text.bytes().all(is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::raw::Raw;

    const WORKSPACE: &str = "{11111111-1a2b-1a2b-1a2b-1a2b3c4d5e6f}";
    const REPOSITORY: &str = "22222222-1a2b-1a2b-1a2b-1a2b3c4d5e6f";
    const ENVIRONMENT: &str = "{33333333-1a2b-1a2b-1a2b-1a2b3c4d5e6f}";

    /// The policy that these flags and the three variables make.
    fn trust(flags: RawTrust, of: Environment) -> Result<TrustPolicy, Vec<InvalidSetting>> {
        let variables = [
            ("BITBUCKET_WORKSPACE", "acme"),
            ("BITBUCKET_REPO_OWNER_UUID", WORKSPACE),
            ("BITBUCKET_REPO_UUID", REPOSITORY),
        ];
        let raw: Raw = variables.into_iter().collect();
        TrustPolicy::new(flags, &raw.trust, of)
    }

    #[test]
    fn only_steps_of_the_deployment_environment_are_trusted() {
        let flags = RawTrust {
            bitbucket_deployment_environment_uuid: Some(ENVIRONMENT.to_owned()),
            ..RawTrust::default()
        };
        let trust = trust(flags, Environment::Production).unwrap();
        let provider = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc";
        assert_eq!(
            trust.policy("aws", Some("123456789012"))["Statement"][0],
            json!({
                "Sid": "BitbucketPipelines",
                "Effect": "Allow",
                "Principal": {"Federated": format!("arn:aws:iam::123456789012:oidc-provider/{provider}")},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {format!("{provider}:aud"): "ari:cloud:bitbucket::workspace/11111111-1a2b-1a2b-1a2b-1a2b3c4d5e6f"},
                    "StringLike": {
                        format!("{provider}:sub"):
                            "{22222222-1a2b-1a2b-1a2b-1a2b3c4d5e6f}:{33333333-1a2b-1a2b-1a2b-1a2b3c4d5e6f}:*",
                    },
                },
            })
        );
    }

    #[test]
    fn development_trusts_any_step_of_the_repository() {
        let trust = trust(RawTrust::default(), Environment::Development).unwrap();
        let policy = trust.policy("aws", None).to_string();
        for expected in [
            "\"{22222222-1a2b-1a2b-1a2b-1a2b3c4d5e6f}:*\"",
            "arn:aws:iam::AWS_ACCOUNT_ID:oidc-provider/",
        ] {
            assert!(policy.contains(expected), "{policy}");
        }
    }

    #[test]
    fn missing_and_malformed_flags_are_reported() {
        let none = RawTrust::default();
        let missing = TrustPolicy::new(RawTrust::default(), &none, Environment::Development);
        assert_eq!(missing.unwrap_err().len(), 3);
        let flags = RawTrust {
            bitbucket_repo_uuid: Some("acme/site".to_owned()),
            bitbucket_workspace: Some("acme/*".to_owned()),
            ..RawTrust::default()
        };
        let malformed = trust(flags, Environment::Development);
        assert_eq!(malformed.unwrap_err().len(), 2);
    }
}
