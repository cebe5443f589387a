//! Tests that the time limits of a publish hold, however slowly AWS answers. The clock is paused, so that minutes take no time.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    http_client_fn, HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use http_body_util::BodyExt;
use tokio::time::{sleep, Instant};

use super::invalidate;
use super::plan::Plan;
use super::publisher::Publisher;
use super::run::Run;
use super::state::{Accepted, Invalidation, Upload};
use super::upload;
use crate::aws::config;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::preconnect::{ConnectionCounter, Preconnect};
use crate::aws::s3::Stored;
use crate::aws::Aws;
use crate::common::byte_size::ByteSize;
use crate::container::object::{Container, Object};
use crate::mojito::config_js::ConfigJs;
use crate::settings::names::{ContainerName, Variant};
use crate::settings::raw::Raw;
use crate::settings::{Flags, Settings};

/// How AWS answers: after so many seconds, with this status and body. `None` never comes.
pub(crate) type Answer = Option<(u64, u16, String)>;

/// Reads each request, and answers by its method, its URI and the time since the start.
struct Network<F> {
    answer: Arc<F>,
    started: Instant,
}

impl<F> std::fmt::Debug for Network<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl<F: Fn(&str, &str, Duration) -> Answer + Send + Sync + 'static> HttpConnector for Network<F> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, started) = (Arc::clone(&self.answer), self.started);
        HttpConnectorFuture::new(async move {
            let answer = answer(request.method(), request.uri(), started.elapsed());
            request.into_body().collect().await.unwrap();
            let Some((delay, status, body)) = answer else {
                return std::future::pending().await;
            };
            sleep(Duration::from_secs(delay)).await;
            Ok(HttpResponse::new(status.try_into().unwrap(), body.into()))
        })
    }
}

