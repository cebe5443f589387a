//! `rollback`: puts an earlier version back, from a broken container that is live to the former one at the public URL.

use std::process::Command;

use serde::Deserialize;
use serde_json::{json, Value};

use crate::support::harness::{Case, Ended};
use crate::support::sample;

/// A version of a key in the local AWS, oldest first.
#[derive(Debug, Deserialize)]
pub(crate) struct Kept {
    pub(crate) id: String,
    build: Option<String>,
}

/// Versions are kept, and credentials hold what `policy --rollback` prints.
pub(crate) fn versioned() -> Case {
    let case = Case::production().storing_results();
    case.call::<()>("set_versioning", json!({"status": "Enabled"}));
    with_printed_policy(&case);
    case.arg("rollback").arg("--production")
}

/// Gives the user what `policy --rollback` prints for the settings of a case, and nothing else.
pub(crate) fn with_printed_policy(case: &Case) {
    let mut command = command(case);
    command.args(["policy", "--rollback"]);
    if case.environment()["ENVIRONMENT"] == "production" {
        command.arg("--production");
    }
    command.env("AWS_ACCOUNT_ID", &case.world.account);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let policy: Value = serde_json::from_slice(&output.stdout).unwrap();
    case.set_policy(policy["Statement"].clone());
}

/// The binary without the arguments of the case.
fn command(case: &Case) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mojito-publish"));
    command
        .env_clear()
        .envs(case.environment())
        .current_dir(case.repository());
    command
}

/// Publishes a container as a build, without CDN.
pub(crate) fn publish(case: &Case, build: u64) {
    publish_script(case, build, "mojito", &script(build));
}

