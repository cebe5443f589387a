//! Fetches a container from the site's public address as a visitor's browser does.
//!
//! A connection is opened during earlier work, as to AWS, so that an address that cannot be reached is refused before anything
//! is sent.

use std::pin::pin;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_util::future::select;
use http::Uri;
use http_body_util::BodyExt;
use tokio::time::{timeout_at, Instant};

use crate::aws::https::{FirstConnection, Https};
use crate::aws::preconnect::{in_background, Opening};
use crate::aws::response_limit::{limited_body, TooLarge};
use crate::common::byte_size::ByteSize;
use crate::common::causes::causes;
use crate::container::object::Object;
use crate::container::served::ServedContainer;
use crate::settings::names::{public_url_of, CdnPath};
use crate::settings::problems::InvalidSetting;
use crate::settings::Settings;

/// The headers of caches that add themselves neither to `Via` nor to `X-Cache`.
const OTHER_CACHES: [&str; 6] = [
    "akamai-grn",
    "cdn-cache",
    "cf-ray",
    "x-azure-ref",
    "x-served-by",
    "x-varnish",
];

/// The site's public address, and a connection to it that is being opened.
pub(crate) struct Cdn {
    pub(crate) connector: SharedHttpConnector,
    public_url: Uri,
    /// The setting that it comes from.
    setting: String,
    /// Ends with the error if it cannot be opened.
    opening: Opening<Result<(), String>>,
}

impl Cdn {
    /// Starts to open a connection, where the settings have a URL.
    pub(crate) fn start(https: &Https, settings: &Settings) -> Option<Self> {
        let public_url = settings.public_url.clone()?;
        let (connector, first) = https.connector();
        let opening = in_background(open(connector.clone(), public_url.to_string(), first));
        Some(Self {
            connector,
            public_url,
            setting: settings.public_url_source.to_string(),
            opening,
        })
    }

    /// The URL that visitors get an object from.
    pub(crate) fn url(&self, object: &Object) -> String {
        self.url_of(&object.cdn_path)
    }

    /// The URL of a path.
    pub(crate) fn url_of(&self, path: &CdnPath) -> String {
        public_url_of(&self.public_url, path)
    }
}

/// Waits for the connection, where there is a CDN. That it cannot be opened is a wrong setting.
pub(crate) async fn reached(cdn: Option<&Cdn>) -> Result<(), InvalidSetting> {
    let Some(Cdn {
        opening,
        public_url,
        setting,
        ..
    }) = cdn
    else {
        return Ok(());
    };
    // Only an error is a proof: who is slow may still respond to visitors.
    let opened = opening.clone().await.unwrap_or(Ok(()));
    opened.map_err(|problem| {
        let problem = format!("is `{public_url}`, which cannot be reached\n{problem}");
        InvalidSetting::lines(setting, &problem)
    })
}

/// Opens a connection and sends nothing, by a request that is abandoned then. Should it be sent after all, it is a bare `HEAD /`.
async fn open(
    connector: SharedHttpConnector,
    public_url: String,
    first: FirstConnection,
) -> Result<(), String> {
    let request = request("HEAD", &public_url)?;
    let sent = async { connector.call(request).await.map(drop) };
    // The order matters: once both are ready, the request must not be polled further.
    select(pin!(first.ended()), pin!(sent)).await;
    first.ended().await
}

/// The HTTP status and what is served. `size` is the uncompressed size of the expected container. On failure, a phrase about it.
pub(crate) async fn get(
    connector: &dyn HttpConnector,
    url: &str,
    size: ByteSize,
    timeout: Duration,
) -> Result<(u16, ServedContainer), String> {
    fetch(connector, request("GET", url)?, size, timeout).await
}

/// Whether a cache that no invalidation reaches answers at a URL: another than CloudFront, or one in front of it.
///
/// It requests a file that nobody loads, beside the one of the URL, since a cache keeps what is requested from it.
pub(crate) async fn has_other_cache(
    connector: &dyn HttpConnector,
    url: &str,
    timeout: Duration,
) -> Result<bool, String> {
    let request = request("HEAD", &format!("{url}.none"))?;
    let (_, response) = fetch(connector, request, ByteSize(0), timeout).await?;
    Ok(is_from_other_cache(|name| response.header(name)))
}

