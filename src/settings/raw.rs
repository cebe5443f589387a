//! The raw settings: every variable that is read, as text, under its own name.
//!
//! This is the only list of them; nothing else in the program reads the environment. Unit tests hold `pipe.yml` and the
//! README to it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::unreplaced;
use super::variables::{names_of, Variables};

/// The longest access key id. AWS's have 20 characters, other stores' up to these.
const MAX_KEY_ID: usize = 32;

/// The variables that the HTTP client takes a proxy from, which may have a password.
const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The environment, as far as it matters here. It is read once, when the program starts.
pub(crate) struct Raw {
    pub(crate) settings: RawSettings,
    pub(crate) aws: RawAws,
    pub(crate) build: RawBuild,
    pub(crate) trust: RawTrust,
    /// For the settings that are lists, and for names that are none.
    pub(super) variables: Variables,
    /// The settings whose value is the name of a variable that is not defined, and that name. They count as unset.
    pub(super) unreplaced: BTreeMap<String, String>,
}

impl Raw {
    /// Reads the environment of the process. This must be called before any thread is started.
    pub(crate) fn of_process() -> Self {
        Self::read(Variables::of_process())
    }

    fn read(mut variables: Variables) -> Self {
        let unreplaced = unreplaced::take(&mut variables, &names());
        Self {
            unreplaced,
            settings: variables.read(),
            aws: variables.read(),
            build: variables.read(),
            trust: variables.read(),
            variables,
        }
    }

    /// Whether `DEBUG` is on. This is needed before the settings are validated, so an invalid value means no.
    pub(crate) fn debug(&self) -> bool {
        let debug = self.settings.debug.as_deref();
        debug.is_some_and(|debug| debug.eq_ignore_ascii_case("true"))
    }

    /// The values that must never be printed.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = String> + '_ {
        let secrets = [
            &self.settings.aws_secret_access_key,
            &self.settings.aws_session_token,
            &self.build.bitbucket_step_oidc_token,
        ];
        // A secret in its place.
        let id = self.settings.aws_access_key_id.as_ref();
        let id = id.filter(|id| id.len() > MAX_KEY_ID);
        let proxies = PROXIES.into_iter();
        let proxies = proxies.filter_map(|name| self.variables.get(name));
        let passwords = proxies.filter_map(password_of_url);
        secrets
            .into_iter()
            .flatten()
            .chain(id)
            .cloned()
            .chain(passwords)
    }
}

/// The password in a URL, decoded.
fn password_of_url(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (user, _) = rest.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    let password = percent_encoding::percent_decode_str(password);
    Some(password.decode_utf8_lossy().into_owned())
}

#[cfg(any(test, fuzzing))]
impl<'a> FromIterator<(&'a str, &'a str)> for Raw {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(variables: T) -> Self {
        Self::read(variables.into_iter().collect())
    }
}

/// The names of all settings, those of AWS's tools last.
pub(super) fn names() -> Vec<String> {
    [names_of::<RawSettings>(), names_of::<RawAws>()].concat()
}

/// The settings of `pipe.yml`, in its order.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawSettings {
    pub(crate) aws_access_key_id: Option<String>,
    pub(crate) aws_secret_access_key: Option<String>,
    pub(crate) aws_session_token: Option<String>,
    pub(crate) aws_oidc_role_arn: Option<String>,
    pub(crate) aws_default_region: Option<String>,
    pub(crate) aws_region: Option<String>,
    pub(crate) aws_account_id: Option<String>,
    pub(crate) environment: Option<String>,
    /// Read as a list: see `Variables::list`.
    pub(crate) container_name: Option<String>,
    pub(crate) command: Option<String>,
    pub(crate) s3_bucket: Option<String>,
    pub(crate) s3_prefix: Option<String>,
    pub(crate) local_path: Option<String>,
    pub(crate) pretty: Option<String>,
    /// Read as a list: see `Variables::list`.
    pub(crate) distribution_id: Option<String>,
    pub(crate) invalidate_variants: Option<String>,
    pub(crate) cdn_prefix: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) acl: Option<String>,
    pub(crate) wait: Option<String>,
    pub(crate) metadata: Option<String>,
    pub(crate) kms_key_arn: Option<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) code_insights: Option<String>,
    pub(crate) only_newer: Option<String>,
    pub(crate) rollback_to: Option<String>,
    pub(crate) max_size: Option<String>,
    pub(crate) validate: Option<String>,
    pub(crate) dry_run: Option<String>,
    pub(crate) debug: Option<String>,
}

