//! The report of a run that is under way: what it is about to do, what that changes and what is done, for a marketer to read.

use super::console::Console;
use super::tables;
use crate::aws::iam_policy::missing_statement;
use crate::aws::sts::Identity;
use crate::common::byte_size::ByteSize;
use crate::common::layout::first_ten;
use crate::container::changes::Changes;
use crate::container::object::{Container, Object};
use crate::publish::compare::NotCompared;
use crate::publish::event::{Event, NotCompleted};
use crate::publish::plan::Plan;
use crate::publish::run::Run;
use crate::publish::state::{Upload, Verification};
use crate::settings::names::s3_uri;
use crate::settings::names::CdnPath;

/// Of a run with more containers than this, not everything is said of each.
pub(crate) const MAX_LISTED: usize = 10;

/// Says what is published where, and why.
pub(crate) fn opening(plan: &Plan, console: &Console) {
    let settings = &plan.settings;
    let names: Vec<&str> = plan
        .containers
        .iter()
        .map(|container| container.name.as_str())
        .collect();
    let what = format!(
        "{} {}",
        if names.len() == 1 {
            "container"
        } else {
            "containers"
        },
        first_ten(&names)
    );
    let build = settings
        .build
        .summary()
        .map(|build| format!(", {build}"))
        .unwrap_or_default();
    console.info(&format!(
        "publishing {what} to {} ({}{build})",
        settings.environment, settings.environment_reason
    ));
    let folder = if settings.target.prefix.as_str().is_empty() {
        String::new()
    } else {
        format!("{}/", settings.target.prefix)
    };
    console.info(&format!(
        "bucket: s3://{}/{folder} in {}",
        settings.target.bucket, settings.target.region
    ));
    if settings.distributions.is_empty() {
        console.info("CloudFront: nothing will be invalidated, as `DISTRIBUTION_ID` is not set; the CDN keeps the old container until its cache ends");
    }
    if !settings.validate {
        console.warning("`VALIDATE` is `false`: any script is published, whether or not it is a Mojito container");
    }
    for container in plan.containers.iter().take(MAX_LISTED) {
        if let Some(script) = &container.script {
            let (heading, rows) = tables::experiments(container, script);
            console.table(&heading, &rows);
        }
    }
    if plan.containers.len() > MAX_LISTED {
        console.info(&format!(
            "(the experiments of {} more containers are not listed)",
            plan.containers.len() - MAX_LISTED
        ));
    }
    for warning in plan
        .containers
        .iter()
        .flat_map(|container| &container.warnings)
    {
        console.warning(warning);
    }
}

/// Says what publishing a container changes for visitors, or why that is not known, unless that is told already.
pub(crate) fn changes(
    plan: &Plan,
    container: &Container,
    changes: &Result<Changes, NotCompared>,
    already_reported: bool,
    console: &Console,
) {
    match changes {
        Ok(changes) if plan.containers.len() > MAX_LISTED && changes.is_nothing() => {}
        Ok(changes) => {
            let (heading, rows) = tables::changes(changes);
            console.table(&heading, &rows);
        }
        Err(_) if already_reported => {}
        Err(problem) => {
            let of = if plan.containers.len() > 1 {
                format!("{}: ", container.name)
            } else {
                String::new()
            };
            console.info(&format!(
                "{of}not compared with what visitors get now: {problem}"
            ));
        }
    }
}

