//! The raw settings: every variable that is read, as text, under its own name.
//!
//! This is the only list of them; nothing else in the program reads the environment. Unit tests hold `pipe.yml` and the
//! README to it.

use super::problems::InvalidSetting;
use super::variables::Variables;

/// The environment, as far as it matters here. It is read once, when the program starts.
pub(crate) struct Raw {
    pub(crate) settings: RawSettings,
    pub(crate) aws: RawAws,
    pub(crate) build: RawBuild,
    pub(crate) trust: RawTrust,
}

impl Raw {
    /// Reads the environment of the process. This must be called before any thread is started.
    pub(crate) fn of_process() -> Self {
        Self::read(&Variables::of_process())
    }

    pub(crate) fn read(variables: &Variables) -> Self {
        Self {
            settings: RawSettings::read(variables),
            aws: RawAws::read(variables),
            build: RawBuild::read(variables),
            trust: RawTrust::read(variables),
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
        secrets.into_iter().flatten().cloned()
    }
}

#[cfg(any(test, fuzzing))]
impl<'a> FromIterator<(&'a str, &'a str)> for Raw {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(variables: T) -> Self {
        Self::read(&variables.into_iter().collect())
    }
}

/// The variable's value, or nothing.
type Text = Option<String>;
/// A list in either of its forms. Only its form can be invalid here.
type List = Result<Vec<String>, InvalidSetting>;

/// What a field can be.
trait FromVariable {
    fn read(variables: &Variables, name: &str) -> Self;
}

impl FromVariable for Text {
    fn read(variables: &Variables, name: &str) -> Self {
        variables.get(name).map(str::to_owned)
    }
}

impl FromVariable for List {
    fn read(variables: &Variables, name: &str) -> Self {
        variables.list(name)
    }
}

/// A struct whose fields are the names of variables in lower case.
macro_rules! raw {
    (
        $(#[$meta:meta])*
        struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)+
        }
    ) => {
        $(#[$meta])*
        pub(crate) struct $name {
            $($(#[$field_meta])* pub(crate) $field: $type,)+
        }

        impl $name {
            fn read(variables: &Variables) -> Self {
                Self {
                    $($field: FromVariable::read(variables, &stringify!($field).to_ascii_uppercase()),)+
                }
            }

            /// The names of the variables.
            #[cfg(test)]
            pub(crate) fn names() -> Vec<String> {
                [$(stringify!($field)),+].map(str::to_ascii_uppercase).into()
            }
        }
    };
}

raw! {
    /// The settings of `pipe.yml`, in its order.
    struct RawSettings {
        aws_access_key_id: Text,
        aws_secret_access_key: Text,
        aws_session_token: Text,
        aws_oidc_role_arn: Text,
        aws_default_region: Text,
        aws_region: Text,
        aws_account_id: Text,
        environment: Text,
        container_name: List,
        s3_bucket: Text,
        s3_prefix: Text,
        local_path: Text,
        pretty: Text,
        distribution_id: List,
        cdn_prefix: Text,
        cache_control: Text,
        acl: Text,
        wait: Text,
        public_url: Text,
        only_newer: Text,
        max_size: Text,
        validate: Text,
        dry_run: Text,
        debug: Text,
    }
}

raw! {
    /// The settings that every AWS tool has, as far as they are validated or used here. AWS's SDK reads them itself.
    struct RawAws {
        aws_endpoint_url: Text,
        aws_endpoint_url_s3: Text,
        aws_endpoint_url_cloudfront: Text,
        aws_endpoint_url_sts: Text,
        aws_profile: Text,
        https_proxy: Text,
        aws_ca_bundle: Text,
    }
}

raw! {
    /// Variables that Bitbucket and the terminal set. Nobody sets these by hand.
    #[derive(Default)]
    struct RawBuild {
        ci: Text,
        no_color: Text,
        bitbucket_branch: Text,
        bitbucket_build_number: Text,
        bitbucket_commit: Text,
        bitbucket_deployment_environment: Text,
        bitbucket_pipe_shared_storage_dir: Text,
        bitbucket_pipe_storage_dir: Text,
        bitbucket_pr_id: Text,
        bitbucket_repo_full_name: Text,
        bitbucket_step_oidc_token: Text,
        bitbucket_step_run_number: Text,
        bitbucket_tag: Text,
    }
}

raw! {
    /// Who may assume a role: Bitbucket's own variables, or by hand the flags of `policy --trust`.
    #[derive(Default)]
    #[expect(clippy::struct_field_names, reason = "they are the names of the variables")]
    struct RawTrust {
        bitbucket_workspace: Text,
        /// The UUID of the workspace, which owns the repository.
        bitbucket_repo_owner_uuid: Text,
        bitbucket_repo_uuid: Text,
        bitbucket_deployment_environment_uuid: Text,
    }
}
