//! What Bitbucket accepts as a report and as annotations, and what it answers to the rest.
//!
//! The fields, values and limits are those of its `OpenAPI` document and of the REST reference, group "Reports"
//! (developer.atlassian.com/cloud/bitbucket/rest/api-group-reports): at most 10 data, 100 annotations in a request and
//! 1,000 in a report, lines from 1. The lengths of texts are in no document: 450 for a `summary` is what Bitbucket answers
//! (reviewdog/reviewdog#1285), and the others are those of Bitbucket Server, whose service this was. It runs on the JVM, so
//! a character outside the basic plane counts as two. `summary` is required although the document does not say so.
//! Stricter than Bitbucket: unknown fields are refused, and characters that nobody could see.

use std::collections::BTreeSet;

use serde_json::{json, Value};

const MAX_NAME: usize = 450;
const MAX_TEXT: usize = 2_000;
const MAX_DATA: usize = 10;
const MAX_BULK: usize = 100;
pub(super) const MAX_ANNOTATIONS: usize = 1_000;

type Checked = Result<(), String>;

/// The body of an answer of Bitbucket's report service.
pub(super) fn bad_request(message: &str) -> Value {
    json!({"key": "report-service.general.bad-request", "message": message, "arguments": {}})
}

/// The body of an answer of Bitbucket itself.
pub(super) fn error(message: &str) -> Value {
    json!({"type": "error", "error": {"message": message}})
}

pub(super) fn check_id(id: &str) -> Checked {
    text(&Value::from(id), "reportId", MAX_NAME)
}

pub(super) fn check_report(report: &Value) -> Checked {
    let fields = report.as_object().ok_or("the report is not an object")?;
    for required in ["title", "details", "report_type"] {
        if !fields.contains_key(required) {
            return Err(format!(
                "Cannot build Report, some of required attributes are not set [{required}]"
            ));
        }
    }
    for (name, value) in fields {
        match name.as_str() {
            "type" => one_of(value, name, &["report"])?,
            "title" | "reporter" | "external_id" => text(value, name, MAX_NAME)?,
            "details" => text(value, name, MAX_TEXT)?,
            "link" | "logo_url" => address(value, name)?,
            "remote_link_enabled" => value
                .is_boolean()
                .then_some(())
                .ok_or("remote_link_enabled is not a boolean")?,
            "report_type" => one_of(value, name, &["SECURITY", "COVERAGE", "TEST", "BUG"])?,
            "result" => one_of(value, name, &["PASSED", "FAILED", "PENDING"])?,
            "data" => {
                let data = value.as_array().ok_or("data is not an array")?;
                if data.len() > MAX_DATA {
                    return Err("The data field cannot contain more than 10 elements.".to_owned());
                }
                data.iter().try_for_each(check_datum)?;
            }
            _ => return Err(format!("unknown field {name} of a report")),
        }
    }
    Ok(())
}

fn check_datum(datum: &Value) -> Checked {
    let fields = datum.as_object().ok_or("a datum is not an object")?;
    if let Some(name) = fields
        .keys()
        .find(|name| !matches!(name.as_str(), "title" | "type" | "value"))
    {
        return Err(format!("unknown field {name} of a datum"));
    }
    text(&datum["title"], "title of a datum", MAX_NAME)?;
    let value = &datum["value"];
    // JSON has no way to write a number that is none, but one that is too large for a double.
    let number = value.as_f64().filter(|number| number.is_finite());
    let is_valid = match datum.get("type").map(|it| it.as_str().unwrap_or_default()) {
        None => value.is_number() || value.is_string() || value.is_boolean(),
        Some("BOOLEAN") => value.is_boolean(),
        Some("DATE" | "DURATION") => value.is_u64(),
        Some("NUMBER") => number.is_some(),
        Some("PERCENTAGE") => number.is_some_and(|number| (0.0..=100.0).contains(&number)),
        Some("TEXT") => return text(value, "value of a datum", MAX_TEXT),
        Some("LINK") => {
            let link = value.as_object().filter(|link| link.len() == 2);
            link.ok_or("a LINK has text and href")?;
            text(&value["text"], "text of a LINK", MAX_NAME)?;
            return address(&value["href"], "href of a LINK");
        }
        Some(other) => return Err(format!("unknown type {other} of a datum")),
    };
    is_valid
        .then_some(())
        .ok_or_else(|| format!("{datum} is not a datum"))
}

