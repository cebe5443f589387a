//! How the process ends. The end of the work, a signal or a panic decides it, whichever comes first.
//!
//! The decision comes before anything is said of it: the gate closes, so that no request starts, and the run and the exit code are
//! final. Only then is it printed and stored, which may take too long for a signal's second.

use std::mem;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime;

use super::error::{Error, STATE};
use crate::aws::gate::Gate;
use crate::bitbucket::client;
use crate::exit::Exit;
use crate::publish::run::Run;
use crate::report::code_insights::{self, Planned, Reporter, Reports};
use crate::report::console::Console;
use crate::report::result_file;
use crate::report::result_json::{ErrorResult, RunResult};
use crate::report::summary;
use crate::settings::code_insights::ReportTarget;
use crate::settings::pipeline::Build;
use crate::settings::raw::Raw;
use crate::settings::Settings;

/// How long the end waits for a reader of the log that reads nothing.
const READER_PATIENCE: Duration = Duration::from_secs(5);

/// Decides how the process ends, and reports it, once.
pub(crate) struct Ending {
    build: Build,
    console: Arc<Console>,
    gate: Gate,
    /// Its lock orders the start of the run and the closing of the gate: whoever comes second sees the other.
    run: Mutex<Option<Arc<Run>>>,
    exit: OnceLock<Exit>,
    /// Set once everything but the reports is printed and stored.
    is_reported: AtomicBool,
    /// Where to report to, or why that cannot be.
    target: OnceLock<Result<ReportTarget, String>>,
    planned: OnceLock<Planned>,
    /// What is to be sent to Bitbucket.
    reports: Mutex<Reports>,
}

impl Ending {
    pub(crate) fn new(build: Build, console: Arc<Console>) -> Self {
        Self {
            build,
            console,
            gate: Gate::default(),
            run: Mutex::default(),
            exit: OnceLock::new(),
            is_reported: AtomicBool::new(false),
            target: OnceLock::new(),
            planned: OnceLock::new(),
            reports: Mutex::default(),
        }
    }

    /// From now on, however the run ends is reported to Bitbucket, where that is possible. It is for `publish` alone.
    pub(crate) fn report_to_bitbucket(&self, raw: &Raw) {
        if let Some(target) = ReportTarget::of(raw).transpose() {
            let _ = self.target.set(target);
        }
    }

    /// What the reports are about, even if the run ends before its first upload.
    pub(crate) fn planned(&self, settings: &Settings) {
        let _ = self.planned.set(Planned::new(settings));
    }

    /// For every request. It closes when the end is decided.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// From now on, a signal ends this run. If one has come before, the run cannot send anything.
    pub(crate) fn start(&self, run: Run) -> Arc<Run> {
        let run = Arc::new(run);
        *self.started_run() = Some(Arc::clone(&run));
        run
    }

    /// Ends the process because of an error.
    pub(crate) fn of_error(&self, error: &Error) -> Exit {
        self.end(
            || error.exit(),
            |exit| {
                self.console.failure(&format!("{error}\n{STATE}"));
                self.store_early(exit, Some(error.result()), None);
                self.prepare_reports(|reporter| match (error, self.planned.get()) {
                    (Error::Container(files), Some(planned)) => reporter.of_files(planned, files),
                    (_, planned) => reporter.of_error(planned, exit, &error.to_string()),
                });
            },
        )
    }

    /// Ends a run that has done what it could.
    pub(crate) fn of_run(&self, run: &Run) -> Exit {
        self.of_outcome(run, None)
    }

