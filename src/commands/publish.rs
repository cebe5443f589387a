//! `mojito-publish publish`: settings, containers, plan, uploads, invalidations, waits, report. A rollback begins and ends alike.

use std::sync::Arc;

use aws_config::SdkConfig;
use futures_util::future::join;

use super::dry_run;
use super::ending::Ending;
use super::error::Error;
use super::{loaded, signals};
use crate::aws::https::Https;
use crate::aws::iam_policy::Permissions;
use crate::aws::preconnect::{Preconnect, Wanted};
use crate::aws::{self, config, Aws};
use crate::container;
use crate::exit::Exit;
use crate::publish::cdn::Cdn;
use crate::publish::plan::Plan;
use crate::publish::publisher::Publisher;
use crate::publish::run::Run;
use crate::publish::{self, cdn, upload};
use crate::report::console::Console;
use crate::report::progress;
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// What a run starts with, while its connections are being opened.
pub(super) struct Start {
    pub(super) settings: Settings,
    pub(super) cdn: Option<Cdn>,
    pub(super) sdk_config: SdkConfig,
    /// If any are wanted.
    pub(super) preconnect: Option<Preconnect>,
}

impl Start {
    /// From now on, a signal ends the run.
    pub(super) async fn new(
        flags: Flags,
        raw: &Raw,
        ending: &Arc<Ending>,
        console: &Console,
        connections: impl FnOnce(&Settings) -> Option<Wanted>,
    ) -> Result<Self, Error> {
        signals::watch(Arc::clone(ending)).map_err(Error::Start)?;
        ending.reports.enable(raw);
        console.info(concat!(
            env!("CARGO_PKG_NAME"),
            " ",
            env!("CARGO_PKG_VERSION")
        ));
        let settings = loaded::settings(flags, raw, console).await?;
        ending.reports.plan(&settings);
        let https = Https::new(&settings.aws, ending.gate());
        let cdn = Cdn::start(&https, &settings);
        let sdk_config = config::load(&settings, https.client()).await;
        let sdk_config = sdk_config.map_err(|problem| Error::Settings(vec![problem]))?;
        let preconnect = connections(&settings).map(|wanted| {
            Preconnect::start(&https.connections, sdk_config.clone(), &settings, wanted)
        });
        Ok(Self {
            settings,
            cdn,
            sdk_config,
            preconnect,
        })
    }
}

/// Publishes, or with `DRY_RUN` shows what a publish would do.
pub(crate) async fn publish(
    flags: Flags,
    raw: &Raw,
    ending: &Arc<Ending>,
    console: &Console,
) -> Result<Exit, Error> {
    let connections =
        |settings: &Settings| (!settings.dry_run).then(|| upload::connections(settings));
    let Start {
        settings,
        cdn,
        sdk_config,
        preconnect,
    } = Start::new(flags, raw, ending, console, connections).await?;
    // On another thread, so that connections are opened at the same time.
    let reading = tokio::task::spawn_blocking(move || (container::read(&settings), settings));
    let (containers, settings) = reading.await.expect("a panic ends the process");
    let plan = Plan::publish(settings, containers.map_err(Error::Container)?);
    progress::opening(&plan, console);
    let Some(preconnect) = preconnect else {
        return dry_run::dry_run(&plan, cdn.as_ref(), sdk_config, ending, console).await;
    };

    let run = &*ending.start(Run::new(plan));
    let cdn = cdn.as_ref();
    let aws = connect(&run.plan.settings, sdk_config, cdn).await?;
    Ok(carry_out(run, &aws, cdn, &preconnect, ending, console).await)
}

/// Connects to AWS, and sees whether the CDN can be reached.
pub(super) async fn connect(
    settings: &Settings,
    sdk_config: SdkConfig,
    cdn: Option<&Cdn>,
) -> Result<Aws, Error> {
    let permissions = Permissions::of(settings);
    let connect = aws::connect(settings, sdk_config, Some(&permissions));
    let (reached, aws) = join(cdn::reached(cdn), connect).await;
    reached.map_err(|problem| Error::Settings(vec![problem]))?;
    Ok(aws?)
}

/// Carries out the plan of a run that has started, and ends it.
pub(super) async fn carry_out(
    run: &Run,
    aws: &Aws,
    cdn: Option<&Cdn>,
    preconnect: &Preconnect,
    ending: &Ending,
    console: &Console,
) -> Exit {
    run.state().credentials = Some(aws.credentials.clone());
    publish::publish(&Publisher {
        aws,
        cdn,
        preconnect,
        run,
        listener: &|event| progress::report(event, run, console),
    })
    .await;
    ending.of_run(run)
}
