//! Carries out the plan: uploads, then invalidations, then the waits that the settings demand.

pub(crate) mod cdn;
pub(crate) mod choice;
pub(crate) mod compare;
mod custom_store;
pub(crate) mod event;
mod history;
pub(crate) mod invalidate;
pub(crate) mod live;
pub(crate) mod live_reader;
pub(crate) mod one_upload;
pub(crate) mod only_newer;
pub(crate) mod outcome;
mod parsers;
pub(crate) mod plan;
pub(crate) mod publisher;
mod put_back;
pub(crate) mod race;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod state;
#[cfg(test)]
pub(crate) mod time_limits;
pub(crate) mod upload;
pub(crate) mod verify;

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{join, select, Either};

use self::event::Event;
use self::publisher::Publisher;
use crate::aws::sts::{self, Identity};

/// How long to wait for the identity after everything else is done.
const IDENTITY_GRACE: Duration = Duration::from_secs(1);

/// Carries out the plan. The identity is requested at the same time, and nothing depends on it.
pub(crate) async fn publish(publisher: &Publisher<'_>) {
    let settings = publisher.settings();
    let work = Box::pin(async {
        upload::upload(publisher).await;
        publisher.run.expect_verification();
        let rest = async {
            publisher.preconnect.cloudfront().await;
            invalidate::invalidate(publisher).await;
            if settings.wait {
                invalidate::wait(publisher).await;
            }
            verify::verify(publisher).await;
        };
        join(rest, custom_store::check_headers(publisher)).await;
    });
    let identified = |identity: Option<Identity>| {
        let origin = &publisher.aws.credentials;
        publisher.emit(&Event::Identified(origin, identity.as_ref()));
        publisher.run.state().identity = identity;
    };
    let identity = pin!(identity(publisher));
    match select(work, identity).await {
        Either::Left(((), identity)) => {
            let identity = tokio::time::timeout(IDENTITY_GRACE, identity).await;
            identified(identity.unwrap_or_default());
        }
        Either::Right((identity, work)) => {
            identified(identity);
            work.await;
        }
    }
}

/// Whose the credentials are, where STS can say so.
async fn identity(publisher: &Publisher<'_>) -> Option<Identity> {
    if !publisher.settings().aws.can_call_sts {
        return None;
    }
    sts::caller_identity(&publisher.aws.config).await.ok()
}
