//! How the process ends. The end of the work or a signal decides it, whichever comes first.

use std::sync::{Arc, OnceLock};

use super::error::{Error, STATE};
use crate::exit::Exit;
use crate::publish::run::Run;
use crate::report::console::Console;
use crate::report::result_file;
use crate::report::result_json::RunResult;
use crate::report::summary;
use crate::settings::pipeline::Build;

/// Reports the end and stores the result, once. A second caller waits for the first and gets its exit code.
pub(crate) struct Ending {
    build: Build,
    console: Arc<Console>,
    run: OnceLock<Arc<Run>>,
    exit: OnceLock<Exit>,
}

impl Ending {
    pub(crate) fn new(build: Build, console: Arc<Console>) -> Self {
        Self {
            build,
            console,
            run: OnceLock::new(),
            exit: OnceLock::new(),
        }
    }

    /// From now on, a signal ends this run.
    pub(crate) fn start(&self, run: Run) -> &Arc<Run> {
        self.run.get_or_init(|| Arc::new(run))
    }

    /// Ends the process with what a command returned.
    pub(crate) fn of_command(&self, result: Result<Exit, Error>) -> Exit {
        *self.exit.get_or_init(|| match result {
            Ok(exit) => exit,
            Err(error) => {
                let exit = error.exit();
                self.console.failure(&format!("{error}\n{STATE}"));
                let error = Some(error.result());
                self.store(RunResult::early(&self.build, exit, error, None));
                exit
            }
        })
    }

    /// Ends a run that has done what it could.
    pub(crate) fn of_run(&self, run: &Run) -> Exit {
        *self.exit.get_or_init(|| self.report(run, None))
    }

    /// Ends the run where it is, if it has started.
    pub(crate) fn of_signal(&self, signal: &'static str) -> Exit {
        *self.exit.get_or_init(|| {
            if let Some(run) = self.run.get() {
                return self.report(run, Some(signal));
            }
            let exit = Exit::NotPublished;
            self.console.failure(&format!(
                "stopped by {signal}: {STATE}\nnext: re-run, which is safe at any time"
            ));
            self.store(RunResult::early(&self.build, exit, None, Some(signal)));
            exit
        })
    }

    /// The exit code if reporting takes too long.
    pub(crate) fn unreported(&self) -> Exit {
        match self.run.get() {
            Some(run) => run.outcome().map_or(Exit::InternalError, |it| it.exit),
            // Nothing was sent.
            None => Exit::NotPublished,
        }
    }

    fn report(&self, run: &Run, stopped_by: Option<&'static str>) -> Exit {
        let outcome = run.end(stopped_by);
        summary::print(&run.plan, outcome, &self.console);
        self.store(RunResult::published(&run.plan, outcome));
        outcome.exit
    }

    fn store(&self, result: RunResult) {
        result_file::write(&self.build, result, &self.console);
    }
}
