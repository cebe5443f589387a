//! Carries the plan out: uploads, then invalidations, then the waits that were asked for.

pub(crate) mod cdn;
pub(crate) mod compare;
pub(crate) mod event;
pub(crate) mod invalidate;
pub(crate) mod only_newer;
pub(crate) mod plan;
pub(crate) mod publisher;
pub(crate) mod run;
pub(crate) mod upload;
pub(crate) mod verify;

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{select, Either};
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use self::event::Event;
use self::publisher::Publisher;
use crate::aws::sts;
use crate::settings::names::public_url_of;

/// Containers that are waited for at the public URL at the same time.
const CONCURRENT_LOOKS: usize = 16;
/// How long an answer may take that is nice to have, after everything else is done.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Carries the plan out, and looks up meanwhile whose credentials these are. Nothing depends on that, nor waits for it.
pub(crate) async fn publish(publisher: &Publisher<'_>) {
    let settings = publisher.settings();
    let work = Box::pin(async {
        upload::upload(publisher).await;
        publisher.record.expect_live();
        publisher.connections.cloudfront().await;
        invalidate::invalidate(publisher).await;
        if settings.wait {
            invalidate::wait(publisher).await;
        }
        verify_all(publisher).await;
    });
    let identity = pin!(async {
        if settings.aws.can_call_sts {
            let answer = sts::of_caller(&publisher.aws.config).await;
            publisher.record.state().identity = answer.ok();
        }
    });
    match select(work, identity).await {
        Either::Left(((), identity)) => {
            let _ = tokio::time::timeout(LAST_WORD, identity).await;
        }
        Either::Right(((), work)) => work.await,
    }
    let identity = publisher.record.state().identity.clone();
    if let Some(identity) = &identity {
        publisher.emit(&Event::Identified(identity));
    }
}

/// Fetches every container from the public URL until it is the new one.
async fn verify_all(publisher: &Publisher<'_>) {
    let (settings, record) = (publisher.settings(), publisher.record);
    let Some(public_url) = &settings.public_url else {
        return;
    };
    let connector = &publisher.https.connector();
    let is_purged = record.state().is_purged();
    let deadline = Instant::now() + verify::longest_wait(is_purged);
    let containers = record.published_containers();
    let objects = containers
        .iter()
        .filter_map(|container| container.minified());
    stream::iter(objects.enumerate())
        .map(|(number, object)| async move {
            let url = public_url_of(public_url, &object.cdn_path);
            let on_wait = |problem: &str, waited: Duration| {
                record.state().live[number].problem = Some(problem.to_owned());
                publisher.emit(&Event::Unserved {
                    url: &url,
                    problem,
                    waited,
                });
            };
            let cache_control = &settings.cache_control;
            let result =
                verify::until_served(connector, &url, object, cache_control, deadline, on_wait)
                    .await;
            if result.is_ok() {
                publisher.emit(&Event::Served { url: &url });
            }
            record.state().live[number].problem = result.err();
        })
        .buffer_unordered(CONCURRENT_LOOKS)
        .collect::<()>()
        .await;
}
