//! Uploads the containers, and finds out what that changes for visitors.

use futures_util::future::join;
use futures_util::stream::{self, StreamExt};

use super::compare::{is_told, Current};
use super::event::Event;
use super::only_newer;
use super::publisher::Publisher;
use super::run::Upload;
use crate::aws::error::Fault;
use crate::aws::preconnect::Wanted;
use crate::aws::s3::{self, Precondition};
use crate::container::object::{Container, Object};
use crate::settings::Settings;

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
pub(crate) async fn upload(publisher: &Publisher<'_>) {
    let record = publisher.record;
    let settings = publisher.settings();
    let run = Some(record.caller_reference.as_str());
    let current = &Current::new(Ok(publisher.aws), publisher.https, settings, run);
    let publish = |container| publish_container(publisher, current, container);
    let mut containers = record.plan.containers.iter();
    // The first alone: whether it may be read shows whether the others are worth reading.
    if let Some(container) = containers.next() {
        publish(container).await;
    }
    stream::iter(containers)
        .map(publish)
        .buffer_unordered(CONCURRENT_UPLOADS)
        .collect::<()>()
        .await;
    publisher.emit(&Event::AllUploaded);
}

/// Uploads a container, and finds out what that changes for visitors: before it is sent, or from S3 meanwhile, as that would
/// cost a round trip. No upload of the container waits for it once they have begun.
async fn publish_container(
    publisher: &Publisher<'_>,
    current: &Current<'_>,
    container: &Container,
) {
    let connections = publisher.connections;
    if Current::reads_s3_meanwhile(publisher.settings()) {
        connections.s3().await;
        let compare = compare(publisher, current, container);
        let ((), uploaded) = join(compare, upload_container(publisher, container)).await;
        emit_uploaded(publisher, &uploaded);
    } else {
        compare(publisher, current, container).await;
        connections.s3().await;
        let uploaded = upload_container(publisher, container).await;
        emit_uploaded(publisher, &uploaded);
    }
}

async fn compare(publisher: &Publisher<'_>, current: &Current<'_>, container: &Container) {
    let difference = current.difference(container).await;
    let is_told = is_told(&difference, publisher.record.state().differences.values());
    publisher.emit(&Event::Compared {
        container,
        difference: &difference,
        is_told,
    });
    let differences = &mut publisher.record.state().differences;
    differences.insert(container.name.clone(), difference);
}

/// Uploads the objects of a container in their order, and returns those that are stored.
async fn upload_container<'a>(
    publisher: &Publisher<'_>,
    container: &'a Container,
) -> Vec<&'a Object> {
    let record = publisher.record;
    let mut uploaded = Vec::new();
    for object in container.objects.iter() {
        record.set_upload(&object.key, Upload::Sending);
        match put(publisher, object).await {
            Ok(()) => {
                record.set_upload(&object.key, Upload::Done);
                uploaded.push(object);
            }
            Err(fault) => {
                record.set_upload(&object.key, Upload::Failed(fault));
                break;
            }
        }
    }
    uploaded
}

async fn put(publisher: &Publisher<'_>, object: &Object) -> Result<(), Fault> {
    let (client, settings) = (&publisher.aws.s3, publisher.settings());
    let run = &publisher.record.caller_reference;
    if settings.only_newer {
        only_newer::put_if_newer(client, settings, run, object).await
    } else {
        s3::put_object(client, settings, run, object, &Precondition::None).await
    }
}

fn emit_uploaded(publisher: &Publisher<'_>, uploaded: &[&Object]) {
    for object in uploaded {
        publisher.emit(&Event::Uploaded(object));
    }
}
