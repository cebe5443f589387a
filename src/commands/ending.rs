//! How the process ends: decided once, by whichever comes first, the end of the work or a signal.

use std::sync::{Arc, OnceLock};

use super::error::{Error, STATE};
use crate::exit::Exit;
use crate::publish::run::Run;
use crate::report::console::Console;
use crate::report::result_file;
use crate::report::result_json::RunResult;
use crate::report::summary;
use crate::settings::pipeline::Build;

/// Reports the end and stores the result, once. Whoever comes second waits for the first.
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

    /// From now on, the end is that of a run.
    pub(crate) fn start(&self, run: Run) -> &Arc<Run> {
        self.run.get_or_init(|| Arc::new(run))
    }

    /// Ends with what a command returned.
    pub(crate) fn of_command(&self, result: Result<Exit, Error>) -> Exit {
        *self.exit.get_or_init(|| match result {
            Ok(exit) => exit,
            Err(error) => {
                let exit = error.exit();
                self.console.failure(&format!("{error}\n{STATE}"));
                self.store(&RunResult::early(
                    &self.build,
                    exit,
                    Some(error.to_string()),
                ));
                exit
            }
        })
    }

    /// Ends a run that has done what it could.
    pub(crate) fn of_run(&self, run: &Run) -> Exit {
        *self.exit.get_or_init(|| self.report(run, None))
    }

    /// Ends the run, if there is one, where it is.
    pub(crate) fn of_signal(&self, signal: &'static str) -> Exit {
        *self.exit.get_or_init(|| {
            if let Some(run) = self.run.get() {
                return self.report(run, Some(signal));
            }
            let exit = Exit::NotPublished;
            self.console
                .failure(&format!("stopped by {signal}\n{STATE}"));
            self.store(&RunResult::stopped_early(&self.build, exit, signal));
            exit
        })
    }

    /// The exit where the report is not finished in time.
    pub(crate) fn unreported(&self) -> Exit {
        // Without a run, nothing was sent.
        let exit = |run: &Arc<Run>| run.outcome().map_or(Exit::InternalError, |it| it.exit);
        self.run.get().map_or(Exit::NotPublished, exit)
    }

    fn report(&self, run: &Run, stopped_by: Option<&'static str>) -> Exit {
        let outcome = run.end(stopped_by);
        summary::print(&run.plan, outcome, &self.console);
        self.store(&RunResult::published(&run.plan, outcome));
        outcome.exit
    }

    fn store(&self, result: &RunResult) {
        result_file::write(&self.build, result, &self.console);
    }
}
