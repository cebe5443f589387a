//! Decompresses and parses what is served, which may take seconds, on other threads than the runtime's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::container::served::ServedContainer;
use crate::container::MAX_READERS;

/// How long parsing what is served may take, in milliseconds and for all containers together. The end of the uploads waits for
/// half of that at most, as two are parsed at the same time.
const MAX_PARSING: u64 = 60_000;

/// Limits how many served files are decompressed at the same time. Parsing limits its own memory.
pub(super) struct Parsers {
    permits: Arc<Semaphore>,
    /// How much of `MAX_PARSING` is used up.
    used_up: Arc<AtomicU64>,
}

impl Parsers {
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MAX_READERS)),
            used_up: Arc::default(),
        }
    }

    /// Runs `parse` on another thread. On the runtime's, all requests and time limits would wait for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        parse: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let parsed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            parse()
        });
        parsed.await.expect("a panic ends the process")
    }

    /// Parses the script, unless those before it have used up the time.
    pub(super) async fn parse(&self, served: ServedContainer) -> ServedContainer {
        let used_up = Arc::clone(&self.used_up);
        let parse = move || {
            if used_up.load(Ordering::Relaxed) >= MAX_PARSING {
                served.leave_unparsed();
            }
            let started = Instant::now();
            let _ = served.script();
            let elapsed = started.elapsed().as_millis();
            used_up.fetch_add(elapsed.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
            served
        };
        self.run(parse).await
    }
}
