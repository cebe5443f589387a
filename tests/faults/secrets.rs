//! Echoed secrets: whatever AWS or a file has in it, in whatever encoding, no output of a run shows a secret of it,
//! nor does a report to Bitbucket.
//!
//! `cargo test --test faults -- --ignored secrets` tries every encoding at every place.

use std::fs;

use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use base64::Engine;
use serde_json::{json, Value};

use super::parallel::in_parallel;
use crate::support::bitbucket::{Bitbucket, Received};
use crate::support::harness::{local_aws, Case};

/// Runs at the same time.
const CONCURRENT_RUNS: usize = 4;
/// What the second secret ends with. It starts with the end of the first one.
const TAIL: &str = "-and/the+end=of-another";

/// How a secret is encoded.
#[derive(Clone, Copy, Debug)]
enum Form {
    Raw,
    Percent,
    PercentLower,
    PercentPartly,
    PercentTwice,
    JsonSlash,
    JsonUnicode,
    JsonUnicodeLower,
    JavaScript,
    HtmlDecimal,
    HtmlHex,
    HtmlNamed,
    HtmlTwice,
    Base64,
    Base64NoPad,
    Base64Url,
    Base64UrlNoPad,
    LineBreaks,
    Twice,
    Overlapping,
}

const FORMS: [Form; 20] = [
    Form::Raw,
    Form::Percent,
    Form::PercentLower,
    Form::PercentPartly,
    Form::PercentTwice,
    Form::JsonSlash,
    Form::JsonUnicode,
    Form::JsonUnicodeLower,
    Form::JavaScript,
    Form::HtmlDecimal,
    Form::HtmlHex,
    Form::HtmlNamed,
    Form::HtmlTwice,
    Form::Base64,
    Form::Base64NoPad,
    Form::Base64Url,
    Form::Base64UrlNoPad,
    Form::LineBreaks,
    Form::Twice,
    Form::Overlapping,
];

impl Form {
    fn of(self, secret: &str) -> String {
        let each = |by: fn(char) -> String| secret.chars().map(by).collect::<String>();
        match self {
            Self::Raw => secret.to_owned(),
            Self::Percent => each(|it| format!("%{:02X}", u32::from(it))),
            Self::PercentLower => each(|it| format!("%{:02x}", u32::from(it))),
            Self::PercentPartly => each(|it| match it {
                'a'..='z' | 'A'..='Z' => it.to_string(),
                _ => format!("%{:02X}", u32::from(it)),
            }),
            Self::PercentTwice => each(|it| format!("%25{:02X}", u32::from(it))),
            Self::JsonSlash => secret.replace('/', "\\/"),
            Self::JsonUnicode => each(|it| format!("\\u{:04X}", u32::from(it))),
            Self::JsonUnicodeLower => each(|it| format!("\\u{:04x}", u32::from(it))),
            Self::JavaScript => each(|it| format!("\\x{:02x}", u32::from(it))),
            Self::HtmlDecimal => each(|it| format!("&#{};", u32::from(it))),
            Self::HtmlHex => each(|it| format!("&#x{:X};", u32::from(it))),
            Self::HtmlNamed => secret.replace('/', "&sol;").replace('+', "&plus;"),
            Self::HtmlTwice => each(|it| format!("&amp;#x{:x};", u32::from(it))),
            Self::Base64 => STANDARD.encode(secret),
            Self::Base64NoPad => STANDARD_NO_PAD.encode(secret),
            Self::Base64Url => URL_SAFE.encode(secret),
            Self::Base64UrlNoPad => URL_SAFE_NO_PAD.encode(secret),
            Self::LineBreaks => format!("\r\n{secret}\n\n"),
            Self::Twice => format!("{secret}{secret} {secret}"),
            // The start of a secret, it, and what another ends with that starts in it.
            Self::Overlapping => {
                let tail = if secret.ends_with(TAIL) { "" } else { TAIL };
                format!("{}{secret}{tail}", &secret[..9])
            }
        }
    }
}

/// Where it is.
#[derive(Clone, Copy, Debug)]
enum Place {
    S3Code,
    S3Message,
    S3LongMessage,
    S3RequestId,
    S3HostId,
    S3Page,
    S3LongPage,
    S3Redirect,
    S3ETag,
    S3DryRun,
    StsCode,
    StsMessage,
    StsPage,
    StsUnreadable,
    StsArn,
    RoleMessage,
    RoleUnreadable,
    CloudFrontCode,
    CloudFrontMessage,
    CloudFrontPage,
    CloudFrontId,
    CloudFrontPoll,
    EdgeHeaders,
    UploadId,
    ConfigJs,
    Container,
    Tag,
    Argument,
}

