//! The log of a run: what it is going to do, what that changes, and a line for each event.

use std::collections::{BTreeMap, HashSet};

use super::changes;
use super::console::Console;
use super::tables::{self, MAX_LISTED};
use crate::aws::credentials::CredentialOrigin;
use crate::aws::iam_policy::Permissions;
use crate::aws::sts::Identity;
use crate::common::byte_size::ByteSize;
use crate::common::layout::first_ten;
use crate::container::changes::Changes;
use crate::container::object::{Container, Object};
use crate::publish::compare::NotCompared;
use crate::publish::event::Event;
use crate::publish::plan::Plan;
use crate::publish::race::Protected;
use crate::publish::run::Run;
use crate::settings::names::{s3_uri, CdnPath, ContainerName};

/// The warnings about containers and settings that are in the log. The result has all.
const MAX_WARNINGS: usize = 20;

/// What a re-run did, in the words before what it did that to.
const REPLACED: &str = "this re-run replaced";

/// The warning at the start and at the end of a run without `DISTRIBUTION_ID`.
pub(super) const NOTHING_INVALIDATED: &str =
    "nothing is invalidated, as `DISTRIBUTION_ID` is not set\n\
     the CDN serves the old container until its cache expires";

/// What is published, where and why.
pub(crate) fn opening(plan: &Plan, console: &Console) {
    let settings = &plan.settings;
    let containers = plan.containers.iter();
    let names: Vec<&str> = containers.map(|it| it.name.as_str()).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    let publishing = if settings.dry_run {
        "dry run: would publish"
    } else {
        "publishing"
    };
    console.info(&format!(
        "{publishing} container{plural} {} to {} ({})",
        first_ten(&names),
        settings.environment,
        settings.environment_reason
    ));
    if let Some(build) = settings.build.summary() {
        console.info(&build);
    }
    let target = &settings.target;
    let folder = match target.prefix.as_str() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    console.info(&format!(
        "bucket: s3://{}/{folder} in {}",
        target.bucket, target.region
    ));
    if let Some(whole_folder) = widened_session(plan) {
        console.info(&whole_folder);
    }
    if settings.distributions.is_empty() && !settings.is_preview() {
        console.warning(NOTHING_INVALIDATED);
    }
    if !settings.validate {
        console.warning("`VALIDATE` is `false`: any script is published, whether or not it is a Mojito container");
    }
    for container in plan.containers.iter().take(MAX_LISTED) {
        if let Some(script) = &container.script {
            let containers = plan.containers.len();
            let (heading, rows) = tables::experiments(container, script, containers);
            console.table(&heading, &rows);
        }
    }
    let unlisted = plan.containers.len().saturating_sub(MAX_LISTED);
    if unlisted > 0 {
        console.info(&format!(
            "(the experiments of {unlisted} more containers are not listed)"
        ));
    }
    let of_containers = plan.containers.iter().flat_map(|it| &it.warnings);
    warnings(of_containers, console);
}

/// The first warnings. The others are counted, and only in the result.
pub(crate) fn warnings<'a>(warnings: impl Iterator<Item = &'a String>, console: &Console) {
    let mut seen = HashSet::new();
    let mut warnings = warnings.filter(|warning| seen.insert(*warning));
    for warning in warnings.by_ref().take(MAX_WARNINGS) {
        console.warning(warning);
    }
    let unlisted: Vec<String> = warnings.cloned().collect();
    if !unlisted.is_empty() {
        console.info(&format!(
            "({} more warnings are not listed)",
            unlisted.len()
        ));
        console.remember_warnings(unlisted);
    }
}

/// What the role's session may write, if it is more than this run needs.
fn widened_session(plan: &Plan) -> Option<String> {
    let settings = &plan.settings;
    let permissions = settings.aws.is_role().then(|| Permissions::of(settings));
    let whole_folder = permissions?.widened_to()?;
    Some(format!(
        "the role's session may write {}, as the keys of {} containers do not fit into its policy",
        s3_uri(&settings.target.bucket, &whole_folder),
        plan.containers.len()
    ))
}

