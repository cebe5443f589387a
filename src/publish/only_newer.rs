//! `ONLY_NEWER`: an older pipeline that finishes later does not overwrite a newer container.
//!
//! The build number that is stored with an object is compared before the upload. The upload is conditional on the object not
//! having changed since, so that the newer of two pipelines wins a race. `race.rs` has the order of the requests.

use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::time::{sleep, timeout, Instant};

use super::custom_store;
use super::event::Event;
use super::one_upload::{stored, too_late, LOOKUP_TIMEOUT, UPLOAD_TIMEOUT};
use super::publisher::Publisher;
use super::race::{Found, Irreplaceable, Protected, Round, Step};
use super::state::Upload;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::s3::{self, PUT_OBJECT};
use crate::common::printable::sanitize;
use crate::container::object::{Container, Object};
use crate::settings::names::{s3_uri, Variant};
use crate::settings::Settings;

/// How often an upload that loses races is attempted. For each, another pipeline must have published in between.
const MAX_RACES: usize = 10;

/// The delay after a conflict (409): S3 is still processing another upload, which may be this one's previous attempt.
pub(super) const CONFLICT_DELAY: Duration = Duration::from_secs(1);

/// How long everything that concerns one object may take, but the lookup of a lost outcome: requests with all their attempts, and
/// delays.
const OBJECT_TIMEOUT: Duration = UPLOAD_TIMEOUT.saturating_sub(LOOKUP_TIMEOUT);

/// Why an object was not replaced.
#[derive(Debug)]
pub(crate) enum NotReplaced {
    /// This newer build's is live.
    Superseded(u64),
    Failed(AwsError),
}

impl From<AwsError> for NotReplaced {
    fn from(error: AwsError) -> Self {
        Self::Failed(error)
    }
}

/// Uploads the objects of a container unless a newer build's are there, and returns those that are stored.
///
/// If a response is lost, the SDK retries and finds the object of its own first attempt: it is uploaded if what is stored is of
/// this run. If the outcome of any attempt is unknown, it is unknown in the error.
pub(super) async fn upload<'a>(
    publisher: &Publisher<'_>,
    container: &'a Container,
    deadline: Instant,
) -> Vec<&'a Object> {
    let objects = container.objects.iter();
    let mut uploads: Vec<_> = objects.map(|it| ObjectUpload::new(publisher, it)).collect();
    let mut round = Round::default();
    loop {
        let (number, problem) = match round.next(uploads.len()) {
            Step::Head(number) if round.number == 0 && uploads[number].is_too_late(deadline) => {
                let error = too_late(publisher.settings(), uploads[number].object);
                (number, error.into())
            }
            Step::Head(number) => match uploads[number].head().await {
                Ok(found) => {
                    round.saw(found);
                    continue;
                }
                Err(problem) => (number, problem),
            },
            Step::Put(number) => match uploads[number].put(number, &round).await {
                Ok(()) => {
                    round.stored();
                    continue;
                }
                Err(error) if is_lost_race(&error) && round.number < MAX_RACES => {
                    round = round.another();
                    uploads[number].prepare_another(error).await;
                    continue;
                }
                Err(error) => {
                    if uploads[number].is_stored_after_all(&error).await {
                        round.stored();
                        continue;
                    }
                    (number, error.into())
                }
            },
            Step::Done => break,
        };
        uploads[number].fail(problem);
        break;
    }
    uploads.retain(ObjectUpload::is_done);
    // One line for all objects of a container, about the one that pages load, where it was replaced.
    let mut overridden = uploads.iter().rev();
    if let Some((object, protected)) = overridden.find_map(ObjectUpload::overridden) {
        publisher.emit(&Event::Overridden(object, protected));
    }
    uploads.iter().map(|upload| upload.object).collect()
}

/// Whether the object has changed, or was deleted, since it was looked at.
pub(super) fn is_lost_race(error: &AwsError) -> bool {
    matches!(error.kind, AwsErrorKind::Changed | AwsErrorKind::NoSuchKey)
}

/// The upload of one object, over all rounds.
struct ObjectUpload<'a, 'p> {
    publisher: &'p Publisher<'p>,
    object: &'a Object,
    time_left: Duration,
    /// Whether an attempt may have stored it although that was not confirmed.
    outcome_unknown: bool,
    /// How often it was there although HEAD had responded as if it were not.
    hidden: usize,
    /// What the last attempt was to replace although it is protected.
    protected: Option<Protected>,
    /// Why the last attempt lost a race.
    last_error: Option<AwsError>,
}

