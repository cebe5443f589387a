//! Publishes a built Mojito container to exactly the S3 keys it may write, and invalidates CloudFront.
//!
//! The folders are in the order of the work. A file uses only its own folder and those before it, and no two files use each
//! other. A test in `tests/` checks this.

mod cli;
mod exit;

/// What is independent of Mojito, Bitbucket and AWS: sizes, files up to a limit, columns, text that is safe in a log, secrets.
mod common;

/// Mojito's own files: `config.js`, and the script of a container with its experiments.
mod mojito;

/// What a run is to do: variables, flags, `config.js` and the pipeline, validated in one step.
mod settings;

/// What is published: the built files, read, validated and compressed, and what they change.
mod container;

/// How AWS is called: one request at a time.
mod aws;

/// What is done, in order. It emits events and prints nothing.
mod publish;

/// What a run reports: the log on the console, and the result as JSON.
mod report;

/// What the user runs: a file for each command, and how a run ends.
mod commands;

/// What must hold for any input, for tests and `cargo fuzz`.
#[cfg(any(test, fuzzing))]
pub mod fuzzing;

use std::env;
use std::panic;
use std::process;
use std::sync::Arc;

use clap::Parser;

use crate::aws::debug_log;
use crate::cli::{Cli, Command};
use crate::commands::ending::Ending;
use crate::commands::error::Error;
use crate::common::secrets;
use crate::exit::Exit;
use crate::mojito::script;
use crate::report::console::Console;
use crate::report::result_file;
use crate::report::result_json::{ErrorResult, RunResult};
use crate::settings::pipeline::Build;
use crate::settings::raw::Raw;

/// Runs the program with the arguments and the environment of the process, and ends it.
///
/// The exit code is 0 to 6; the README describes them.
pub fn main() -> ! {
    script::serve_if_child(env::args_os().skip(1));
    let raw = Raw::of_process();
    secrets::register(raw.secrets());
    let command = Cli::parse().into_command();
    let build = Build::new(&raw.build);
    let stream = command.log_stream();
    let no_color = raw.build.no_color.is_some();
    let console = Arc::new(Console::new(stream, build.in_ci, no_color));
    report_panics(&build, &console);
    if raw.debug() {
        debug_log::init(Arc::clone(&console));
    }
    let ending = Arc::new(Ending::new(build, Arc::clone(&console)));
    let result = run(command, &raw, &ending, &console);
    let exit = ending.of_command(result);
    // The system frees all memory at once. Freeing it piece by piece takes a twentieth of a run's processor time.
    process::exit(exit.code().into());
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
            Command::Check(flags) => Ok(commands::check::check(flags, raw, console).await),
            Command::Policy(flags, trust) => {
                Ok(commands::policy::policy(flags, trust, raw, console).await)
            }
        }
    });
    // Dropping the runtime would wait for a DNS lookup that is still running.
    std::mem::forget(runtime);
    result
}

/// An internal error ends the process with exit code 1, without a core dump.
fn report_panics(build: &Build, console: &Arc<Console>) {
    let (build, console) = (build.clone(), Arc::clone(console));
    panic::set_hook(Box::new(move |panic| {
        console.failure(&format!(
            "internal error in {}: {panic}\nplease report it with this output; what was published before is reported above",
            env!("CARGO_PKG_NAME")
        ));
        let exit = Exit::InternalError;
        let error = ErrorResult::new("internal_error", panic.to_string());
        let result = RunResult::early(&build, exit, Some(error), None);
        result_file::write(&build, result, &console);
        process::exit(exit.code().into());
    }));
}