const PLACES: [Place; 28] = [
    Place::S3Code,
    Place::S3Message,
    Place::S3LongMessage,
    Place::S3RequestId,
    Place::S3HostId,
    Place::S3Page,
    Place::S3LongPage,
    Place::S3Redirect,
    Place::S3ETag,
    Place::S3DryRun,
    Place::StsCode,
    Place::StsMessage,
    Place::StsPage,
    Place::StsUnreadable,
    Place::StsArn,
    Place::RoleMessage,
    Place::RoleUnreadable,
    Place::CloudFrontCode,
    Place::CloudFrontMessage,
    Place::CloudFrontPage,
    Place::CloudFrontId,
    Place::CloudFrontPoll,
    Place::EdgeHeaders,
    Place::UploadId,
    Place::ConfigJs,
    Place::Container,
    Place::Tag,
    Place::Argument,
];

fn document(code: &str, message: &str) -> String {
    // S3 has the error alone, the other services have it in another element.
    format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error><Code>{code}</Code><Message>{message}</Message></ErrorResponse>")
}

fn page(text: &str) -> String {
    format!("<!doctype html><p>you sent {text}, which is not allowed</p>")
}

impl Place {
    /// Lets a run get this text, or have it in its files or variables.
    fn prepare(self, case: Case, text: &str) -> Case {
        // A header is one line.
        let line: String = text
            .chars()
            .map(|it| if it.is_control() { ' ' } else { it })
            .collect();
        let fault = |method: &str, path: &str, status: u16, headers: Value, body: String| {
            let fault = json!({"method": method, "path": path, "status": status, "headers": headers, "body": body, "times": 99});
            case.fault(fault);
        };
        let s3 = |status, headers, body| fault("PUT", "/js/mojito.js", status, headers, body);
        let sts = |status, body| fault("POST", "/", status, json!({}), body);
        let cdn = |status, body| fault("POST", "/invalidation", status, json!({}), body);
        let unreadable = format!("<A><B><C><SecretAccessKey>{text}</SecretAccessKey><C>");
        match self {
            Self::S3Code => s3(403, json!({}), document(text, "no")),
            Self::S3Message => s3(403, json!({}), document("AccessDenied", &format!("{text} is not {text}"))),
            Self::S3LongMessage => {
                s3(403, json!({}), document("AccessDenied", &format!("{}{text}", "x ".repeat(985))));
            }
            Self::S3RequestId => s3(403, json!({"x-amz-request-id": line}), document("AccessDenied", "no")),
            Self::S3HostId => s3(403, json!({"x-amz-id-2": line}), document("AccessDenied", "no")),
            Self::S3Page => s3(403, json!({}), page(text)),
            Self::S3LongPage => s3(403, json!({}), format!("{} {text} {}", "<p>".repeat(55), "</p>".repeat(900))),
            Self::S3Redirect => s3(301, json!({"Location": format!("http://a/{}", line.trim()), "x-amz-bucket-region": line}), page(text)),
            Self::S3ETag => s3(200, json!({"ETag": format!("\"{}\"", line.trim()), "x-amz-version-id": line}), String::new()),
            Self::S3DryRun => {
                fault("GET", "/js/mojito.js", 403, json!({}), document("InvalidAccessKeyId", text));
                return case.env("DRY_RUN", "true");
            }
            Self::StsCode => sts(403, document(text, "no")),
            Self::StsMessage => sts(403, document("AccessDenied", text)),
            Self::StsPage => sts(403, page(text)),
            Self::StsUnreadable => sts(200, unreadable),
            Self::StsArn => sts(200, format!(
                "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{text}</Arn><UserId>A</UserId><Account>123456789012</Account>\
                 </GetCallerIdentityResult></GetCallerIdentityResponse>"
            )),
            Self::RoleMessage | Self::RoleUnreadable => {
                match self {
                    Self::RoleMessage => sts(400, document("ExpiredTokenException", text)),
                    _ => sts(200, unreadable),
                }
                return case.env("AWS_OIDC_ROLE_ARN", "arn:aws:iam::123456789012:role/mojito");
            }
            Self::CloudFrontCode => cdn(403, document(text, "no")),
            Self::CloudFrontMessage => cdn(403, document("AccessDenied", text)),
            Self::CloudFrontPage => cdn(403, page(text)),
            Self::CloudFrontId => cdn(201, format!("<Invalidation><Id>{text}</Id><Status>InProgress</Status></Invalidation>")),
            Self::CloudFrontPoll => {
                fault("GET", "/invalidation/", 403, json!({}), document("AccessDenied", text));
                return case.env("WAIT", "true");
            }
            Self::EdgeHeaders => {
                let headers = json!({"headers": {"Via": line, "X-Cache": line, "Server": line}});
                case.call::<()>("set_edge_headers", headers);
                let edge = case.world.edge.clone();
                return case.env("PUBLIC_URL", &edge);
            }
            Self::UploadId => {
                let body = format!("<InitiateMultipartUploadResult><UploadId>{text}</UploadId></InitiateMultipartUploadResult>");
                fault("POST", "uploads", 200, json!({}), body);
                fault("DELETE", "uploadId", 403, json!({}), document("AccessDenied", text));
                return case.arg("check");
            }
            Self::ConfigJs => {
                let source = format!("module.exports = {{ a: '{text}' }} }}");
                return case.file("config.js", source).unset("S3_BUCKET");
            }
            Self::Container => {
                let source = format!("Mojito={{}};{}f('{text}'))", "f(1);".repeat(30));
                return case.file("dist/assets/js/mojito.js", source);
            }
            Self::Tag => return case.in_bitbucket("BITBUCKET_TAG", &line),
            Self::Argument => return case.arg(text),
        }
        case
    }
}

