//! What a rollback says: the versions that S3 keeps, the chosen one and why, or why there is none and what else can be done.

use std::slice;
use std::time::SystemTime;

use super::console::{Console, Row, Style};
use super::tables::MAX_LISTED;
use super::times;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::iam_policy::Permissions;
use crate::common::layout::{columns, join_known};
use crate::common::printable::sanitize;
use crate::container::object::{Container, Object};
use crate::container::stored::{Restored, Stored};
use crate::publish::choice::{Choice, NoVersion, NotChosen, PrettyLeft, Reason, Shown};
use crate::publish::plan::Plan;
use crate::settings::names::{s3_uri, Variant};
use crate::settings::rollback_to::RollbackTo;
use crate::settings::Settings;

/// What else takes a broken container away.
const ALTERNATIVES: &str =
    "what else can be done now: re-run the step of an earlier pipeline (its artifacts are kept for 14 days), or publish\n\
     the container without experiments (Mojito's `nuke.lock`)";

/// How a version is named.
const OPTIONS: &str = "`--to BUILD` or `--to VERSION_ID`, in a pipe `ROLLBACK_TO`";

/// Why nothing was put back, for the log and the result.
#[derive(Debug)]
pub(crate) struct NotRolledBack {
    pub(crate) message: String,
    pub(crate) remedy: String,
    /// If it is AWS's.
    pub(crate) error: Option<AwsError>,
    /// Whether what was chosen is not fit to be put back.
    pub(crate) is_refused: bool,
}

impl std::fmt::Display for NotRolledBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nwhat to do: {}", self.message, self.remedy)
    }
}

/// The versions of a container, and which one is put back.
pub(crate) fn choice(choice: &Choice, settings: &Settings, console: &Console) {
    let many = settings.target.containers.len() > MAX_LISTED;
    let Some(object) = choice.container.minified() else {
        return;
    };
    let Some(restored) = &object.restored else {
        return;
    };
    let uri = s3_uri(&settings.target.bucket, &object.key);
    if !many && !choice.shown.is_empty() {
        let rows: Vec<Vec<String>> = choice.shown.iter().map(cells).collect();
        let rows = columns(&rows).into_iter().zip(&choice.shown);
        let rows = rows.map(|(text, shown)| Row {
            style: if shown.is_chosen {
                Style::Good
            } else {
                Style::Plain
            },
            styled_bytes: usize::MAX,
            text: format!("  {text}"),
        });
        console.table(&format!("versions of {uri}:"), &rows.collect::<Vec<_>>());
        if choice.unshown > 0 {
            console.info(&format!("  (and {} older ones)", choice.unshown));
        }
    }
    let verb = if settings.dry_run {
        "would put back"
    } else {
        "putting back"
    };
    console.info(&format!(
        "{verb} {} of {}: {}",
        describe(restored),
        choice.container.name,
        why(choice.reason)
    ));
    if choice.is_suspended {
        console.warning(
            "the bucket's versioning is suspended, or was when the live version was stored: S3 does not keep what is replaced",
        );
    }
    let pretty = Variant::Pretty.file_name(&choice.container.name);
    match &choice.pretty_left {
        None => {}
        Some(PrettyLeft::Aws(error)) => {
            console.warning(&format!("{pretty} stays as it is: {error}"));
        }
        Some(PrettyLeft::NoneOfBuild) => console.warning(&format!(
            "{pretty} stays as it is, as S3 keeps no version of it of the same build; no page loads it"
        )),
        Some(PrettyLeft::Invalid(problem)) => console.warning(&format!(
            "{pretty} stays as it is, as its version of the same build {problem}"
        )),
    }
}

/// How another version can be chosen. Once for all containers.
pub(crate) fn how_to_choose(settings: &Settings, console: &Console) {
    if settings.rollback == Some(RollbackTo::Previous) {
        console.info(&format!("to choose another one: {OPTIONS}"));
    }
}

