//! Responses from AWS, or from something in its place.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    http_client_fn, HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::support::{assert_printable, assert_table, valid_settings, SECRET};
use crate::aws::cloudfront;
use crate::aws::config::OPERATION_TIMEOUT;
use crate::aws::credential_check;
use crate::aws::credentials::ConnectError;
use crate::aws::error::AwsError;
use crate::aws::iam_policy::Permissions;
use crate::aws::oidc;
use crate::aws::response_limit::limited;
use crate::aws::s3::{self, Precondition};
use crate::aws::sts;
use crate::aws::Aws;
use crate::common::byte_size::ByteSize;
use crate::container::changes::Changes;
use crate::container::gzip::Gzip;
use crate::container::object::Object;
use crate::publish::compare;
use crate::publish::only_newer::{self, NotReplaced};
use crate::report::changes;
use crate::settings::aws::{RoleArn, Token};
use crate::settings::names::Variant;
use crate::settings::Settings;

const SCRIPT: &str = "Mojito={};Mojito.addTest({id:'w1',recipes:{0:{},1:{}}})";

/// A response as on the wire, except that the first line has the operation that receives it and the status.
#[derive(Clone, Debug, Default)]
struct Response {
    operation: u8,
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    fn parse(data: &[u8]) -> Self {
        let (head, body) = match data.windows(2).position(|two| two == b"\n\n") {
            Some(at) => (&data[..at], &data[at + 2..]),
            None => (data, &[][..]),
        };
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let status = first.rsplit(' ').next().and_then(|it| it.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            operation: first.bytes().next().unwrap_or_default(),
            status: status.filter(|it| (100..=999).contains(it)).unwrap_or(200),
            headers: headers
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            body: body.to_vec(),
        }
    }

    fn to_http(&self) -> HttpResponse {
        let status = self.status.try_into().expect("it has three digits");
        let mut response = HttpResponse::new(status, SdkBody::from(self.body.clone()));
        for (name, value) in &self.headers {
            // An invalid header could not arrive over the network.
            let headers = response.headers_mut();
            let _ = headers.try_append(name.clone(), value.clone());
        }
        response
    }
}

/// Replaces the network: gives every request the same response, and counts the requests.
#[derive(Clone, Debug, Default)]
struct Network(Arc<Mutex<(Response, usize)>>);

impl Network {
    fn state(&self) -> MutexGuard<'_, (Response, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpConnector for Network {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let (response, requests) = &mut *self.state();
        *requests += 1;
        HttpConnectorFuture::ready(Ok(response.to_http()))
    }
}

/// Created once, as that takes longer than handling a response.
struct World {
    runtime: Runtime,
    network: Network,
    settings: Settings,
    aws: Aws,
    object: Object,
}

