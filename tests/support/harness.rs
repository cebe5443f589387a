//! A case: a Mojito repository in a temporary folder, a world of the local AWS, and the real binary run in both.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine;
use serde::Deserialize;
use serde_json::{json, Value};
use snapbox::{assert_data_eq, IntoData, Redactions};
use tempfile::TempDir;

use super::bitbucket::{Bitbucket, Received, COMMIT, REPOSITORY};
use super::local_aws::{LocalAws, World};
use super::run::Run;
use super::sample;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_mojito-publish");
pub(crate) const CACHE_CONTROL: &str = "public, max-age=300, s-maxage=300, must-revalidate";

/// Secrets that no output may hold, besides the world's own.
pub(crate) const OIDC_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.c3RlcC10b2tlbg.c2lnbmF0dXJl";

/// A step's token that says this. The local AWS does not look at its signature.
pub(crate) fn oidc_token(claims: &Value) -> String {
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("e30.{payload}.{OIDC_SIGNATURE}")
}

pub(crate) fn local_aws() -> &'static LocalAws {
    static AWS: OnceLock<LocalAws> = OnceLock::new();
    AWS.get_or_init(LocalAws::start)
}

/// The signature of every token of `oidc_token`, which no output may hold either.
pub(crate) const OIDC_SIGNATURE: &str = "the-signature-of-the-token";

/// A repository, a world and the environment of the next run.
pub(crate) struct Case {
    pub(crate) world: World,
    repository: TempDir,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
    /// What runs report to.
    bitbucket: Option<Bitbucket>,
}

/// An object in the bucket, with all that a visitor gets.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) acl: Vec<String>,
    pub(crate) checksum_algorithm: Option<String>,
    body: String,
}

/// An invalidation that a distribution got.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Invalidated {
    pub(crate) distribution: String,
    pub(crate) id: String,
    pub(crate) caller_reference: String,
    pub(crate) paths: Vec<String>,
}

/// A request that the local AWS got.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: String,
    /// The token of temporary credentials.
    pub(crate) security_token: String,
    pub(crate) body: String,
    /// What it is answered with; absent where the connection ended without an answer.
    pub(crate) status: Option<u16>,
    /// The answer is sent, or cannot be.
    pub(crate) answered: bool,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    redactions: Redactions,
}