pub(crate) fn publish_script(case: &Case, build: u64, name: &str, script: &str) {
    std::fs::write(case.dist(&format!("{name}.js")), script).unwrap();
    std::fs::write(case.dist(&format!("{name}.pretty.js")), script).unwrap();
    let mut command = command(case);
    command
        .env_remove("DISTRIBUTION_ID")
        .env_remove("PUBLIC_URL")
        .env_remove("BITBUCKET_PIPE_STORAGE_DIR")
        .env("VALIDATE", "false")
        .env("CI", "true")
        .env("BITBUCKET_BUILD_NUMBER", build.to_string())
        .env("BITBUCKET_TAG", format!("v{build}"))
        .env("BITBUCKET_COMMIT", format!("{build:0>40}"))
        .env("BITBUCKET_REPO_FULL_NAME", "acme/site");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A valid container that is another one for each build.
fn script(build: u64) -> String {
    sample::minified("mojito").replace("W2 Headline", &format!("Button of build {build}"))
}

pub(crate) fn kept(case: &Case, key: &str) -> Vec<Kept> {
    case.call("versions", json!({"key": key}))
}

pub(crate) const KEY: &str = "js/mojito.js";

/// What the credentials of a rollback may do, of all that is tried.
const ALLOWED: [&str; 5] = [
    "put the container",
    "get the container",
    "head the container",
    "list the versions",
    "get a version",
];

/// Which build is live.
pub(crate) fn live(case: &Case) -> String {
    let objects = case.objects();
    let object = objects.iter().find(|it| it.key == KEY);
    object.map_or("nothing".to_owned(), |it| {
        it.headers["x-amz-meta-build-number"].clone()
    })
}

#[test]
fn the_version_before_the_broken_one_is_live_again_with_its_own_headers_and_verified() {
    let case = versioned();
    let edge = case.world.edge.clone();
    publish(&case, 56);
    let good = case.objects().remove(0);
    publish_script(&case, 57, "mojito", "Mojito=f(");
    case.call::<String>("visit", json!({"path": "/js/mojito.js"}));
    let replaced = kept(&case, KEY)[1].id.clone();
    let from = kept(&case, KEY)[0].id.clone();
    let case = case
        .env("PUBLIC_URL", &edge)
        .env("CACHE_CONTROL", "max-age=1");
    let ended = case.run().exits(0);
    let ended = ended
        .contains("versions of s3://[BUCKET]/js/mojito.js:")
        .contains("putting back build 56 (v56, 0000000), stored ")
        .contains("the newest version before the live one with other content")
        .contains("to choose another one: `--to BUILD` or `--to VERSION_ID`")
        .contains("✔ [EDGE]/js/mojito.js serves the container that was put back")
        .contains("✔ build 56 (v56, 0000000) is put back in production; CloudFront invalidation [INVALIDATION] ");
    drop(ended);
    let live = case.objects().remove(0);
    assert_eq!(live.body(), good.body());
    let mut expected = good.headers.clone();
    expected.insert("x-amz-meta-restored-from".to_owned(), from.clone());
    expected.insert("x-amz-meta-replaced".to_owned(), replaced.clone());
    expected.insert("x-amz-meta-restored-by".to_owned(), "hand".to_owned());
    let reference = live.caller_reference().to_owned();
    assert_ne!(reference, good.caller_reference());
    expected.insert("x-amz-meta-caller-reference".to_owned(), reference);
    assert_eq!(live.headers, expected);
    assert_eq!(case.invalidations()[0].paths, ["/js/mojito.js"]);
    assert_eq!(case.invalidations().len(), 1);
    let result = case.result();
    assert_eq!(result["command"], "rollback");
    let object = &result["containers"][0]["objects"][0];
    assert_eq!(
        object["restored"],
        json!({"version_id": from, "build_number": "56", "commit": "0000000", "replaced": replaced})
    );
}

#[test]
fn a_second_rollback_goes_on_before_the_version_that_was_put_back() {
    let case = versioned();
    for build in [55, 56, 57] {
        publish(&case, build);
    }
    case.run().exits(0).contains("putting back build 56 ");
    assert_eq!(live(&case), "56");
    case.run()
        .exits(0)
        .contains("putting back build 55 ")
        .contains("the live version was put back itself");
    assert_eq!(live(&case), "55");
    let ended = case.run().exits(3);
    let ended = ended
        .contains("the live version of s3://[BUCKET]/js/mojito.js was put back itself, and S3 keeps nothing from before")
        .contains("nothing was uploaded; visitors still get the container that was live");
    drop(ended);
    assert_eq!(live(&case), "55");
    // After a new publish, what was put back is the version before it.
    publish(&case, 58);
    case.run().exits(0).contains("putting back build 55 ");
}

#[test]
fn a_rerun_of_the_same_pipeline_run_finishes_what_it_began() {
    let case = versioned().in_bitbucket("BITBUCKET_TAG", "v61");
    let case = case.env("BITBUCKET_BUILD_NUMBER", "61");
    for build in [55, 56, 57] {
        publish(&case, build);
    }
    case.run().exits(0);
    let ended = case.run().exits(0);
    drop(ended.contains("this pipeline has put it back before, and this finishes it"));
    assert_eq!(live(&case), "56");
    let case = case.env("BITBUCKET_BUILD_NUMBER", "62");
    case.run().exits(0);
    assert_eq!(live(&case), "55");
}

#[test]
fn the_same_content_in_other_bytes_is_not_another_version() {
    let case = versioned();
    publish(&case, 56);
    publish(&case, 57);
    // As `ONLY_NEWER` stores it.
    let same = script(57);
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let case = case.env("ONLY_NEWER", "true");
    for build in [58, 59] {
        publish_script(&case, build, "mojito", &same);
    }
    with_printed_policy(&case);
    let case = case.unset("ONLY_NEWER");
    case.run().exits(0);
    assert_eq!(live(&case), "56");
}

#[test]
fn a_build_or_a_version_can_be_named_and_a_version_needs_no_listing() {
    let case = versioned();
    for build in 50..60 {
        publish(&case, build);
    }
    let case = case.arg("--to").arg("51");
    case.run().exits(0).contains("as requested");
    assert_eq!(live(&case), "51");
    let id = kept(&case, KEY)[4].id.clone();
    assert_eq!(kept(&case, KEY)[4].build.as_deref(), Some("54"));
    let before = case.requests().len();
    let case = Case::arg(case, "--dry-run");
    case.run().exits(0);
    case.allow_on_container(&["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"]);
    let mut by_id = command(&case);
    by_id.args(["rollback", "--production", "--to", &id]);
    case.ended(by_id.output().unwrap()).exits(0);
    assert_eq!(live(&case), "54");
    let requests = case.requests();
    let lists = requests[before..]
        .iter()
        .filter(|it| it.path.contains("versions"));
    // That of the dry run.
    assert_eq!(lists.count(), 1);
    let mut unknown = command(&case);
    unknown.args(["rollback", "--production", "--to", "noSuchVersion"]);
    case.ended(unknown.output().unwrap())
        .exits(3)
        .contains("has no version `noSuchVersion` that can be read");
}

#[test]
fn a_build_that_is_not_there_is_refused_and_nothing_is_written() {
    let case = versioned().arg("--to").arg("12");
    publish(&case, 56);
    publish(&case, 57);
    let requests = case.requests().len();
    case.run()
        .exits(3)
        .contains("no version of s3://[BUCKET]/js/mojito.js is of build 12: 2 were looked at")
        .contains("choose another one with `--to BUILD`");
    let requests = case.requests().split_off(requests);
    assert!(requests
        .iter()
        .all(|it| matches!(it.method.as_str(), "GET" | "HEAD" | "POST")));
    assert_eq!(live(&case), "57");
    assert_eq!(case.result()["error"]["kind"], "no_version");
}

#[test]
fn a_dry_run_says_what_would_change_and_writes_nothing() {
    let case = versioned().arg("--dry-run");
    publish(&case, 56);
    publish(&case, 57);
    let puts = case.requests().len();
    case.run()
        .exits(0)
        .contains("would put back build 56 ")
        .contains("would invalidate in [DISTRIBUTION]:\n  /js/mojito.js")
        .contains("Button of build 56")
        .contains("dry run: nothing was written");
    assert_eq!(live(&case), "57");
    assert!(case.requests()[puts..].iter().all(|it| it.method != "PUT"));
    let result = case.result();
    assert!(result["dry_run"] == true && result["command"] == "rollback");
}

#[test]
fn a_deleted_container_is_restored() {
    let case = versioned();
    publish(&case, 56);
    publish(&case, 57);
    case.call::<()>("delete_object", json!({"key": KEY}));
    case.run()
        .exits(0)
        .contains("the object is deleted, and this is the version before that")
        .contains("deleted");
    assert_eq!(live(&case), "57");
}

#[test]
fn without_earlier_versions_it_says_what_to_set_up_and_what_else_can_be_done() {
    // Nothing is kept.
    let case = versioned();
    case.call::<()>("set_versioning", json!({"status": null}));
    publish(&case, 56);
    publish(&case, 57);
    case.run()
        .exits(3)
        .contains("the bucket's versioning is off, or was when it was stored")
        .contains("aws s3api put-bucket-versioning --bucket [BUCKET]")
        .contains("what else can be done now: re-run the step of an earlier pipeline");
    // One version.
    let case = versioned();
    publish(&case, 56);
    case.run().exits(3).contains("has no earlier version");
    // Nothing was ever stored.
    versioned().run().exits(3).contains("nothing is stored at");
}

#[test]
fn what_is_suspended_or_stored_by_another_tool_is_put_back_as_it_is() {
    let case = versioned();
    let headers = json!({"content-type": "text/javascript", "cache-control": "no-cache", "x-amz-meta-owner": "somebody"});
    let body = base64(script(1).as_bytes());
    case.call::<()>(
        "put_object",
        json!({"key": KEY, "body": body, "metadata": headers}),
    );
    case.call::<()>("set_versioning", json!({"status": "Suspended"}));
    publish(&case, 57);
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge);
    case.run()
        .exits(0)
        .contains("versioning is suspended")
        .contains("no build");
    let stored = case.objects().remove(0);
    assert_eq!(stored.headers["content-type"], "text/javascript");
    assert_eq!(stored.headers["cache-control"], "no-cache");
    assert_eq!(stored.headers["x-amz-meta-owner"], "somebody");
    assert!(!stored.headers.contains_key("content-encoding"));
}

