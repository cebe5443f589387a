//! The reports of a run to the commit in Bitbucket. They are made once everything else is printed and stored, and sent as the last
//! thing, so that whatever becomes of them is one line of the log.

use std::mem;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime;

use crate::bitbucket::client;
use crate::report::code_insights::{self, Planned, Reporter, Reports};
use crate::report::console::Console;
use crate::settings::code_insights::ReportTarget;
use crate::settings::pipeline::Build;
use crate::settings::purpose::Purpose;
use crate::settings::raw::Raw;
use crate::settings::Settings;

/// How much of the time for the reports may be spent on the sources of the experiments.
const MAX_READING: Duration = Duration::from_millis(1_500);

/// Where a run reports to, and what.
#[derive(Default)]
pub(crate) struct CommitReports {
    /// Or why nothing can be reported there.
    target: OnceLock<Result<ReportTarget, String>>,
    planned: OnceLock<Planned>,
    made: Mutex<Reports>,
    begun: OnceLock<Instant>,
}

impl CommitReports {
    /// From now on, however the run ends is reported, where that is wanted and possible. It is for what writes.
    pub(crate) fn enable(&self, raw: &Raw) {
        if let Some(target) = ReportTarget::of(raw).transpose() {
            let _ = self.target.set(target);
        }
    }

    /// What the reports are about, even if the run ends before its first upload.
    pub(crate) fn plan(&self, settings: &Settings) {
        let _ = self.planned.set(Planned::new(settings));
    }

    pub(super) fn planned(&self) -> Option<&Planned> {
        self.planned.get()
    }

    /// Makes the reports, if there is somewhere to send them.
    pub(super) fn make(
        &self,
        purpose: Purpose,
        build: &Build,
        console: &Console,
        make: impl FnOnce(&Reporter) -> Reports,
    ) {
        if let Some(Ok(target)) = self.target.get() {
            let begun = *self.begun.get_or_init(Instant::now);
            *self.made() = make(&Reporter {
                target,
                purpose,
                build,
                elapsed: console.elapsed(),
                deadline: begun + MAX_READING,
            });
        }
    }

    /// Sends them. It needs a runtime of its own, as the run's has ended.
    pub(super) fn send(&self, console: &Console) {
        let target = match self.target.get() {
            None => return,
            Some(Ok(target)) => target,
            Some(Err(problem)) => return console.info(&code_insights::not_reported(problem)),
        };
        let reports = mem::take(&mut *self.made());
        if reports.list.is_empty() {
            return;
        }
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let line = match runtime {
            Ok(runtime) => {
                let begun = *self.begun.get_or_init(Instant::now);
                let deadline = (begun + client::TIMEOUT).into();
                let send = client::send(target, &reports.list, &reports.outdated, deadline);
                let outcome = runtime.block_on(send);
                // Dropping it would wait for a DNS lookup that is still running.
                runtime.shutdown_background();
                code_insights::line(&reports, &outcome, target)
            }
            Err(error) => code_insights::not_reported(&error.to_string()),
        };
        console.info(&line);
    }

    fn made(&self) -> MutexGuard<'_, Reports> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