impl Case {
    /// The container `mojito`, built; its user holds the documented development policy.
    pub(crate) fn development() -> Self {
        let case = Self::without_rights();
        let world = &case.world;
        case.set_policy(json!([
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/jsdev/mojito*", world.bucket)},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{}", world.bucket)},
            case.may_invalidate(&world.distribution),
        ]));
        case
    }

    /// The container `mojito`, built; its user holds the documented production policy, which allows one key.
    pub(crate) fn production() -> Self {
        let case = Self::without_rights();
        case.allow_on_container(&["s3:PutObject"]);
        case.env("ENVIRONMENT", "production")
    }

    /// So many containers of production, named `site0` and so on, all built; their user may do this to them, and invalidate.
    pub(crate) fn containers(number: usize, actions: &[&str]) -> Self {
        let case = Self::production();
        case.set_policy(json!([
            {"Effect": "Allow", "Action": actions, "Resource": format!("arn:aws:s3:::{}/js/*", case.world.bucket)},
            case.may_invalidate(&case.world.distribution),
        ]));
        let names: Vec<String> = (0..number).map(|number| format!("site{number}")).collect();
        for name in &names {
            sample::build(case.repository(), name);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        case.list("CONTAINER_NAME", &names)
    }

    /// The container `mojito`, built; its user may do nothing.
    pub(crate) fn without_rights() -> Self {
        let world = local_aws().make_world();
        let repository = tempfile::tempdir().expect("a temporary folder can be made");
        sample::build(repository.path(), "mojito");
        let environment = [
            ("AWS_ACCESS_KEY_ID", &world.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", &world.secret_access_key),
            ("AWS_DEFAULT_REGION", &world.region),
            ("AWS_ENDPOINT_URL", &world.endpoint),
            ("CONTAINER_NAME", &"mojito".to_owned()),
            ("DISTRIBUTION_ID", &world.distribution),
            ("S3_BUCKET", &world.bucket),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .into();
        Self {
            world,
            repository,
            environment,
            arguments: Vec::new(),
            bitbucket: None,
        }
    }

    /// Sets a variable of the next run.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Takes a variable away.
    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Sets a variable to Bitbucket's form of a list.
    pub(crate) fn list(self, name: &str, values: &[&str]) -> Self {
        let case = self
            .unset(name)
            .env(&format!("{name}_COUNT"), &values.len().to_string());
        values
            .iter()
            .enumerate()
            .fold(case, |case, (number, value)| {
                case.env(&format!("{name}_{number}"), value)
            })
    }

    /// Takes the keys away, and what would be looked for in their place on an instance.
    pub(crate) fn without_credentials(self) -> Self {
        self.unset("AWS_ACCESS_KEY_ID")
            .unset("AWS_SECRET_ACCESS_KEY")
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// Puts the keys of production into the home of a developer, as a profile.
    pub(crate) fn with_profile(profile: &str) -> Self {
        let case = Self::production();
        let home = case.repository().to_str().expect("it is UTF-8").to_owned();
        let World {
            access_key_id,
            secret_access_key,
            ..
        } = &case.world;
        let keys = format!(
            "[{profile}]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret_access_key}\n"
        );
        case.without_credentials()
            .env("HOME", &home)
            .file(".aws/credentials", keys)
    }

    /// Assumes a role that may do everything; returns its ARN as well.
    pub(crate) fn with_broad_role(self) -> (Self, String) {
        let everything = json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]);
        let role: String = self.call("add_role", json!({"statements": everything}));
        let case = self
            .env("AWS_OIDC_ROLE_ARN", &role)
            .env("BITBUCKET_STEP_OIDC_TOKEN", OIDC_TOKEN);
        (case, role)
    }

    /// Stores the result of each run, which is then held to its schema.
    pub(crate) fn storing_results(self) -> Self {
        let folder = self.repository().join("results");
        self.env(
            "BITBUCKET_PIPE_STORAGE_DIR",
            folder.to_str().expect("it is UTF-8"),
        )
    }

    /// Whether a run has stored its result.
    pub(crate) fn has_result(&self) -> bool {
        self.result_path().is_some_and(|path| path.exists())
    }

    /// The result that a run has stored, if it has.
    pub(crate) fn stored_result(&self) -> Option<Value> {
        let content = fs::read(self.result_path()?).ok()?;
        Some(serde_json::from_slice(&content).expect("the result is JSON"))
    }

    /// The result that the last run has stored.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        self.stored_result().expect("the run has stored its result")
    }

    fn result_path(&self) -> Option<PathBuf> {
        let folder = self.environment.get("BITBUCKET_PIPE_STORAGE_DIR")?;
        Some(Path::new(folder).join("mojito-publish.json"))
    }

    /// Adds an argument to the next run.
    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Takes the arguments away.
    pub(crate) fn without_arguments(mut self) -> Self {
        self.arguments.clear();
        self
    }

    /// Adds what Bitbucket sets in a build of a branch or a tag. Nothing is reported, as all tests have one port for its proxy.
    pub(crate) fn in_bitbucket(self, name: &str, value: &str) -> Self {
        self.in_build()
            .env("CODE_INSIGHTS", "false")
            .env(name, value)
    }

    /// Adds what Bitbucket sets in every build, and reports to it.
    pub(crate) fn reporting(mut self, bitbucket: &Bitbucket) -> Self {
        self.bitbucket = Some(bitbucket.clone());
        self.in_build()
            .unset("CODE_INSIGHTS")
            .env("CODE_INSIGHTS_PROXY", &bitbucket.address)
    }

    fn in_build(self) -> Self {
        self.env("CI", "true")
            .env("BITBUCKET_BUILD_NUMBER", "57")
            .env("BITBUCKET_COMMIT", COMMIT)
            .env("BITBUCKET_REPO_FULL_NAME", REPOSITORY)
    }

    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    pub(crate) fn repository(&self) -> &Path {
        self.repository.path()
    }

    /// Writes a file into the repository.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.repository.path().join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder"))
            .expect("a temporary folder can be written");
        fs::write(path, content).expect("a temporary folder can be written");
        self
    }

    /// Makes AWS known by this certificate alone.
    pub(crate) fn trusting(self, certificate: &str) -> Self {
        let bundle = self.repository().join("bundle.pem");
        self.file("bundle.pem", certificate)
            .env("AWS_CA_BUNDLE", bundle.to_str().expect("it is UTF-8"))
    }

    /// A built file of the repository.
    pub(crate) fn dist(&self, file: &str) -> PathBuf {
        self.repository.path().join("dist/assets/js").join(file)
    }

    /// Replaces the policy of the user.
    pub(crate) fn set_policy(&self, statements: Value) {
        self.call::<()>("set_policy", json!({"statements": statements}));
    }

    /// Lets the user do this to production's container, and invalidate.
    pub(crate) fn allow_on_container(&self, actions: &[&str]) {
        self.set_policy(json!([
            {"Effect": "Allow", "Action": actions, "Resource": format!("arn:aws:s3:::{}/js/mojito.js", self.world.bucket)},
            self.may_invalidate(&self.world.distribution),
        ]));
    }

    /// The statement that the documentation gives for invalidations.
    pub(crate) fn may_invalidate(&self, distribution: &str) -> Value {
        json!({
            "Effect": "Allow",
            "Action": "cloudfront:CreateInvalidation",
            "Resource": format!("arn:aws:cloudfront::{}:distribution/{distribution}", self.world.account),
        })
    }

    /// Makes the local AWS answer one or more requests otherwise.
    pub(crate) fn fault(&self, fault: Value) {
        self.call::<()>("add_fault", fault);
    }

    /// Puts an older container into the bucket.
    pub(crate) fn stored_before(&self, key: &str, metadata: Value) {
        let body = STANDARD.encode(b"the old container");
        self.call::<()>(
            "put_object",
            json!({"key": key, "body": body, "metadata": metadata}),
        );
    }

    pub(crate) fn call<T: serde::de::DeserializeOwned>(
        &self,
        command: &str,
        arguments: Value,
    ) -> T {
        local_aws().call(&self.world, command, arguments)
    }

    pub(crate) fn objects(&self) -> Vec<Stored> {
        self.call("objects", json!({}))
    }

    pub(crate) fn invalidations(&self) -> Vec<Invalidated> {
        self.call("invalidations", json!({}))
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.call("requests", json!({}))
    }

    /// What was requested can only have read; the bucket is as it was.
    #[track_caller]
    pub(crate) fn assert_nothing_written(&self) {
        for Request { method, path, .. } in self.requests() {
            assert!(matches!(method.as_str(), "GET" | "HEAD"), "{method} {path}");
        }
        assert!(self.invalidations().is_empty());
    }

    /// Whether build 57, which the cases are, stored what is under a key.
    pub(crate) fn is_published(&self, key: &str) -> bool {
        let objects = self.objects();
        let object = objects.iter().find(|object| object.key == key);
        let build = object.and_then(|object| object.headers.get("x-amz-meta-build-number"));
        build.is_some_and(|build| build == "57")
    }

    /// The keys in the bucket.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.objects()
            .into_iter()
            .map(|object| object.key)
            .collect()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.repository.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self) -> Run<'_> {
        Run::start(self, self.command())
    }

    /// Waits until as many of these requests have been answered, of all runs together.
    pub(crate) fn wait_for_responses(&self, method: &str, path: &str, count: usize) {
        let arguments = json!({"method": method, "path": path, "count": count});
        self.call::<()>("wait_for_responses", arguments);
    }

    /// Waits until no request is without an answer.
    pub(crate) fn wait_for_all_responses(&self) {
        self.call::<()>("wait_for_all_responses", json!({}));
    }

    /// Waits until all that a run has sent, which has ended since, has taken effect.
    pub(crate) fn wait_until_disconnected(&self) {
        self.call::<()>("wait_until_disconnected", json!({}));
    }

    pub(crate) fn run(&self) -> Ended {
        self.ended(self.command().output().expect("the binary starts"))
    }

    /// What a run printed and how it ended. No secret may be in it, nor in what it reported.
    #[track_caller]
    pub(crate) fn ended(&self, output: Output) -> Ended {
        let text = String::from_utf8(output.stdout).expect("the output is UTF-8")
            + &String::from_utf8(output.stderr).expect("the output is UTF-8");
        let reported = self.bitbucket.iter().flat_map(Bitbucket::requests);
        let reported: Vec<Received> = reported.collect();
        let requests = self.requests();
        let of_requests = requests.iter().flat_map(|request| {
            let signature = request.authorization.split_once("Signature=");
            [
                signature.map_or("", |(_, signature)| signature),
                &request.security_token,
            ]
        });
        for secret in of_requests.chain([&self.world.secret_access_key, OIDC_TOKEN, OIDC_SIGNATURE])
        {
            assert!(
                secret.is_empty() || !text.contains(secret),
                "a secret was printed:\n{text}"
            );
            for Received { head, body, .. } in &reported {
                let is_reported = head.contains(secret) || body.contains(secret);
                assert!(
                    secret.is_empty() || !is_reported,
                    "a secret was reported:\n{head}{body}"
                );
            }
        }
        if let Some(path) = self.result_path() {
            assert_result_is_valid(&path);
        }
        let mut redactions = Redactions::new();
        let key_end = &self.world.access_key_id[self.world.access_key_id.len() - 4..];
        for (name, value) in [
            ("[BUCKET]", self.world.bucket.clone()),
            ("[DISTRIBUTION]", self.world.distribution.clone()),
            ("[EDGE]", self.world.edge.clone()),
            ("[ENDPOINT]", self.world.endpoint.clone()),
            (
                "[VERSION]",
                format!("mojito-publish {}", env!("CARGO_PKG_VERSION")),
            ),
            ("[KEY]", format!("access key ending in `{key_end}`")),
            ("[USER]", self.world.user_arn.clone()),
        ] {
            redactions
                .insert(name, value)
                .expect("the placeholder is well formed");
        }
        for made in self.invalidations() {
            if made.id != self.world.distribution {
                redactions
                    .insert("[INVALIDATION]", made.id)
                    .expect("the placeholder is well formed");
            }
        }
        Ended {
            code: output.status.code(),
            output: text,
            redactions,
        }
    }
}