/// Fails if a text shows a secret in any form, or half of one.
#[track_caller]
fn assert_no_secret(text: &str, secrets: [&str; 2], what: &str) {
    for (secret, form) in secrets
        .iter()
        .flat_map(|secret| FORMS.map(|form| (*secret, form)))
    {
        let form = form.of(secret);
        let form: Vec<char> = form.trim().chars().collect();
        for half in form.windows(form.len() / 2) {
            let half: String = half.iter().collect();
            assert!(!text.contains(&half), "{what}: {half} is in\n{text}");
        }
    }
}

/// A run in which AWS, a file, a variable or an argument has the secret in it.
fn run(number: usize, form: Form, place: Place) {
    // Where the keys come from; those of a profile and of a process are known only when the run gets them.
    let source = number % 3;
    let case = match source {
        0 => Case::production(),
        _ => Case::with_profile("acme").env("AWS_PROFILE", "acme"),
    };
    let secret = case.world.secret_access_key.clone();
    let other = format!("{}{TAIL}", &secret[secret.len() / 2..]);
    let case = if source == 2 {
        let keys = json!({"Version": 1, "AccessKeyId": case.world.access_key_id, "SecretAccessKey": secret});
        case.file("keys.json", keys.to_string())
            .file(".aws/credentials", "")
            .file(
                ".aws/config",
                "[profile acme]\ncredential_process = cat keys.json\n",
            )
    } else {
        case
    };
    let shared = case.repository().join("shared");
    let case = case
        .storing_results()
        .env("BITBUCKET_STEP_OIDC_TOKEN", &other)
        .env(
            "BITBUCKET_PIPE_SHARED_STORAGE_DIR",
            shared.to_str().unwrap(),
        )
        .env(
            "DEBUG",
            if number.is_multiple_of(2) {
                "true"
            } else {
                "false"
            },
        );
    // The profile's keys cannot be echoed by what is there before they are read.
    let is_early = matches!(
        place,
        Place::ConfigJs | Place::Container | Place::Tag | Place::Argument
    );
    let of_role = matches!(place, Place::RoleMessage | Place::RoleUnreadable);
    let echoed = if of_role || is_early && source != 0 {
        &other
    } else {
        &secret
    };
    let bitbucket = Bitbucket::start();
    let case = place.prepare(case, &form.of(echoed)).reporting(&bitbucket);
    let ended = case.run();
    let what = format!("{form:?} at {place:?}, run {number}");
    assert!(
        matches!(ended.code, Some(0 | 2..=6)),
        "{what}: {:?}\n{}",
        ended.code,
        ended.output
    );
    assert_no_secret(&ended.output, [&secret, &other], &what);
    for folder in ["results", "shared"] {
        for file in fs::read_dir(case.repository().join(folder))
            .into_iter()
            .flatten()
        {
            let content = fs::read_to_string(file.unwrap().path()).unwrap();
            assert_no_secret(&content, [&secret, &other], &what);
        }
    }
    let reported = bitbucket.requests();
    assert_eq!(
        reported.is_empty(),
        matches!(place, Place::UploadId | Place::Argument),
        "{what}"
    );
    for Received { head, body, .. } in reported {
        assert_no_secret(&(head + &body), [&secret, &other], &what);
    }
}

fn run_all(rows: &[(usize, Form, Place)]) {
    local_aws();
    in_parallel(CONCURRENT_RUNS, rows, |(number, form, place)| {
        run(*number, *form, *place);
    });
}

/// Every encoding at every place, numbered.
fn rows() -> Vec<(usize, Form, Place)> {
    let all = PLACES
        .iter()
        .flat_map(|place| FORMS.map(|form| (form, *place)));
    all.enumerate()
        .map(|(number, (form, place))| (number, form, place))
        .collect()
}

#[test]
fn a_secret_that_is_echoed_is_not_shown() {
    // Every encoding and every place, once or twice.
    let rows: Vec<_> = rows().into_iter().step_by(19).collect();
    run_all(&rows);
}

#[test]
#[ignore = "takes minutes"]
fn no_secret_is_shown_in_any_encoding_at_any_place() {
    run_all(&rows());
}
