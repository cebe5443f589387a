//! Registers the secrets that requests for credentials carry, such as the token of an SSO session.
//!
//! AWS's SDK reads them from files that nothing else here reads, and a response may echo them.

use aws_smithy_runtime_api::client::http::{
    http_client_fn, HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::common::secrets;

const HEADERS: [&str; 4] = [
    "authorization",
    "x-amz-security-token",
    "x-amz-sso_bearer_token",
    "x-aws-ec2-metadata-token",
];
/// In the form of a request to STS.
const FORM_FIELDS: [&str; 1] = ["WebIdentityToken"];
/// In the JSON of a request for an SSO session's new token.
const JSON_FIELDS: [&str; 2] = ["clientSecret", "refreshToken"];

/// Wraps the client so that it registers the secrets of each request before it is sent.
pub(super) fn registering(client: SharedHttpClient) -> SharedHttpClient {
    http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Registering(client.http_connector(settings, components)))
    })
}

#[derive(Debug)]
struct Registering(SharedHttpConnector);

impl HttpConnector for Registering {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        secrets::register(of_request(&request));
        self.0.call(request)
    }
}

fn of_request(request: &HttpRequest) -> Vec<String> {
    let mut found = Vec::new();
    for value in HEADERS
        .into_iter()
        .filter_map(|name| request.headers().get(name))
    {
        found.push(value.to_owned());
        // What follows the scheme, such as `Bearer`.
        found.extend(value.split_once(' ').map(|(_, rest)| rest.to_owned()));
    }
    let body = request.body().bytes().unwrap_or_default();
    if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
        let values = JSON_FIELDS
            .into_iter()
            .filter_map(|name| fields.get(name)?.as_str());
        found.extend(values.map(str::to_owned));
    } else {
        let body = String::from_utf8_lossy(body);
        let fields = body.split('&').filter_map(|field| field.split_once('='));
        let fields = fields.filter(|(name, _)| FORM_FIELDS.contains(name));
        found.extend(fields.map(|(_, it)| percent_decode_str(it).decode_utf8_lossy().into_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    #[track_caller]
    fn case(header: Option<(&'static str, &'static str)>, body: &str, expected: &[&str]) {
        let mut request = HttpRequest::new(SdkBody::from(body));
        if let Some((name, value)) = header {
            request.headers_mut().insert(name, value);
        }
        assert_eq!(of_request(&request), expected);
    }

    #[test]
    fn the_secrets_of_every_kind_of_request_are_known() {
        case(
            Some(("authorization", "Bearer t1")),
            "",
            &["Bearer t1", "t1"],
        );
        case(Some(("x-amz-sso_bearer_token", "t2")), "", &["t2"]);
        case(None, "Action=A&WebIdentityToken=a%2Bb&Version=1", &["a+b"]);
        let json = r#"{"clientId":"c","clientSecret":"s","refreshToken":"r"}"#;
        case(None, json, &["s", "r"]);
        case(Some(("x-amz-user-agent", "agent")), "Action=A", &[]);
    }
}