/// What publishing a container changes for visitors, or why that is not known, unless that was already reported.
pub(crate) fn changes(
    plan: &Plan,
    container: &Container,
    changes: &Result<Changes, NotCompared>,
    before: &Before,
    console: &Console,
) {
    let many = plan.containers.len() > MAX_LISTED;
    match changes {
        Ok(changes) if many && (changes.is_nothing() || before.changed >= MAX_LISTED) => {}
        Ok(changes) => {
            let containers = plan.containers.len();
            let name = (containers > 1).then_some(container.name.as_str());
            let (heading, rows) = changes::table(name, changes, containers);
            console.table(&heading, &rows);
            if let Some((heading, rows)) = changes::consequences(name, changes) {
                console.table(&heading, &rows);
            }
        }
        Err(_) if before.already_reported => {}
        Err(problem) if problem.lacks_public_url() => {
            console.info("tip: set `PUBLIC_URL` to see what changes for visitors");
        }
        Err(problem) if problem.is_reported_by_the_upload() || before.reasons >= MAX_LISTED => {}
        Err(problem) => {
            let of = match plan.containers.len() {
                1 => String::new(),
                _ => format!(" {}", container.name),
            };
            console.info(&match problem.nothing_published() {
                Some(reason) => format!("no live container{of} to compare with ({reason})"),
                None => format!("changes to the live container{of} are not known: {problem}"),
            });
        }
    }
}

/// What was reported of the containers that were compared before.
pub(crate) struct Before {
    already_reported: bool,
    changed: usize,
    /// Why others are not known, up to `MAX_LISTED`.
    reasons: usize,
}

/// What publishing each container changes, as far as it is known.
type Compared = BTreeMap<ContainerName, Result<Changes, NotCompared>>;

impl Before {
    /// `already_reported` is whether a container was not compared for a reason that the log already has.
    pub(crate) fn new(compared: &Compared, already_reported: bool) -> Self {
        let mut reasons = HashSet::new();
        let errors = compared.values().filter_map(|it| it.as_ref().err());
        for error in errors.filter(|_| !already_reported) {
            if reasons.len() < MAX_LISTED {
                reasons.insert(error.to_string());
            }
        }
        Self {
            already_reported,
            changed: changed(compared),
            reasons: reasons.len(),
        }
    }
}

/// How many containers change.
pub(crate) fn changed(compared: &Compared) -> usize {
    let changes = compared.values().filter_map(|it| it.as_ref().ok());
    changes.filter(|changes| !changes.is_nothing()).count()
}

/// Above `MAX_LISTED` containers: how many change, but are not in the log.
pub(crate) fn unlisted_changes(plan: &Plan, changed: usize, console: &Console) {
    let unlisted = changed.saturating_sub(MAX_LISTED);
    if plan.containers.len() > MAX_LISTED && unlisted > 0 {
        console.info(&format!(
            "(the changes of {unlisted} more containers are not listed)"
        ));
    }
}

/// A line for an event.
pub(crate) fn report(event: &Event, run: &Run, console: &Console) {
    match event {
        Event::Compared {
            container,
            changes: it,
            already_reported,
        } => {
            let before = Before::new(&run.state().changes, *already_reported);
            changes(&run.plan, container, it, &before, console);
        }
        Event::Uploaded(object) => uploaded(run, object, console),
        Event::AllUploaded => all_uploaded(run, console),
        Event::Busy(distribution, error, delay) => console.info(&format!(
            "CloudFront is busy ({}): retrying {distribution} in {} s",
            error.code.as_deref().unwrap_or("no code"),
            delay.as_secs()
        )),
        Event::Invalidating(distribution, id, paths) => {
            let paths: Vec<&str> = paths.iter().map(CdnPath::as_str).collect();
            let paths = first_ten(&paths);
            console.success(&format!("created invalidation {id} of {distribution}: {paths}"));
        }
        Event::InvalidationPending(distribution, id, waited) => console.waiting(&format!(
            "waiting for invalidation {id} of {distribution} to complete ({} s)",
            waited.as_secs()
        )),
        Event::InvalidationCompleted(distribution, id) => {
            console.success(&format!("invalidation {id} of {distribution} completed"));
        }
        Event::Overridden(object, protected) => {
            overridden(REPLACED, &run.plan, object, protected, console);
        }
        Event::NoConditionalWrites => console.warning(
            "this S3 endpoint ignores the conditions of a write (`If-Match`): of two builds that publish at the same moment, \
             the older one may remain in spite of `ONLY_NEWER`",
        ),
        Event::VerificationPending {
            url,
            last_seen,
            waited,
        } => console.waiting(&format!(
            "waiting for {url} to serve the new container ({} s): {last_seen}",
            waited.as_secs()
        )),
        Event::Verified(url) => verified(run, url, console),
        Event::Identified(origin, identity) => identified(origin, *identity, console),
    }
}