#[test]
fn denied_listing_or_reading_says_the_statement_and_what_can_be_done_without_it() {
    let case = versioned();
    publish(&case, 56);
    publish(&case, 57);
    case.allow_on_container(&["s3:PutObject"]);
    case.run()
        .exits(3)
        .contains("s3:ListBucketVersions on s3://[BUCKET]/js/mojito.js failed: AccessDenied")
        .contains("\"Action\": [\n      \"s3:ListBucketVersions\"")
        .contains("\"s3:prefix\": [\n          \"js/mojito.js\"")
        .contains("`mojito-publish policy --rollback --production`")
        .contains("without listing, `--to VERSION_ID`");
    let bucket = &case.world.bucket;
    case.set_policy(json!([
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{bucket}/js/mojito.js")},
        {"Effect": "Allow", "Action": "s3:ListBucketVersions", "Resource": format!("arn:aws:s3:::{bucket}")},
    ]));
    case.run()
        .exits(3)
        .contains("s3:GetObjectVersion on s3://[BUCKET]/js/mojito.js failed")
        .contains("\"s3:GetObjectVersion\"");
    assert_eq!(live(&case), "57");
}

#[test]
fn an_invalid_version_is_refused_unless_validation_is_off() {
    let case = versioned();
    publish_script(&case, 56, "mojito", "Mojito=f(");
    publish(&case, 57);
    case.run()
        .exits(2)
        .contains("is truncated")
        .contains("choose another version");
    assert_eq!(live(&case), "57");
    case.env("VALIDATE", "false").run().exits(0);
}

