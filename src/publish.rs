//! Carries the plan out: uploads, then invalidations, then the waits that were asked for.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{join_all, select, Either};
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::aws::Aws;
use crate::cloudfront;
use crate::columns::first_ten;
use crate::fault::Fault;
use crate::identity::{self, Identity};
use crate::live;
use crate::name::{public_url_of, DistributionId};
use crate::record::{Invalidation, Record};
use crate::report;
use crate::reporter::Reporter;
use crate::scope::missing_statement;
use crate::tls::Https;
use crate::upload;
use crate::warm::Connections;

/// Containers that are waited for at the public URL at the same time.
const CONCURRENT_LOOKS: usize = 16;
/// How long `WAIT` waits for an invalidation. CloudFront usually needs less than a minute.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// The first pause between two looks at an invalidation; it doubles up to the longest.
const FIRST_POLL: Duration = Duration::from_secs(1);
const LONGEST_POLL: Duration = Duration::from_secs(10);
/// How long an answer may take that is nice to have, after everything else is done.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Carries the plan out, and asks meanwhile whose credentials these are. Nothing depends on that answer, nor waits for it.
pub(crate) async fn publish(
    aws: &Aws,
    https: &Https,
    connections: &Connections,
    record: &Record,
    reporter: &Reporter,
) {
    let settings = &record.plan.settings;
    let work = pin!(async {
        upload::upload(aws, https, connections, record, reporter).await;
        record.expect_live();
        connections.cloudfront().await;
        invalidate(aws, record, reporter).await;
        if settings.wait {
            wait(aws, record, reporter).await;
        }
        verify(https, record, reporter).await;
    });
    let identity = pin!(async {
        if settings.aws.can_call_sts {
            let answer = identity::of_caller(&aws.config).await;
            record.state().identity = answer.ok();
        }
    });
    match select(work, identity).await {
        Either::Left(((), identity)) => {
            let _ = tokio::time::timeout(LAST_WORD, identity).await;
        }
        Either::Right(((), work)) => work.await,
    }
    let identity = record.state().identity.clone();
    if let Some(Identity { arn, account_id }) = identity {
        reporter.info(&format!("identity: {arn} in account {account_id}"));
    }
}

/// Invalidates exactly the paths that were published, in every distribution; none waits for another's failure.
///
/// It is done even where the bytes did not change, so that a run that failed here before is mended by running it again.
async fn invalidate(aws: &Aws, record: &Record, reporter: &Reporter) {
    let groups = record.published_paths();
    if groups.is_empty() {
        return;
    }
    let groups = &groups;
    join_all(
        record
            .plan
            .settings
            .distributions
            .iter()
            .map(|distribution| async move {
                record.set_invalidation(distribution, &Invalidation::Sending);
                let mut ids = Vec::with_capacity(groups.len());
                for (number, paths) in groups.iter().enumerate() {
                    // Other paths need another reference.
                    let reference = match number {
                        0 => record.caller_reference.clone(),
                        number => format!("{}-{number}", record.caller_reference),
                    };
                    let attempt = || {
                        cloudfront::create_invalidation(
                            &aws.cloudfront,
                            distribution,
                            paths,
                            &reference,
                        )
                    };
                    let on_wait = |fault: &Fault, delay: Duration| {
                        reporter.info(&format!(
                            "CloudFront is busy ({}): trying {distribution} again in {} s",
                            fault.code.as_deref().unwrap_or("no code"),
                            delay.as_secs()
                        ));
                    };
                    match cloudfront::while_busy(attempt, on_wait).await {
                        Ok(id) => {
                            let paths: Vec<&str> =
                                paths.iter().map(crate::name::CdnPath::as_str).collect();
                            reporter.success(&format!(
                                "invalidation {id} of {distribution} is on its way: {}",
                                first_ten(&paths)
                            ));
                            ids.push(id);
                        }
                        Err(fault) => {
                            record.set_invalidation(distribution, &Invalidation::Failed(fault));
                            return;
                        }
                    }
                }
                record.set_invalidation(distribution, &Invalidation::InProgress(ids));
            }),
    )
    .await;
}

/// Waits until CloudFront has carried the invalidations out. Waiting too long, or in vain, is a warning.
async fn wait(aws: &Aws, record: &Record, reporter: &Reporter) {
    let in_progress: Vec<(DistributionId, Vec<String>)> = record
        .state()
        .invalidations
        .iter()
        .filter_map(|(distribution, invalidation)| match invalidation {
            Invalidation::InProgress(ids) => Some((distribution.clone(), ids.clone())),
            _ => None,
        })
        .collect();
    join_all(in_progress.into_iter().map(|(distribution, ids)| async move {
        for id in &ids {
            if let Err(problem) = wait_for(aws, &distribution, id, record, reporter).await {
                reporter.warning(&format!(
                    "not known whether invalidation {id} of {distribution} has finished; it goes on by itself\n{problem}"
                ));
                return;
            }
        }
        reporter.success(&format!("{distribution} has forgotten the old container everywhere"));
        record.set_invalidation(&distribution, &Invalidation::Completed(ids));
    }))
    .await;
}

async fn wait_for(
    aws: &Aws,
    distribution: &DistributionId,
    id: &str,
    record: &Record,
    reporter: &Reporter,
) -> Result<(), String> {
    let started = Instant::now();
    let mut pause = FIRST_POLL;
    loop {
        match cloudfront::is_completed(&aws.cloudfront, distribution, id).await {
            Ok(true) => return Ok(()),
            Ok(false) if started.elapsed() > LONGEST_WAIT => {
                return Err(format!(
                    "it was not finished after {} minutes",
                    LONGEST_WAIT.as_secs() / 60
                ));
            }
            Ok(false) => {}
            Err(fault) => {
                let scope = record.state().scope(&record.plan);
                let statement = missing_statement(std::iter::once(&fault), &scope);
                let statement = statement
                    .map(|statement| format!("\n{}", statement.pretty()))
                    .unwrap_or_default();
                return Err(format!("{fault}\n{}{statement}", fault.remedy()));
            }
        }
        reporter.waiting(&format!(
            "waiting for invalidation {id} of {distribution} to finish ({} s)",
            started.elapsed().as_secs()
        ));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_POLL);
    }
}

/// Fetches every container from the public URL until it is the new one.
async fn verify(https: &Https, record: &Record, reporter: &Reporter) {
    let settings = &record.plan.settings;
    let Some(public_url) = &settings.public_url else {
        return;
    };
    let connector = https.connector();
    let is_purged = record.state().is_purged();
    let deadline = Instant::now() + live::longest_wait(is_purged);
    let published = record.published_containers();
    let objects = published
        .iter()
        .filter_map(|container| container.minified());
    stream::iter(objects.enumerate())
        .map(|(number, object)| {
            let connector = &connector;
            async move {
                let url = public_url_of(public_url, &object.cdn_path);
                let on_wait = |problem: &str, waited: Duration| {
                    record.state().live[number].problem = Some(problem.to_owned());
                    reporter.waiting(&format!(
                        "waiting for {url} to be the new container ({} s): {problem}",
                        waited.as_secs()
                    ));
                };
                let cache_control = &settings.cache_control;
                let result =
                    live::until_served(connector, &url, object, cache_control, deadline, on_wait)
                        .await;
                if result.is_ok() {
                    report::live(record, &url, reporter);
                }
                record.state().live[number].problem = result.err();
            }
        })
        .buffer_unordered(CONCURRENT_LOOKS)
        .collect::<()>()
        .await;
}
