//! The last lines of `status`: what visitors get of which containers, and until when it is not what S3 has.

use std::time::SystemTime;

use super::console::{Console, Style};
use super::tables::MAX_LISTED;
use super::times::minute;
use crate::common::layout::{first_ten, join_known};
use crate::container::served::period;
use crate::publish::live::{Freshness, Live, Seen};
use crate::settings::pipeline::short;
use crate::settings::Settings;

/// What visitors get of some containers.
#[derive(PartialEq)]
struct Verdict {
    style: Style,
    /// Before and after the containers' names.
    sentence: (String, String),
}

/// The last lines: what visitors get of which containers.
pub(super) fn verdicts(settings: &Settings, all: &[Live], console: &Console) {
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
        Err(problem) if !seen.response.is_left_unparsed() => {
            (Style::Notable, before, format!("{since}\n{problem}"))
        }
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
    const NOW: &str = "to end that now, re-run the step that published it, or after a rollback `rollback --to` with its version ID: that invalidates again";
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
pub(super) fn label(seen: &Seen) -> String {
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
pub(super) fn since(time: SystemTime) -> String {
    let minute = minute(time).unwrap_or_default();
    // A clock may be off.
    let ago = SystemTime::now().duration_since(time).unwrap_or_default();
    format!("{minute} UTC ({} ago)", period(ago))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_end_of_a_cache_is_as_certain_as_its_headers() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_mins(4_223_371_679);
        for (until, expected) in [
            (
                None,
                "until its cache ends, of which its headers say nothing",
            ),
            (
                Some(SystemTime::UNIX_EPOCH),
                "its cache should have ended at 1970-01-01 00:00 UTC",
            ),
            (Some(far), "until 9999-12-31 23:59 UTC at the latest"),
        ] {
            let end = cache_end(until);
            assert!(end.starts_with(expected), "{end}");
        }
    }
}