fn is_from_other_cache<'a>(header: impl Fn(&str) -> Option<&'a str>) -> bool {
    let is_cloudfront = |value: &str| value.to_ascii_lowercase().contains("cloudfront");
    // Each proxy adds itself at the end of `Via`.
    let via = header("via").and_then(|via| via.rsplit(',').next());
    let mut named = [via, header("x-cache")].into_iter().flatten();
    named.any(|value| !is_cloudfront(value))
        || OTHER_CACHES.iter().any(|name| header(name).is_some())
}

fn request(method: &str, url: &str) -> Result<HttpRequest, String> {
    let mut request = HttpRequest::get(url).map_err(|error| causes(&error))?;
    request.set_method(method).map_err(|error| causes(&error))?;
    let user_agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    let headers = request.headers_mut();
    headers.insert("accept-encoding", Object::CONTENT_ENCODING);
    headers.insert("user-agent", user_agent);
    Ok(request)
}

async fn fetch(
    connector: &dyn HttpConnector,
    request: HttpRequest,
    size: ByteSize,
    timeout: Duration,
) -> Result<(u16, ServedContainer), String> {
    let deadline = Instant::now() + timeout;
    let limit = ServedContainer::limit(size);
    let url = request.uri().to_owned();
    let mut response = timeout_at(deadline, connector.call(request))
        .await
        .map_err(|_| format!("no response within {}", seconds(timeout)))?
        .map_err(|error| format!("not reachable: {}", causes(&error)))?;
    let status = response.status().as_u16();
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let content = match timeout_at(deadline, content(body, limit)).await {
        // Only the status of an error matters. Its content is read so that the connection can be reused.
        Err(_) | Ok(Err(_)) if status != 200 => Bytes::new(),
        Err(_) => {
            let within = seconds(timeout);
            return Err(format!("the response did not end within {within}"));
        }
        Ok(content) => content?,
    };
    let served = ServedContainer::new(&url, response.headers().iter(), content, limit);
    Ok((status, served))
}

/// `10 s`, or below a few seconds `0.5 s`.
fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 || time.as_secs() >= 3 {
        format!("{} s", time.as_secs())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// The content of a response, if it is no larger than `limit`. On failure, a phrase about it.
pub(crate) async fn content(body: SdkBody, limit: ByteSize) -> Result<Bytes, String> {
    match limited_body(body, limit).collect().await {
        Ok(content) => Ok(content.to_bytes()),
        Err(error) if error.is::<TooLarge>() => Err(error.to_string()),
        Err(error) => Err(format!("the response broke off: {}", causes(&*error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::rows;

    #[test]
    fn a_cache_that_no_invalidation_reaches_is_known_by_its_headers() {
        for [headers, expected] in rows(
            "                                                               |
             server: AmazonS3                                               |
             via: 1.1 a.cloudfront.net (CloudFront)                         |
             x-cache: Error from cloudfront                                 |
             via: 1.1 a.cloudfront.net (CloudFront), cf-ray: 8a1            | other
             via: 1.1 a.cloudfront.net (CloudFront); 1.1 varnish            | other
             x-cache: HIT                                                   | other
             via: 1.1 google                                                | other",
        ) {
            let headers = headers.split(", ").filter_map(|it| it.split_once(": "));
            let headers: Vec<_> = headers
                .map(|(name, it)| (name, it.replace(';', ",")))
                .collect();
            let header = |wanted: &str| {
                let mut headers = headers.iter();
                let found = headers.find(|(name, _)| *name == wanted);
                found.map(|(_, value)| value.as_str())
            };
            let other = if is_from_other_cache(header) {
                "other"
            } else {
                ""
            };
            assert_eq!(other, expected, "{headers:?}");
        }
    }
}