/// A warning of what only a re-run replaces: `this re-run replaced s3://acme/js/mojito.js of build 58, which is newer than this
/// build 57`. After `MAX_LISTED`, they are only in the result.
pub(crate) fn overridden(
    verb: &str,
    plan: &Plan,
    object: &Object,
    protected: &Protected,
    console: &Console,
) {
    let uri = s3_uri(&plan.settings.target.bucket, &object.key);
    let own = plan.settings.build.number().unwrap_or_default();
    let warning = match protected {
        Protected::Newer(build) => {
            format!("{verb} {uri} of build {build}, which is newer than this build {own}")
        }
        Protected::OtherRepository { repository, build } => {
            format!("{verb} {uri} of build {build} of another repository, {repository}")
        }
    };
    let before = console.warnings();
    let before = before.iter().filter(|it| it.starts_with(verb)).count();
    if before < MAX_LISTED {
        console.warning(&warning);
        return;
    }
    if before == MAX_LISTED {
        console.info(&format!("({verb} more than these, which are not listed)"));
    }
    console.remember_warnings(vec![warning]);
}

/// Where the credentials come from, and whose they are.
pub(crate) fn identified(
    origin: &CredentialOrigin,
    identity: Option<&Identity>,
    console: &Console,
) {
    let arn = identity.map_or_else(String::new, |identity| format!("\n{}", identity.arn));
    console.info(&format!("credentials: {origin}{arn}"));
}

/// An object is uploaded: a line for it, or above `MAX_LISTED` the progress of all.
fn uploaded(run: &Run, object: &Object, console: &Console) {
    let plan = &run.plan;
    if plan.containers.len() <= MAX_LISTED {
        console.success(&format!(
            "uploaded {}: {}, {} compressed",
            s3_uri(&plan.settings.target.bucket, &object.key),
            object.size,
            object.compressed_size()
        ));
        return;
    }
    let (done, all) = {
        let uploads = &run.state().uploads;
        let done = uploads.values().filter(|upload| upload.is_done());
        (done.count(), uploads.len())
    };
    console.waiting(&format!("uploading: {done} of {all} files are uploaded"));
}

/// Above `MAX_LISTED`: the number and the size of what was uploaded.
fn all_uploaded(run: &Run, console: &Console) {
    if run.plan.containers.len() <= MAX_LISTED {
        return;
    }
    let changed = changed(&run.state().changes);
    unlisted_changes(&run.plan, changed, console);
    let (mut files, mut size, mut compressed) = (0, 0, 0);
    for object in run.plan.objects() {
        if run.state().uploads[&object.key].is_done() {
            files += 1;
            size += object.size.0;
            compressed += object.compressed_size().0;
        }
    }
    if files > 0 {
        console.success(&format!(
            "uploaded {files} files to s3://{}: {}, {} compressed",
            run.plan.settings.target.bucket,
            ByteSize(size),
            ByteSize(compressed)
        ));
    }
}

/// Visitors get a container: a line for it, or above `MAX_LISTED` the progress of all.
fn verified(run: &Run, url: &str, console: &Console) {
    if run.plan.containers.len() <= MAX_LISTED {
        console.success(&format!("{url} serves the new container"));
        return;
    }
    let (verified, all) = {
        let verifications = &run.state().verifications;
        let verified = verifications.values().filter(|it| it.problem().is_none());
        (verified.count(), verifications.len())
    };
    if verified == all {
        let more = all - 1;
        console.success(&format!("{url} and {more} more serve the new containers"));
    } else {
        console.waiting(&format!(
            "verifying: {verified} of {all} URLs serve the new containers"
        ));
    }
}
