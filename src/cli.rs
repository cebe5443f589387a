//! The command line. A pipe has none; by hand it chooses the command, the environment and the dry run.

use clap::{Args, Parser, Subcommand};

use crate::settings::raw::RawTrust;
use crate::settings::{Flags, Purpose};

/// Publishes a built Mojito container to exactly the S3 keys it may write, and invalidates CloudFront.
///
/// All settings are environment variables; the README has a table of them. In the root of a Mojito repository, none but
/// credentials is needed.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
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
    /// Show who the credentials are and prove what they can and cannot write, changing nothing
    Check {
        /// Check what production needs; by hand, the default is development
        #[arg(long)]
        production: bool,
    },
    /// Print the least-privilege IAM policy for the same settings, as JSON
    Policy(PolicyArgs),
}

#[derive(Args, Debug)]
struct PublishArgs {
    /// Publish to production; by hand, the default is development
    #[arg(long)]
    production: bool,
    /// Say what would happen and what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
struct PolicyArgs {
    /// The policy for production; by hand, the default is development
    #[arg(long)]
    production: bool,
    /// Print the trust policy of a role for Bitbucket's OIDC instead
    #[arg(long)]
    trust: bool,
    /// The workspace whose pipelines are trusted
    #[arg(long, requires = "trust", value_name = "ID")]
    workspace: Option<String>,
    /// The workspace's UUID
    #[arg(long, requires = "trust", value_name = "UUID")]
    workspace_uuid: Option<String>,
    /// The UUID of the repository whose steps are trusted
    #[arg(long, requires = "trust", value_name = "UUID")]
    repository_uuid: Option<String>,
    /// The UUID of the deployment environment whose steps are trusted
    #[arg(long, requires = "trust", value_name = "UUID")]
    environment_uuid: Option<String>,
}

/// What to do, and with which flags.
pub(crate) enum Command {
    Publish(Flags),
    Check(Flags),
    /// With the flags of `--trust`, if the trust policy is to be printed.
    Policy(Flags, Option<RawTrust>),
}

impl Cli {
    pub(crate) fn into_command(self) -> Command {
        let mut flags = Flags::default();
        match self.command.unwrap_or(CliCommand::Publish(self.publish)) {
            CliCommand::Publish(arguments) => {
                flags.production = arguments.production;
                flags.dry_run = arguments.dry_run;
                Command::Publish(flags)
            }
            CliCommand::Check { production } => {
                flags.production = production;
                flags.purpose = Purpose::Check;
                Command::Check(flags)
            }
            CliCommand::Policy(arguments) => {
                flags.production = arguments.production;
                flags.purpose = Purpose::Policy;
                let trust = arguments.trust.then_some(RawTrust {
                    bitbucket_workspace: arguments.workspace,
                    bitbucket_repo_owner_uuid: arguments.workspace_uuid,
                    bitbucket_repo_uuid: arguments.repository_uuid,
                    bitbucket_deployment_environment_uuid: arguments.environment_uuid,
                });
                Command::Policy(flags, trust)
            }
        }
    }
}
