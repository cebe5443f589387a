//! The trust policy of a role for Bitbucket's `OpenID` Connect: which pipeline steps may assume it.

use serde_json::{json, Value};

use crate::settings::oidc_token::Claims;
use crate::settings::problems::InvalidSetting;
use crate::settings::raw::RawTrust;

/// The issuer of a workspace's tokens, before and after its id.
const ISSUER_START: &str = "https://api.bitbucket.org/2.0/workspaces/";
const ISSUER_END: &str = "/pipelines-config/identity/oidc";

/// Who may assume the role, as Bitbucket's tokens have it: IAM compares case.
#[derive(Debug)]
pub(crate) struct TrustPolicy {
    workspace: String,
    audiences: Vec<String>,
    /// A UUID, without braces.
    repository_uuid: String,
    /// Only steps with this `deployment:` may assume the role. `None` if any step of the repository may.
    environment_uuid: Option<String>,
}

/// The flags of `policy --trust`.
#[derive(Default)]
pub(crate) struct TrustFlags {
    /// In place of Bitbucket's variables.
    pub(crate) variables: RawTrust,
    /// Whether every step of the repository is trusted.
    pub(crate) any_environment: bool,
}

impl TrustPolicy {
    /// Who a step is, by its token. `None` if the token is not one of Bitbucket's.
    ///
    /// Steps have UUIDs of their own, so every step of the same repository, and deployment environment if it has one, is meant.
    pub(crate) fn of_step(claims: &Claims) -> Option<Self> {
        let workspace = claims.issuer.strip_prefix(ISSUER_START)?;
        let workspace = workspace.strip_suffix(ISSUER_END)?;
        let uuids: Vec<&str> = claims.subject.split(':').collect();
        let (repository, environment) = match uuids[..] {
            [repository, _] => (repository, None),
            [repository, environment, _] => (repository, Some(environment)),
            _ => return None,
        };
        let is_of_bitbucket = is_slug(workspace)
            && uuids.iter().all(|uuid| is_uuid(uuid))
            && !claims.audiences.is_empty()
            && claims.audiences.iter().all(|it| is_audience(it));
        is_of_bitbucket.then(|| Self {
            workspace: workspace.to_owned(),
            audiences: claims.audiences.clone(),
            repository_uuid: bare(repository).to_owned(),
            environment_uuid: environment.map(|uuid| bare(uuid).to_owned()),
        })
    }

    /// Flags take precedence over the step's token, and that over Bitbucket's variables. A role is limited to its deployment
    /// environment, unless the flags say otherwise.
    pub(crate) fn new(
        flags: TrustFlags,
        raw: &RawTrust,
        token: Option<&str>,
    ) -> Result<Self, Vec<InvalidSetting>> {
        let any_environment = flags.any_environment;
        let flags = flags.variables;
        let step = token.and_then(Claims::of);
        let step = step.as_ref().and_then(Self::of_step);
        let of_step = |get: fn(&Self) -> Option<&String>| step.as_ref().and_then(get).cloned();
        let mut problems = Vec::new();
        let workspace = valid(
            &mut problems,
            "--workspace",
            flags
                .bitbucket_workspace
                .or_else(|| of_step(|it| Some(&it.workspace)))
                .or_else(|| raw.bitbucket_workspace.clone()),
            "it is the part after `bitbucket.org/` in the repository's URL (`BITBUCKET_WORKSPACE` in a pipeline)",
            is_slug,
            "a workspace id such as `acme`",
        );
        let mut uuid = |flag, value: Option<String>, variable: &Option<String>, hint| {
            let value = value.or_else(|| variable.clone());
            let expected = "a UUID such as `{1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f}`";
            let uuid = valid(&mut problems, flag, value, hint, is_uuid, expected);
            uuid.map(|uuid| bare(&uuid).to_owned())
        };
        let of_token = step.as_ref().map(|it| it.audiences.clone());
        let audiences = match (flags.bitbucket_repo_owner_uuid, of_token) {
            (None, Some(audiences)) => Some(audiences),
            (flag, _) => uuid(
                "--workspace-uuid",
                flag,
                &raw.bitbucket_repo_owner_uuid,
                "see Repository settings > OpenID Connect (`BITBUCKET_REPO_OWNER_UUID` in a pipeline)",
            )
            .map(|uuid| vec![format!("ari:cloud:bitbucket::workspace/{uuid}")]),
        };
        let repository_uuid = uuid(
            "--repository-uuid",
            flags
                .bitbucket_repo_uuid
                .or_else(|| of_step(|it| Some(&it.repository_uuid))),
            &raw.bitbucket_repo_uuid,
            "see Repository settings > OpenID Connect (`BITBUCKET_REPO_UUID` in a pipeline)",
        );
        let environment_uuid = if any_environment {
            None
        } else {
            uuid(
                "--environment-uuid",
                flags
                    .bitbucket_deployment_environment_uuid
                    .or_else(|| of_step(|it| it.environment_uuid.as_ref())),
                &raw.bitbucket_deployment_environment_uuid,
                "see Repository settings > OpenID Connect (`BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID` in a step with `deployment:`)\n\
                 if every step of the repository may publish, of any branch, give `--any-environment` instead",
            )
        };
        match (workspace, audiences, repository_uuid) {
            (Some(workspace), Some(audiences), Some(repository_uuid)) if problems.is_empty() => {
                Ok(Self {
                    workspace,
                    audiences,
                    repository_uuid,
                    environment_uuid,
                })
            }
            _ => Err(problems),
        }
    }