/// The output with whose credentials these are in its second line, as this is printed whenever STS responds.
pub(crate) fn with_credentials_second(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let Some(at) = lines.iter().position(|it| it.starts_with("credentials: ")) else {
        return output.to_owned();
    };
    let of_identity = lines[at + 1..]
        .iter()
        .take_while(|it| it.starts_with("  arn:"));
    let end = at + 1 + of_identity.count();
    let first = 1.min(at);
    let parts = [
        &lines[..first],
        &lines[at..end],
        &lines[first..at],
        &lines[end..],
    ];
    parts.concat().join("\n") + "\n"
}

/// Holds a result, if one was stored, to its schema.
#[track_caller]
fn assert_result_is_valid(path: &Path) {
    static VALIDATOR: OnceLock<jsonschema::Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| {
        let schema = include_str!("../../docs/result.schema.json");
        let schema = serde_json::from_str(schema).expect("the schema is JSON");
        jsonschema::validator_for(&schema).expect("the schema is valid")
    });
    if let Ok(result) = fs::read(path) {
        let result = serde_json::from_slice(&result).expect("the result is JSON");
        let errors: Vec<String> = validator
            .iter_errors(&result)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}\n{result:#}", errors.join("\n"));
    }
}

impl Stored {
    /// What is stored, as it was compressed.
    pub(crate) fn body(&self) -> Vec<u8> {
        STANDARD
            .decode(&self.body)
            .expect("the local AWS sends base64")
    }

