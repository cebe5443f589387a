//! `summary` of the result: a few lines of Markdown for people who read no build log.
//!
//! Names and messages from elsewhere are in code spans and blocks only, where no Markdown, HTML, link or mention counts.

use super::changes::word;
use super::result_json::{ContainerResult, RunResult};
use super::tables::MAX_LISTED;
use super::words;
use crate::common::layout::first_ten;
use crate::common::printable::{sanitize, sanitize_lines};
use crate::container::changes::Change;
use crate::container::consequences::Consequence;
use crate::exit::Exit;
use crate::publish::state::ContainerState;
use crate::settings::purpose::Purpose;

/// The most characters of all. Of changes and their consequences, those that do not fit are counted.
const MAX_CHARS: usize = 4_000;
/// The most characters of a name, of a detail, and of the two texts about a failure.
const MAX_NAME: usize = 40;
const MAX_DETAIL: usize = 120;
const MAX_MESSAGE: usize = 600;
const MAX_REMEDY: usize = 900;
/// How many warnings are listed, and the most characters of each.
const MAX_WARNINGS: usize = 4;
const MAX_WARNING: usize = 250;
/// How many changes of one container are listed.
const MAX_CHANGES: usize = 12;

/// What was done, where, what changes for visitors, and what to do if it failed.
pub(super) fn summary(result: &RunResult) -> String {
    let mut parts = vec![format!("**{}**", headline(result))];
    parts.extend(subject(result));
    parts.extend(visitors(result));
    parts.extend(failure(result));
    let mut text = parts.join("\n\n");
    // That a newer build is live is a warning too, which the headline has.
    let warnings = match result.exit {
        Exit::Superseded => String::new(),
        _ => warnings(&result.warnings),
    };
    let mut length = text.chars().count() + warnings.chars().count();
    for part in changes(result) {
        const MORE: usize = 50;
        length += part.chars().count() + 2;
        if length + MORE > MAX_CHARS {
            text.push_str("\n\nWhat else changes is in the log of the step.");
            break;
        }
        text.push_str("\n\n");
        text.push_str(&part);
    }
    text + &warnings
}

/// The first warnings, and how many more there are.
fn warnings(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let mut lines = vec!["\n\nWarnings:\n".to_owned()];
    let listed = warnings.iter().take(MAX_WARNINGS);
    lines.extend(listed.map(|it| format!("- {}", code(&it.replace('\n', ": "), MAX_WARNING))));
    let more = warnings.iter().skip(MAX_WARNINGS).count();
    lines.extend((more > 0).then(|| format!("- and {more} more in the log of the step")));
    lines.join("\n")
}