#[test]
fn a_publish_that_comes_between_is_not_replaced() {
    let case = versioned();
    publish(&case, 56);
    publish(&case, 57);
    let gate = case.gate(json!({"methods": ["PUT"], "path": KEY}));
    let run = case.start();
    gate.wait_for(1);
    let body = base64(script(58).as_bytes());
    let metadata = json!({"x-amz-meta-build-number": "58", "x-amz-meta-tag": "v58"});
    case.call::<()>(
        "put_object",
        json!({"key": KEY, "body": body, "metadata": metadata}),
    );
    gate.open();
    let ended: Ended = run.end();
    ended
        .exits(3)
        .contains("was replaced by somebody else after its versions were listed; now build 58 (v58) is live")
        .contains("not replaced: mojito; somebody else has just replaced what was live")
        .contains("next: `mojito-publish status --production` shows what is live; another rollback would replace that")
        .does_not_contain("re-running is safe");
    assert_eq!(live(&case), "58");
    assert!(case.invalidations().is_empty());
}

#[test]
fn only_newer_replaces_what_was_put_back_with_a_newer_build_and_not_with_an_older_one() {
    let case = versioned();
    publish(&case, 56);
    publish(&case, 57);
    case.run().exits(0);
    assert_eq!(live(&case), "56");
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    let publish = |build: &str| {
        let mut command = command(&case);
        command
            .env("ONLY_NEWER", "true")
            .env("CI", "true")
            .env("BITBUCKET_REPO_FULL_NAME", "acme/site")
            .env("BITBUCKET_BUILD_NUMBER", build);
        case.ended(command.output().unwrap())
    };
    publish("55").exits(6);
    assert_eq!(live(&case), "56");
    publish("58").exits(0);
    assert_eq!(live(&case), "58");
}