    /// What a visitor's browser makes of it.
    pub(crate) fn content(&self) -> String {
        sample::gunzip(&self.body())
    }

    /// Which run stored it.
    #[track_caller]
    pub(crate) fn caller_reference(&self) -> &str {
        &self.headers["x-amz-meta-caller-reference"]
    }

    /// Everything about an object that was published as `key` with these provenance headers.
    #[track_caller]
    pub(crate) fn assert(&self, key: &str, content: &str, provenance: &[(&str, &str)]) {
        assert_eq!(self.key, key);
        assert_eq!(self.content(), content);
        let mut expected: BTreeMap<String, String> = [
            ("cache-control", CACHE_CONTROL),
            ("content-encoding", "gzip"),
            ("content-type", "application/javascript; charset=utf-8"),
            (
                "x-amz-meta-published-by",
                concat!("mojito-publish/", env!("CARGO_PKG_VERSION")),
            ),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        expected.extend(
            provenance
                .iter()
                .map(|(name, value)| (format!("x-amz-meta-{name}"), (*value).to_owned())),
        );
        expected.insert(
            "x-amz-meta-caller-reference".to_owned(),
            self.caller_reference().to_owned(),
        );
        assert_eq!(self.headers, expected);
        assert_eq!(self.checksum_algorithm.as_deref(), Some("SHA256"));
    }
}

impl Ended {
    /// The output with the names of `prints`.
    pub(crate) fn redacted(&self) -> String {
        self.redactions.redact(&self.output)
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.output);
        self
    }

    /// Compares the whole output; what differs from world to world has names, and `[..]` stands for times.
    #[track_caller]
    pub(crate) fn prints(self, expected: impl IntoData) -> Self {
        let output = with_credentials_second(&self.output);
        assert_data_eq!(self.redactions.redact(&output), expected);
        self
    }

    /// A text of the run with the names of `prints`.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.redactions.redact(text)
    }

    /// Fails unless this is somewhere in the output, as it is or with the names of `prints`.
    #[track_caller]
    pub(crate) fn contains(self, expected: &str) -> Self {
        assert!(
            self.output.contains(expected)
                || self.redactions.redact(&self.output).contains(expected),
            "`{expected}` is not in:\n{}",
            self.output
        );
        self
    }

    #[track_caller]
    pub(crate) fn does_not_contain(self, unexpected: &str) -> Self {
        assert!(
            !self.output.contains(unexpected),
            "`{unexpected}` is in:\n{}",
            self.output
        );
        self
    }
}