fn headline(result: &RunResult) -> String {
    let words = words::of(result.command);
    let (run, done) = (words.run, words.done);
    let to = words.in_environment(result.environment);
    let published = &format!("{}{to}", capitalized(done));
    let is_any = |state| result.containers.iter().any(|it| it.state == state);
    let is_published = is_any(ContainerState::Published);
    let headline = match result.exit {
        Exit::Published if result.dry_run => {
            format!("Preview of a {run}{to}: nothing is written")
        }
        Exit::Superseded if result.dry_run => {
            format!("Preview: a newer build is live, which a publish{to} would not replace")
        }
        _ if result.dry_run => format!("Preview: a {run}{to} would fail"),
        Exit::Published => published.clone(),
        Exit::NotInvalidated => format!("{published}, but CloudFront was not invalidated"),
        Exit::NotVerified => format!("{published}, but not verified"),
        Exit::Superseded if is_published => {
            format!("{published}, except where a newer build is live")
        }
        Exit::Superseded => format!("Not {done}{to}: a newer build is live"),
        Exit::NotPublished if is_published => format!("Not everything is {done}{to}"),
        Exit::NotPublished if is_any(ContainerState::Unknown) => {
            format!("Not known whether this is {done}{to}: S3 did not confirm it")
        }
        Exit::NotPublished => format!("Not {done}{to}"),
        Exit::Refused => format!("Refused, and not {done}{to}"),
        Exit::InternalError => "Internal error in mojito-publish".to_owned(),
    };
    match result.stopped_by {
        Some(signal) => format!("{headline} (stopped by {signal})"),
        None => headline,
    }
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// The build, the containers and the page of the pipeline's run.
fn subject(result: &RunResult) -> Option<String> {
    let build = result.label.as_ref().map(|label| code(label, MAX_DETAIL));
    let containers: Vec<&ContainerResult> = result.containers.iter().collect();
    let containers = match containers.len() {
        0 => None,
        1 => Some(format!("container {}", names(&containers))),
        _ => Some(format!("containers {}", names(&containers))),
    };
    let parts: Vec<String> = [build, containers, link(result)]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn link(result: &RunResult) -> Option<String> {
    const MAX_URL: usize = 200;
    let url = result.build.url.as_ref()?.exact();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.' | '-' | '_');
    let is_safe = url.len() <= MAX_URL && url.chars().all(is_plain);
    is_safe.then(|| format!("[pipeline]({url})"))
}

/// What visitors get now.
fn visitors(result: &RunResult) -> Vec<String> {
    if result.dry_run {
        return Vec::new();
    }
    let in_state = |state: ContainerState| -> Vec<&ContainerResult> {
        let containers = result.containers.iter();
        containers.filter(|it| it.state == state).collect()
    };
    let old = words::of(result.command).old;
    let all = result.containers.len();
    let is_whole = |state| in_state(state).len() == all;
    let all_of_them = match result.exit {
        Exit::InternalError => Some("What visitors get now is in the log of the step.".to_owned()),
        Exit::Published if result.invalidations.is_empty() => Some(
            "Visitors get it when the CDN's cache expires, as nothing is invalidated.".to_owned(),
        ),
        Exit::Published => Some("Visitors get it from now on.".to_owned()),
        Exit::NotInvalidated => Some(format!(
            "Visitors may get {old} until the CDN's cache expires."
        )),
        Exit::NotVerified => Some("It is not certain that visitors get it.".to_owned()),
        Exit::Superseded => Some("Nothing needs to be done.".to_owned()),
        Exit::NotPublished | Exit::Refused => is_whole(ContainerState::NotPublished)
            .then(|| format!("Nothing was replaced: visitors still get {old}.")),
    };
    let mut lines: Vec<String> = all_of_them.into_iter().collect();
    for (words, state) in [
        ("Replaced", ContainerState::Published),
        (&format!("Still {old}"), ContainerState::NotPublished),
        ("Not known whether replaced", ContainerState::Unknown),
        (
            "Still a newer build's container",
            ContainerState::Superseded,
        ),
    ] {
        let containers = in_state(state);
        if !containers.is_empty() && !is_whole(state) {
            lines.push(format!("{words}: {}", names(&containers)));
        }
    }
    lines
}

/// What failed, and what to do about it.
fn failure(result: &RunResult) -> Vec<String> {
    let mut parts = Vec::new();
    let Some(error) = &result.error else {
        let is_done = matches!(result.exit, Exit::Published | Exit::Superseded);
        if result.stopped_by.is_some() && !is_done {
            // Another rollback may go one version further back.
            let what = match result.command {
                Purpose::Rollback => "as the last lines of the log say",
                _ => "re-run the step, which is safe at any time",
            };
            parts.push(format!("What to do: {what}."));
        }
        return parts;
    };
    let block = |title: &str, text: &str, max| format!("{title}:\n\n{}", block(text, max));
    parts.push(block("What failed", &error.message, MAX_MESSAGE));
    let remedy = error.remedy.as_deref();
    parts.extend(remedy.map(|remedy| block("What to do", remedy, MAX_REMEDY)));
    parts
}

/// A paragraph for what changes for visitors in each of the first containers, and one for what that means.
fn changes(result: &RunResult) -> Vec<String> {
    let all = result.containers.len();
    let (changed, others): (Vec<_>, Vec<_>) = result
        .replaced()
        .partition(|it| listed(it).next().is_some());
    let unknown = others.iter().filter(|it| it.may_change_something).count();
    let unchanged = others.len() - unknown;
    let mut parts = Vec::new();
    for container in changed.iter().take(MAX_LISTED) {
        let of = match all {
            1 => String::new(),
            _ => format!(" of {}", name(container)),
        };
        parts.push(changes_of(container, &of));
        parts.extend(consequences_of(container, &of));
    }
    for (count, what) in [
        (
            changed.len().saturating_sub(MAX_LISTED),
            "Something else changes for visitors",
        ),
        (unchanged, "Nothing changes for visitors"),
        (unknown, "What changes for visitors is not known"),
    ] {
        match (count, all) {
            (0, _) => {}
            (1, 1) => parts.push(format!("{what}.")),
            _ => parts.push(format!("{what}: {count} of {all} containers.")),
        }
    }
    parts
}

fn listed<'a>(container: &ContainerResult<'a>) -> impl Iterator<Item = &'a Change> {
    let changes = container.changes.unwrap_or_default().iter();
    changes.filter(|change| !change.is_size())
}

fn changes_of(container: &ContainerResult, of: &str) -> String {
    let mut changes = listed(container);
    let mut lines = vec![format!("What changes for visitors{of}:\n")];
    lines.extend(changes.by_ref().take(MAX_CHANGES).map(change));
    let more = changes.count();
    lines.extend((more > 0).then(|| format!("- and {more} more")));
    lines.join("\n")
}

fn consequences_of(container: &ContainerResult, of: &str) -> Option<String> {
    let line = |consequence: &Consequence| {
        let ids = consequence.experiments.iter().map(|id| code(id, MAX_NAME));
        let ids: Vec<String> = ids.collect();
        format!("\n- {}: {}", first_ten(&ids), consequence.text)
    };
    let lines: String = container.consequences?.iter().map(line).collect();
    (!lines.is_empty()).then(|| format!("What this means{of}:\n{lines}"))
}

/// `` - **ramps** `w12` `Larger buy button`: `10% → 50%` ``
fn change(change: &Change) -> String {
    let mut line = format!("- **{}**", word(change.kind));
    let names = [&change.subject, &change.name];
    let names = names.into_iter().filter(|name| !name.is_empty());
    for name in names {
        line.push(' ');
        line.push_str(&code(name, MAX_NAME));
    }
    format!("{line}: {}", code(&change.detail, MAX_DETAIL))
}

fn names(containers: &[&ContainerResult]) -> String {
    let names: Vec<String> = containers.iter().map(|it| name(it)).collect();
    first_ten(&names)
}

fn name(container: &ContainerResult) -> String {
    code(container.name.as_str(), MAX_NAME)
}

/// A code span. Its text must be redacted first, as no secret is recognized in another form.
fn code(text: &str, max: usize) -> String {
    let text = sanitize(text).replace('`', "'");
    format!("`{}`", shortened(text.trim(), max))
}

/// A code block.
fn block(text: &str, max: usize) -> String {
    let text = sanitize_lines(text).replace("```", "'''");
    format!("```\n{}\n```", shortened(text.trim(), max))
}

/// By characters, as any number of those without a width may follow each other.
fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
