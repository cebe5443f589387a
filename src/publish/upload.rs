//! Uploads the containers, and finds out what that changes for visitors.

use futures_util::future::join;

use super::compare::{already_reported, Comparison, Sources};
use super::event::Event;
use super::only_newer;
use super::publisher::Publisher;
use super::state::Upload;
use crate::aws::error::AwsError;
use crate::aws::preconnect::Wanted;
use crate::aws::s3::{self, Precondition};
use crate::container::object::{Container, Object};
use crate::settings::Settings;

/// How many containers are uploaded at the same time, each over a connection of its own. At a round trip of 50 ms they keep one
/// processor busy, and more are not faster.
const MAX_CONCURRENT_UPLOADS: usize = 64;

/// The connections to S3 that a publish with these settings needs.
pub(crate) fn connections(settings: &Settings) -> Wanted {
    Wanted {
        uploads: settings.target.containers.len().min(MAX_CONCURRENT_UPLOADS),
        reads: usize::from(Comparison::reads_s3_meanwhile(settings)),
    }
}

/// Uploads every container: `NAME.pretty.js` first, then `NAME.js`, which pages load, if that succeeded.
pub(crate) async fn upload(publisher: &Publisher<'_>) {
    let run = publisher.run;
    let (aws, https, settings) = (publisher.aws, publisher.https, publisher.settings());
    let comparison = &Comparison::new(Ok(aws), https, settings, Some(&run.caller_reference));
    let containers = &run.plan.containers;
    Sources::for_each(containers, MAX_CONCURRENT_UPLOADS, |container, sources| {
        publish_container(publisher, comparison, sources, container)
    })
    .await;
    publisher.emit(&Event::AllUploaded);
}

/// Uploads a container, and finds out what that changes for visitors: from the CDN before the upload, or from S3 during it, to
/// save a round trip. Once the upload has begun, it does not wait for that.
async fn publish_container(
    publisher: &Publisher<'_>,
    comparison: &Comparison<'_>,
    sources: Sources,
    container: &Container,
) -> (Sources, ()) {
    let connections = publisher.preconnect;
    let compare = compare(publisher, comparison, sources, container);
    let upload = upload_container(publisher, container);
    let (sources, uploaded) = if Comparison::reads_s3_meanwhile(publisher.settings()) {
        connections.s3().await;
        join(compare, upload).await
    } else {
        let sources = compare.await;
        connections.s3().await;
        (sources, upload.await)
    };
    for object in uploaded {
        publisher.emit(&Event::Uploaded(object));
    }
    (sources, ())
}

async fn compare(
    publisher: &Publisher<'_>,
    comparison: &Comparison<'_>,
    sources: Sources,
    container: &Container,
) -> Sources {
    let (sources, changes) = comparison.compare(container, sources).await;
    let already_reported = already_reported(&changes, publisher.run.state().changes.values());
    publisher.emit(&Event::Compared {
        container,
        changes: &changes,
        already_reported,
    });
    let state = &mut publisher.run.state();
    state.changes.insert(container.name.clone(), changes);
    sources
}

/// Uploads the objects of a container in their order, and returns those that are stored.
async fn upload_container<'a>(
    publisher: &Publisher<'_>,
    container: &'a Container,
) -> Vec<&'a Object> {
    let run = publisher.run;
    let mut uploaded = Vec::new();
    for object in container.objects.iter() {
        if !run.start_upload(&object.key) {
            break;
        }
        if let Err(error) = put(publisher, object).await {
            run.set_upload(&object.key, Upload::Failed(error));
            break;
        }
        run.set_upload(&object.key, Upload::Uploaded);
        uploaded.push(object);
    }
    uploaded
}

async fn put(publisher: &Publisher<'_>, object: &Object) -> Result<(), AwsError> {
    let (client, settings) = (&publisher.aws.s3, publisher.settings());
    let run = &publisher.run.caller_reference;
    if settings.only_newer {
        only_newer::put_if_newer(client, settings, run, object).await
    } else {
        s3::put_object(client, settings, run, object, &Precondition::None).await
    }
}