/// Says what happens during a publish.
pub(crate) fn report(event: &Event, run: &Run, console: &Console) {
    match event {
        Event::Compared {
            container,
            changes: it,
            already_reported,
        } => changes(&run.plan, container, it, *already_reported, console),
        Event::Uploaded(object) => uploaded(run, object, console),
        Event::AllUploaded => all_uploaded(run, console),
        Event::Busy {
            distribution,
            error,
            delay,
        } => console.info(&format!(
            "CloudFront is busy ({}): trying {distribution} again in {} s",
            error.code.as_deref().unwrap_or("no code"),
            delay.as_secs()
        )),
        Event::Invalidating {
            distribution,
            id,
            paths,
        } => {
            let paths: Vec<&str> = paths.iter().map(CdnPath::as_str).collect();
            console.success(&format!(
                "invalidation {id} of {distribution} is on its way: {}",
                first_ten(&paths)
            ));
        }
        Event::InvalidationPending {
            distribution,
            id,
            waited,
        } => console.waiting(&format!(
            "waiting for invalidation {id} of {distribution} to finish ({} s)",
            waited.as_secs()
        )),
        Event::Invalidated(distribution) => console.success(&format!(
            "{distribution} has forgotten the old container everywhere"
        )),
        Event::NotWatched {
            distribution,
            id,
            why,
        } => console.warning(&format!(
            "not known whether invalidation {id} of {distribution} has finished; it goes on by itself\n{}",
            not_completed(why, run)
        )),
        Event::VerificationPending {
            url,
            last_seen,
            waited,
        } => console.waiting(&format!(
            "waiting for {url} to be the new container ({} s): {last_seen}",
            waited.as_secs()
        )),
        Event::Verified { url } => live(run, url, console),
        Event::Identified(Identity { arn, account_id }) => {
            console.info(&format!("identity: {arn} in account {account_id}"));
        }
    }
}

fn not_completed(why: &NotCompleted, run: &Run) -> String {
    match why {
        NotCompleted::After(time) => {
            format!("it was not finished after {} minutes", time.as_secs() / 60)
        }
        NotCompleted::AwsError(error) => {
            let permissions = run.state().permissions(&run.plan);
            let statement = missing_statement(std::iter::once(&**error), &permissions);
            let statement = statement
                .map(|statement| format!("\n{}", statement.pretty()))
                .unwrap_or_default();
            format!("{error}\n{}{statement}", error.remedy())
        }
    }
}

/// Says that an object is uploaded, or of many, how far the uploads are.
fn uploaded(run: &Run, object: &Object, console: &Console) {
    let plan = &run.plan;
    if plan.containers.len() > MAX_LISTED {
        let (done, all) = {
            let uploads = &run.state().uploads;
            let done = uploads.values().filter(|upload| upload.is_done());
            (done.count(), uploads.len())
        };
        console.waiting(&format!("uploading: {done} of {all} files are stored"));
        return;
    }
    console.success(&format!(
        "uploaded {}: {}, {} compressed",
        s3_uri(&plan.settings.target.bucket, &object.key),
        object.size,
        object.compressed_size()
    ));
}

/// Says of many objects how much was uploaded.
fn all_uploaded(run: &Run, console: &Console) {
    if run.plan.containers.len() <= MAX_LISTED {
        return;
    }
    let (mut files, mut size, mut compressed) = (0, 0, 0);
    {
        let uploads = &run.state().uploads;
        let is_done = |object: &&Object| uploads.get(&object.key).is_some_and(Upload::is_done);
        for object in run.plan.objects().filter(is_done) {
            files += 1;
            size += object.size.0;
            compressed += object.compressed_size().0;
        }
    }
    if files > 0 {
        console.success(&format!(
            "uploaded {files} files to s3://{}: {}, {} compressed",
            run.plan.settings.target.bucket,
            ByteSize(size),
            ByteSize(compressed)
        ));
    }
}

/// Says that visitors get a container, or of many, how many they get.
fn live(run: &Run, url: &str, console: &Console) {
    if run.plan.containers.len() > MAX_LISTED {
        let (seen, all) = {
            let verifications = &run.state().verifications;
            let seen = verifications
                .values()
                .filter(|verification| **verification == Verification::Verified)
                .count();
            (seen, verifications.len())
        };
        if seen == all {
            console.success(&format!(
                "{url} and {} more are the new containers",
                all - 1
            ));
        } else {
            console.waiting(&format!(
                "looking at visitors' view: {seen} of {all} are the new containers"
            ));
        }
        return;
    }
    console.success(&format!("{url} is the new container"));
}
