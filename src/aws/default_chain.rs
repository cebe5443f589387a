//! AWS's default credential provider chain, composed of the SDK's own providers, so that the one that fails is known.
//!
//! A failure is not shown in the words of a credential process, or of the service of a container or an instance: they are no
//! documented errors, and may quote credentials that were never registered as secrets.

use std::collections::HashSet;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::credentials::EnvironmentVariableCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::{Profile, ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::Credentials;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_types::os_shim_internal::{Env, Fs};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::config::OPERATION_TIMEOUT;
use super::credential_check::{check, NoCredentials, REMEDY};
use super::credential_requests::registering;
use crate::common::causes::{causes, chain};
use crate::common::printable::sanitize;

/// The EC2 instance metadata service responds in a millisecond or does not exist. CI must not wait for it.
const INSTANCE_METADATA_TIMEOUT: Duration = Duration::from_millis(250);

/// Where the chain looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    Environment,
    Profile,
    WebIdentity,
    Container,
    Instance,
}

/// The credentials, and where they come from, as a phrase.
pub(super) async fn resolve(
    profile: Option<&str>,
    config: &SdkConfig,
) -> Result<(Credentials, String), NoCredentials> {
    let (owned_profile, config) = (profile.map(str::to_owned), config.clone());
    let runtime = Handle::current();
    // On another thread, as the SDK reads files without yielding: if one hangs, no time limit of this thread would be heard.
    let resolving =
        spawn_blocking(move || runtime.block_on(first(owned_profile.as_deref(), &config)));
    // The SDK sets no timeout for `credential_process`.
    match timeout(OPERATION_TIMEOUT, resolving).await {
        Ok(resolved) => resolved.expect("a panic ends the process"),
        Err(_) => Err(NoCredentials {
            reason: format!("none came within {} s", OPERATION_TIMEOUT.as_secs()) + &named(profile),
            remedy: REMEDY,
        }),
    }
}

/// The first credentials in the order of AWS's tools. What fails is not passed over.
async fn first(
    profile: Option<&str>,
    config: &SdkConfig,
) -> Result<(Credentials, String), NoCredentials> {
    for (source, provider) in providers(profile, config) {
        let profiles = match source {
            Source::Profile => Profiles::load(profile).await,
            _ => Profiles::default(),
        };
        profiles.check()?;
        match provider.provide_credentials().await {
            Ok(credentials) => return Ok((credentials, source.phrase(&profiles))),
            Err(CredentialsError::CredentialsNotLoaded(_)) => {}
            Err(error) => return Err(failed(source, &profiles, &error)),
        }
    }
    Err(match profile {
        Some(profile) => NoCredentials {
            reason: format!(
                "the AWS profile `{}` (`AWS_PROFILE`) does not exist or has none",
                sanitize(profile)
            ),
            remedy: "check the profile's name, and `~/.aws/config` and `~/.aws/credentials`",
        },
        None => NoCredentials {
            reason: "checked `AWS_ACCESS_KEY_ID`, the AWS profile and its SSO session, web identity, container role and instance role".to_owned(),
            remedy: REMEDY,
        },
    })
}

fn providers(
    profile: Option<&str>,
    config: &SdkConfig,
) -> [(Source, Box<dyn ProvideCredentials>); 5] {
    let mut conf = ProviderConfig::without_region().with_region(config.region().cloned());
    if let Some(client) = config.http_client() {
        conf = conf.with_http_client(registering(client));
    }
    if let Some(timeouts) = config.timeout_config() {
        conf = conf.with_timeout_config(timeouts.clone());
    }
    let metadata = imds::Client::builder()
        .configure(&conf)
        .connect_timeout(INSTANCE_METADATA_TIMEOUT)
        .read_timeout(INSTANCE_METADATA_TIMEOUT)
        .max_attempts(1)
        .build();
    let mut of_profile = ProfileFileCredentialsProvider::builder().configure(&conf);
    if let Some(profile) = profile {
        of_profile = of_profile.profile_name(profile);
    }
    let environment = EnvironmentVariableCredentialsProvider::new();
    let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(&conf);
    let container = EcsCredentialsProvider::builder().configure(&conf);
    let instance = ImdsCredentialsProvider::builder().configure(&conf);
    [
        (Source::Environment, Box::new(environment)),
        (Source::Profile, Box::new(of_profile.build())),
        (Source::WebIdentity, Box::new(web_identity.build())),
        (Source::Container, Box::new(container.build())),
        (
            Source::Instance,
            Box::new(instance.imds_client(metadata).build()),
        ),
    ]
}

