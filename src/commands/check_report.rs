//! What `check` says of what it tried: a line for each key and read, then what follows from all of them.

use super::probe::{Access, Probe};
use super::reads::{ReadAccess, Reads, ROLLBACK};
use crate::aws::error::AwsError;
use crate::aws::iam_policy::Permissions;
use crate::exit::Exit;
use crate::report::console::Console;
use crate::settings::names::s3_uri;
use crate::settings::Settings;

/// What follows from all that was tried.
#[derive(Default)]
struct Findings {
    /// What would fail, as it lacks a permission: `publish`, or else `rollback`.
    would_fail: Option<&'static str>,
    excess: bool,
    inconclusive: bool,
    /// The statements that would allow what is missing, each once.
    statements: Vec<String>,
    /// What is not known.
    unknown: Vec<String>,
}

/// Says what the credentials can and cannot do, and ends the check.
pub(super) fn report(
    settings: &Settings,
    probes: &[Probe],
    accesses: &[Access],
    reads: &Reads,
    console: &Console,
) -> Exit {
    let permissions = Permissions::of(settings);
    let mut findings = Findings::default();
    for (probe, access) in probes.iter().zip(accesses) {
        let address = s3_uri(&settings.target.bucket, &probe.key);
        findings.of_key(probe, access, &address, &permissions, console);
    }
    findings.of_reads(reads, &permissions, console);
    if reads.keeps_no_versions {
        console.warning(&format!(
            "the bucket's versioning is off, or was at the last publish: S3 keeps nothing to roll back to\n\
             aws s3api put-bucket-versioning --bucket {} --versioning-configuration Status=Enabled",
            settings.target.bucket
        ));
    }
    let invalidate = settings.distributions.iter();
    findings.unknown.extend(invalidate.map(|distribution| {
        format!("invalidate in {distribution} (`cloudfront:CreateInvalidation`): trying it would invalidate")
    }));
    findings.end(settings, console)
}

impl Findings {
    fn of_key(
        &mut self,
        probe: &Probe,
        access: &Access,
        address: &str,
        permissions: &Permissions,
        console: &Console,
    ) {
        match (access, probe.expect_denied) {
            (Access::Allowed, None) => console.success(&format!("can write {address}")),
            (Access::Denied(_), Some(reason)) => {
                console.success(&format!("cannot write {address} ({reason})"));
            }
            (Access::Denied(error), None) => {
                self.would_fail = Some("publish");
                let remedy = self.remedy(error, permissions);
                console.failure(&format!(
                    "missing permission: cannot write {address}\n{error}{remedy}"
                ));
            }
            (Access::Allowed, Some(reason)) => {
                self.excess = true;
                console.failure(&format!(
                    "excess permission: can write {address} ({reason})"
                ));
            }
            (Access::Inconclusive(error), _) => {
                self.inconclusive = true;
                let remedy = error.remedy();
                console.failure(&format!(
                    "could not check {address}: {error}\nwhat to do: {remedy}"
                ));
            }
        }
    }

    fn of_reads(&mut self, reads: &Reads, permissions: &Permissions, console: &Console) {
        for read in &reads.list {
            let what = read.what();
            match &read.access {
                ReadAccess::Allowed => console.success(&format!("can {what}")),
                ReadAccess::Unknown(reason) => self.unknown.push(format!("{what}: {reason}")),
                ReadAccess::Denied(error) => {
                    if read.setting == ROLLBACK {
                        self.would_fail.get_or_insert("rollback");
                    } else {
                        self.would_fail = Some("publish");
                    }
                    let remedy = self.remedy(error, permissions);
                    console.failure(&format!(
                        "missing permission: cannot {what}\n{error}{remedy}"
                    ));
                }
                ReadAccess::Failed(error) => {
                    self.inconclusive = true;
                    let remedy = error.remedy();
                    console.failure(&format!(
                        "could not check whether they can {what}: {error}\nwhat to do: {remedy}"
                    ));
                }
            }
        }
    }

    /// What to do about a denial, unless it is a statement, which is said at the end.
    fn remedy(&mut self, error: &AwsError, permissions: &Permissions) -> String {
        let Some(statement) = permissions.missing_statement(error) else {
            return format!("\nwhat to do: {}", error.remedy());
        };
        let statement = statement.pretty();
        if !self.statements.contains(&statement) {
            self.statements.push(statement);
        }
        String::new()
    }

    fn end(&self, settings: &Settings, console: &Console) -> Exit {
        let (own, other) = (settings.environment, settings.environment.other());
        let policy = format!("`mojito-publish policy{}`", settings.arguments());
        let failure = match (self.inconclusive, self.would_fail, self.excess) {
            (false, None, false) => {
                self.verified(settings, console);
                return Exit::Published;
            }
            (true, _, _) => "not everything could be checked".to_owned(),
            (_, Some(_), true) => format!(
                "permissions are missing, and others are in excess\n\
                 these may be the credentials of {other}; {policy} prints what {own} needs"
            ),
            (_, Some(run), false) => self.what_is_missing(run, &policy),
            (_, None, true) => format!(
                "permissions are in excess: whoever gets hold of these credentials can write there\n\
                 give the user or role what {policy} prints, and nothing else"
            ),
        };
        console.failure(&failure);
        Exit::NotPublished
    }

    fn verified(&self, settings: &Settings, console: &Console) {
        let environment = settings.environment;
        let write = settings.rollback.as_ref();
        let write = write.map_or("write", |_| "write and roll back");
        let verified = format!(
            "these credentials can {write} what {environment} needs, and nothing else that was checked"
        );
        if self.unknown.is_empty() {
            console.success(&verified);
        } else {
            console.warning(&format!(
                "{verified}\nit is not known whether they can\n  {}",
                self.unknown.join("\n  ")
            ));
        }
    }

    fn what_is_missing(&self, run: &str, policy: &str) -> String {
        let would_fail = format!("permissions are missing, and a {run} would fail");
        let these = match self.statements[..] {
            [] => return would_fail,
            [_] => "this statement",
            _ => "these statements",
        };
        let statements = self.statements.join(",\n");
        if run == "publish" {
            format!(
                "{would_fail}: is the bucket's name right?\n\
                 if so, add {these} to the user or role:\n{statements}"
            )
        } else {
            format!(
                "{would_fail}\n{policy} prints all that it needs\n\
                 add at least {these} to the user or role:\n{statements}"
            )
        }
    }
}