impl<'a, 'p> ObjectUpload<'a, 'p> {
    fn new(publisher: &'p Publisher<'p>, object: &'a Object) -> Self {
        Self {
            publisher,
            object,
            time_left: OBJECT_TIMEOUT,
            outcome_unknown: false,
            hidden: 0,
            protected: None,
            last_error: None,
        }
    }

    async fn head(&mut self) -> Result<Found, NotReplaced> {
        let (client, run) = (&self.publisher.aws.s3, self.publisher.run);
        let reference = Some(&*run.caller_reference);
        let deadline = Instant::now() + self.time_left;
        let settings = self.publisher.settings();
        let head = head(client, settings, self.object, reference, deadline);
        let Some(found) = within(&mut self.time_left, head).await else {
            return Err(self.timed_out("s3:GetObject").into());
        };
        if let Some(stored) = found.as_ref().ok().and_then(Found::own) {
            run.set_upload(&self.object.key, Upload::Uploaded(stored.clone()));
        }
        found
    }

    async fn put(&mut self, number: usize, round: &Round) -> Result<(), AwsError> {
        let Self {
            publisher, object, ..
        } = *self;
        let found = round.found(number);
        // `NAME.js` is what visitors are seen to get, to the byte. It is written in one round only.
        let of_round = (object.variant != Variant::Minified).then(|| object.of_round(round.number));
        let sent = of_round.as_ref().unwrap_or(object);
        let (client, settings, run) = (&publisher.aws.s3, publisher.settings(), publisher.run);
        // Before the request, so that whoever ends the run meanwhile knows that it may have been sent.
        run.set_upload(&object.key, Upload::InFlight);
        self.protected = found.protected().cloned();
        let mut outcome_unknown = false;
        let deadline = Instant::now() + self.time_left;
        let put = async {
            if custom_store::is_unexplored(publisher) {
                match custom_store::put_impossible(publisher, sent, deadline).await {
                    Ok(stored) => return Ok(stored),
                    Err(error) if Instant::now() >= deadline => return Err(error),
                    Err(error) => outcome_unknown = error.outcome_unknown,
                }
            }
            let (reference, precondition) = (&run.caller_reference, found.precondition());
            s3::put_object(client, settings, reference, sent, &precondition, deadline).await
        };
        let result = within(&mut self.time_left, put).await;
        let error = match result {
            Some(Ok(stored)) => {
                run.set_upload(&object.key, Upload::Uploaded(stored));
                return Ok(());
            }
            Some(Err(error)) => error,
            None => AwsError {
                outcome_unknown: true,
                ..self.timed_out(PUT_OBJECT)
            },
        };
        self.outcome_unknown |= outcome_unknown || error.outcome_unknown;
        let is_there = *found == Found::Absent && error.status == Some(412);
        self.hidden += usize::from(is_there);
        // HEAD has twice responded as if it were not there, as S3 does without the permission.
        if self.hidden < 2 || error.kind != AwsErrorKind::Changed {
            return Err(error);
        }
        Err(AwsError {
            kind: AwsErrorKind::AccessDenied,
            ..AwsError::unexpected(
                "s3:GetObject",
                error.resource,
                "the object exists, but its build number may not be read",
            )
        })
    }

    /// After a lost race.
    async fn prepare_another(&mut self, error: AwsError) {
        if !self.outcome_unknown {
            let run = self.publisher.run;
            run.set_upload(&self.object.key, Upload::Pending);
        }
        if error.status == Some(409) {
            within(&mut self.time_left, sleep(CONFLICT_DELAY)).await;
        }
        self.last_error = Some(error);
    }

    /// The error if all the time was used up: the last one, if there was one.
    fn timed_out(&self, action: &'static str) -> AwsError {
        self.last_error.clone().unwrap_or_else(|| AwsError {
            kind: AwsErrorKind::Unreachable,
            ..AwsError::unexpected(action, self.uri(), "no response in time")
        })
    }

    fn uri(&self) -> String {
        s3_uri(&self.publisher.settings().target.bucket, &self.object.key)
    }