    /// Whether only steps of one deployment environment are trusted.
    pub(crate) fn is_of_environment(&self) -> bool {
        self.environment_uuid.is_some()
    }

    /// The policy. Bitbucket's subject claim has literal braces, and includes the environment only if the step has one.
    pub(crate) fn policy(&self, partition: &str, account_id: &str) -> Value {
        let issuer = self.issuer();
        let provider = issuer.trim_start_matches("https://");
        let audience = match &self.audiences[..] {
            [one] => json!(one),
            several => json!(several),
        };
        let subject = match &self.environment_uuid {
            Some(environment) => format!("{{{}}}:{{{environment}}}:*", self.repository_uuid),
            None => format!("{{{}}}:*", self.repository_uuid),
        };
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "BitbucketPipelines",
                "Effect": "Allow",
                "Principal": {"Federated": self.provider_arn(partition, account_id)},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {format!("{provider}:aud"): audience},
                    "StringLike": {format!("{provider}:sub"): subject},
                },
            }],
        })
    }

    fn issuer(&self) -> String {
        format!("{ISSUER_START}{}{ISSUER_END}", self.workspace)
    }

    /// The ARN of the identity provider that IAM must have.
    pub(crate) fn provider_arn(&self, partition: &str, account_id: &str) -> String {
        let issuer = self.issuer();
        let provider = issuer.trim_start_matches("https://");
        format!("arn:{partition}:iam::{account_id}:oidc-provider/{provider}")
    }

    /// What the policy cannot see, for whoever relies on it.
    pub(crate) fn notes(&self) -> [&'static str; 2] {
        [
            match self.environment_uuid {
                Some(_) => {
                    "the role is only as safe as the branches and people that Bitbucket lets deploy\n\
                     to this environment (Repository settings > Deployments): AWS cannot see the\n\
                     branch of a step. Secured variables of the environment are no different"
                }
                None => {
                    "every step of the repository may assume the role, of any branch and pull\n\
                     request; `--environment-uuid` limits it to one deployment environment"
                }
            },
            "whoever may invalidate may invalidate `/*`: IAM knows no paths",
        ]
    }
}

/// The value in lower case, after adding a problem if it is invalid or missing.
fn valid(
    problems: &mut Vec<InvalidSetting>,
    flag: &'static str,
    value: Option<String>,
    hint: &str,
    is_valid: fn(&str) -> bool,
    expected: &str,
) -> Option<String> {
    match &value {
        Some(value) if is_valid(value) => {}
        Some(value) => problems.push(InvalidSetting::value(flag, value, expected)),
        None => problems.push(InvalidSetting::lines(flag, &format!("is missing\n{hint}"))),
    }
    value.map(|value| value.to_ascii_lowercase())
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

/// Whether it is an audience that may stand in a command of a shell.
fn is_audience(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b":/._@-".contains(&byte);
    !text.is_empty() && text.bytes().all(is_valid)
}

fn is_slug(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !matches!(text, "" | "." | "..") && text.bytes().all(is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::raw::Raw;

    const WORKSPACE: &str = "{11111111-1A2B-1A2B-1a2b-1a2b3c4d5e6f}";
    const REPOSITORY: &str = "22222222-1a2b-1a2b-1a2b-1a2b3c4d5e6f";
    const ENVIRONMENT: &str = "{33333333-1a2b-1a2b-1a2b-1A2B3C4D5E6F}";

    /// The policy that these flags and the three variables make.
    fn trust(flags: TrustFlags) -> Result<TrustPolicy, Vec<InvalidSetting>> {
        let variables = [
            ("BITBUCKET_WORKSPACE", "Acme"),
            ("BITBUCKET_REPO_OWNER_UUID", WORKSPACE),
            ("BITBUCKET_REPO_UUID", REPOSITORY),
        ];
        let raw: Raw = variables.into_iter().collect();
        TrustPolicy::new(flags, &raw.trust, None)
    }

    #[test]
    fn only_steps_of_the_deployment_environment_are_trusted_by_the_names_that_tokens_have() {
        let mut flags = TrustFlags::default();
        flags.variables.bitbucket_deployment_environment_uuid = Some(ENVIRONMENT.to_owned());
        let trust = trust(flags).unwrap();
        let provider = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc";
        assert_eq!(
            trust.policy("aws", "123456789012")["Statement"][0],
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
    fn any_step_of_the_repository_is_trusted_only_if_the_flags_say_so() {
        let flags = TrustFlags {
            any_environment: true,
            ..TrustFlags::default()
        };
        let policy = trust(flags).unwrap().policy("aws", "123456789012");
        let subject = "\"{22222222-1a2b-1a2b-1a2b-1a2b3c4d5e6f}:*\"";
        assert!(policy.to_string().contains(subject), "{policy}");
        let problems = trust(TrustFlags::default()).unwrap_err();
        assert_eq!(problems.len(), 1);
        let problem = problems[0].to_string();
        assert!(problem.starts_with("`--environment-uuid` is missing"));
    }

    #[test]
    fn missing_and_malformed_flags_are_reported() {
        let missing = TrustPolicy::new(TrustFlags::default(), &RawTrust::default(), None);
        assert_eq!(missing.unwrap_err().len(), 4);
        for workspace in ["acme/*", "acme/site", "", ".", ".."] {
            let variables = RawTrust {
                bitbucket_repo_uuid: Some("acme/site".to_owned()),
                bitbucket_workspace: Some(workspace.to_owned()),
                ..RawTrust::default()
            };
            let flags = TrustFlags {
                variables,
                any_environment: true,
            };
            assert_eq!(trust(flags).unwrap_err().len(), 2);
        }
    }
}
