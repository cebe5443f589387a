//! Publishes a built Mojito container to exactly the S3 keys it may write, and invalidates CloudFront.
//!
//! A run goes through these modules in this order:
//!
//! - `variables` reads the environment, `raw` gives it names, `config_js` reads Mojito's configuration, `build` says which
//!   pipeline this is and `environment` whether it publishes to production; `settings` `target` and
//!   `aws_settings` validate all of it in one step (`check` collects what is wrong).
//! - `container` reads, checks and compresses (`gzip`) the files into `object`s, and `plan` holds what will be done to
//!   them. `scope` is the same seen from IAM: what the run may touch, as a policy.
//! - `aws` connects (`tls`, `oidc`), `publish` carries the plan out by way of `s3`, `newest`, `cloudfront` and `live`, and
//!   `record` remembers what was done. `fault` is what AWS refused.
//! - `report` says how it ended, through `reporter`, and `result_file` stores it; `exit` is the code. `signal` does the
//!   same when the run is stopped.
//!
//! Everything up to the plan is free of requests, and nothing after the settings reads the environment.

mod aws;
mod aws_settings;
mod build;
mod byte_size;
mod cache_control;
mod check;
mod cli;
mod cloudfront;
mod config_js;
mod container;
mod environment;
mod error;
mod exit;
mod fault;
mod gzip;
mod live;
mod log;
mod name;
mod newest;
mod object;
mod oidc;
mod plan;
mod publish;
mod raw;
mod record;
mod report;
mod reporter;
mod result_file;
mod s3;
mod scope;
mod settings;
mod signal;
mod target;
mod tls;
mod variables;

use std::panic;
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use clap::Parser;

use crate::build::Build;
use crate::cli::Cli;
use crate::config_js::ConfigJs;
use crate::error::Error;
use crate::exit::Exit;
use crate::plan::Plan;
use crate::raw::RawBuild;
use crate::record::Record;
use crate::reporter::Reporter;
use crate::settings::{Flags, Settings};
use crate::tls::Https;
use crate::variables::Variables;

/// Runs the program with the arguments and the environment of the process.
///
/// The exit code is 0 to 5; the README says what each means.
#[must_use]
pub fn main() -> ExitCode {
    let variables = Variables::of_process();
    let cli = Cli::parse();
    let raw_build: RawBuild = variables.read().unwrap_or_default();
    let no_color = raw_build.no_color.is_some();
    let build = Build::new(raw_build);
    let reporter = Arc::new(Reporter::new(build.in_ci, no_color));
    report_panics(&reporter);
    if settings::debug(&variables) {
        log::init();
    }
    reporter.info(concat!(
        env!("CARGO_PKG_NAME"),
        " ",
        env!("CARGO_PKG_VERSION")
    ));
    match run(cli.flags(), &variables, &reporter) {
        Ok(exit) => exit,
        Err(error) => {
            reporter.failure(&format!("{error}\n{}", error.state()));
            for warning in result_file::write(&build, &result_file::of_error(&error)) {
                reporter.warning(&warning);
            }
            error.exit()
        }
    }
    .into()
}

fn run(flags: Flags, variables: &Variables, reporter: &Arc<Reporter>) -> Result<Exit, Error> {
    let record = Arc::new(OnceLock::new());
    signal::watch(Arc::clone(&record), Arc::clone(reporter)).map_err(Error::Start)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Start)?
        .block_on(publish(flags, variables, &record, reporter))
}

/// The story of a publish: settings, containers, plan, uploads, invalidations, waits, report.
async fn publish(
    flags: Flags,
    variables: &Variables,
    record: &OnceLock<Arc<Record>>,
    reporter: &Reporter,
) -> Result<Exit, Error> {
    let started = Instant::now();
    let config = ConfigJs::read(Path::new("."));
    let profile_region = aws::profile_region().await;
    let settings = Settings::new(flags, variables, config, profile_region.as_deref())
        .map_err(Error::Settings)?;
    let containers = container::read(&settings).map_err(Error::Container)?;
    let plan = Plan {
        settings,
        containers,
    };
    report::opening(&plan, reporter);
    if plan.settings.dry_run {
        reporter.info(&plan.to_string());
        reporter.success("dry run: nothing was sent");
        return Ok(Exit::Published);
    }

    let record = record.get_or_init(|| Arc::new(Record::new(plan, started)));
    let settings = &record.plan.settings;
    let https = Arc::new(Https::new(settings.aws.ca_bundle.as_deref()));
    let aws = aws::connect(&record.plan, https.client()).await?;
    reporter.info(&format!("credentials: {}", aws.credentials));
    record.state().credentials = Some(aws.credentials.clone());

    publish::upload(&aws, record, reporter).await;
    publish::invalidate(&aws, record, reporter).await;
    if settings.wait {
        publish::wait(&aws, record, reporter).await;
    }
    publish::verify(&https, record, reporter).await;
    Ok(
        report::closing(record, None, reporter).unwrap_or_else(|| loop {
            // The thread of the signals is printing the end and exits the process.
            std::thread::park();
        }),
    )
}

/// A fault of the program ends it with exit code 1, in its own words and without a core dump.
fn report_panics(reporter: &Arc<Reporter>) {
    let reporter = Arc::clone(reporter);
    panic::set_hook(Box::new(move |panic| {
        reporter.failure(&format!(
            "{} has a fault: {panic}\nplease report it with this output; what was published before it is said above",
            env!("CARGO_PKG_NAME")
        ));
        process::exit(Exit::Fault.code().into());
    }));
}
