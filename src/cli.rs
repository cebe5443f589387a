//! The command line. A pipe has none; by hand it chooses the command, the environment and the dry run.

use std::process;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{Args, Parser, Subcommand};

use crate::aws::trust_policy::TrustFlags;
use crate::common::layout::columns;
use crate::common::secrets;
use crate::exit;
use crate::report::console::{Console, Stream};
use crate::settings::help;
use crate::settings::purpose::Purpose;
use crate::settings::raw::{RawSettings, RawTrust};
use crate::settings::Flags;

/// Longer words than any flag or command are not shown where they are wrong.
const MAX_WORD: usize = 24;

/// Publishes a built Mojito container to S3 and invalidates CloudFront
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "--help lists the settings and the exit codes",
    after_long_help = after_long_help()
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<CliCommand>,
    #[command(flatten)]
    publish: PublishArgs,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Publish the container (the default)
    Publish(PublishArgs),
    /// Show whose the credentials are, and what they can and cannot write
    Check {
        #[command(flatten)]
        common: CommonArgs,
        /// Check what a rollback needs as well
        #[arg(long)]
        rollback: bool,
    },
    /// Put an earlier version back, from S3's own versions
    Rollback {
        #[command(flatten)]
        common: CommonArgs,
        /// The build number or S3 version ID; else the one before
        #[arg(long, value_name = "BUILD|ID")]
        to: Option<String>,
        /// Say what would happen and change, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the least-privilege IAM policy for these settings, as JSON
    Policy(PolicyArgs),
    /// Show what visitors get now, and the versions before it
    Status(CommonArgs),
    /// Print every setting with its value and where it comes from
    Settings(CommonArgs),
}

/// What most commands have.
#[derive(Args, Debug)]
struct CommonArgs {
    /// For production (by hand, the default is development)
    #[arg(long)]
    production: bool,
    /// Print the result as JSON, and the log on standard error
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct PublishArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Say what would happen and change, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag with a name of its own"
)]
struct PolicyArgs {
    /// For production (the default is development)
    #[arg(long)]
    production: bool,
    /// With what a rollback needs
    #[arg(long, conflicts_with = "trust")]
    rollback: bool,
    /// The trust policy of a role for Bitbucket's OIDC
    #[arg(long)]
    trust: bool,
    /// The workspace whose pipelines are trusted
    #[arg(long, requires = "trust", value_name = "ID")]
    workspace: Option<String>,
    /// The workspace's UUID
    #[arg(long, requires = "trust", value_name = "UUID")]
    workspace_uuid: Option<String>,
    /// The repository whose steps are trusted
    #[arg(long, requires = "trust", value_name = "UUID")]
    repository_uuid: Option<String>,
    /// The deployment environment that is trusted
    #[arg(long, requires = "trust", value_name = "UUID")]
    environment_uuid: Option<String>,
    /// Trust every step of the repository instead
    #[arg(long, requires = "trust", conflicts_with = "environment_uuid")]
    any_environment: bool,
}

/// The settings, the exit codes and where the documentation is.
fn after_long_help() -> String {
    let settings = help::SETTINGS.map(|(name, text)| (name.to_owned(), text));
    let of_aws = help::SETTINGS_OF_AWS.map(|(name, text)| (name.to_owned(), text));
    let exits = exit::MEANINGS.map(|(exit, text)| (exit.code().to_string(), text));
    format!(
        "Settings are environment variables:\n{}\nAs in every AWS tool:\n{}\nExit codes:\n{}\nDocumentation: {}",
        table(&settings),
        table(&of_aws),
        table(&exits),
        env!("CARGO_PKG_REPOSITORY")
    )
}

fn table(rows: &[(String, &str)]) -> String {
    let row = |(name, text): &(String, &str)| vec![name.clone(), (*text).to_owned()];
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    let rows = columns(&rows).into_iter();
    rows.flat_map(|row| ["  ".to_owned(), row, "\n".to_owned()])
        .collect()
}

