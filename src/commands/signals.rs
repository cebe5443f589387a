//! SIGTERM and SIGINT: the run ends within a second and reports what it has done.
//!
//! A thread of its own waits for them, so that neither compression nor a slow response delays the end. Without handlers, the
//! kernel would even ignore them if the program is the first process of a Docker container.

use std::io;
use std::pin::pin;
use std::process;
use std::sync::mpsc::sync_channel;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::future::{select, Either};
use tokio::runtime;
use tokio::signal::unix::{signal, Signal, SignalKind};

use super::ending::Ending;

/// How long the report may take. If nobody reads the output, printing blocks forever.
const SUMMARY_GRACE: Duration = Duration::from_millis(900);

/// Starts to wait for the signals. The first one ends the process.
pub(crate) fn watch(ending: Arc<Ending>) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let signals = {
        let _guard = runtime.enter();
        Signals::new()?
    };
    let wait = move || {
        let name = runtime.block_on(signals.received());
        let (sender, receiver) = sync_channel(1);
        let reporting = Arc::clone(&ending);
        thread::spawn(move || sender.send(reporting.of_signal(name)));
        let exit = receiver.recv_timeout(SUMMARY_GRACE);
        let exit = exit.unwrap_or_else(|_| ending.unreported());
        process::exit(exit.code().into());
    };
    let thread = thread::Builder::new().name("signals".to_owned());
    thread.spawn(wait)?;
    Ok(())
}

/// SIGTERM and SIGINT of this process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Must be called in a runtime. From then on, the signals no longer end the process by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the first signal, and returns its name.
    pub(crate) async fn received(mut self) -> &'static str {
        match select(pin!(self.terminate.recv()), pin!(self.interrupt.recv())).await {
            Either::Left(_) => "SIGTERM",
            Either::Right(_) => "SIGINT",
        }
    }
}
