//! The raw settings: every variable that is read, as text, under its own name.
//!
//! This is the one list of them: nothing else in the program reads the environment. `pipe.yml` and the README's table are held against it by a test.

use serde::Deserialize;

/// The settings, before anything is known of their values.
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
    pub(crate) container_name: Option<String>,
    pub(crate) s3_bucket: Option<String>,
    pub(crate) s3_prefix: Option<String>,
    pub(crate) local_path: Option<String>,
    pub(crate) pretty: Option<String>,
    pub(crate) distribution_id: Option<String>,
    pub(crate) cdn_prefix: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) acl: Option<String>,
    pub(crate) wait: Option<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) only_newer: Option<String>,
    pub(crate) max_size: Option<String>,
    pub(crate) validate: Option<String>,
    pub(crate) dry_run: Option<String>,
    pub(crate) debug: Option<String>,
}

/// The settings that every AWS tool has, as far as they are looked at here; AWS's SDK reads them itself.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawAws {
    pub(crate) aws_endpoint_url: Option<String>,
    pub(crate) aws_endpoint_url_s3: Option<String>,
    pub(crate) aws_endpoint_url_cloudfront: Option<String>,
    pub(crate) aws_endpoint_url_sts: Option<String>,
    pub(crate) aws_profile: Option<String>,
    pub(crate) https_proxy: Option<String>,
    pub(crate) aws_ca_bundle: Option<String>,
}

/// What Bitbucket and the terminal say of the run; nobody sets these by hand.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawBuild {
    pub(crate) ci: Option<String>,
    pub(crate) no_color: Option<String>,
    pub(crate) bitbucket_branch: Option<String>,
    pub(crate) bitbucket_build_number: Option<String>,
    pub(crate) bitbucket_commit: Option<String>,
    pub(crate) bitbucket_deployment_environment: Option<String>,
    pub(crate) bitbucket_pipe_shared_storage_dir: Option<String>,
    pub(crate) bitbucket_pipe_storage_dir: Option<String>,
    pub(crate) bitbucket_pr_id: Option<String>,
    pub(crate) bitbucket_repo_full_name: Option<String>,
    pub(crate) bitbucket_step_oidc_token: Option<String>,
    pub(crate) bitbucket_step_run_number: Option<String>,
    pub(crate) bitbucket_tag: Option<String>,
}

/// Who a role trusts: Bitbucket's own variables, which the flags of `policy --trust` stand in for by hand.
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