/// What to do, and with which flags.
pub(crate) struct Command {
    pub(crate) purpose: Purpose,
    pub(crate) flags: Flags,
    /// The flags of `policy --trust`, if the trust policy is to be printed.
    pub(crate) trust: Option<TrustFlags>,
}

impl Command {
    /// Where the log goes: not where a command prints JSON.
    pub(crate) fn log_stream(&self) -> Stream {
        match self.purpose {
            Purpose::Policy | Purpose::Settings => Stream::Stderr,
            _ if self.flags.json => Stream::Stderr,
            _ => Stream::Stdout,
        }
    }
}

impl Cli {
    /// Parses the arguments of the process. Ends it if they are wrong, and for `--help` and `--version`.
    pub(crate) fn of_process() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            if error.use_stderr() {
                secrets::register(rejected(&error));
                Console::usage_error(&error.render().to_string());
                process::exit(error.exit_code());
            }
            error.exit()
        })
    }

    /// What to do. An invalid `COMMAND` is reported with all other settings, so that it does not matter here.
    pub(crate) fn into_command(self, raw: &RawSettings) -> Command {
        let (mut flags, mut trust) = (Flags::default(), None);
        let common = match self.command {
            None => {
                flags.dry_run = self.publish.dry_run;
                self.publish.common
            }
            Some(CliCommand::Publish(arguments)) => {
                flags.command = Some(Purpose::Publish);
                flags.dry_run = arguments.dry_run;
                arguments.common
            }
            Some(CliCommand::Check { common, rollback }) => {
                flags.command = Some(Purpose::Check);
                flags.for_rollback = rollback;
                common
            }
            Some(CliCommand::Rollback {
                common,
                to,
                dry_run,
            }) => {
                flags.command = Some(Purpose::Rollback);
                flags.to = to;
                flags.dry_run = dry_run;
                common
            }
            Some(CliCommand::Policy(arguments)) => {
                flags.command = Some(Purpose::Policy);
                flags.for_rollback = arguments.rollback;
                let production = arguments.production;
                trust = arguments.trust.then(|| arguments.into_trust());
                CommonArgs {
                    production,
                    json: false,
                }
            }
            Some(CliCommand::Status(common)) => {
                flags.command = Some(Purpose::Status);
                common
            }
            Some(CliCommand::Settings(common)) => {
                flags.command = Some(Purpose::Settings);
                common
            }
        };
        flags.production = common.production;
        flags.json = common.json;
        let purpose = Purpose::resolve(&flags, raw.command.as_deref());
        Command {
            purpose: purpose.ok().or(flags.command).unwrap_or_default(),
            flags,
            trust,
        }
    }
}

impl PolicyArgs {
    fn into_trust(self) -> TrustFlags {
        TrustFlags {
            variables: RawTrust {
                bitbucket_workspace: self.workspace,
                bitbucket_repo_owner_uuid: self.workspace_uuid,
                bitbucket_repo_uuid: self.repository_uuid,
                bitbucket_deployment_environment_uuid: self.environment_uuid,
            },
            any_environment: self.any_environment,
        }
    }
}

/// What is wrong in the arguments and not a word, such as a misspelled flag. It may be a secret.
fn rejected(error: &Error) -> impl Iterator<Item = &str> {
    let is_word = |text: &str| {
        let is_of_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        text.len() < MAX_WORD && text.bytes().all(is_of_word)
    };
    let is_rejected = |kind| match kind {
        ContextKind::InvalidSubcommand | ContextKind::InvalidValue | ContextKind::TrailingArg => {
            true
        }
        ContextKind::InvalidArg => error.kind() == ErrorKind::UnknownArgument,
        _ => false,
    };
    let rejected = error.context().filter(move |(kind, _)| is_rejected(*kind));
    let texts = rejected.flat_map(|(_, value)| match value {
        ContextValue::String(text) => std::slice::from_ref(text),
        ContextValue::Strings(texts) => texts,
        _ => &[],
    });
    texts.map(String::as_str).filter(move |text| !is_word(text))
}
