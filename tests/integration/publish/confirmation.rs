//! Only S3 itself says that an upload is stored, and only CloudFront that an invalidation is created.

use serde_json::{json, Value};

use crate::support::harness::Case;
use crate::support::proxy::{Fault, Forged, Proxy, Target};

const PUT: Target = Target {
    method: "PUT",
    path: "/js/mojito.js",
};

/// A case behind a proxy, whose user may do this to the container.
fn behind_proxy(actions: &[&str]) -> (Case, Proxy) {
    let case = Case::production();
    case.allow_on_container(actions);
    let proxy = Proxy::start(&case.world.endpoint);
    let case = case
        .env("AWS_ENDPOINT_URL", &proxy.endpoint)
        .storing_results();
    (case, proxy)
}

fn count(case: &Case, method: &str) -> usize {
    let requests = case.requests();
    let of_method = requests.iter().filter(|request| request.method == method);
    of_method.count()
}

#[test]
fn s3_and_cloudfront_confirm_what_they_did() {
    let case = Case::production().env("DEBUG", "true");
    let ended = case.run().exits(0).contains("/invalidation: HTTP 201 ");
    assert_eq!(count(&case, "HEAD"), 0);
    ended.does_not_contain("attempt 2");
}

#[test]
fn a_store_that_sends_no_checksum_is_believed_if_its_etag_is_the_md5() {
    let case = Case::production();
    let omits = json!({"omits_headers": ["x-amz-checksum-sha256"]});
    case.call::<()>("set_store", omits);
    case.run().exits(0);
    assert_eq!((count(&case, "PUT"), count(&case, "HEAD")), (1, 0));
}

#[test]
fn what_a_store_stored_without_any_proof_is_looked_up_if_it_may_be() {
    let omits = json!({"omits_headers": ["x-amz-checksum-sha256", "etag"]});
    let case = Case::production().storing_results();
    case.call::<()>("set_store", omits.clone());
    case.allow_on_container(&["s3:PutObject", "s3:GetObject"]);
    case.run().exits(0);
    assert_eq!((count(&case, "PUT"), count(&case, "HEAD")), (1, 1));

    let case = Case::production().storing_results();
    case.call::<()>("set_store", omits.clone());
    case.run()
        .exits(3)
        .contains("s3:PutObject on s3://[BUCKET]/js/mojito.js was not confirmed (HTTP 200): ")
        .contains("allow `s3:GetObject`, so that the run can check it")
        .contains("not known whether mojito was replaced: S3 did not confirm it")
        .does_not_contain("visitors still get the old container");
    assert_eq!(case.keys(), ["js/mojito.js"]);
    assert_eq!(case.invalidations().len(), 1);
    let container = &case.result()["containers"][0];
    assert_eq!(container["state"], "unknown");
    assert_eq!(container["objects"][0]["upload"], "unknown");
}

#[test]
fn a_page_in_place_of_s3s_response_is_no_success() {
    let (case, proxy) = behind_proxy(&["s3:PutObject"]);
    proxy.breaks(PUT, Fault::Forged(Forged::Page), 1);
    case.run().exits(0);
    assert_eq!(case.keys(), ["js/mojito.js"]);

    let (case, proxy) = behind_proxy(&["s3:PutObject", "s3:GetObject"]);
    proxy.breaks(PUT, Fault::Forged(Forged::Page), usize::MAX);
    case.run()
        .exits(3)
        .contains("was not confirmed (HTTP 200): the response did not come from AWS: <html>")
        .contains("check `HTTPS_PROXY`")
        .contains("not known whether mojito was replaced: S3 did not confirm it");
    assert!(case.keys().is_empty());
    // It may be there, so it is invalidated all the same.
    assert_eq!(case.invalidations().len(), 1);
}

#[test]
fn an_upload_that_a_gateway_hides_is_found_by_its_caller_reference() {
    let (case, proxy) = behind_proxy(&["s3:PutObject", "s3:GetObject"]);
    proxy.breaks(PUT, Fault::Gateway(503), usize::MAX);
    case.run()
        .exits(0)
        .contains("mojito is published to production");
    assert_eq!(case.keys(), ["js/mojito.js"]);

    let (case, proxy) = behind_proxy(&["s3:PutObject"]);
    proxy.breaks(PUT, Fault::Gateway(503), usize::MAX);
    case.run()
        .exits(3)
        .contains("what to do: a proxy or gateway answered in place of AWS")
        .contains("not known whether mojito was replaced: S3 did not confirm it");
    assert_eq!(case.keys(), ["js/mojito.js"]);
    assert_eq!(case.invalidations().len(), 1);
    assert_eq!(case.result()["error"]["kind"], Value::from("gateway"));
}
