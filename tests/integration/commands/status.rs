//! `status`: what visitors get now, what S3 has, and the versions before it.

use serde_json::json;

use crate::support::harness::Case;

/// Whoever may read production's container and its versions, and nothing else.
fn reader(case: &Case) {
    let bucket = format!("arn:aws:s3:::{}", case.world.bucket);
    case.set_policy(json!([
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": format!("{bucket}/js/*")},
        {"Effect": "Allow", "Action": "s3:ListBucketVersions", "Resource": bucket},
    ]));
}

/// A case with build 57 of tag `v1.4.0` published to production, whose user may only read then.
fn published() -> Case {
    let case = Case::production().in_bitbucket("BITBUCKET_TAG", "v1.4.0");
    case.call::<()>("set_versioning", json!({"status": "Enabled"}));
    case.run().exits(0);
    reader(&case);
    case.arg("status")
}

#[test]
fn smoke() {
    let case = published();
    let edge = case.world.edge.clone();
    let ended = case.run();
    println!("{}", ended.output);
    let case = case.env("PUBLIC_URL", &edge);
    let ended = case.run();
    println!("{}", ended.output);
    let case = case.arg("--json");
    let ended = case.run();
    println!("{}", ended.output);
    let case = Case::production().arg("status");
    case.call::<()>("set_versioning", json!({"status": "Enabled"}));
    let keys = ["js/mojito.js", "js/mojito.js.bak", "js/mojito.js2"];
    let now = std::time::Instant::now();
    case.call::<()>("fill_with_versions", json!({"keys": keys, "count": 1001}));
    println!("filled in {:?}", now.elapsed());
    reader(&case);
    let now = std::time::Instant::now();
    let ended = case.run();
    println!("{} {:?}", ended.output, now.elapsed());
}
