//! Uploads the containers, and says what that changes for visitors.

use std::future::Future;

use futures_util::future::{join, FutureExt, Shared};
use futures_util::stream::{self, StreamExt};

use crate::aws::Aws;
use crate::current::Current;
use crate::newest;
use crate::object::{Container, Object};
use crate::record::{Record, Upload};
use crate::report;
use crate::reporter::Reporter;
use crate::s3::{self, Precondition};
use crate::settings::Settings;
use crate::tls::Https;
use crate::warm::{Connections, Wanted};

/// Containers that are uploaded at the same time, each over a connection of its own. At a round trip of 50 ms these keep one
/// processor busy, and more do not make it faster.
const CONCURRENT_UPLOADS: usize = 64;

/// The connections to S3 that a publish with these settings needs.
pub(crate) fn connections(settings: &Settings) -> Wanted {
    Wanted {
        uploads: settings.target.containers.len().min(CONCURRENT_UPLOADS),
        reads: usize::from(Current::reads_s3_meanwhile(settings)),
    }
}

/// Uploads every container: `NAME.pretty.js` first and `NAME.js`, which the pages load, only when it succeeded.
pub(crate) async fn upload(
    aws: &Aws,
    https: &Https,
    connections: &Connections,
    record: &Record,
    reporter: &Reporter,
) {
    let current = &Current::new(
        Ok(aws),
        https,
        &record.plan.settings,
        Some(&record.caller_reference),
    );
    let publish =
        |container| publish_container(aws, current, connections, container, record, reporter);
    let mut containers = record.plan.containers.iter();
    // The first alone: whether it may be read tells whether the others are worth asking for.
    if let Some(container) = containers.next() {
        publish(container).await;
    }
    stream::iter(containers)
        .map(publish)
        .buffer_unordered(CONCURRENT_UPLOADS)
        .collect::<()>()
        .await;
    report::all_uploaded(record, reporter);
}

/// Uploads a container, and says what that changes for visitors: before it is sent, or before it is said to be uploaded
/// where it can be known so late.
async fn publish_container(
    aws: &Aws,
    current: &Current<'_>,
    connections: &Connections,
    container: &Container,
    record: &Record,
    reporter: &Reporter,
) {
    let meanwhile = Current::reads_s3_meanwhile(&record.plan.settings);
    let compared = async {
        if meanwhile {
            connections.s3().await;
        }
        let difference = current.difference(container).await;
        let is_told = report::is_told(&difference, record.state().differences.values());
        report::difference(&record.plan, container, &difference, is_told, reporter);
        let differences = &mut record.state().differences;
        differences.insert(container.name.clone(), difference);
    };
    let compared = compared.shared();
    if !meanwhile {
        compared.clone().await;
    }
    connections.s3().await;
    let upload = upload_container(aws, container, &compared, record, reporter);
    join(compared.clone(), upload).await;
}

/// What is done is said once it is said what it changes, as `compared` does. No upload of
/// the container waits for it once they have begun.
async fn upload_container(
    aws: &Aws,
    container: &Container,
    compared: &Shared<impl Future<Output = ()>>,
    record: &Record,
    reporter: &Reporter,
) {
    let settings = &record.plan.settings;
    let run = &record.caller_reference;
    let mut failed = false;
    let mut unsaid = Vec::new();
    for object in container.objects.iter() {
        if failed {
            record.set_upload(&object.key, Upload::Skipped);
            continue;
        }
        record.set_upload(&object.key, Upload::Sending);
        let result = if settings.only_newer {
            newest::put_if_newer(&aws.s3, settings, run, object).await
        } else {
            s3::put_object(&aws.s3, settings, run, object, &Precondition::None).await
        };
        match result {
            Ok(()) => {
                record.set_upload(&object.key, Upload::Done);
                unsaid.push(object);
            }
            Err(fault) => {
                record.set_upload(&object.key, Upload::Failed(fault));
                failed = true;
            }
        }
        if compared.peek().is_some() {
            say_uploaded(&mut unsaid, record, reporter);
        }
    }
    compared.clone().await;
    say_uploaded(&mut unsaid, record, reporter);
}

fn say_uploaded(unsaid: &mut Vec<&Object>, record: &Record, reporter: &Reporter) {
    for object in unsaid.drain(..) {
        report::uploaded(record, object, reporter);
    }
}
