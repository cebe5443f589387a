//! Uploads the containers, and finds out what that changes for visitors.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::join;
use tokio::time::{timeout, timeout_at, Instant};

use super::compare::{already_reported, Comparison, Read, Sources};
use super::event::Event;
use super::one_upload::{stored, too_late, LOOKUP_TIMEOUT, UPLOADS_TIMEOUT, UPLOAD_TIMEOUT};
use super::only_newer;
use super::publisher::Publisher;
use super::put_back;
use super::state::Upload;
use crate::aws::error::AwsError;
use crate::aws::preconnect::Wanted;
use crate::aws::s3::{self, Precondition, Stored};
use crate::container::object::{Container, Object};
use crate::settings::Settings;

/// How many containers are uploaded at the same time, each over a connection of its own. At a round trip of 50 ms they keep one
/// processor busy, and more are not faster.
const MAX_CONCURRENT_UPLOADS: usize = 64;

/// How much later than the read of the live container the upload that replaces it starts, unless S3 responds before. The two
/// take different ways through S3, which may otherwise read what was just uploaded.
const HEAD_START: Duration = Duration::from_millis(10);

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
    let (aws, cdn, settings) = (publisher.aws, publisher.cdn, publisher.settings());
    let comparison = &Comparison::new(Ok(aws), cdn, settings, Some(&run.caller_reference));
    let containers = &run.plan.containers;
    let deadline = Instant::now() + UPLOADS_TIMEOUT;
    Sources::for_each(containers, MAX_CONCURRENT_UPLOADS, |container, sources| {
        publish_container(publisher, comparison, sources, container, deadline)
    })
    .await;
    publisher.emit(&Event::AllUploaded);
}

/// Uploads a container, and finds out what that changes for visitors: from the CDN before the upload, or from S3 during it, to
/// save a round trip. Once the upload has begun, it does not wait for that.
async fn publish_container(
    publisher: &Publisher<'_>,
    comparison: &Comparison<'_>,
    mut sources: Sources,
    container: &Container,
    deadline: Instant,
) -> (Sources, ()) {
    let upload = Box::pin(upload_container(publisher, container, deadline));
    let live = publisher.run.plan.live.get(&container.name);
    let uploaded = if publisher.settings().rollback.is_some() {
        // What is live was read to choose the version before it.
        let compare = async {
            if let Some(live) = live {
                compare(publisher, comparison, Ok(live.clone()), container).await;
            }
        };
        join(timeout_at(deadline, compare), upload).await.1
    } else {
        let read = Box::pin(comparison.read(container, &mut sources));
        let compare = |read| async {
            let compare = compare(publisher, comparison, read, container);
            // What is served may take long to parse, and no upload waits for that.
            let _ = timeout_at(deadline, compare).await;
        };
        if Comparison::reads_s3_meanwhile(publisher.settings()) {
            publisher.preconnect.s3().await;
            with_head_start(read, compare, upload).await
        } else {
            let compare = compare(read.await);
            publisher.preconnect.s3().await;
            join(compare, upload).await.1
        }
    };
    for object in uploaded {
        publisher.emit(&Event::Uploaded(object));
    }
    (sources, ())
}

/// Uploads while `read` and then `compare` go on, but first gives `read` its head start.
async fn with_head_start<R, C: Future, U: Future>(
    read: impl Future<Output = R>,
    compare: impl FnOnce(R) -> C,
    upload: U,
) -> U::Output {
    let mut read = pin!(read);
    let first = timeout(HEAD_START, read.as_mut()).await;
    let compare = async {
        let read = match first {
            Ok(read) => read,
            Err(_) => read.await,
        };
        compare(read).await;
    };
    join(compare, upload).await.1
}

async fn compare(
    publisher: &Publisher<'_>,
    comparison: &Comparison<'_>,
    read: Read,
    container: &Container,
) {
    let changes = comparison.changes(container, read).await;
    let already_reported = already_reported(&changes, publisher.run.state().changes.values());
    publisher.emit(&Event::Compared {
        container,
        changes: &changes,
        already_reported,
    });
    let state = &mut publisher.run.state();
    state.changes.insert(container.name.clone(), changes);
}

/// Uploads the objects of a container in their order, and returns those that are stored.
async fn upload_container<'a>(
    publisher: &Publisher<'_>,
    container: &'a Container,
    deadline: Instant,
) -> Vec<&'a Object> {
    let settings = publisher.settings();
    if settings.only_newer && settings.rollback.is_none() {
        return only_newer::upload(publisher, container, deadline).await;
    }
    let run = publisher.run;
    let mut uploaded = Vec::new();
    for object in container.objects.iter() {
        let end = Instant::now() + UPLOAD_TIMEOUT;
        if end > deadline {
            let error = too_late(settings, object);
            run.set_upload(&object.key, Upload::Failed(error));
            break;
        }
        // Before the request, so that whoever ends the run meanwhile knows that it may have been sent.
        run.set_upload(&object.key, Upload::InFlight);
        match put(publisher, object, end).await {
            Ok(stored) => run.set_upload(&object.key, Upload::Uploaded(stored)),
            Err(error) => {
                run.set_upload(&object.key, Upload::Failed(error));
                break;
            }
        }
        uploaded.push(object);
    }
    uploaded
}

/// Uploads an object. If no attempt was conclusive, looks whether it is stored.
async fn put(
    publisher: &Publisher<'_>,
    object: &Object,
    deadline: Instant,
) -> Result<Stored, AwsError> {
    let (client, settings) = (&publisher.aws.s3, publisher.settings());
    let (run, precondition) = (&publisher.run.caller_reference, &Precondition::None);
    let end = deadline - LOOKUP_TIMEOUT;
    let put = match &object.restored {
        None => s3::put_object(client, settings, run, object, precondition, end).await,
        Some(restored) => put_back::put(publisher, object, restored, end).await,
    };
    match put {
        Err(error) if error.outcome_unknown => {
            stored(publisher, object, deadline).await.ok_or(error)
        }
        put => put,
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tokio::time::{sleep, Instant};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_upload_starts_when_the_read_has_ended_or_its_head_start_is_over() {
        async fn case(read_takes: u64, starts_after: u64) {
            let started = Instant::now();
            let read = async {
                sleep(Duration::from_millis(read_takes)).await;
                started.elapsed().as_millis()
            };
            let mut compared_after = None;
            let compare = |read| {
                compared_after = Some(read);
                ready(())
            };
            let upload = async { started.elapsed().as_millis() };
            let uploaded_after = with_head_start(read, compare, upload).await;
            assert_eq!(uploaded_after, starts_after.into());
            assert_eq!(compared_after, Some(read_takes.into()));
        }
        case(4, 4).await;
        case(100, 10).await;
    }
}