    /// Ends a dry run as `report` says.
    pub(crate) fn of_dry_run<'a>(
        &self,
        exit: Exit,
        report: impl FnOnce(&Console) -> RunResult<'a>,
    ) -> Exit {
        self.end(|| exit, |_| self.store(report(&self.console)))
    }

    /// Ends the run where it is, if it has started.
    pub(crate) fn of_signal(&self, signal: &'static str) -> Exit {
        // Only the reports to Bitbucket are not sent yet, which do not matter any more.
        if let Some(exit) = self.reported() {
            return exit;
        }
        // Before the run is looked for, as one that starts later must not be able to send anything.
        self.gate.close();
        let run = self.started_run().clone();
        if let Some(run) = run {
            return self.of_outcome(&run, Some(signal));
        }
        self.end(
            || Exit::NotPublished,
            |exit| {
                self.console.failure(&format!(
                    "stopped by {signal}: {STATE}\nnext: re-run, which is safe at any time"
                ));
                self.store_early(exit, None, Some(signal));
            },
        )
    }

    /// Ends the process because of a bug.
    pub(crate) fn of_panic(&self, panic: &str) -> Exit {
        if let Some(exit) = self.reported() {
            self.console.info(&code_insights::not_reported(&format!(
                "internal error: {panic}"
            )));
            return exit;
        }
        self.gate.close();
        self.reserve_console();
        self.console.failure(&format!(
            "internal error in {}: {panic}\nplease report it with this output; what was published before is reported above",
            env!("CARGO_PKG_NAME")
        ));
        let exit = Exit::InternalError;
        // Whatever else was decided was not reported to its end.
        if self.exit.set(exit).is_ok() {
            let error = ErrorResult::new("internal_error", panic);
            self.store_early(exit, Some(error), None);
        }
        exit
    }

    /// Ends the process, once the log is read or nobody reads it.
    pub(crate) fn quit(&self, exit: Exit) -> ! {
        self.console.drain(READER_PATIENCE);
        // The system frees all memory at once. Freeing it piece by piece takes a twentieth of a run's processor time.
        process::exit(exit.code().into());
    }

    /// The exit code if reporting takes too long.
    pub(crate) fn unreported(&self) -> Exit {
        self.exit.get().copied().unwrap_or_default()
    }

    fn started_run(&self) -> MutexGuard<'_, Option<Arc<Run>>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_outcome(&self, run: &Run, stopped_by: Option<&'static str>) -> Exit {
        self.end(
            || run.end(stopped_by).exit,
            |_| {
                let outcome = run.end(stopped_by);
                summary::print(&run.plan, outcome, &self.console);
                self.store(RunResult::published(&run.plan, outcome));
                // A signal leaves no time for it.
                if stopped_by.is_none() {
                    self.prepare_reports(|reporter| reporter.of_run(&run.plan, outcome));
                }
            },
        )
    }

    fn end(&self, decide: impl FnOnce() -> Exit, report: impl FnOnce(Exit)) -> Exit {
        self.gate.close();
        self.reserve_console();
        let exit = decide();
        let _ = self.exit.set(exit);
        report(exit);
        self.is_reported.store(true, Ordering::SeqCst);
        exit
    }

    /// The exit code, once everything but the reports to Bitbucket is printed and stored.
    fn reported(&self) -> Option<Exit> {
        let exit = self.exit.get().copied();
        exit.filter(|_| self.is_reported.load(Ordering::SeqCst))
    }

    /// Makes the reports, if there is somewhere to send them.
    pub(crate) fn prepare_reports(&self, make: impl FnOnce(&Reporter) -> Reports) {
        if let Some(Ok(target)) = self.target.get() {
            let reports = make(&Reporter {
                target,
                build: &self.build,
                elapsed: self.console.elapsed(),
            });
            *self.reports() = reports;
        }
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the reports to Bitbucket, as the last thing of a run: whatever comes of it is one line of the log.
    ///
    /// It needs a runtime of its own, as the run's has ended.
    pub(crate) fn send_reports(&self) {
        let target = match self.target.get() {
            None => return,
            Some(Ok(target)) => target,
            Some(Err(problem)) => return self.console.info(&code_insights::not_reported(problem)),
        };
        let reports = mem::take(&mut *self.reports());
        if reports.list.is_empty() {
            return;
        }
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let line = match runtime {
            Ok(runtime) => {
                let sent = runtime.block_on(client::send(target, &reports.list, &reports.outdated));
                // Dropping it would wait for a DNS lookup that is still running.
                runtime.shutdown_background();
                code_insights::line(&reports, &sent, target)
            }
            Err(error) => code_insights::not_reported(&error.to_string()),
        };
        self.console.info(&line);
    }

    /// Leaves the console, and the end, to this thread. Another one that ends the process already is left to do so.
    fn reserve_console(&self) {
        if !self.console.reserve() {
            loop {
                thread::park();
            }
        }
    }

    fn store_early(
        &self,
        exit: Exit,
        error: Option<ErrorResult>,
        stopped_by: Option<&'static str>,
    ) {
        self.store(RunResult::early(&self.build, exit, error, stopped_by));
    }

    fn store(&self, result: RunResult) {
        result_file::write(&self.build, result, &self.console);
    }
}
