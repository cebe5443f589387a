//! How the process ends. The end of the work, a signal or a panic decides it, whichever comes first.
//!
//! The decision comes before anything is said of it: the gate closes, so that no request starts, and the run and the exit code are
//! final. Only then is it printed and stored, which may take too long for a signal's second.

use std::process;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::error::{Error, STATE, STATE_OF_ROLLBACK};
use crate::aws::gate::Gate;
use crate::exit::Exit;
use crate::publish::run::Run;
use crate::report::console::Console;
use crate::report::result_file;
use crate::report::result_json::{ErrorResult, RunResult};
use crate::report::summary;
use crate::settings::pipeline::Build;

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
    /// Set if the command is a rollback.
    rolls_back: OnceLock<()>,
}

impl Ending {
    pub(crate) fn new(build: Build, console: Arc<Console>) -> Self {
        Self {
            build,
            console,
            gate: Gate::default(),
            run: Mutex::default(),
            exit: OnceLock::new(),
            rolls_back: OnceLock::new(),
        }
    }

    /// From now on, what is said of the state is said of a rollback.
    pub(crate) fn rolls_back(&self) {
        let _ = self.rolls_back.set(());
    }

    fn state(&self) -> &'static str {
        match self.rolls_back.get() {
            Some(()) => STATE_OF_ROLLBACK,
            None => STATE,
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
        self.end(
            || error.exit(),
            |exit| {
                self.console.failure(&format!("{error}\n{}", self.state()));
                self.store_early(exit, Some(error.result()), None);
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
                    self.state()
                ));
                self.store_early(exit, None, Some(signal));
            },
        )
    }

    /// Ends the process because of a bug.
    pub(crate) fn of_panic(&self, panic: &str) -> Exit {
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
        exit
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
        let result = RunResult::early(&self.build, exit, error, stopped_by);
        self.store(match self.rolls_back.get() {
            Some(()) => result.of_rollback(),
            None => result,
        });
    }

    fn store(&self, result: RunResult) {
        result_file::write(&self.build, result, &self.console);
    }
}
