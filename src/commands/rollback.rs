//! `mojito-publish rollback`: puts an earlier version of each container back, and invalidates and verifies as a publish does.

use std::sync::Arc;

use super::dry_run;
use super::ending::Ending;
use super::error::Error;
use super::publish::{carry_out, connect, Start};
use crate::aws::Aws;
use crate::exit::Exit;
use crate::publish::compare::Comparison;
use crate::publish::plan::Plan;
use crate::publish::rollback;
use crate::publish::run::Run;
use crate::publish::state::RunState;
use crate::report::console::Console;
use crate::report::progress;
use crate::report::result_json::RunResult;
use crate::report::rollback as report;
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// Puts a version back, or with `DRY_RUN` shows which one it would be.
pub(crate) async fn rollback(
    flags: Flags,
    raw: &Raw,
    ending: &Arc<Ending>,
    console: &Console,
) -> Result<Exit, Error> {
    let connections = |settings: &Settings| Some(rollback::connections(settings));
    let start = Start::new(flags, raw, ending, console, connections).await?;
    let Start {
        settings,
        cdn,
        sdk_config,
        preconnect,
    } = start;
    progress::heading(&settings, console);
    let cdn = cdn.as_ref();
    let aws = connect(&settings, sdk_config, cdn).await?;
    let preconnect = preconnect.expect("a rollback wants connections");
    preconnect.s3().await;
    let choices = rollback::choose(&aws, &settings)
        .await
        .map_err(|problems| {
            let problems = problems.into_iter();
            Error::NotRolledBack(problems.map(|it| report::problem(it, &settings)).collect())
        })?;
    for choice in &choices {
        report::choice(choice, &settings, console);
    }
    report::how_to_choose(&settings, console);
    let mut plan = Plan::publish(settings, Vec::new());
    for choice in choices {
        let live = choice
            .live
            .map(|live| (choice.container.name.clone(), live));
        plan.live.extend(live);
        plan.containers.push(choice.container);
    }
    progress::contents(&plan, console);
    if plan.settings.dry_run {
        return Ok(show(&plan, &aws, ending, console).await);
    }
    let run = &*ending.start(Run::new(plan));
    Ok(carry_out(run, &aws, cdn, &preconnect, ending, console).await)
}

/// Shows what a rollback would change for visitors.
async fn show(plan: &Plan, aws: &Aws, ending: &Ending, console: &Console) -> Exit {
    for line in report::plan(plan) {
        console.info(&line);
    }
    let mut state = RunState::new(plan);
    state.credentials = Some(aws.credentials.clone());
    progress::identified(&aws.credentials, None, console);
    let comparison = Comparison::new(Ok(aws), None, &plan.settings, None);
    for container in &plan.containers {
        let Some(live) = plan.live.get(&container.name) else {
            continue;
        };
        let changes = comparison.changes(container, Ok(live.clone())).await;
        dry_run::note(plan, container, changes, false, &mut state, console);
    }
    dry_run::count_unlisted(plan, &state, console);
    let exit = Exit::Published;
    let exit = ending.of_dry_run(exit, |console| {
        console.success("dry run: nothing was written");
        RunResult::dry_run(plan, exit, None, &state)
    });
    ending.make_reports(|reporter| reporter.of_dry_run(plan, &state, None));
    exit
}
