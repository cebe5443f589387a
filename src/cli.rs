//! The command line. A pipe has none; by hand it chooses the environment and the dry run.

use clap::{Args, Parser, Subcommand};

use crate::settings::Flags;

/// Publishes a built Mojito container to exactly the S3 keys it may write, and invalidates CloudFront.
///
/// All settings are environment variables; the README has a table of them. In the root of a Mojito repository, none but
/// credentials is needed.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    publish: PublishArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish the container (the default)
    Publish(PublishArgs),
}

#[derive(Args, Clone, Copy, Debug)]
struct PublishArgs {
    /// Publish to production; by hand, the default is development
    #[arg(long)]
    production: bool,
    /// Say what would happen, and write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Cli {
    pub(crate) fn flags(&self) -> Flags {
        let of_command = self
            .command
            .as_ref()
            .map(|Command::Publish(arguments)| arguments);
        let given =
            |flag: fn(&PublishArgs) -> bool| flag(&self.publish) || of_command.is_some_and(flag);
        Flags {
            production: given(|arguments| arguments.production),
            dry_run: given(|arguments| arguments.dry_run),
        }
    }
}
