//! `PUBLIC_URL`: whether visitors get the new container, found out as a browser does.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use http::Uri;
use tokio::time::Instant;

use crate::fault::causes;
use crate::name::CdnPath;
use crate::object::Object;
use crate::settings::Settings;

/// How long the new container is waited for, all containers of a run together.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// The first pause between two looks; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An answer that is larger than this beyond the container's size is something else, and is not read on.
const SPARE_BYTES: usize = 64 * 1024;

/// The address of an object at the CDN.
pub(crate) fn url(public_url: &Uri, path: &CdnPath) -> String {
    format!("{}{path}", public_url.to_string().trim_end_matches('/'))
}

/// Fetches until the answer is the published object. On failure, what is served instead.
pub(crate) async fn until_served(
    connector: &Connector,
    url: &str,
    object: &Object,
    settings: &Settings,
    deadline: Instant,
    on_wait: impl Fn(&str, Duration),
) -> Result<(), String> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let Err(problem) = look(connector, url, object, settings).await else {
            return Ok(());
        };
        if Instant::now() + pause > deadline {
            return Err(problem);
        }
        on_wait(&problem, started.elapsed());
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn look(
    connector: &Connector,
    url: &str,
    object: &Object,
    settings: &Settings,
) -> Result<(), String> {
    let mut request = HttpRequest::get(url).map_err(|error| causes(&error))?;
    request
        .headers_mut()
        .insert("accept-encoding", Object::CONTENT_ENCODING);
    request.headers_mut().insert(
        "user-agent",
        concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
    );
    let response = connector
        .call(request)
        .await
        .map_err(|error| format!("it was not reached: {}", causes(&error)))?;
    compare(response, object, settings).await
}

async fn compare(
    mut response: HttpResponse,
    object: &Object,
    settings: &Settings,
) -> Result<(), String> {
    let status = response.status().as_u16();
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let header = |name: &str| response.headers().get(name);
    // Who answered from where and how old it is, in the CDN's own words.
    let origin: String = ["age", "x-cache", "via", "server"]
        .iter()
        .filter_map(|name| header(name).map(|value| format!(", {name}: {value}")))
        .collect();
    if status != 200 {
        return Err(format!("it answers HTTP {status}{origin}"));
    }
    for (name, expected) in [
        ("content-type", Object::CONTENT_TYPE),
        ("content-encoding", Object::CONTENT_ENCODING),
        ("cache-control", settings.cache_control.as_str()),
    ] {
        let value = header(name);
        if value != Some(expected) {
            return Err(format!(
                "its {name} is `{}`, expected `{expected}`{origin}",
                value.unwrap_or("absent")
            ));
        }
    }
    let mut stream = ByteStream::new(body);
    let mut content = Vec::with_capacity(object.body.len());
    while let Some(part) = stream.next().await {
        content.extend_from_slice(
            &part.map_err(|error| format!("its content broke off: {}", causes(&error)))?,
        );
        if content.len() > object.body.len() + SPARE_BYTES {
            break;
        }
    }
    if content == object.body {
        Ok(())
    } else {
        Err(format!(
            "it is another container than the one published{origin}"
        ))
    }
}
