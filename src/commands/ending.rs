//! How the process ends. The end of the work, a signal or a panic decides it, whichever comes first.
//!
//! The decision comes before anything is said of it: the gate closes, so that no request starts, and the run and the exit code are
//! final. Only then is it printed and stored, which may take too long for a signal's second.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use super::commit_reports::CommitReports;
use super::error::Error;
use crate::aws::gate::Gate;
use crate::exit::Exit;
use crate::publish::run::Run;
use crate::report::code_insights::{self, Reporter, Reports};
use crate::report::console::{Console, READER_PATIENCE};
use crate::report::result_file;
use crate::report::result_json::{ErrorResult, RunResult};
use crate::report::{summary, words};
use crate::settings::pipeline::Build;
use crate::settings::purpose::Purpose;

/// Decides how the process ends, and reports it, once.
pub(crate) struct Ending {
    /// The command, which decides the words.
    purpose: Purpose,
    /// Whether the result is printed as well as stored.
    json: bool,
    build: Build,
    console: Arc<Console>,
    gate: Gate,
    /// Its lock orders the start of the run and the closing of the gate: whoever comes second sees the other.
    run: Mutex<Option<Arc<Run>>>,
    exit: OnceLock<Exit>,
    /// Set once everything but the reports is printed and stored.
    is_reported: AtomicBool,
    /// What is sent to Bitbucket.
    pub(crate) reports: CommitReports,
}

impl Ending {
    pub(crate) fn new(purpose: Purpose, json: bool, build: Build, console: Arc<Console>) -> Self {
        Self {
            purpose,
            // The other commands print a result of their own.
            json: json && purpose.writes(),
            build,
            console,
            gate: Gate::default(),
            run: Mutex::default(),
            exit: OnceLock::new(),
            is_reported: AtomicBool::new(false),
            reports: CommitReports::default(),
        }
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
        let exit = self.end(
            || error.exit(),
            |exit| {
                let state = words::of(self.purpose).nothing_uploaded();
                self.console.failure(&format!("{error}\n{state}"));
                self.store_early(exit, Some(error.result()), None);
            },
        );
        self.make_reports(|reporter| match (error, self.reports.planned()) {
            (Error::Container(files), Some(planned)) => reporter.of_files(planned, files),
            (_, planned) => {
                let what = match error {
                    Error::Settings(_) => "settings refused",
                    _ => words::of(self.purpose).not_done,
                };
                reporter.of_error(planned, what, &error.to_string())
            }
        });
        exit
    }

    /// Ends a run that has done what it could.
    pub(crate) fn of_run(&self, run: &Run) -> Exit {
        let exit = self.of_outcome(run, None);
        self.make_reports(|reporter| reporter.of_run(&run.plan, run.end(None)));
        exit
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
                    "stopped by {signal}: {}\nnext: re-run, which is safe at any time",
                    words::of(self.purpose).nothing_uploaded()
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

    /// Makes the reports to Bitbucket. Everything else must be reported by now.
    pub(crate) fn make_reports(&self, make: impl FnOnce(&Reporter) -> Reports) {
        let (reports, build) = (&self.reports, &self.build);
        reports.make(self.purpose, build, &self.console, make);
    }

    /// Sends the reports to Bitbucket, as the last thing of a run.
    pub(crate) fn send_reports(&self) {
        self.reports.send(&self.console);
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
        let build = &self.build;
        self.store(RunResult::early(
            self.purpose,
            build,
            exit,
            error,
            stopped_by,
        ));
    }

    fn store(&self, result: RunResult) {
        result_file::write(&self.build, result, self.json, &self.console);
    }
}