#[test]
fn of_several_containers_all_are_put_back_or_none() {
    let case = Case::containers(3, &["s3:PutObject"]).storing_results();
    case.call::<()>("set_versioning", json!({"status": "Enabled"}));
    with_printed_policy(&case);
    let case = case.arg("rollback").arg("--production");
    let names = ["site0", "site1", "site2"];
    let only = |name: &str| sample::minified(name);
    for build in [56, 57] {
        for name in names {
            let script = only(name).replace("W2 Headline", &format!("Button of {build}"));
            std::fs::write(case.dist(&format!("{name}.js")), script).unwrap();
        }
        let mut command = command(&case);
        command
            .env_remove("DISTRIBUTION_ID")
            .env("CI", "true")
            .env("BITBUCKET_BUILD_NUMBER", build.to_string());
        case.ended(command.output().unwrap()).exits(0);
    }
    case.run()
        .exits(0)
        .contains("build 56 is put back in production");
    for object in case.objects() {
        assert_eq!(object.headers["x-amz-meta-build-number"], "56");
    }
    assert_eq!(case.invalidations()[0].paths.len(), 3);
    let before = case.requests().len();
    case.run()
        .exits(3)
        .contains("3 containers cannot be rolled back:");
    assert!(case.requests()[before..]
        .iter()
        .all(|it| it.method != "PUT"));
}

#[test]
fn the_pretty_file_is_put_back_with_the_container_of_its_build_or_left() {
    let case = versioned().env("PRETTY", "true");
    with_printed_policy(&case);
    publish(&case, 56);
    publish(&case, 57);
    case.run().exits(0);
    for object in case.objects() {
        assert_eq!(object.headers["x-amz-meta-build-number"], "56");
    }
    let requests = case.requests();
    let puts = requests.iter().filter(|it| it.method == "PUT");
    let puts: Vec<&str> = puts.map(|it| it.path.split('?').next().unwrap()).collect();
    assert!(puts[4].ends_with("mojito.pretty.js") && puts[5].ends_with("mojito.js"));

    let case = versioned();
    publish(&case, 56);
    let case = case.env("PRETTY", "true");
    with_printed_policy(&case);
    publish(&case, 57);
    case.run().exits(0).contains(
        "mojito.pretty.js stays as it is, as S3 keeps no version of it of the same build",
    );
    assert_eq!(live(&case), "56");
}

#[test]
fn other_keys_with_the_same_beginning_and_a_thousand_versions_do_not_matter() {
    let case = versioned();
    let many = |key: &str, count: usize, first: usize| {
        for number in first..first + count {
            let metadata = json!({"x-amz-meta-build-number": number.to_string()});
            let body = base64(script(number as u64).as_bytes());
            case.call::<()>(
                "put_object",
                json!({"key": key, "body": body, "metadata": metadata}),
            );
        }
    };
    many("js/mojito.js.map", 400, 1_000);
    many(KEY, 401, 1);
    many("js/mojito.json", 200, 2_000);
    case.run().exits(0).contains("(and 395 older ones)");
    assert_eq!(live(&case), "400");
}

#[test]
fn by_hand_a_failed_invalidation_says_how_to_finish_with_the_same_version() {
    let case = versioned();
    publish(&case, 55);
    publish(&case, 56);
    publish(&case, 57);
    case.fault(json!({"method": "POST", "path": "/invalidation", "status": 403, "times": 99,
        "body": "<ErrorResponse><Error><Code>AccessDenied</Code><Message>No.</Message></Error></ErrorResponse>"}));
    let id = kept(&case, KEY)[1].id.clone();
    case.run()
        .exits(4)
        .contains(
            "build 56 (v56, 0000000) is put back in production, but CloudFront was not invalidated",
        )
        .contains("CloudFront still serves the container that was live from [DISTRIBUTION]")
        .contains(&format!(
            "next: to finish, run it again with `--to {id}`, which is safe at any time\n  without that, the next rollback goes one \
             version further back\n"
        ));
}

#[test]
fn in_a_pipe_a_failed_invalidation_says_how_to_finish_with_the_same_version() {
    let denied = json!({"method": "POST", "path": "/invalidation", "status": 403, "times": 99,
        "body": "<ErrorResponse><Error><Code>AccessDenied</Code><Message>No.</Message></Error></ErrorResponse>"});
    let case = versioned();
    publish(&case, 56);
    publish(&case, 57);
    let id = kept(&case, KEY)[0].id.clone();
    case.fault(denied);
    case.in_bitbucket("BITBUCKET_TAG", "v61")
        .env("BITBUCKET_BUILD_NUMBER", "61")
        .run()
        .exits(4)
        .contains(&format!(
            "next: to finish, re-run this step, or in another pipeline run set `ROLLBACK_TO={id}`"
        ));
}

