//! Publishes a built Mojito container to exactly the S3 keys it may write, and invalidates CloudFront.
//!
//! The folders stand in the order of the work. A file uses its own folder and those before it, and no two files use each
//! other: `tests/` has a test of that.

mod cli;
mod exit;

/// What knows nothing of Mojito, Bitbucket or AWS: sizes, files up to a limit, columns, text that a log can bear, secrets.
mod common;

/// What Mojito's own files say: `config.js`, and the script of a container with its experiments.
mod mojito;

/// What a run is to do: variables, flags, `config.js` and the pipeline, validated in one step.
mod settings;

/// What is published: the built files, read, validated and compressed, and what they change.
mod container;

/// How AWS is called: one request at a time.
mod aws;

/// What is done, in order. It emits events and says nothing by itself.
mod publish;

/// How it is said: on the console and as JSON.
mod report;

/// What the user runs: one command a file, and how a run ends.
mod commands;

/// What must hold whatever comes in, for tests and `cargo fuzz`.
#[cfg(any(test, fuzzing))]
pub mod fuzzing;

use std::panic;
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use aws_config::SdkConfig;
use clap::Parser;

use crate::aws::credentials::ConnectError;
use crate::aws::https::Https;
use crate::aws::iam_policy::Permissions;
use crate::aws::preconnect::Preconnect;
use crate::aws::trust_policy::TrustPolicy;
use crate::aws::{config, debug_log};
use crate::cli::{Cli, Command};
use crate::commands::error::Error;
use crate::commands::signals::Signals;
use crate::commands::{check, policy, signals};
use crate::common::secrets;
use crate::exit::Exit;
use crate::mojito::config_js::ConfigJs;
use crate::publish::compare::Comparison;
use crate::publish::plan::Plan;
use crate::publish::publisher::Publisher;
use crate::publish::run::Run;
use crate::publish::{compare, only_newer, upload};
use crate::report::console::Console;
use crate::report::{progress, result_json, summary};
use crate::settings::pipeline::Build;
use crate::settings::raw::{RawBuild, RawTrust};
use crate::settings::variables::Variables;
use crate::settings::{Flags, Settings};

/// Runs the program with the arguments and the environment of the process.
///
/// The exit code is 0 to 5; the README says what each means.
#[must_use]
pub fn main() -> ExitCode {
    let variables = Variables::of_process();
    secrets::register(settings::secrets(&variables));
    let cli = Cli::parse();
    let raw_build: RawBuild = variables.read().unwrap_or_default();
    let no_color = raw_build.no_color.is_some();
    let build = Build::new(raw_build);
    let console = Arc::new(Console::new(build.in_ci, no_color));
    report_panics(&build, &console);
    if settings::debug(&variables) {
        debug_log::init();
    }
    match run(cli.into_command(), &variables, &build, &console) {
        Ok(exit) => exit,
        Err(error) => {
            console.failure(&format!("{error}\n{}", error.state()));
            let result = result_json::of_error(error.exit(), &error.to_string());
            result_json::write(&build, &result, &console);
            error.exit()
        }
    }
    .into()
}

fn run(
    command: Command,
    variables: &Variables,
    build: &Build,
    console: &Arc<Console>,
) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    let result = runtime.block_on(async {
        match command {
            Command::Publish(flags) => publish(flags, variables, build, console).await,
            Command::Problems(flags) => check(flags, variables, console).await,
            Command::Policy(flags, trust) => print_policy(flags, trust, variables).await,
        }
    });
    // A name that is still being resolved for a connection would keep the process.
    runtime.shutdown_background();
    result
}

async fn settings(flags: Flags, variables: &Variables) -> Result<Settings, Error> {
    let config = ConfigJs::read(Path::new("."));
    let profile_region = config::profile_region().await;
    Settings::new(flags, variables, config, profile_region.as_deref()).map_err(Error::Settings)
}