impl World {
    fn new() -> Self {
        let network = Network::default();
        let connector = SharedHttpConnector::new(network.clone());
        let settings = valid_settings(None);
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(settings.target.region.clone()))
            .retry_config(RetryConfig::disabled())
            .http_client(limited(http_client_fn(move |_, _| connector.clone())))
            .build();
        let keys = Credentials::for_tests();
        let target = &settings.target;
        let object = Object::new(
            &target.containers[0],
            Variant::Minified,
            &target.prefix,
            &target.cdn_prefix,
            ByteSize(SCRIPT.len() as u64),
            Gzip::new().compress(SCRIPT.as_bytes(), None),
        );
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .expect("a runtime without I/O can be made"),
            network,
            aws: Aws::new(config, &settings, keys),
            settings,
            object,
        }
    }

    async fn run(&self, response: &Response) {
        let error = match response.operation {
            b'i' => self.create_invalidation().await,
            b'w' => self.wait("I2J0I21PCUYOIK").await,
            b'c' => self.caller_identity().await,
            b'a' => self.assume_role().await,
            b'h' => self.head_unless_newer().await,
            b'r' => return self.read().await,
            _ => self.put_object(&self.aws, &Precondition::None).await,
        };
        if let Err(error) = error {
            assert_error(error);
        }
    }

    /// A write that was sent and that AWS did not deny by its own error document is not reported as failed.
    async fn write<T>(
        &self,
        write: impl Future<Output = Result<T, AwsError>>,
    ) -> Result<T, AwsError> {
        let before = self.network.state().1;
        let written = write.await;
        let (response, requests) = &*self.network.state();
        if let Err(error) = &written {
            let is_denied = error.code.is_some() && response.status != 500;
            let is_failed = *requests == before || is_denied;
            assert!(error.outcome_unknown || is_failed, "{error}");
        }
        written
    }

    async fn put_object(&self, aws: &Aws, precondition: &Precondition) -> Result<(), AwsError> {
        let (settings, object) = (&self.settings, &self.object);
        let put = s3::put_object(&aws.s3, settings, "run", object, precondition, deadline());
        self.write(put).await
    }

    async fn create_invalidation(&self) -> Result<(), AwsError> {
        let paths = [self.object.cdn_path.clone()];
        let distribution = &self.settings.distributions[0];
        let client = &self.aws.cloudfront;
        let create =
            cloudfront::create_invalidation(client, distribution, &paths, "reference", deadline());
        let id = self.write(create).await?;
        assert!(!id.is_empty());
        assert_printable(&id, 0);
        // The id is used in a request.
        self.wait(&id).await
    }

    async fn wait(&self, id: &str) -> Result<(), AwsError> {
        let distribution = &self.settings.distributions[0];
        let client = &self.aws.cloudfront;
        let completed = cloudfront::is_completed(client, distribution, id, deadline());
        completed.await.map(|_| ())
    }

    async fn caller_identity(&self) -> Result<(), AwsError> {
        let identity = sts::caller_identity(&self.aws.config).await?;
        assert_printable(&identity.arn, 0);
        assert_eq!(identity.account_id.len(), 12);
        Ok(())
    }

    /// Then uses the session from the response.
    async fn assume_role(&self) -> Result<(), AwsError> {
        let role = RoleArn::parse("arn:aws:iam::123456789012:role/mojito").expect("it is an ARN");
        let token = Token::new(SECRET.to_owned());
        let permissions = Permissions::of(&self.settings);
        let build = &self.settings.build;
        let config = &self.aws.config;
        let session = oidc::assume_role(config, &role, &token, build, Some(&permissions)).await?;
        if credential_check::check(&session, "STS").is_err() {
            return Ok(());
        }
        let aws = Aws::new(config.clone(), &self.settings, session);
        self.put_object(&aws, &Precondition::None).await
    }

    /// Then replaces the object that was found.
    async fn head_unless_newer(&self) -> Result<(), AwsError> {
        let client = &self.aws.s3;
        let (settings, object) = (&self.settings, &self.object);
        let found = only_newer::head(client, settings, object, None, deadline());
        let found = match found.await {
            Ok(found) => found,
            Err(NotReplaced::Superseded(_)) => return Ok(()),
            Err(NotReplaced::Failed(error)) => return Err(error),
        };
        self.put_object(&self.aws, &found.precondition()).await
    }

    async fn read(&self) {
        match compare::from_s3(&self.aws, &self.settings, &self.object).await {
            Err(problem) => assert_printable(&problem.to_string(), 0),
            Ok(served) => {
                let script = crate::mojito::script::read(SCRIPT).expect("the script is valid");
                let cache_control = &self.settings.cache_control;
                let changes = Changes::between(&served, Some(&script), &self.object, cache_control);
                assert_table(changes::table(None, &changes, 1), served.body.len());
            }
        }
    }
}

fn deadline() -> Instant {
    Instant::now() + OPERATION_TIMEOUT
}

fn assert_error(error: AwsError) {
    assert_printable(&error.remedy(), 0);
    let json = serde_json::to_string(&error).expect("an error serializes");
    assert_printable(&json, 0);
    let error = ConnectError::from(error);
    assert_printable(&error.to_string(), 0);
}

thread_local! {
    static WORLD: World = World::new();
}

/// A response from AWS: `OPERATION STATUS`, headers (`name: value`), an empty line and the body.
///
/// The operation is identified by its first letter: `put_object`, `invalidate`, `wait`, `caller`, `assume_role`,
/// `head_object` or `read_object`.
pub fn answers(data: &[u8]) {
    let response = Response::parse(data);
    WORLD.with(|world| {
        world.network.state().0.clone_from(&response);
        world.runtime.block_on(world.run(&response));
    });
}