    fn is_too_late(&self, deadline: Instant) -> bool {
        Instant::now() + self.time_left + LOOKUP_TIMEOUT > deadline
    }

    /// Whether S3 has the object although its upload was not confirmed.
    async fn is_stored_after_all(&self, error: &AwsError) -> bool {
        let deadline = Instant::now() + LOOKUP_TIMEOUT;
        let is_unknown = self.outcome_unknown || error.outcome_unknown;
        if !is_unknown {
            return false;
        }
        let Some(stored) = stored(self.publisher, self.object, deadline).await else {
            return false;
        };
        let run = self.publisher.run;
        run.set_upload(&self.object.key, Upload::Uploaded(stored));
        true
    }

    fn fail(&self, problem: NotReplaced) {
        let upload = match problem {
            NotReplaced::Superseded(build) => Upload::Superseded(build),
            NotReplaced::Failed(error) => Upload::Failed(AwsError {
                outcome_unknown: self.outcome_unknown || error.outcome_unknown,
                ..error
            }),
        };
        self.publisher.run.set_upload(&self.object.key, upload);
    }

    fn is_done(&self) -> bool {
        self.publisher.run.state().uploads[&self.object.key].is_done()
    }

    fn overridden(&self) -> Option<(&'a Object, &Protected)> {
        Some((self.object, self.protected.as_ref()?))
    }
}

/// Does this in the time that is left, which it takes up, or returns `None`.
async fn within<T>(time_left: &mut Duration, work: impl Future<Output = T>) -> Option<T> {
    if time_left.is_zero() {
        return None;
    }
    let started = Instant::now();
    let result = timeout(*time_left, work).await;
    *time_left = time_left.saturating_sub(started.elapsed());
    result.ok()
}

/// What is stored under an object's key, unless it must not be replaced.
pub(crate) async fn head(
    client: &Client,
    settings: &Settings,
    object: &Object,
    caller_reference: Option<&str>,
    deadline: Instant,
) -> Result<Found, NotReplaced> {
    let uri = s3_uri(&settings.target.bucket, &object.key);
    let live = match s3::head_object(client, settings, &object.key, deadline).await {
        Ok(live) => Some(live),
        Err(error) => {
            match error.kind {
                // Without `s3:ListBucket`, S3 responds 403 for a missing key as well.
                AwsErrorKind::AccessDenied | AwsErrorKind::NoSuchKey => None,
                // A response to HEAD has no code; the upload's will have one.
                _ if error.code.is_none() && matches!(error.status, Some(300..500)) => None,
                _ => return Err(error.into()),
            }
        }
    };
    let found = Found::new(live.as_ref(), &settings.build, caller_reference);
    found.map_err(|reason| match reason {
        Irreplaceable::Protected(Protected::Newer(build)) => NotReplaced::Superseded(build),
        Irreplaceable::Protected(Protected::OtherRepository { repository, build }) => {
            of_other_repository(settings, uri, &repository, build).into()
        }
        Irreplaceable::NoEtag => AwsError::refused(
            PUT_OBJECT,
            uri,
            "the store returned no ETag of the stored object, so a newer build might be replaced unnoticed",
            "leave `ONLY_NEWER` off, or use a store that returns an ETag",
        )
        .into(),
    })
}

fn of_other_repository(settings: &Settings, uri: String, other: &str, build: u64) -> AwsError {
    let own = settings.build.summary().unwrap_or_default();
    AwsError::refused(
        PUT_OBJECT,
        uri,
        format!(
            "build {build} of {other} is live, and this is {}: the builds of two repositories cannot be compared",
            sanitize(&own)
        ),
        "publish each repository to a key of its own (`CONTAINER_NAME`, `S3_PREFIX`); to replace it all the same, such as after \
         the repository was renamed, re-run this step in Bitbucket, or leave `ONLY_NEWER` off",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_and_delays_of_an_object_share_its_time() {
        let mut time_left = Duration::from_mins(1);
        let started = Instant::now();
        let mut done = 0;
        while within(&mut time_left, sleep(Duration::from_secs(19)))
            .await
            .is_some()
        {
            done += 1;
        }
        assert_eq!((done, started.elapsed().as_secs()), (3, 60));
        let mut is_begun = false;
        let begin = async { is_begun = true };
        assert_eq!(within(&mut time_left, begin).await, None);
        assert!(!is_begun);
    }
}