/// The story of a publish: settings, containers, plan, uploads, invalidations, waits, report.
async fn publish(
    flags: Flags,
    variables: &Variables,
    build: &Build,
    console: &Arc<Console>,
) -> Result<Exit, Error> {
    let started = Instant::now();
    let run = Arc::new(OnceLock::new());
    signals::watch(build.clone(), Arc::clone(&run), Arc::clone(console)).map_err(Error::Start)?;
    console.info(concat!(
        env!("CARGO_PKG_NAME"),
        " ",
        env!("CARGO_PKG_VERSION")
    ));
    let settings = settings(flags, variables).await?;
    let https = Https::new(settings.aws.ca_bundle.as_deref());
    let sdk_config = config::load(&settings, https.client()).await;
    let connections = (!settings.dry_run).then(|| {
        Preconnect::open(
            &https.counter,
            sdk_config.clone(),
            &settings,
            upload::connections(&settings),
        )
    });
    // On a thread of its own, so that the connections are opened meanwhile.
    let reading = tokio::task::spawn_blocking(move || (container::read(&settings), settings));
    let (containers, settings) = reading.await.expect("a panic ends the process");
    let containers = containers.map_err(Error::Container)?;
    let plan = Plan {
        settings,
        containers,
    };
    progress::opening(&plan, console);
    let Some(connections) = connections else {
        dry_run(&plan, &https, sdk_config, console).await;
        return Ok(Exit::Published);
    };

    let run = run.get_or_init(|| Arc::new(Run::new(plan, started)));
    let settings = &run.plan.settings;
    let aws = aws::connect(settings, sdk_config, Some(&Permissions::of(settings))).await?;
    console.info(&format!("credentials: {}", aws.credentials));
    run.state().credentials = Some(aws.credentials.clone());

    publish::publish(&Publisher {
        aws: &aws,
        https: &https,
        connections: &connections,
        run,
        listener: &|event| progress::progress(event, run, console),
    })
    .await;
    let exit = summary::report(run, None, console).unwrap_or_else(|| loop {
        // The thread of the signals is printing the end and exits the process.
        std::thread::park();
    });
    // The system frees what there is at once, piece by piece it takes a twentieth of a run's processor time.
    process::exit(exit.code().into());
}

/// Shows the plan, and what it would change. It reads what is published now, where it may, and writes nothing.
async fn dry_run(plan: &Plan, https: &Https, config: SdkConfig, console: &Console) {
    for line in plan.to_string().lines() {
        console.info(line);
    }
    let permissions = Permissions::of(&plan.settings);
    let aws = aws::connect(&plan.settings, config, Some(&permissions)).await;
    let aws = aws.as_ref();
    let readable = aws.map_err(ConnectError::summary);
    let comparison = Comparison::new(readable, https, &plan.settings, None);
    let all_changes = comparison.all(&plan.containers).await;
    for (number, (container, changes)) in plan.containers.iter().zip(&all_changes).enumerate() {
        let already_reported = compare::already_reported(changes, all_changes[..number].iter());
        progress::changes(plan, container, changes, already_reported, console);
    }
    if let (Ok(aws), true) = (aws, plan.settings.only_newer) {
        for object in plan.objects() {
            match only_newer::head_unless_newer(&aws.s3, &plan.settings, object).await {
                Ok(None) => console.info(&format!(
                    "{} is not there yet, or these credentials may not read its build number (`s3:GetObject`), \
                     and `ONLY_NEWER` would refuse to replace it",
                    object.key
                )),
                Ok(_) => {}
                Err(error) => console.warning(&format!("it would be refused: {error}")),
            }
        }
    }
    console.success("dry run: nothing was written");
    let result = result_json::of_dry_run(plan, &all_changes);
    result_json::write(&plan.settings.build, &result, console);
}

/// Proves what the credentials can and cannot do.
async fn check(flags: Flags, variables: &Variables, console: &Console) -> Result<Exit, Error> {
    let signals = Signals::new().map_err(Error::Start)?;
    let settings = settings(flags, variables).await?;
    console.info(&format!(
        "checking what the credentials may do in {} ({})",
        settings.environment, settings.environment_reason
    ));
    let https = Https::new(settings.aws.ca_bundle.as_deref());
    check::check(&settings, https.client(), signals, console).await
}

/// Prints a policy and nothing else.
async fn print_policy(
    flags: Flags,
    trust: Option<RawTrust>,
    variables: &Variables,
) -> Result<Exit, Error> {
    let settings = settings(flags, variables).await?;
    let trust = trust
        .map(|flags| TrustPolicy::new(flags, variables, settings.environment))
        .transpose()
        .map_err(Error::Settings)?;
    Console::json(&policy::policy(&settings, trust.as_ref()).await);
    Ok(Exit::Published)
}

/// A fault of the program ends it with exit code 1, in its own words and without a core dump.
fn report_panics(build: &Build, console: &Arc<Console>) {
    let (build, console) = (build.clone(), Arc::clone(console));
    panic::set_hook(Box::new(move |panic| {
        console.failure(&format!(
            "{} has a fault: {panic}\nplease report it with this output; what was published before it is said above",
            env!("CARGO_PKG_NAME")
        ));
        result_json::write(
            &build,
            &result_json::of_end("fault", Exit::AwsError),
            &console,
        );
        process::exit(Exit::AwsError.code().into());
    }));
}