impl Source {
    fn phrase(self, profiles: &Profiles) -> String {
        match self {
            Self::Environment => "the variables".to_owned(),
            Self::Profile => profiles.phrase(),
            Self::WebIdentity => "the web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`)".to_owned(),
            Self::Container => "the container's credentials service (`AWS_CONTAINER_CREDENTIALS_FULL_URI` or `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`)".to_owned(),
            Self::Instance => "the metadata service of the EC2 instance".to_owned(),
        }
    }
}

fn failed(source: Source, profiles: &Profiles, error: &CredentialsError) -> NoCredentials {
    let phrase = source.phrase(profiles);
    let is_of_service = matches!(source, Source::Container | Source::Instance);
    match source {
        _ if is_documented(error) => NoCredentials {
            reason: format!("{phrase} failed: {}", causes(error)),
            remedy: REMEDY,
        },
        Source::Profile if profiles.have("credential_process") => NoCredentials {
            reason: format!("{phrase} failed or printed no credentials{}", status(error)),
            remedy: "run its command by hand to see why; its output is not shown here, as it may hold secrets",
        },
        _ if is_of_service || profiles.have("credential_source") => NoCredentials {
            reason: format!("{phrase} sent none"),
            remedy: "set `DEBUG` to `true` to see its status; its response is never shown, as it may hold secrets",
        },
        _ => NoCredentials {
            reason: format!("{phrase} failed: {}", causes(error)),
            remedy: REMEDY,
        },
    }
}

/// Whether an error is the network's, or STS's where a role is assumed with a profile's credentials.
fn is_documented(error: &CredentialsError) -> bool {
    chain(error).any(|error| {
        error.is::<ConnectorError>() || error.is::<SdkError<AssumeRoleError, HttpResponse>>()
    })
}

/// How a credential process exited, which the SDK says before it quotes its standard error.
fn status(error: &CredentialsError) -> String {
    let text = chain(error).map(ToString::to_string).find_map(|text| {
        let (before, _) = text.split_once(". Stderr: ")?;
        let (_, status) = before.split_once("exited with code ")?;
        Some(format!(" ({})", sanitize(status)))
    });
    text.unwrap_or_default()
}

/// The profile that is used, and those that it takes its credentials from.
#[derive(Default)]
struct Profiles(Vec<Profile>);

impl Profiles {
    /// Empty if there are none, of which the provider says why.
    async fn load(name: Option<&str>) -> Self {
        let (fs, env) = (Fs::real(), Env::real());
        let name = name.map(|name| name.to_owned().into());
        let set = aws_config::profile::load(&fs, &env, &<_>::default(), name).await;
        set.map_or_else(|_| Self::default(), |set| Self::of(&set))
    }

    fn of(set: &ProfileSet) -> Self {
        let mut profiles = Vec::new();
        let mut seen = HashSet::new();
        let mut next = set.get_profile(set.selected_profile());
        while let Some(profile) = next.filter(|profile| seen.insert(profile.name())) {
            profiles.push(profile.clone());
            let source = profile.get("source_profile");
            next = source.and_then(|name| set.get_profile(name));
        }
        Self(profiles)
    }

    /// Checks static keys before a role is assumed with them, which the SDK does by itself.
    fn check(&self) -> Result<(), NoCredentials> {
        let get = |name| self.0.last().and_then(|it| it.get(name));
        let (id, secret) = (get("aws_access_key_id"), get("aws_secret_access_key"));
        let token = get("aws_session_token").map(str::to_owned);
        let (Some(id), Some(secret)) = (id, secret) else {
            return Ok(());
        };
        let keys = Credentials::new(id, secret, token, None, "profile");
        check(&keys, &self.phrase())
    }

    fn have(&self, property: &str) -> bool {
        self.0.iter().any(|it| it.get(property).is_some())
    }

    fn phrase(&self) -> String {
        let name = self.0.first().map_or("default", Profile::name);
        let name = sanitize(name);
        if self.have("credential_process") {
            format!("the `credential_process` of the AWS profile `{name}`")
        } else {
            format!("the AWS profile `{name}`")
        }
    }
}

fn named(profile: Option<&str>) -> String {
    let named = profile.map(|name| format!(" (`AWS_PROFILE` is `{}`)", sanitize(name)));
    named.unwrap_or_default()
}
