//! What `status` says of each container: what visitors get, what S3 has and the versions before it; and what could not be read,
//! once for all.

use super::console::{Console, Row, Style};
use super::status_verdicts::{label, since, verdicts};
use super::tables::{self, MAX_LISTED};
use super::times::minute;
use crate::aws::error::AwsError;
use crate::aws::versions::NULL_VERSION;
use crate::common::byte_size::with_separators;
use crate::common::layout::{columns, join_known};
use crate::common::printable::sanitize;
use crate::container::object::Object;
use crate::container::served::{period, ServedContainer};
use crate::container::stored::RESTORED_FROM;
use crate::publish::compare::ReadError;
use crate::publish::live::{Freshness, Kept, KeptVersion, Live, Seen};
use crate::settings::names::s3_uri;
use crate::settings::pipeline::short;
use crate::settings::Settings;

/// Reports all containers. `failure` is why S3 could not be read, if it was no denial.
pub(crate) fn status(
    settings: &Settings,
    all: &[Live],
    failure: Option<&AwsError>,
    console: &Console,
) {
    if all.len() <= MAX_LISTED {
        for live in all {
            container(settings, live, all.len(), console);
        }
    }
    for note in notes(all, failure) {
        console.info(&note);
    }
    verdicts(settings, all, console);
}

/// All that is known of a container.
fn container(settings: &Settings, live: &Live, containers: usize, console: &Console) {
    let script = live.seen().map(|seen| seen.response.script());
    match script {
        Some(Ok(script)) => {
            let (heading, rows) = tables::experiments(&live.name, script, containers);
            console.table(&heading, &rows);
        }
        _ => console.info(&format!("container {}", live.name)),
    }
    if let (Ok(seen), Some(url)) = (&live.served, &live.url) {
        console.table(url, &rows(served(seen)));
    }
    let uri = s3_uri(&settings.target.bucket, &live.key);
    if let Ok(seen) = &live.stored {
        let same = live.freshness == Freshness::Current && seen.is_there();
        let same = if same { ": the same" } else { "" };
        console.table(&format!("{uri}{same}"), &rows(stored(seen, live)));
    }
    if let Ok(kept) = &live.versions {
        versions(&uri, kept, live.put_back(), console);
    }
    match &live.put_back {
        Some(Ok(_)) if live.put_back().is_some() => console.info(&format!(
            "→: what `mojito-publish rollback{}` would put back",
            settings.environment.flag()
        )),
        Some(Err(_)) => {
            console.info("a rollback would find no version with other content to put back");
        }
        _ => {}
    }
}

/// What the CDN serves.
fn served(seen: &Seen) -> Vec<(&'static str, Option<String>)> {
    let response = &seen.response;
    let age = response.age();
    let cache = match (response.cache_name(), age, response.is_hit()) {
        (name, Some(age), _) => {
            let name = name.unwrap_or("an intermediate cache");
            Some(format!("cached by {name} for {}", period(age)))
        }
        (Some(name), None, Some(true)) => Some(format!("cached by {name}")),
        (Some(name), None, _) => Some(format!("{name}, which has just fetched it")),
        (None, None, _) => Some("no cache is known by its headers".to_owned()),
    };
    let there = provenance(seen);
    let status = format!("HTTP {}", seen.status);
    [("response", Some(status))]
        .into_iter()
        .chain(there)
        .chain([
            ("cache", cache),
            ("headers", seen.is_there().then(|| headers(response))),
        ])
        .collect()
}

