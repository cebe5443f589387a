//! `--dry-run`: shows the plan, and what it would change.
//!
//! It reads what is published now, if the credentials allow it, and writes nothing.

use aws_config::SdkConfig;

use super::error::Error;
use crate::aws::credentials::ConnectError;
use crate::aws::https::Https;
use crate::aws::iam_policy::Permissions;
use crate::aws::{self, Aws};
use crate::exit::Exit;
use crate::publish::compare::{already_reported, Comparison};
use crate::publish::only_newer;
use crate::publish::plan::Plan;
use crate::publish::state::RunState;
use crate::report::console::Console;
use crate::report::result_json::RunResult;
use crate::report::{progress, result_file, tables};

/// Shows what a publish would do.
pub(crate) async fn dry_run(
    plan: &Plan,
    https: &Https,
    config: SdkConfig,
    console: &Console,
) -> Result<Exit, Error> {
    for line in tables::plan(plan) {
        console.info(&line);
    }
    let permissions = Permissions::of(&plan.settings);
    let aws = aws::connect(&plan.settings, config, Some(&permissions)).await;
    let aws = aws.as_ref();
    let readable = aws.map_err(ConnectError::summary);
    let comparison = Comparison::new(readable, https, &plan.settings, None);
    let all_changes = comparison.all(&plan.containers).await;
    let mut state = RunState::new(plan);
    for (container, changes) in plan.containers.iter().zip(all_changes) {
        let already_reported = already_reported(&changes, state.changes.values());
        progress::changes(plan, container, &changes, already_reported, console);
        state.changes.insert(container.name.clone(), changes);
    }
    if let (Ok(aws), true) = (aws, plan.settings.only_newer) {
        refusals(plan, aws, console).await;
    }
    console.success("dry run: nothing was written");
    state.credentials = aws.ok().map(|aws| aws.credentials.clone());
    let result = RunResult::dry_run(plan, &state);
    result_file::write(&plan.settings.build, result, console);
    Ok(Exit::Published)
}

/// Shows what `ONLY_NEWER` would refuse to replace.
async fn refusals(plan: &Plan, aws: &Aws, console: &Console) {
    for object in plan.objects() {
        match only_newer::head_unless_newer(&aws.s3, &plan.settings, object).await {
            Ok(None) => console.info(&format!(
                "{} does not exist yet, or these credentials may not read its build number (`s3:GetObject`), \
                 and `ONLY_NEWER` would refuse to replace it",
                object.key
            )),
            Ok(_) => {}
            Err(error) => console.warning(&format!("it would be refused: {error}")),
        }
    }
}
