//! `mojito-publish publish`: settings, containers, plan, uploads, invalidations, waits, report.

use std::sync::Arc;

use futures_util::future::join;

use super::dry_run;
use super::ending::Ending;
use super::error::Error;
use super::{loaded, signals};
use crate::aws::https::Https;
use crate::aws::iam_policy::Permissions;
use crate::aws::preconnect::Preconnect;
use crate::aws::{self, config};
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
use crate::settings::Flags;

/// Publishes, or with `DRY_RUN` shows what a publish would do.
pub(crate) async fn publish(
    flags: Flags,
    raw: &Raw,
    ending: &Arc<Ending>,
    console: &Console,
) -> Result<Exit, Error> {
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
    let preconnect = (!settings.dry_run).then(|| {
        let wanted = upload::connections(&settings);
        Preconnect::start(&https.connections, sdk_config.clone(), &settings, wanted)
    });
    // On another thread, so that connections are opened at the same time.
    let reading = tokio::task::spawn_blocking(move || (container::read(&settings), settings));
    let (containers, settings) = reading.await.expect("a panic ends the process");
    let plan = Plan {
        settings,
        containers: containers.map_err(Error::Container)?,
    };
    progress::opening(&plan, console);
    let Some(preconnect) = preconnect else {
        return dry_run::dry_run(&plan, cdn.as_ref(), sdk_config, ending, console).await;
    };

    let run = &*ending.start(Run::new(plan));
    let permissions = Permissions::of(&run.plan.settings);
    let connect = aws::connect(&run.plan.settings, sdk_config, Some(&permissions));
    let (reached, aws) = join(cdn::reached(cdn.as_ref()), connect).await;
    reached.map_err(|problem| Error::Settings(vec![problem]))?;
    let aws = aws?;
    run.state().credentials = Some(aws.credentials.clone());
    publish::publish(&Publisher {
        aws: &aws,
        cdn: cdn.as_ref(),
        preconnect: &preconnect,
        run,
        listener: &|event| progress::report(event, run, console),
    })
    .await;
    Ok(ending.of_run(run))
}
