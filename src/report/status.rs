//! What `status` says: of each container what visitors get, what S3 has and the versions before it; what could not be read, once;
//! and in the last lines what visitors get of which.

use std::time::SystemTime;

use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;

use super::console::{Console, Row, Style};
use super::tables::{self, MAX_LISTED};
use crate::aws::error::AwsError;
use crate::aws::versions::NULL_VERSION;
use crate::common::byte_size::with_separators;
use crate::common::layout::{columns, first_ten, join_known};
use crate::common::printable::sanitize;
use crate::container::object::Object;
use crate::container::restored::RESTORED_FROM;
use crate::container::served::{period, ServedContainer};
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
        Some(Ok(id)) if live.put_back().is_some() => console.info(&format!(
            "`mojito-publish rollback{}` would put version {} back (→)",
            settings.environment.flag(),
            sanitize(id)
        )),
        Some(Err(_)) => {
            console.info("a rollback would find no version with other content to put back")
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
            ("headers", headers(response).filter(|_| seen.is_there())),
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
        ("headers", headers(response)),
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

fn headers(response: &ServedContainer) -> Option<String> {
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
            text += &format!("; {value}");
        }
    }
    Some(text)
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
        let found = [
            live.served.as_ref().err().map(of_cdn),
            stored.map(|error| of_s3(error, "s3:GetObject", failure)),
            // Else it is the same reason.
            listed.filter(|error| Some(*error) != stored).map(|error| {
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
        (ReadError::NotRequested(reason), _) => Some(format!("S3 was not requested: {reason}")),
        (ReadError::Fatal(_) | ReadError::Other(_), Some(failure)) => {
            let remedy = failure.remedy();
            Some(format!("S3: {failure}\nwhat to do: {remedy}"))
        }
        _ => Some(format!("S3: {error}")),
    }
}

/// What visitors get of some containers.
#[derive(PartialEq)]
struct Verdict {
    style: Style,
    /// Before and after the containers' names.
    sentence: (String, String),
}

/// The last lines: what visitors get of which containers.
fn verdicts(settings: &Settings, all: &[Live], console: &Console) {
    let mut groups: Vec<(Verdict, Vec<&str>)> = Vec::new();
    for live in all {
        let verdict = verdict(live, all.len() == 1);
        let name = live.name.as_str();
        match groups.iter_mut().find(|(of, _)| *of == verdict) {
            Some((_, names)) => names.push(name),
            None => groups.push((verdict, vec![name])),
        }
    }
    // What needs attention comes last, where it is seen.
    groups.sort_by_key(|(verdict, names)| (verdict.style != Style::Good, names.len()));
    let skipped = groups.len().saturating_sub(MAX_LISTED);
    if skipped > 0 {
        let containers: usize = groups[..skipped].iter().map(|(_, names)| names.len()).sum();
        console.info(&format!(
            "(what visitors get of {containers} more containers is not listed)"
        ));
    }
    for (verdict, names) in &groups[skipped..] {
        let (before, after) = &verdict.sentence;
        let environment = settings.environment;
        let line = format!("{before} of {} in {environment}{after}", first_ten(names));
        match verdict.style {
            Style::Good | Style::Plain => console.success(&line),
            Style::Notable => console.warning(&line),
            Style::Bad => console.failure(&line),
        }
    }
}

fn verdict(live: &Live, is_only: bool) -> Verdict {
    let since = |seen: &Seen| {
        let stored = seen.response.stored_at().filter(|_| is_only);
        stored.map_or_else(String::new, |stored| {
            format!("\nsince {}", self::since(stored))
        })
    };
    let (style, before, after) = match (&live.served, &live.stored) {
        (Ok(served), Ok(stored)) if !served.is_there() && stored.is_there() => {
            let after = format!(
                ", but HTTP {}, although S3 has {}\n\
                 check `PUBLIC_URL` and `CDN_PREFIX`, and whether the distribution may read the bucket",
                served.status,
                label(stored)
            );
            (Style::Notable, "visitors get nothing".to_owned(), after)
        }
        (Ok(served), _) if !served.is_there() => {
            let after = format!(", but HTTP {}{}", served.status, deleted(live));
            (Style::Notable, "visitors get nothing".to_owned(), after)
        }
        (Ok(served), stored) => match live.freshness {
            Freshness::Stale { until } => {
                let has = match stored {
                    Ok(stored) if stored.is_there() => {
                        format!(", but S3 has {}{}", label(stored), since(stored))
                    }
                    _ if live.is_deleted() => ", which is deleted in S3".to_owned(),
                    Ok(_) => ", but S3 has nothing".to_owned(),
                    Err(_) => ", but S3 has another file".to_owned(),
                };
                let after = format!("{has}\n{}", cache_end(until));
                (
                    Style::Notable,
                    format!("visitors still get {}", label(served)),
                    after,
                )
            }
            Freshness::Current | Freshness::Unknown => {
                of_container("visitors get", served, since(served))
            }
        },
        (Err(_), _) => match live.seen() {
            Some(seen) if seen.is_there() => of_container("S3 has", seen, since(seen)),
            Some(_) => {
                let after = deleted(live);
                (Style::Notable, "S3 has nothing".to_owned(), after)
            }
            None if live.is_deleted() => {
                (Style::Notable, "S3 has nothing".to_owned(), deleted(live))
            }
            None => (
                Style::Bad,
                "it is not known what visitors get".to_owned(),
                String::new(),
            ),
        },
    };
    Verdict {
        style,
        sentence: (before, after),
    }
}

fn of_container(verb: &str, seen: &Seen, since: String) -> (Style, String, String) {
    let before = format!("{verb} {}", label(seen));
    match seen.response.script() {
        Err(problem) if seen.is_read => (Style::Notable, before, format!("{since}\n{problem}")),
        _ => (Style::Good, before, since),
    }
}

fn deleted(live: &Live) -> String {
    if live.is_deleted() {
        ": it is deleted in S3".to_owned()
    } else {
        String::new()
    }
}

/// Until when visitors get what is stale.
fn cache_end(until: Option<SystemTime>) -> String {
    const NOW: &str = "to end that now, re-run the step that published: it invalidates again";
    let Some(end) = until else {
        return format!("until its cache ends, of which its headers say nothing; CloudFront's default is 24 hours\n{NOW}");
    };
    let at = minute(end).unwrap_or_default();
    if end < SystemTime::now() {
        return format!("its cache should have ended at {at} UTC: the distribution's minimum TTL may be longer\n{NOW}");
    }
    format!("until {at} UTC at the latest, unless the distribution's minimum TTL is longer\n{NOW}")
}

/// `build 56 (v1.4.0, 1f2e3d4)`, as far as it is known.
fn label(seen: &Seen) -> String {
    let response = &seen.response;
    let script = response.script().ok();
    let info = script.and_then(|script| script.build_info.as_ref());
    let version = response
        .metadata("tag")
        .or_else(|| response.metadata("branch"));
    let commit = response.metadata("commit");
    let commit = commit
        .or_else(|| info?.commit.clone())
        .map(|commit| short(&commit));
    match (
        response.metadata("build-number"),
        join_known([version, commit]),
    ) {
        (Some(number), details) if details.is_empty() => format!("build {number}"),
        (Some(number), details) => format!("build {number} ({details})"),
        (None, details) if details.is_empty() => "a file of unknown build".to_owned(),
        (None, details) => format!("an unnumbered build ({details})"),
    }
}

/// `2026-11-24 05:00 UTC (3 h ago)`.
fn since(time: SystemTime) -> String {
    let minute = minute(time).unwrap_or_default();
    // A clock may be off.
    let ago = SystemTime::now().duration_since(time).unwrap_or_default();
    format!("{minute} UTC ({} ago)", period(ago))
}

/// `2026-11-24 05:00`.
fn minute(time: SystemTime) -> Option<String> {
    let date = DateTime::from(time).fmt(Format::DateTime).ok()?;
    Some(date.get(..16)?.replace('T', " "))
}
