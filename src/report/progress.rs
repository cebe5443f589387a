//! The report of a run that is under way: what it is about to do, what that changes and what is done, for a marketer to read.

use super::console::Reporter;
use super::tables;
use crate::aws::iam_policy::missing_statement;
use crate::aws::sts::Identity;
use crate::common::byte_size::ByteSize;
use crate::common::layout::first_ten;
use crate::container::changes::Difference;
use crate::container::object::{Container, Object};
use crate::publish::compare::NotCompared;
use crate::publish::event::{Event, NotCompleted};
use crate::publish::plan::Plan;
use crate::publish::run::{Record, Upload, Verification};
use crate::settings::names::s3_uri;
use crate::settings::names::CdnPath;

/// Of a run with more containers than this, not everything is said of each.
pub(crate) const LISTED: usize = 10;

/// Says what is published where, and why.
pub(crate) fn opening(plan: &Plan, reporter: &Reporter) {
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
    reporter.info(&format!(
        "publishing {what} to {} ({}{build})",
        settings.environment, settings.environment_reason
    ));
    let folder = if settings.target.prefix.as_str().is_empty() {
        String::new()
    } else {
        format!("{}/", settings.target.prefix)
    };
    reporter.info(&format!(
        "bucket: s3://{}/{folder} in {}",
        settings.target.bucket, settings.target.region
    ));
    if settings.distributions.is_empty() {
        reporter.info("CloudFront: nothing will be invalidated, as `DISTRIBUTION_ID` is not set; the CDN keeps the old container until its cache ends");
    }
    if !settings.validate {
        reporter.warning("`VALIDATE` is `false`: any script is published, whether or not it is a Mojito container");
    }
    for container in plan.containers.iter().take(LISTED) {
        if let Some(script) = &container.script {
            let (heading, rows) = tables::experiments(container, script);
            reporter.table(&heading, &rows);
        }
    }
    if plan.containers.len() > LISTED {
        reporter.info(&format!(
            "(the experiments of {} more containers are not listed)",
            plan.containers.len() - LISTED
        ));
    }
    for oddity in plan
        .containers
        .iter()
        .flat_map(|container| &container.oddities)
    {
        reporter.warning(oddity);
    }
}

/// Says what publishing a container changes for visitors, or why that is not known, unless that is told already.
pub(crate) fn difference(
    plan: &Plan,
    container: &Container,
    difference: &Result<Difference, NotCompared>,
    is_told: bool,
    reporter: &Reporter,
) {
    match difference {
        Ok(difference) if plan.containers.len() > LISTED && difference.is_nothing() => {}
        Ok(difference) => {
            let (heading, rows) = tables::difference(difference);
            reporter.table(&heading, &rows);
        }
        Err(_) if is_told => {}
        Err(problem) => {
            let of = if plan.containers.len() > 1 {
                format!("{}: ", container.name)
            } else {
                String::new()
            };
            reporter.info(&format!(
                "{of}not compared with what visitors get now: {problem}"
            ));
        }
    }
}

/// Says what happens during a publish.
pub(crate) fn progress(event: &Event, record: &Record, reporter: &Reporter) {
    match event {
        Event::Compared {
            container,
            difference: it,
            is_told,
        } => difference(&record.plan, container, it, *is_told, reporter),
        Event::Uploaded(object) => uploaded(record, object, reporter),
        Event::AllUploaded => all_uploaded(record, reporter),
        Event::Busy {
            distribution,
            fault,
            delay,
        } => reporter.info(&format!(
            "CloudFront is busy ({}): trying {distribution} again in {} s",
            fault.code.as_deref().unwrap_or("no code"),
            delay.as_secs()
        )),
        Event::Invalidating {
            distribution,
            id,
            paths,
        } => {
            let paths: Vec<&str> = paths.iter().map(CdnPath::as_str).collect();
            reporter.success(&format!(
                "invalidation {id} of {distribution} is on its way: {}",
                first_ten(&paths)
            ));
        }
        Event::InvalidationPending {
            distribution,
            id,
            waited,
        } => reporter.waiting(&format!(
            "waiting for invalidation {id} of {distribution} to finish ({} s)",
            waited.as_secs()
        )),
        Event::Invalidated(distribution) => reporter.success(&format!(
            "{distribution} has forgotten the old container everywhere"
        )),
        Event::NotWatched {
            distribution,
            id,
            why,
        } => reporter.warning(&format!(
            "not known whether invalidation {id} of {distribution} has finished; it goes on by itself\n{}",
            not_completed(why, record)
        )),
        Event::VerificationPending {
            url,
            last_seen,
            waited,
        } => reporter.waiting(&format!(
            "waiting for {url} to be the new container ({} s): {last_seen}",
            waited.as_secs()
        )),
        Event::Verified { url } => live(record, url, reporter),
        Event::Identified(Identity { arn, account_id }) => {
            reporter.info(&format!("identity: {arn} in account {account_id}"));
        }
    }
}

fn not_completed(why: &NotCompleted, record: &Record) -> String {
    match why {
        NotCompleted::After(time) => {
            format!("it was not finished after {} minutes", time.as_secs() / 60)
        }
        NotCompleted::Fault(fault) => {
            let scope = record.state().scope(&record.plan);
            let statement = missing_statement(std::iter::once(&**fault), &scope);
            let statement = statement
                .map(|statement| format!("\n{}", statement.pretty()))
                .unwrap_or_default();
            format!("{fault}\n{}{statement}", fault.remedy())
        }
    }
}

/// Says that an object is uploaded, or of many, how far the uploads are.
fn uploaded(record: &Record, object: &Object, reporter: &Reporter) {
    let plan = &record.plan;
    if plan.containers.len() > LISTED {
        let (done, all) = {
            let uploads = &record.state().uploads;
            let done = uploads.values().filter(|upload| upload.is_done());
            (done.count(), uploads.len())
        };
        reporter.waiting(&format!("uploading: {done} of {all} files are stored"));
        return;
    }
    reporter.success(&format!(
        "uploaded {}: {}, {} compressed",
        s3_uri(&plan.settings.target.bucket, &object.key),
        object.size,
        object.compressed_size()
    ));
}

/// Says of many objects how much was uploaded.
fn all_uploaded(record: &Record, reporter: &Reporter) {
    if record.plan.containers.len() <= LISTED {
        return;
    }
    let (mut files, mut size, mut compressed) = (0, 0, 0);
    {
        let uploads = &record.state().uploads;
        let is_done = |object: &&Object| uploads.get(&object.key).is_some_and(Upload::is_done);
        for object in record.plan.objects().filter(is_done) {
            files += 1;
            size += object.size.0;
            compressed += object.compressed_size().0;
        }
    }
    if files > 0 {
        reporter.success(&format!(
            "uploaded {files} files to s3://{}: {}, {} compressed",
            record.plan.settings.target.bucket,
            ByteSize(size),
            ByteSize(compressed)
        ));
    }
}

/// Says that visitors get a container, or of many, how many they get.
fn live(record: &Record, url: &str, reporter: &Reporter) {
    if record.plan.containers.len() > LISTED {
        let (seen, all) = {
            let verifications = &record.state().verifications;
            let seen = verifications
                .values()
                .filter(|verification| **verification == Verification::Verified)
                .count();
            (seen, verifications.len())
        };
        if seen == all {
            reporter.success(&format!(
                "{url} and {} more are the new containers",
                all - 1
            ));
        } else {
            reporter.waiting(&format!(
                "looking at visitors' view: {seen} of {all} are the new containers"
            ));
        }
        return;
    }
    reporter.success(&format!("{url} is the new container"));
}