fn cells(shown: &Shown) -> Vec<String> {
    let Shown {
        version,
        stored,
        is_chosen,
    } = shown;
    let mark = match (is_chosen, version.is_live) {
        (true, true) => "→ live",
        (true, false) => "→",
        (false, true) => "live",
        (false, false) => "",
    };
    let (build, commit) = match stored {
        _ if version.is_delete_marker => ("deleted".to_owned(), String::new()),
        None => ("?".to_owned(), String::new()),
        Some(stored) => {
            let build = stored.shown_build().map(|it| format!("build {it}"));
            let put_back = stored.restored_from().map(|_| "put back".to_owned());
            let build = join_known([build, put_back]);
            let build = Some(build).filter(|it| !it.is_empty());
            (
                build.unwrap_or_else(|| "no build".to_owned()),
                stored.shown_commit().unwrap_or_default(),
            )
        }
    };
    let at = version.modified.map(minute).unwrap_or_default();
    vec![mark.to_owned(), build, commit, at, sanitize(&version.id)]
}

/// `2026-11-24 05:00 UTC`
fn minute(time: SystemTime) -> String {
    format!("{} UTC", times::minute(time).unwrap_or_default())
}

/// `build 56 (v1.4.0, 1f2e3d4) of 2026-11-24 05:00 UTC`, or by its ID.
fn describe(restored: &Restored) -> String {
    let label = |stored: &Stored| stored.label();
    let what = label(&restored.stored);
    let what = what.unwrap_or_else(|| format!("version {}", sanitize(&restored.version_id)));
    match restored.modified {
        Some(at) => format!("{what}, stored {},", minute(at)),
        None => what,
    }
}

fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::BeforeLive => "the newest version before the live one with other content",
        Reason::BeforeDeletion => "the object is deleted, and this is the version before that",
        Reason::BeforeRestored => {
            "the live version was put back itself, and this is the newest one before the version that it is a copy of"
        }
        Reason::SameRun => "this pipeline has put it back before, and this finishes it",
        Reason::Named => "as requested",
    }
}

/// What a rollback would write, and which paths it would invalidate.
pub(crate) fn plan(plan: &Plan) -> Vec<String> {
    let bucket = &plan.settings.target.bucket;
    let upload = |object: &Object| {
        let uri = s3_uri(bucket, &object.key);
        let from = object.restored.as_ref().map(|it| sanitize(&it.version_id));
        let from = from.unwrap_or_default();
        format!(
            "would store version {from} of {uri} again: {}",
            object.compressed_size()
        )
    };
    let objects = plan.objects().take(2 * MAX_LISTED);
    let mut lines: Vec<String> = objects.map(upload).collect();
    for distribution in plan.settings.distributions.iter().take(MAX_LISTED) {
        lines.push(format!("would invalidate in {distribution}:"));
        let paths = plan.objects().take(2 * MAX_LISTED);
        let paths = paths.map(|object| plan.settings.invalidated(&object.cdn_path));
        lines.extend(paths.map(|path| format!("  {path}")));
    }
    lines
}

/// What is put back, if it is the same build everywhere: `build 56 (v1.4.0, 1f2e3d4)`.
pub(super) fn label(containers: &[Container]) -> Option<String> {
    let scripts = containers.iter().filter_map(Container::minified);
    let mut labels = scripts.map(|it| it.restored.as_ref()?.stored.label());
    let first = labels.next()??;
    labels
        .all(|it| it.as_ref() == Some(&first))
        .then_some(first)
}

/// What is put back of a container.
pub(super) fn what(container: &Container) -> String {
    label(slice::from_ref(container)).unwrap_or_else(|| "an earlier version".to_owned())
}

/// The version that is put back, and what it replaces, for people who read no log.
pub(super) fn details(container: &Container) -> Option<String> {
    let restored = container.minified()?.restored.as_ref()?;
    let replaces = restored.replaces.as_deref();
    let replaces = replaces.map_or_else(String::new, |id| {
        format!(", in place of version {}", sanitize(id))
    });
    let id = sanitize(&restored.version_id);
    let at = restored
        .modified
        .map_or_else(String::new, |at| format!(", stored {}", minute(at)));
    Some(format!("an earlier version: {id}{at}{replaces}"))
}

