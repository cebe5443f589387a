//! The versions that S3 makes of the objects, where the bucket keeps any: by their IDs, a container can be had back.

use serde_json::{json, Value};

use crate::support::harness::Case;
use crate::support::proxy::{Fault, Proxy, Target};

const KEY: &str = "js/mojito.js";

/// A build of a tag that may read what it writes, in a bucket with this versioning.
fn case(versioning: &str) -> Case {
    let case = Case::production()
        .in_bitbucket("BITBUCKET_TAG", "v1")
        .storing_results();
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.call::<()>("set_versioning", json!({"status": versioning}));
    case
}

/// Publishes, and expects the version that S3 has made in the log and in the result.
#[track_caller]
fn assert_version_is_reported(case: &Case) {
    let ended = case.run().exits(0);
    let id: String = case.call("version_of", json!({"key": KEY}));
    ended.contains(&format!(" bytes compressed, version {id}"));
    let object = case.result()["containers"][0]["objects"][0].take();
    assert_eq!(object["version_id"], json!(id));
}

#[test]
fn the_version_of_an_upload_is_in_the_log_and_the_result() {
    assert_version_is_reported(&case("Enabled"));
    assert_version_is_reported(&case("Enabled").env("ONLY_NEWER", "true"));
}

#[test]
fn the_version_is_known_after_a_lost_response() {
    for only_newer in ["false", "true"] {
        let case = case("Enabled").env("ONLY_NEWER", only_newer);
        let proxy = Proxy::start(&case.world.endpoint);
        let put = Target {
            method: "PUT",
            path: KEY,
        };
        // The first of `ONLY_NEWER` is on a condition that cannot hold.
        proxy.breaks(put, Fault::Nothing, usize::from(only_newer == "true"));
        proxy.breaks(put, Fault::ResetBeforeResponse, usize::MAX);
        assert_version_is_reported(&case.env("AWS_ENDPOINT_URL", &proxy.endpoint));
    }
}

#[test]
fn without_versioning_there_is_no_version() {
    for versioning in ["", "Suspended"] {
        let case = case(versioning);
        case.run().exits(0).does_not_contain(", version ");
        let object = &case.result()["containers"][0]["objects"][0];
        assert_eq!(object["version_id"], Value::Null);
    }
}
