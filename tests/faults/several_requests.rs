//! A run whose paths need more than one request for an invalidation.

use serde_json::json;

use crate::support::harness::Case;
use crate::support::proxy::{Fault, Proxy, Target};
use crate::support::sample;

/// With both files, they have two more paths than CloudFront takes in one request.
const CONTAINERS: usize = 1_501;

#[test]
fn what_cloudfront_accepted_before_a_request_failed_is_not_forgotten() {
    let case = Case::without_rights();
    case.set_policy(
        json!([{"Effect": "Allow", "Action": ["s3:PutObject", "cloudfront:*"], "Resource": "*"}]),
    );
    let names: Vec<String> = (0..CONTAINERS)
        .map(|number| format!("site{number}"))
        .collect();
    for name in &names {
        sample::build(case.repository(), name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let proxy = Proxy::start(&case.world.endpoint);
    let case = case
        .list("CONTAINER_NAME", &names)
        .env("VALIDATE", "false")
        .env("AWS_ENDPOINT_URL_CLOUDFRONT", &proxy.endpoint)
        .storing_results();
    let create = Target {
        method: "POST",
        path: "/invalidation",
    };
    proxy.breaks(create, Fault::Nothing, 1);
    proxy.breaks(create, Fault::Status(403, "AccessDenied"), usize::MAX);
    let ended = case.run().exits(4);
    let made = &case.invalidations()[0];
    assert_eq!(made.paths.len(), 3_000);
    let (distribution, id) = (&made.distribution, &made.id);
    ended
        .contains("are published to development, but not everything was invalidated in CloudFront")
        .contains(&format!(
            "CloudFront may still serve the old container from {distribution} until"
        ))
        .contains(&format!(
            "3,000 of 3,002 paths were invalidated in {distribution} ({id})\n"
        ));
    let invalidation = &case.result()["invalidations"][0];
    assert_eq!(invalidation["status"], "incomplete");
    assert_eq!(invalidation["ids"], json!([id]));
    assert_eq!(invalidation["error"]["code"], "AccessDenied");
}