/// The settings that every AWS tool has, as far as they are validated or used here. AWS's SDK reads them itself.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawAws {
    pub(crate) aws_endpoint_url: Option<String>,
    pub(crate) aws_endpoint_url_s3: Option<String>,
    pub(crate) aws_endpoint_url_cloudfront: Option<String>,
    pub(crate) aws_endpoint_url_sts: Option<String>,
    pub(crate) aws_profile: Option<String>,
    pub(crate) aws_web_identity_token_file: Option<String>,
    pub(crate) aws_container_credentials_full_uri: Option<String>,
    pub(crate) aws_container_credentials_relative_uri: Option<String>,
    pub(crate) https_proxy: Option<String>,
    pub(crate) aws_ca_bundle: Option<String>,
}

/// Variables that Bitbucket and the terminal set. Nobody sets these by hand.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawBuild {
    pub(crate) ci: Option<String>,
    pub(crate) no_color: Option<String>,
    pub(crate) bitbucket_branch: Option<String>,
    pub(crate) bitbucket_build_number: Option<String>,
    pub(crate) bitbucket_clone_dir: Option<String>,
    pub(crate) bitbucket_commit: Option<String>,
    pub(crate) bitbucket_deployment_environment: Option<String>,
    pub(crate) bitbucket_pipe_shared_storage_dir: Option<String>,
    pub(crate) bitbucket_pipe_storage_dir: Option<String>,
    pub(crate) bitbucket_pipelines_variables_path: Option<String>,
    pub(crate) bitbucket_pr_id: Option<String>,
    pub(crate) bitbucket_repo_full_name: Option<String>,
    pub(crate) bitbucket_step_oidc_token: Option<String>,
    pub(crate) bitbucket_step_run_number: Option<String>,
    pub(crate) bitbucket_tag: Option<String>,
    /// For tests: a proxy in place of the pipeline's.
    pub(crate) code_insights_proxy: Option<String>,
}

/// Who may assume a role: Bitbucket's own variables, or by hand the flags of `policy --trust`.
#[derive(Default, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_field_names,
    reason = "they are the names of the variables"
)]
pub(crate) struct RawTrust {
    pub(crate) bitbucket_workspace: Option<String>,
    /// The UUID of the workspace, which owns the repository.
    pub(crate) bitbucket_repo_owner_uuid: Option<String>,
    pub(crate) bitbucket_repo_uuid: Option<String>,
    pub(crate) bitbucket_deployment_environment_uuid: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_misplaced_secrets_are_secret() {
        let raw: Raw = [
            (
                "AWS_ACCESS_KEY_ID",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            ),
            (
                "HTTPS_PROXY",
                "http://me:pass%40word@proxy.example.com:3128",
            ),
        ]
        .into_iter()
        .collect();
        let secrets: Vec<String> = raw.secrets().collect();
        let expected = ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "pass@word"];
        assert_eq!(secrets, expected);
        for name in PROXIES {
            let raw: Raw = [(name, "me:pass%40word@proxy:3128")].into_iter().collect();
            assert_eq!(raw.secrets().collect::<Vec<_>>(), ["pass@word"], "{name}");
        }
        let raw: Raw = [
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("HTTPS_PROXY", "http://me@proxy:3128"),
        ]
        .into_iter()
        .collect();
        assert_eq!(raw.secrets().count(), 0);
    }
}