/// How to finish a rollback that has chosen the versions itself: the next one would choose older ones.
pub(super) fn how_to_finish(plan: &Plan) -> Option<String> {
    let settings = &plan.settings;
    if settings.rollback != Some(RollbackTo::Previous) {
        return None;
    }
    let containers = plan.containers.iter();
    let chosen = containers.filter_map(|it| Some((&it.name, it.minified()?.restored.as_deref()?)));
    let chosen: Vec<_> = chosen
        .map(|(name, restored)| (name, sanitize(&restored.version_id)))
        .collect();
    let (again, option) = match settings.build.number() {
        None => ("next: to finish, run it again with", "--to "),
        Some(_) => (
            "next: to finish, re-run this step, or in another pipeline run set",
            "ROLLBACK_TO=",
        ),
    };
    let with = if let [(_, id)] = &chosen[..] {
        format!(" `{option}{id}`, which is safe at any time")
    } else {
        let listed = chosen.iter().take(MAX_LISTED);
        let listed = listed.map(|(name, id)| format!("\n  CONTAINER_NAME={name} {option}{id}"));
        format!(
            " these, one container at a time:{}",
            listed.collect::<String>()
        )
    };
    Some(format!(
        "{again}{with}\nwithout that, the next rollback goes one version further back"
    ))
}

/// Why there is no version to put back, and what to do.
pub(crate) fn problem(not_chosen: NotChosen, settings: &Settings) -> NotRolledBack {
    let NotChosen { uri, reason } = not_chosen;
    let bucket = &settings.target.bucket;
    let versioning = format!(
        "turn the bucket's versioning on, so that the next publishes can be rolled back:\n\
         aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled\n{ALTERNATIVES}"
    );
    let choose = format!(
        "choose another one with {OPTIONS}; the log of each publish\n\
         has the IDs of its versions\n{ALTERNATIVES}"
    );
    let (message, remedy) = match reason {
        NoVersion::Aws(error) => return of_aws(error, settings),
        NoVersion::Invalid(file) => {
            return NotRolledBack {
                message: file.to_string(),
                remedy: format!("choose another version with {OPTIONS}"),
                error: None,
                is_refused: true,
            };
        }
        NoVersion::NothingStored => (
            format!("nothing is stored at {uri}, and nothing was"),
            "check `CONTAINER_NAME`, `S3_BUCKET` and `S3_PREFIX`, and the environment".to_owned(),
        ),
        NoVersion::NotVersioned => (
            format!("S3 keeps no earlier version of {uri}: the bucket's versioning is off, or was when it was stored"),
            versioning,
        ),
        NoVersion::OnlyVersion => (
            format!(
                "{uri} has no earlier version: it was published for the first time, versioning was turned on after that, or a \
                 lifecycle rule has removed the others"
            ),
            format!("see who removes versions (the bucket's lifecycle rules)\n{ALTERNATIVES}"),
        ),
        NoVersion::SameContent => (
            format!("no earlier version of {uri} has other content than the live one, as far as they were read"),
            choose,
        ),
        NoVersion::NothingBeforeRestored(from) => (
            format!(
                "the live version of {uri} was put back itself, and S3 keeps nothing from before the version that it is a copy \
                 of ({})",
                sanitize(&from)
            ),
            choose,
        ),
        NoVersion::NoSuchBuild {
            build,
            looked_at: looked,
            has_more,
        } => {
            let more = if has_more {
                "; there are older ones"
            } else {
                ""
            };
            (
                format!("no version of {uri} is of build {build}: {looked} were looked at{more}"),
                choose,
            )
        }
        NoVersion::NoSuchVersion(id) => (
            format!("{uri} has no version `{}` that can be read", sanitize(&id)),
            choose,
        ),
    };
    NotRolledBack {
        message,
        remedy,
        error: None,
        is_refused: false,
    }
}

fn of_aws(error: AwsError, settings: &Settings) -> NotRolledBack {
    let arguments = settings.arguments();
    let statement = Permissions::of(settings).missing_statement(&error);
    let remedy = if error.kind == AwsErrorKind::AccessDenied || statement.is_some() {
        let statement = statement.map_or_else(String::new, |it| format!("\n{}", it.pretty()));
        format!(
            "are these the credentials of {}, and do they allow a rollback?\n\
             if not, add this statement to the user or role{statement}\n\
             `mojito-publish policy{arguments}` prints all that a rollback needs\n\
             without listing, `--to VERSION_ID` puts back a version whose ID is known, as from the log of its publish\n{ALTERNATIVES}",
            settings.environment
        )
    } else {
        format!("{}\n{ALTERNATIVES}", error.remedy())
    };
    NotRolledBack {
        message: error.to_string(),
        remedy,
        error: Some(error),
        is_refused: false,
    }
}
