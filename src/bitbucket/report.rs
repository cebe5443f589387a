//! A report and its annotations, as Bitbucket accepts them: a longer text, a larger number or one field too many is refused with
//! HTTP 400, and then nothing is shown. So these types cut whatever they are given.
//!
//! The fields, 10 data, 100 annotations in a request and 1,000 in a report are from the reference of Bitbucket's REST API
//! (`api-group-reports`). The 450 characters of a summary, and that it must not be empty, are known from its answers
//! (`The summary field cannot contain more than 450 characters.`), the 2,000 of details from Atlassian's documentation.
//! `Text` counts in UTF-16, as Java does, so that neither another way to count characters makes it too long.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::common::printable::{is_unsafe_in_log, sanitize_lines};
use crate::common::secrets;

/// The most annotations of a report.
const MAX_ANNOTATIONS: usize = 1_000;
/// The most annotations in a request.
pub(crate) const MAX_IN_REQUEST: usize = 100;
/// The most data of a report.
const MAX_DATA: usize = 10;
/// The longest ID of a report. Its annotations' IDs start with it.
const MAX_ID: usize = 100;
/// The longest path and URL.
const MAX_PATH: usize = 2_000;
/// The largest number that every reader of JSON reads exactly.
const MAX_NUMBER: u64 = (1 << 53) - 1;
/// Stands for an empty text.
const NOTHING: &str = "-";

/// A report on a commit.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(skip)]
    pub(crate) id: ReportId,
    title: Text<450>,
    details: Text<2_000>,
    #[serde(rename = "report_type")]
    kind: &'static str,
    reporter: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Url>,
    result: Verdict,
    data: Vec<Datum>,
    #[serde(skip)]
    pub(crate) annotations: Vec<Annotation>,
}

/// Whether somebody has to act.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verdict {
    Passed,
    Failed,
}

impl Report {
    pub(crate) fn new(id: ReportId, verdict: Verdict, title: &str, details: &str) -> Self {
        Self {
            id,
            title: Text::line(title),
            details: Text::lines(details),
            kind: "TEST",
            reporter: env!("CARGO_PKG_NAME"),
            link: None,
            result: verdict,
            data: Vec::new(),
            annotations: Vec::new(),
        }
    }

    pub(crate) fn link(self, link: Option<Url>) -> Self {
        Self { link, ..self }
    }

    /// The most important data first, as no more than ten are shown.
    pub(crate) fn data(self, data: impl IntoIterator<Item = Datum>) -> Self {
        let data = data.into_iter().take(MAX_DATA).collect();
        Self { data, ..self }
    }

    /// The most severe ones are sent first.
    pub(crate) fn annotations(self, annotations: impl IntoIterator<Item = Annotation>) -> Self {
        let mut annotations: Vec<Annotation> = annotations.into_iter().collect();
        annotations.sort_by_key(|it| it.severity);
        annotations.truncate(MAX_ANNOTATIONS);
        let mut before: BTreeMap<String, usize> = BTreeMap::new();
        for annotation in &mut annotations {
            let Annotation {
                summary,
                path,
                line,
                ..
            } = &annotation;
            let hash = hash(&format!("{path:?} {line:?} {summary:?}"));
            let number = before.entry(hash.clone()).or_default();
            *number += 1;
            annotation.external_id = format!("{}-{hash}-{number}", self.id.0);
        }
        Self {
            annotations,
            ..self
        }
    }
}

/// The ID of a report, in characters that no URL encodes. A later report with the same ID replaces it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ReportId(String);