/// Does the work of a phase in a run with so many containers. Returns the run, and how many seconds it took.
pub(crate) async fn phase(
    containers: usize,
    only_newer: bool,
    answer: impl Fn(&str, &str, Duration) -> Answer + Send + Sync + 'static,
    work: impl AsyncFnOnce(&Publisher<'_>),
) -> (Run, u64) {
    let raw: Raw = [
        ("ENVIRONMENT", "production"),
        ("CONTAINER_NAME", "mojito"),
        ("S3_BUCKET", "acme"),
        ("AWS_DEFAULT_REGION", "ap-southeast-2"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("DISTRIBUTION_ID", "E1A2B3C4D5E6F7"),
        ("BITBUCKET_BUILD_NUMBER", "57"),
        ("ONLY_NEWER", if only_newer { "true" } else { "false" }),
    ]
    .into_iter()
    .collect();
    let settings = Settings::new(Flags::default(), &raw, ConfigJs::default(), None);
    let settings = settings.expect("the settings are valid");
    let network = SharedHttpConnector::new(Network {
        answer: Arc::new(answer),
        started: Instant::now(),
    });
    let client = http_client_fn(move |_, _| network.clone());
    let config = config::load(&settings, client).await;
    let config = config.expect("no endpoint has a password");
    let wanted = upload::connections(&settings);
    let counter = ConnectionCounter::default();
    let preconnect = Preconnect::start(&counter, config.clone(), &settings, wanted);
    preconnect.s3().await;
    let aws = Aws::new(config, &settings, Credentials::for_tests());
    let container = |number: usize| {
        let name = ContainerName::parse(&format!("site{number}")).unwrap();
        let (prefix, size) = (&settings.target.prefix, ByteSize(3));
        let object = Object::new(
            &name,
            Variant::Minified,
            prefix,
            prefix,
            size,
            b"a=1".to_vec(),
        );
        Container {
            name,
            objects: [object].into(),
            script: None,
            warnings: Vec::new(),
        }
    };
    let containers = (0..containers).map(container).collect();
    let run = Run::new(Plan::publish(settings, containers));
    let started = Instant::now();
    work(&Publisher {
        aws: &aws,
        cdn: None,
        preconnect: &preconnect,
        run: &run,
        listener: &|_| {},
    })
    .await;
    (run, started.elapsed().as_secs())
}

fn of_s3(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>In AWS's words.</Message></Error>")
}

fn of_cloudfront(code: &str) -> String {
    format!("<ErrorResponse>{}</ErrorResponse>", of_s3(code))
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_throttled_slowly_ends_within_a_minute_as_throttled() {
    let throttled = |_: &str, _: &str, _| Some((19, 503, of_s3("SlowDown")));
    let (run, seconds) = phase(1, false, throttled, upload::upload).await;
    assert!(seconds <= 60, "{seconds}");
    let state = run.state();
    let error = state.errors().next().unwrap();
    assert_eq!(error.kind, AwsErrorKind::Throttled);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_meets_conflicts_ends_within_a_minute() {
    let conflict = |method: &str, _: &str, _| match method {
        "PUT" => Some((10, 409, of_s3("ConditionalRequestConflict"))),
        _ => Some((0, 200, String::new())),
    };
    let (run, seconds) = phase(1, true, conflict, upload::upload).await;
    assert!(seconds <= 60, "{seconds}");
    assert!(run.state().errors().next().is_some());
}

#[tokio::test(start_paused = true)]
async fn all_uploads_end_within_20_minutes_and_what_has_not_started_then_says_so() {
    let (run, seconds) = phase(2_600, false, |_, _, _| None, upload::upload).await;
    assert!(seconds <= 20 * 60, "{seconds}");
    let state = run.state();
    let is_started = |it: &&Upload| it.error().is_some_and(|it| it.outcome_unknown);
    let started = state.uploads.values().filter(is_started).count();
    assert!((1_000..2_600).contains(&started), "{started}");
    let late = state.errors().filter(|it| !it.outcome_unknown);
    let late: Vec<String> = late.map(ToString::to_string).collect();
    assert_eq!(started + late.len(), 2_600);
    assert!(
        late[0].contains("not started, as the 20 min"),
        "{}",
        late[0]
    );
}

#[tokio::test(start_paused = true)]
async fn a_distribution_that_is_busy_is_given_up_within_15_minutes() {
    let busy = |_: &str, _: &str, _| Some((19, 400, of_cloudfront("Throttling")));
    let (run, seconds) = phase(1, false, busy, async |publisher: &Publisher<'_>| {
        let objects = publisher.run.plan.objects();
        let uploaded = || Upload::Uploaded(Stored::default());
        objects.for_each(|it| publisher.run.set_upload(&it.key, uploaded()));
        invalidate::invalidate(publisher).await;
    })
    .await;
    assert!((14 * 60..=15 * 60).contains(&seconds), "{seconds}");
    let state = run.state();
    let error = state.errors().next().unwrap();
    assert_eq!(error.kind, AwsErrorKind::Throttled);
}

#[tokio::test(start_paused = true)]
async fn all_invalidations_together_are_waited_for_15_minutes() {
    let first_is_late = |_: &str, uri: &str, elapsed: Duration| {
        let id = uri.rsplit('/').next().unwrap();
        let is_completed = id == "I1" && elapsed > Duration::from_mins(14);
        let status = if is_completed {
            "Completed"
        } else {
            "InProgress"
        };
        let invalidation = format!(
            "<Invalidation><Id>{id}</Id><Status>{status}</Status><CreateTime>2026-11-24T05:00:00Z</CreateTime>\
             <InvalidationBatch><CallerReference>r</CallerReference></InvalidationBatch></Invalidation>"
        );
        Some((19, 200, invalidation))
    };
    let (run, seconds) = phase(
        1,
        false,
        first_is_late,
        async |publisher: &Publisher<'_>| {
            let distribution = &publisher.settings().distributions[0];
            let accepted = Accepted {
                ids: vec!["I1".to_owned(), "I2".to_owned()],
                paths: 2,
            };
            let run = publisher.run;
            run.set_invalidation(distribution, Invalidation::InProgress(accepted));
            invalidate::wait(publisher).await;
        },
    )
    .await;
    assert!((14 * 60..=15 * 60).contains(&seconds), "{seconds}");
    let error = run.state().wait_errors[0].to_string();
    assert!(
        error.contains("invalidation I2 is still in progress after 15 min"),
        "{error}"
    );
}
