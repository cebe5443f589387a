//! SIGTERM and SIGINT: the run ends within a second and says what it has done.
//!
//! A thread of its own waits for them, so that neither a compression nor a slow answer delays it. As the first process
//! of a container the program would otherwise not even be ended by them: the kernel ignores signals without a handler
//! there.

use std::io;
use std::pin::pin;
use std::process;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use futures_util::future::{select, Either};
use tokio::runtime;
use tokio::signal::unix::{signal, Signal, SignalKind};

use crate::exit::Exit;
use crate::publish::run::Run;
use crate::report::console::Console;
use crate::report::result_json;
use crate::report::summary;
use crate::settings::pipeline::Build;

/// How long saying what was done may take.
const SUMMARY_GRACE: Duration = Duration::from_millis(900);

/// Starts to wait for the signals. `run` is filled once there is something to tell.
pub(crate) fn watch(
    build: Build,
    run: Arc<OnceLock<Arc<Run>>>,
    console: Arc<Console>,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let signals = {
        let _guard = runtime.enter();
        Signals::new()?
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let name = runtime.block_on(signals.received());
            let of_timer = Arc::clone(&run);
            // Where nobody reads the output any more, printing never ends.
            thread::spawn(move || {
                thread::sleep(SUMMARY_GRACE);
                // Without a record, nothing was sent.
                let exit = of_timer.get().map_or(Exit::NotPublished, |run| {
                    run.exit.get().copied().unwrap_or(Exit::AwsError)
                });
                process::exit(exit.code().into());
            });
            let exit = if let Some(run) = run.get() {
                summary::report(run, Some(name), &console)
            } else {
                console.failure(&format!(
                    "stopped by {name}\nnothing was sent; visitors keep the old container"
                ));
                result_json::write(
                    &build,
                    &result_json::of_end("not_published", Exit::NotPublished),
                    &console,
                );
                Some(Exit::NotPublished)
            };
            // Without an exit, the run is printing its end and is left to finish.
            if let Some(exit) = exit {
                process::exit(exit.code().into());
            }
        })?;
    Ok(())
}

/// SIGTERM and SIGINT of this process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Must be called in a runtime; from then on, the signals no longer end the process by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the first, and names it.
    pub(crate) async fn received(mut self) -> &'static str {
        match select(pin!(self.terminate.recv()), pin!(self.interrupt.recv())).await {
            Either::Left(_) => "SIGTERM",
            Either::Right(_) => "SIGINT",
        }
    }
}