impl ReportId {
    /// The parts with hyphens between them. What is replaced or cut is made up for by a hash, so that different parts have
    /// different IDs.
    pub(crate) fn new(parts: &[&str]) -> Self {
        let whole = parts.join("-");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_safe = secrets::redact(&whole) == whole;
        if is_safe && whole.len() <= MAX_ID && whole.chars().all(is_plain) {
            return Self(whole);
        }
        let hash = hash(&whole);
        let redacted = secrets::redact(&whole);
        let plain = redacted.chars().map(|c| if is_plain(c) { c } else { '_' });
        let plain: String = plain.take(MAX_ID - hash.len() - 1).collect();
        Self(format!("{plain}-{hash}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A line of the table that a report shows.
#[derive(Debug, Serialize)]
pub(crate) struct Datum {
    title: Text<100>,
    #[serde(flatten)]
    value: Value,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "value", rename_all = "UPPERCASE")]
enum Value {
    Text(Text<450>),
    Number(u64),
    /// Milliseconds.
    Duration(u64),
    Link {
        text: Text<450>,
        href: Url,
    },
}

impl Datum {
    fn new(title: &str, value: Value) -> Self {
        Self {
            title: Text::line(title),
            value,
        }
    }

    pub(crate) fn text(title: &str, text: &str) -> Self {
        Self::new(title, Value::Text(Text::line(text)))
    }

    pub(crate) fn number(title: &str, number: u64) -> Self {
        Self::new(title, Value::Number(number.min(MAX_NUMBER)))
    }

    pub(crate) fn duration(title: &str, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(MAX_NUMBER);
        Self::new(title, Value::Duration(millis.min(MAX_NUMBER)))
    }

    /// A link, or without a URL its text alone.
    pub(crate) fn link(title: &str, text: &str, href: Option<Url>) -> Self {
        let text = Text::line(text);
        let value = match href {
            Some(href) => Value::Link { text, href },
            None => Value::Text(text),
        };
        Self::new(title, value)
    }
}

/// A remark on a line, on a file, or without a path on the whole report.
#[derive(Debug, Serialize)]
pub(crate) struct Annotation {
    external_id: String,
    #[serde(rename = "annotation_type")]
    kind: AnnotationType,
    severity: Severity,
    summary: Text<450>,
    details: Text<2_000>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AnnotationType {
    Bug,
    CodeSmell,
}

/// The worst first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Severity {
    High,
    Medium,
    Low,
}

impl Annotation {
    pub(crate) fn new(
        kind: AnnotationType,
        severity: Severity,
        summary: &str,
        details: &str,
    ) -> Self {
        Self {
            external_id: String::new(),
            kind,
            severity,
            summary: Text::line(summary),
            details: Text::lines(details),
            path: None,
            line: None,
        }
    }

    /// Places it in a file, by the path from the repository's root, if Bitbucket can show it there.
    pub(crate) fn at(self, path: &str, line: Option<u32>) -> Self {
        let is_shown = (1..=MAX_PATH).contains(&length(path))
            && !path.contains(is_unsafe_in_log)
            && secrets::redact(path) == path;
        if !is_shown {
            return self;
        }
        Self {
            path: Some(path.to_owned()),
            line: line.filter(|line| (1..=i32::MAX.unsigned_abs()).contains(line)),
            ..self
        }
    }
}

/// A URL of somewhere else, to be followed by whoever reads the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Url(String);

impl Url {
    /// `None` if it is not one, or must not be shown.
    pub(crate) fn new(url: &str) -> Option<Self> {
        let uri: http::Uri = url.parse().ok()?;
        let is_shown = matches!(uri.scheme_str(), Some("http" | "https"))
            && url.len() <= MAX_PATH
            && url.bytes().all(|it| it.is_ascii_graphic())
            && secrets::redact(url) == url;
        is_shown.then(|| Self(url.to_owned()))
    }
}

/// Text without secrets and invisible characters, of up to `MAX` characters, and never empty.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    fn line(text: &str) -> Self {
        let text = text.lines().collect::<Vec<_>>().join(" ");
        Self::lines(&text)
    }

    fn lines(text: &str) -> Self {
        // Sanitized first, so that cutting cannot leave part of a secret.
        let text = sanitize_lines(text.trim());
        let text = cut(text.trim(), MAX);
        Self(if text.is_empty() {
            NOTHING.to_owned()
        } else {
            text
        })
    }
}

/// Enough of a text's hash that no other text has it, in 16 digits.
fn hash(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let start = hash.first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(start))
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The text, or its start with an ellipsis.
fn cut(text: &str, max: usize) -> String {
    if length(text) <= max {
        return text.to_owned();
    }
    let mut left = max - 1;
    let fits = |c: &char| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        fits
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{json, Value as Json};

    use super::*;

    fn texts(text: &str) -> Json {
        let annotation = Annotation::new(AnnotationType::Bug, Severity::High, text, text);
        let report = Report::new(ReportId::new(&["a"]), Verdict::Failed, text, text)
            .data([
                Datum::text(text, text),
                Datum::link(text, text, Url::new("https://a.example")),
            ])
            .annotations([annotation.at(text, Some(1))]);
        json!([report, report.annotations])
    }

    fn assert_within(json: &Json, field: &str, max: usize) {
        match json {
            Json::Object(fields) => fields.iter().for_each(|(field, value)| {
                let max = match field.as_str() {
                    "details" => 2_000,
                    "path" => MAX_PATH,
                    _ => 450,
                };
                assert_within(value, field, max);
            }),
            Json::Array(values) => values.iter().for_each(|it| assert_within(it, field, max)),
            Json::String(text) => {
                assert!((1..=max).contains(&length(text)), "{field}: {text}");
                assert!(!text.trim().is_empty(), "{field}");
                let is_unsafe = |c| is_unsafe_in_log(c) && !(c == '\n' && field == "details");
                assert!(!text.contains(is_unsafe), "{field}: {text}");
            }
            _ => {}
        }
    }

    #[test]
    fn a_text_of_any_length_and_content_is_accepted() {
        for text in [
            "",
            " \n ",
            "a",
            "\u{0}",
            "\u{1b}[31m\u{202e}",
            "a\nb\r\nc",
            "\u{feff}",
        ] {
            assert_within(&texts(text), "", 0);
        }
        for character in ["a", "ö", "大", "👍", "\n", "\u{202e}"] {
            for length in [99, 100, 101, 449, 450, 451, 1_999, 2_000, 2_001, 10_000] {
                assert_within(&texts(&character.repeat(length)), "", 0);
            }
        }
    }

    #[test]
    fn a_text_is_cut_only_if_it_is_too_long() {
        assert_eq!(cut("aaaa", 4), "aaaa");
        assert_eq!(cut("aaaaa", 4), "aaa…");
        assert_eq!(cut("👍👍", 4), "👍👍");
        assert_eq!(cut("👍👍a", 4), "👍…");
        assert_eq!(cut("a👍👍a", 4), "a👍…");
    }

    #[test]
    fn a_report_has_at_most_ten_data_and_a_thousand_annotations_with_the_worst_first() {
        let annotation = |number| {
            let severity = if number == 4_999 {
                Severity::High
            } else {
                Severity::Low
            };
            Annotation::new(AnnotationType::CodeSmell, severity, "same", "same")
        };
        let report = Report::new(ReportId::new(&["a"]), Verdict::Passed, "t", "d")
            .data((0..300).map(|it| Datum::number("n", it)))
            .annotations((0..5_000).map(annotation));
        assert_eq!(report.data.len(), 10);
        assert_eq!(report.annotations.len(), 1_000);
        assert_eq!(report.annotations[0].severity, Severity::High);
        let ids = report.annotations.iter().map(|it| &it.external_id);
        let ids: std::collections::BTreeSet<_> = ids.collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| (1..=450).contains(&length(id))));
    }

    #[test]
    fn ids_are_plain_bounded_and_differ_where_the_names_do() {
        let id = |name: &str| ReportId::new(&["mojito-publish", "production", name]).0;
        assert_eq!(id("mojito"), "mojito-publish-production-mojito");
        let long = "x".repeat(10_000);
        let names = [
            "mojito",
            "mo jito",
            "mo\njito",
            "mo_jito",
            "大",
            "小",
            "",
            &long,
            &format!("{long}y"),
        ];
        let ids: std::collections::BTreeSet<String> = names.into_iter().map(id).collect();
        assert_eq!(ids.len(), names.len());
        for id in ids {
            assert!(id.len() <= MAX_ID, "{id}");
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            assert!(id.chars().all(is_plain), "{id}");
        }
        assert_eq!(id(&long), id(&long));
    }

    #[test]
    fn secrets_and_what_is_no_url_or_path_are_left_out() {
        secrets::register(["hunter2-of-the-report"]);
        let secret = "https://a.example/hunter2-of-the-report";
        let json = texts(secret).to_string();
        assert!(!json.contains("hunter2"), "{json}");
        assert!(json.contains("https://a.example/***"), "{json}");
        let id = ReportId::new(&["hunter2-of-the-report"]);
        assert!(!id.as_str().contains("hunter2"), "{id:?}");
        for url in [
            secret,
            "",
            "a b",
            "https://a.example/\u{202e}",
            "javascript:alert(1)",
            "//a.example",
            "https://",
            "ftp://a",
        ] {
            assert!(Url::new(url).is_none(), "{url}");
        }
    }

    #[test]
    fn data_have_the_types_of_the_api() {
        let link = Url::new("https://a.example/1");
        let data = [
            Datum::text("T", "x"),
            Datum::number("N", u64::MAX),
            Datum::duration("D", Duration::MAX),
            Datum::link("L", "x", link),
            Datum::link("L", "x", None),
        ];
        assert_eq!(
            json!(data),
            json!([
                {"title": "T", "type": "TEXT", "value": "x"},
                {"title": "N", "type": "NUMBER", "value": MAX_NUMBER},
                {"title": "D", "type": "DURATION", "value": MAX_NUMBER},
                {"title": "L", "type": "LINK", "value": {"text": "x", "href": "https://a.example/1"}},
                {"title": "L", "type": "TEXT", "value": "x"},
            ])
        );
    }

    #[test]
    fn an_annotation_stands_at_a_line_at_a_file_or_at_none() {
        let place = |path: &str, line| {
            let annotation = Annotation::new(AnnotationType::CodeSmell, Severity::Low, "s", "d");
            let json = json!(annotation.at(path, line));
            (json["path"].clone(), json["line"].clone())
        };
        assert_eq!(place("lib/a", Some(7)), (json!("lib/a"), json!(7)));
        assert_eq!(place("lib/a", Some(0)), (json!("lib/a"), Json::Null));
        assert_eq!(place("lib/a", None), (json!("lib/a"), Json::Null));
        for path in ["", "a\nb", &"a".repeat(5_000)] {
            assert_eq!(place(path, Some(7)), (Json::Null, Json::Null), "{path}");
        }
    }
}
