//! Publishes a built Mojito container to exactly the S3 keys it may write, and invalidates CloudFront.
//!
//! A run goes through these modules in this order:
//!
//! - `variables` reads the environment, `raw` gives it names, `config_js` reads Mojito's configuration, `build` says which
//!   pipeline this is and `environment` whether it publishes to production; `settings`, `target` and
//!   `aws_settings` validate all of it in one step (`check` collects what is wrong).
//! - `container` reads and compresses (`gzip`) the files into `object`s; `validate` refuses what would break a page
//!   (`excerpt` shows the place). `script` parses, and knows which `experiment`s there are. `plan` holds what will be done.
//!   `scope` is the same seen from IAM: what the run may touch, as a policy.
//! - `current` reads what is `served` now, from S3 or as a `visitor` gets it, `difference` is what changes, and `overview`
//!   lays experiments and changes out in `columns`.
//! - `aws` connects (`tls`, `warm`, `limit`, `oidc`), `publish` carries the plan out by way of `upload`, `s3`, `newest`, `cloudfront` and `live`, and
//!   `record` remembers what was done (`attempts` what may have been). `fault` is what AWS refused, and `kind`
//!   what that means.
//! - `report` says what is done and `ending` how it ended, through `reporter`, and `result_file` stores it; `exit` is the code, and `secrets` are
//!   cut out of all of it. `signal` does the
//!   same when the run is stopped.
//!
//! `policy` prints the policies, `trust` the one of a role. `check_credentials` proves what credentials can do, by trying what
//! `probe` lists; `identity` asks whose they are.
//!
//! `file` reads no more of a file than can be meant, `limit` the same of an answer, and `printable` is what may be printed
//! of either. `fuzzing`, in tests alone, holds them to it.
//!
//! Everything up to the plan is free of requests to AWS, and nothing after the settings reads the environment but
//! the SDK, and `tls` for the certificates that it trusts and the proxy.

mod attempts;
mod aws;
mod aws_settings;
mod build;
mod byte_size;
mod ca_bundle;
mod cache_control;
mod check;
mod check_credentials;
mod cli;
mod client_config;
mod cloudfront;
mod columns;
mod config_js;
mod container;
mod credentials;
mod current;
mod difference;
mod ending;
mod environment;
mod error;
mod event;
mod excerpt;
mod exit;
mod experiment;
mod fault;
mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gzip;
mod identity;
mod invalidate;
mod kind;
mod limit;
mod live;
mod log;
mod name;
mod newest;
mod object;
mod oidc;
mod overview;
mod plan;
mod policy;
mod printable;
mod probe;
mod publish;
mod publisher;
mod raw;
mod record;
mod report;
mod reporter;
mod result_file;
mod s3;
mod scope;
mod script;
mod secrets;
mod served;
mod settings;
mod signal;
mod target;
#[cfg(test)]
mod testing;
mod tls;
mod trust;
mod upload;
mod validate;
mod variables;
mod visitor;
mod warm;

use std::panic;
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use aws_config::SdkConfig;
use clap::Parser;

use crate::build::Build;
use crate::cli::{Cli, Command};
use crate::config_js::ConfigJs;
use crate::credentials::ConnectError;
use crate::current::Current;
use crate::error::Error;
use crate::exit::Exit;
use crate::plan::Plan;
use crate::publisher::Publisher;
use crate::raw::{RawBuild, RawTrust};
use crate::record::Record;
use crate::reporter::Reporter;
use crate::scope::Scope;
use crate::settings::{Flags, Settings};
use crate::signal::Signals;
use crate::tls::Https;
use crate::trust::Trust;
use crate::variables::Variables;
use crate::warm::Connections;

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
    let reporter = Arc::new(Reporter::new(build.in_ci, no_color));
    report_panics(&build, &reporter);
    if settings::debug(&variables) {
        log::init();
    }
    match run(cli.into_command(), &variables, &build, &reporter) {
        Ok(exit) => exit,
        Err(error) => {
            reporter.failure(&format!("{error}\n{}", error.state()));
            let result = result_file::of_error(error.exit(), &error.to_string());
            result_file::write(&build, &result, &reporter);
            error.exit()
        }
    }
    .into()
}

fn run(
    command: Command,
    variables: &Variables,
    build: &Build,
    reporter: &Arc<Reporter>,
) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    let result = runtime.block_on(async {
        match command {
            Command::Publish(flags) => publish(flags, variables, build, reporter).await,
            Command::Check(flags) => check(flags, variables, reporter).await,
            Command::Policy(flags, trust) => print_policy(flags, trust, variables).await,
        }
    });
    // A name that is still being resolved for a connection would keep the process.
    runtime.shutdown_background();
    result
}

async fn settings(flags: Flags, variables: &Variables) -> Result<Settings, Error> {
    let config = ConfigJs::read(Path::new("."));
    let profile_region = client_config::profile_region().await;
    Settings::new(flags, variables, config, profile_region.as_deref()).map_err(Error::Settings)
}

