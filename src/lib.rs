//! Publishes a built Mojito container to exactly the S3 keys it may write, and invalidates CloudFront.
//!
//! The folders are in the order of the work. A file uses only its own folder and those before it, and no two files use each
//! other. A test in `tests/` checks this.

mod cli;
mod exit;

/// What is independent of Mojito, Bitbucket and AWS: sizes, files up to a limit, columns, text that is safe in a log, secrets.
mod common;

/// Mojito's own files: `config.js`, the script of a container with its experiments, and their sources.
mod mojito;

/// What a run is to do: variables, flags, `config.js` and the pipeline, validated in one step.
mod settings;

/// What is published: the built files, read, validated and compressed, and what they change.
mod container;

/// How AWS is called: one request at a time.
mod aws;

/// Reports on a commit, as Bitbucket accepts them, and how they are sent.
mod bitbucket;

/// What is done, in order. It emits events and prints nothing.
mod publish;

/// What a run reports: the log on the console, the result in files, and the reports on a commit.
mod report;

/// What the user runs: a file for each command, and how a run ends.
mod commands;

/// What must hold for any input, for tests and `cargo fuzz`.
#[cfg(any(test, fuzzing))]
pub mod fuzzing;

use std::env;
use std::panic;
use std::sync::Arc;

use crate::aws::debug_log;
use crate::cli::{Cli, Command};
use crate::commands::ending::Ending;
use crate::commands::error::Error;
use crate::common::secrets;
use crate::exit::Exit;
use crate::mojito::script;
use crate::report::console::Console;
use crate::settings::pipeline::Build;
use crate::settings::raw::Raw;

/// Runs the program with the arguments and the environment of the process, and ends it.
///
/// The exit code is 0 to 6; the README describes them.
pub fn main() -> ! {
    script::serve_if_child(env::args_os().skip(1));
    let raw = Raw::of_process();
    secrets::register(raw.secrets());
    let command = Cli::of_process().into_command();
    let build = Build::new(&raw.build);
    let stream = command.log_stream();
    let no_color = raw.build.no_color.is_some();
    let console = Arc::new(Console::new(stream, build.in_ci, no_color));
    let ending = Arc::new(Ending::new(build, Arc::clone(&console)));
    report_panics(&ending);
    if raw.debug() {
        debug_log::init(Arc::clone(&console));
    }
    let result = run(command, &raw, &ending, &console);
    let exit = result.unwrap_or_else(|error| ending.of_error(&error));
    ending.send_reports();
    ending.quit(exit)
}

fn run(
    command: Command,
    raw: &Raw,
    ending: &Arc<Ending>,
    console: &Console,
) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    let result = runtime.block_on(async {
        match command {
            Command::Publish(flags) => {
                commands::publish::publish(flags, raw, ending, console).await
            }
            Command::Check(flags) => {
                Ok(commands::check::check(flags, raw, ending.gate(), console).await)
            }
            Command::Policy(flags, trust) => {
                Ok(commands::policy::policy(flags, trust, raw, ending.gate(), console).await)
            }
        }
    });
    // Dropping the runtime would wait for a DNS lookup that is still running.
    std::mem::forget(runtime);
    result
}

/// An internal error ends the process with exit code 1, without a core dump.
fn report_panics(ending: &Arc<Ending>) {
    let ending = Arc::clone(ending);
    panic::set_hook(Box::new(move |panic| {
        let exit = ending.of_panic(&panic.to_string());
        ending.quit(exit);
    }));
}
