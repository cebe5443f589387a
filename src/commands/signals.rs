//! SIGTERM, SIGINT, SIGHUP and SIGQUIT: the run ends within a second and reports what it has done.
//!
//! A thread of its own waits for them, so that neither compression nor a slow response delays the end. Without handlers, the
//! kernel would even ignore them if the program is the first process of a Docker container.

use std::fs;
use std::io;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::runtime;
use tokio::signal::unix::{signal, Signal, SignalKind};

use super::ending::Ending;

/// How long the end may take: to store the result, and to have the log read.
const GRACE: Duration = Duration::from_millis(900);

/// Starts to wait for the signals. The first one ends the process.
pub(crate) fn watch(ending: Arc<Ending>) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let signals = {
        let _guard = runtime.enter();
        Signals::new()?
    };
    let wait = move || {
        let name = runtime.block_on(signals.received());
        let reporting = Arc::clone(&ending);
        thread::spawn(move || {
            let exit = reporting.of_signal(name);
            reporting.quit(exit);
        });
        thread::sleep(GRACE);
        process::exit(ending.unreported().code().into());
    };
    let thread = thread::Builder::new().name("signals".to_owned());
    thread.spawn(wait)?;
    Ok(())
}

/// The signals that end this process.
pub(crate) struct Signals(Vec<(&'static str, Signal)>);

impl Signals {
    /// Must be called in a runtime. From then on, the signals no longer end the process by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        let mut kinds = vec![
            ("SIGTERM", SignalKind::terminate()),
            ("SIGINT", SignalKind::interrupt()),
            ("SIGQUIT", SignalKind::quit()),
        ];
        if !hangups_are_ignored() {
            kinds.push(("SIGHUP", SignalKind::hangup()));
        }
        let kinds = kinds.into_iter();
        let signals = kinds.map(|(name, kind)| Ok((name, signal(kind)?)));
        signals.collect::<io::Result<_>>().map(Self)
    }

    /// Waits for the first signal, and returns its name.
    pub(crate) async fn received(mut self) -> &'static str {
        let signals = self.0.iter_mut();
        let received = signals.map(|(name, signal)| {
            Box::pin(async move {
                signal.recv().await;
                *name
            })
        });
        select_all(received).await.0
    }
}

/// Whether the process was started with `nohup`, and is to survive its terminal.
fn hangups_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 << (SignalKind::hangup().as_raw_value() - 1) != 0)
}