/// The story of a publish: settings, containers, plan, uploads, invalidations, waits, report.
async fn publish(
    flags: Flags,
    variables: &Variables,
    build: &Build,
    reporter: &Arc<Reporter>,
) -> Result<Exit, Error> {
    let started = Instant::now();
    let record = Arc::new(OnceLock::new());
    signal::watch(build.clone(), Arc::clone(&record), Arc::clone(reporter))
        .map_err(Error::Start)?;
    reporter.info(concat!(
        env!("CARGO_PKG_NAME"),
        " ",
        env!("CARGO_PKG_VERSION")
    ));
    let settings = settings(flags, variables).await?;
    let https = Https::new(settings.aws.ca_bundle.as_deref());
    let config = client_config::load(&settings, https.client()).await;
    let connections = (!settings.dry_run).then(|| {
        Connections::open(
            &https.openings,
            config.clone(),
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
    report::opening(&plan, reporter);
    let Some(connections) = connections else {
        dry_run(&plan, &https, config, reporter).await;
        return Ok(Exit::Published);
    };

    let record = record.get_or_init(|| Arc::new(Record::new(plan, started)));
    let settings = &record.plan.settings;
    let aws = aws::connect(settings, config, Some(&Scope::of(settings))).await?;
    reporter.info(&format!("credentials: {}", aws.credentials));
    record.state().credentials = Some(aws.credentials.clone());

    publish::publish(&Publisher {
        aws: &aws,
        https: &https,
        connections: &connections,
        record,
        listener: &|event| report::progress(event, record, reporter),
    })
    .await;
    let exit = ending::report(record, None, reporter).unwrap_or_else(|| loop {
        // The thread of the signals is printing the end and exits the process.
        std::thread::park();
    });
    // The system frees what there is at once, piece by piece it takes a twentieth of a run's processor time.
    process::exit(exit.code().into());
}

/// Shows the plan, and what it would change. It reads what is published now, where it may, and writes nothing.
async fn dry_run(plan: &Plan, https: &Https, config: SdkConfig, reporter: &Reporter) {
    for line in plan.to_string().lines() {
        reporter.info(line);
    }
    let scope = Scope::of(&plan.settings);
    let aws = aws::connect(&plan.settings, config, Some(&scope)).await;
    let aws = aws.as_ref();
    let readable = aws.map_err(ConnectError::summary);
    let current = Current::new(readable, https, &plan.settings, None);
    let differences = current.differences(&plan.containers).await;
    for (number, (container, difference)) in plan.containers.iter().zip(&differences).enumerate() {
        let is_told = current::is_told(difference, differences[..number].iter());
        report::difference(plan, container, difference, is_told, reporter);
    }
    if let (Ok(aws), true) = (aws, plan.settings.only_newer) {
        for object in plan.objects() {
            match newest::look(&aws.s3, &plan.settings, object).await {
                Ok(None) => reporter.info(&format!(
                    "{} is not there yet, or these credentials may not read its build number (`s3:GetObject`), \
                     and `ONLY_NEWER` would refuse to replace it",
                    object.key
                )),
                Ok(_) => {}
                Err(fault) => reporter.warning(&format!("it would be refused: {fault}")),
            }
        }
    }
    reporter.success("dry run: nothing was written");
    let result = result_file::of_dry_run(plan, &differences);
    result_file::write(&plan.settings.build, &result, reporter);
}

/// Proves what the credentials can and cannot do.
async fn check(flags: Flags, variables: &Variables, reporter: &Reporter) -> Result<Exit, Error> {
    let signals = Signals::new().map_err(Error::Start)?;
    let settings = settings(flags, variables).await?;
    reporter.info(&format!(
        "checking what the credentials may do in {} ({})",
        settings.environment, settings.environment_reason
    ));
    let https = Https::new(settings.aws.ca_bundle.as_deref());
    check_credentials::check(&settings, https.client(), signals, reporter).await
}

/// Prints a policy and nothing else.
async fn print_policy(
    flags: Flags,
    trust: Option<RawTrust>,
    variables: &Variables,
) -> Result<Exit, Error> {
    let settings = settings(flags, variables).await?;
    let trust = trust
        .map(|flags| Trust::new(flags, variables, settings.environment))
        .transpose()
        .map_err(Error::Settings)?;
    Reporter::json(&policy::policy(&settings, trust.as_ref()).await);
    Ok(Exit::Published)
}

/// A fault of the program ends it with exit code 1, in its own words and without a core dump.
fn report_panics(build: &Build, reporter: &Arc<Reporter>) {
    let (build, reporter) = (build.clone(), Arc::clone(reporter));
    panic::set_hook(Box::new(move |panic| {
        reporter.failure(&format!(
            "{} has a fault: {panic}\nplease report it with this output; what was published before it is said above",
            env!("CARGO_PKG_NAME")
        ));
        result_file::write(
            &build,
            &result_file::of_end("fault", Exit::Fault),
            &reporter,
        );
        process::exit(Exit::Fault.code().into());
    }));
}