/// What S3 has, without what is known from the CDN.
fn stored(seen: &Seen, live: &Live) -> Vec<(&'static str, Option<String>)> {
    if !seen.is_there() {
        let nothing = if live.is_deleted() {
            "deleted"
        } else {
            "nothing is there"
        };
        return vec![("object", Some(nothing.to_owned()))];
    }
    let response = &seen.response;
    let by = response.metadata("published-by");
    let of = response.metadata("repository");
    let by = by.map(|by| of.map_or(by.clone(), |of| format!("{by} of {of}")));
    let own = [("published by", by), ("version", response.version_id())];
    if live.freshness == Freshness::Current {
        return own.into();
    }
    // Of what visitors do not get yet. What they get has it in the last line.
    let problem = response.script().err().filter(|_| live.served.is_ok());
    let rest = [
        ("headers", Some(headers(response))),
        ("problem", problem.map(str::to_owned)),
    ];
    let all = provenance(seen).into_iter().chain(rest);
    all.chain(own).collect()
}

/// Which container it is, and since when it is stored.
fn provenance(seen: &Seen) -> [(&'static str, Option<String>); 2] {
    let there = Some(seen).filter(|seen| seen.is_there());
    let size = there
        .and_then(|seen| seen.size)
        .map(|size| size.to_string());
    let restored = there.and_then(|seen| restored(&seen.response));
    let stored = there.and_then(|seen| seen.response.stored_at()).map(since);
    let is = there.map(|seen| join_known([Some(label(seen)), size, restored]));
    [("container", is), ("stored", stored)]
}

fn headers(response: &ServedContainer) -> String {
    let cache = response.shown_header("cache-control");
    let mut text = cache.unwrap_or_else(|| "no Cache-Control".to_owned());
    let others = [
        ("content-type", "Content-Type", Object::CONTENT_TYPE),
        (
            "content-encoding",
            "Content-Encoding",
            Object::CONTENT_ENCODING,
        ),
    ];
    // Those that a publish stores need no mention.
    for (name, shown, expected) in others {
        if !response.has_header(name, expected) {
            let value = response.shown_header(name);
            let value = value.map_or_else(|| format!("no {shown}"), |it| format!("{shown}: {it}"));
            text.extend(["; ", &value]);
        }
    }
    text
}

fn rows(cells: Vec<(&'static str, Option<String>)>) -> Vec<Row> {
    let cells = cells.into_iter();
    let cells = cells.filter_map(|(name, value)| Some(vec![name.to_owned(), value?]));
    plain(columns(&cells.collect::<Vec<_>>()))
}

fn plain(texts: Vec<String>) -> Vec<Row> {
    let texts = texts.into_iter();
    texts
        .map(|text| Row {
            style: Style::Plain,
            styled_bytes: 0,
            text,
        })
        .collect()
}

/// The versions that S3 keeps, newest first.
fn versions(uri: &str, kept: &Kept, put_back: Option<&str>, console: &Console) {
    match &kept.newest[..] {
        [] => return console.info(&format!("versions: none of {uri}")),
        [only] if only.version.id == NULL_VERSION && !kept.has_more => {
            return console.info(
                "versions: only this one, as the bucket's versioning is not enabled;\n\
                 without it, nothing can be put back from S3",
            );
        }
        _ => {}
    }
    let heading = ["", "build", "commit", "stored (UTC)", "bytes", "version id"];
    let heading = heading.map(str::to_owned).to_vec();
    let cells: Vec<Vec<String>> = [heading]
        .into_iter()
        .chain(kept.newest.iter().map(|kept| version(kept, put_back)))
        .collect();
    let mut rows = plain(columns(&cells));
    for (row, kept) in rows.iter_mut().skip(1).zip(&kept.newest) {
        if kept.version.is_live {
            row.styled_bytes = "live".len();
            row.style = Style::Good;
        }
    }
    if kept.older > 0 || kept.has_more {
        let or_more = if kept.has_more { " or more" } else { "" };
        rows.extend(plain(vec![format!("({}{or_more} older)", kept.older)]));
    }
    console.table("versions:", &rows);
}

/// A row of the table of versions.
fn version(KeptVersion { version, details }: &KeptVersion, put_back: Option<&str>) -> Vec<String> {
    let live = match version.is_live {
        true => "live",
        false if put_back == Some(&version.id) => "→",
        false => "",
    };
    let stored = version.modified.and_then(minute).unwrap_or_default();
    let mut id = sanitize(&version.id);
    if version.is_delete_marker {
        let size = "deleted".to_owned();
        return vec![
            live.to_owned(),
            String::new(),
            String::new(),
            stored,
            size,
            id,
        ];
    }
    let known = details.as_ref().and_then(|details| details.as_ref().ok());
    let metadata = |name| known.and_then(|seen| seen.response.metadata(name));
    let unknown = || if known.is_some() { "-" } else { "?" }.to_owned();
    let build = metadata("build-number").unwrap_or_else(unknown);
    let commit = metadata("commit").map_or_else(unknown, |commit| short(&commit));
    let size = version.size.map(with_separators).unwrap_or_default();
    if let Some(restored) = known.and_then(|seen| restored(&seen.response)) {
        id = format!("{id} ({restored})");
    }
    vec![live.to_owned(), build, commit, stored, size, id]
}

/// That a rollback put it back.
fn restored(response: &ServedContainer) -> Option<String> {
    let from = response.metadata(RESTORED_FROM)?;
    Some(format!("put back from {from}"))
}

/// What could not be read and why, each reason once.
fn notes(all: &[Live], failure: Option<&AwsError>) -> Vec<String> {
    let mut notes = Vec::new();
    for live in all {
        let versions = live.versions.as_ref().ok();
        let details = versions.into_iter().flat_map(|kept| &kept.newest);
        let details = details.filter_map(|kept| kept.details.as_ref()?.as_ref().err());
        let stored = live.stored.as_ref().err();
        let listed = live.versions.as_ref().err();
        // Another action may be denied as well; whatever else it is has the same cause.
        let is_new = |error: &&ReadError| **error == ReadError::Denied || Some(*error) != stored;
        let found = [
            live.served.as_ref().err().map(of_cdn),
            stored.map(|error| of_s3(error, "s3:GetObject", failure)),
            listed.filter(is_new).map(|error| {
                let reason = of_s3(error, "s3:ListBucketVersions", failure);
                reason.map(|reason| format!("versions: {reason}"))
            }),
        ];
        let of_details = details.map(|error| {
            let reason = of_s3(error, "s3:GetObjectVersion", failure);
            reason.map(|reason| format!("builds of the versions: {reason}"))
        });
        let found = found.into_iter().flatten().chain(of_details).flatten();
        for note in found {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    let is_unchecked = |live: &&Live| live.seen().is_some_and(|it| it.response.is_left_unparsed());
    // Else it is of the headers alone.
    let unchecked = all
        .iter()
        .filter(|live| live.served.is_ok() || live.stored.is_ok());
    let unchecked = unchecked.filter(is_unchecked).count();
    if unchecked > 0 {
        notes.push(format!(
            "not checked: whether {unchecked} of {} scripts are valid, as those before them took too long",
            all.len()
        ));
    }
    notes.truncate(MAX_LISTED);
    notes
}

fn of_cdn(error: &ReadError) -> Option<String> {
    match error {
        ReadError::TimedOutBefore => None,
        ReadError::NoPublicUrl => {
            Some("not known: what the CDN serves, as `PUBLIC_URL` is not set".to_owned())
        }
        error => Some(format!("`PUBLIC_URL`: {error}")),
    }
}

fn of_s3(error: &ReadError, action: &str, failure: Option<&AwsError>) -> Option<String> {
    match (error, failure) {
        (ReadError::TimedOutBefore | ReadError::DeniedBefore, _) => None,
        (ReadError::Denied, _) if action == "s3:GetObject" => Some(format!("S3: {error}")),
        (ReadError::Denied, _) => Some(format!("these credentials lack `{action}`")),
        (ReadError::NotRequested(reason), _) => Some(reason.clone()),
        (ReadError::Fatal(_) | ReadError::Other(_), Some(failure)) => {
            let remedy = failure.remedy();
            Some(format!("S3: {failure}\nwhat to do: {remedy}"))
        }
        _ => Some(format!("S3: {error}")),
    }
}