#[test]
fn with_a_role_its_session_gets_what_a_rollback_needs_and_no_more() {
    let (case, role) = versioned()
        .in_bitbucket("BITBUCKET_TAG", "v61")
        .with_broad_role();
    publish_with_keys(&case);
    case.run().exits(0);
    assert_eq!(live(&case), "56");
    let other: String = case.call("add_distribution", json!({}));
    let allowed: Vec<String> = case.call(
        "what_the_session_may_do",
        json!({"role": role, "key": KEY, "distribution": other}),
    );
    assert_eq!(allowed, ALLOWED);
}

/// Two builds, without the role.
fn publish_with_keys(case: &Case) {
    for build in [56_u64, 57] {
        std::fs::write(case.dist("mojito.js"), script(build)).unwrap();
        let mut command = command(case);
        command
            .env_remove("DISTRIBUTION_ID")
            .env_remove("AWS_OIDC_ROLE_ARN")
            .env("BITBUCKET_BUILD_NUMBER", build.to_string());
        case.ended(command.output().unwrap()).exits(0);
    }
}

#[test]
fn what_policy_rollback_prints_allows_the_rollback_and_nothing_else() {
    let case = versioned();
    publish(&case, 56);
    let other: String = case.call("add_distribution", json!({}));
    let allowed: Vec<String> = case.call(
        "what_the_user_may_do",
        json!({"key": KEY, "distribution": other}),
    );
    assert_eq!(allowed, ALLOWED);
}

#[test]
fn a_rollback_of_one_container_takes_these_requests() {
    let case = versioned();
    publish(&case, 56);
    publish(&case, 57);
    let edge = case.world.edge.clone();
    let case = case.env("PUBLIC_URL", &edge);
    let before = case.requests().len();
    case.run().exits(0);
    let requests = case.requests().split_off(before);
    let of = |method: &str, part: &str| {
        let matching = requests
            .iter()
            .filter(|it| it.method == method && it.path.contains(part));
        matching.count()
    };
    assert_eq!(of("GET", "versions"), 1);
    // The live one, and the one that is put back.
    assert_eq!(of("GET", "versionId"), 2);
    // The likeliest version is read, not looked at first.
    assert_eq!(of("HEAD", "versionId"), 0);
    assert_eq!(of("PUT", KEY), 1);
    assert_eq!(of("POST", "/invalidation"), 1);
    let visits: Vec<Value> = case.call("edge_requests", json!({}));
    assert_eq!(
        visits.iter().filter(|it| it["method"] == "GET").count(),
        visits.len()
    );
}

fn base64(bytes: &[u8]) -> String {
    use base64::engine::general_purpose::STANDARD;
    use base64::Engine;
    STANDARD.encode(bytes)
}

#[test]
fn check_tries_what_a_rollback_reads_and_says_what_is_missing() {
    let case = Case::production();
    case.call::<()>("set_versioning", json!({"status": "Enabled"}));
    with_printed_policy(&case);
    publish(&case, 56);
    let case = case.arg("check").arg("--production").arg("--rollback");
    let puts = case.requests().len();
    case.run()
        .exits(0)
        .contains("✔ can read s3://[BUCKET]/js/mojito.js (`--rollback`)")
        .contains("✔ can list the versions of s3://[BUCKET]/js/mojito.js (`--rollback`)")
        .contains("✔ can read the versions of s3://[BUCKET]/js/mojito.js (`--rollback`)")
        .contains("these credentials can write and roll back what production needs");
    assert!(case.requests()[puts..].iter().all(|it| it.method != "PUT"));
    case.allow_on_container(&["s3:PutObject"]);
    case.run()
        .exits(3)
        .contains("missing permission: cannot list the versions of s3://[BUCKET]/js/mojito.js")
        .contains("✖ permissions are missing, and a rollback would fail\n  `mojito-publish policy --rollback --production` prints all")
        .contains("add at least this statement to the user or role:\n")
        .contains("\"s3:ListBucketVersions\"");
}