/// Checks a request with annotations, and returns their ids in its order.
pub(super) fn check_annotations(annotations: &Value) -> Result<Vec<String>, Value> {
    let all = annotations.as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return Err(bad_request("annotations are a JSON array of one or more"));
    }
    if all.len() > MAX_BULK {
        let message = "Bulk upload supports a maximum of /100 annotations.";
        return Err(json!({"code": 400, "message": message}));
    }
    let mut ids = Vec::new();
    for annotation in all {
        check_annotation(annotation).map_err(|problem| bad_request(&problem))?;
        let id = annotation["external_id"].as_str().unwrap_or_default();
        ids.push(id.to_owned());
    }
    if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        return Err(bad_request("an external_id is there twice"));
    }
    Ok(ids)
}

fn check_annotation(annotation: &Value) -> Checked {
    let fields = annotation
        .as_object()
        .ok_or("an annotation is not an object")?;
    for required in ["external_id", "annotation_type", "summary"] {
        if !fields.contains_key(required) {
            return Err(format!(
                "Cannot build Annotation, some of required attributes are not set [{required}]"
            ));
        }
    }
    for (name, value) in fields {
        match name.as_str() {
            "type" => one_of(value, name, &["report_annotation"])?,
            "external_id" | "title" | "summary" => text(value, name, MAX_NAME)?,
            "details" => text(value, name, MAX_TEXT)?,
            "annotation_type" => one_of(value, name, &["VULNERABILITY", "CODE_SMELL", "BUG"])?,
            "severity" => one_of(value, name, &["CRITICAL", "HIGH", "MEDIUM", "LOW"])?,
            "result" => one_of(value, name, &["PASSED", "FAILED", "SKIPPED", "IGNORED"])?,
            "link" => address(value, name)?,
            "path" => path(value)?,
            "line" => {
                let line = value.as_u64().filter(|line| *line > 0);
                // Bitbucket's are those of Java.
                let line = line.filter(|line| i32::try_from(*line).is_ok());
                line.ok_or("line is not a number from 1")?;
                if !fields.contains_key("path") {
                    return Err("a line without a path".to_owned());
                }
            }
            _ => return Err(format!("unknown field {name} of an annotation")),
        }
    }
    Ok(())
}

fn text(value: &Value, name: &str, max: usize) -> Checked {
    let text = value
        .as_str()
        .ok_or_else(|| format!("The {name} field is not a text."))?;
    if text.trim().is_empty() {
        return Err(format!("The {name} field is empty."));
    }
    if text.encode_utf16().count() > max {
        return Err(format!(
            "The {name} field cannot contain more than {max} characters."
        ));
    }
    let invisible = |c: &char| c.is_control() && *c != '\n';
    match text.chars().find(invisible) {
        Some(c) => Err(format!("The {name} field contains {c:?}.")),
        None => Ok(()),
    }
}

fn address(value: &Value, name: &str) -> Checked {
    text(value, name, MAX_TEXT)?;
    let uri: Result<http::Uri, _> = value.as_str().unwrap_or_default().parse();
    let is_web = |uri: &http::Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    match uri {
        Ok(uri) if is_web(&uri) => Ok(()),
        _ => Err(format!("The {name} field is not a URL: {value}")),
    }
}

/// Relative to the repository's root.
fn path(value: &Value) -> Checked {
    text(value, "path", MAX_TEXT)?;
    let path = value.as_str().unwrap_or_default();
    let is_relative = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (is_relative && !path.contains('\\'))
        .then_some(())
        .ok_or_else(|| format!("The path field is not a path in the repository: {path}"))
}

fn one_of(value: &Value, name: &str, all: &[&str]) -> Checked {
    value
        .as_str()
        .filter(|it| all.contains(it))
        .map(drop)
        .ok_or_else(|| format!("{name} is {value}, not one of {all:?}"))
}
