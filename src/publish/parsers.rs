//! Decompresses and parses what is served, which may take seconds, on other threads than the runtime's.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::container::MAX_READERS;

/// Limits how many served files are decompressed at the same time. Parsing limits its own memory.
pub(super) struct Parsers(Arc<Semaphore>);

impl Parsers {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_READERS)))
    }

    /// Runs `parse` on another thread. On the runtime's, all requests and time limits would wait for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        parse: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        let parsed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            parse()
        });
        parsed.await.expect("a panic ends the process")
    }
}
