//! What a run takes of memory and of the processor. How long it takes depends on what else the machine does, so that no
//! test is about it.

use std::thread;
use std::time::Duration;

use super::harness::{Case, Ended};
use super::peak::peak_memory_of_tree;

/// How a run ended, with what it and the processes that it started took.
pub(crate) struct Measured {
    ended: Ended,
    peak: u64,
    processor_time: Duration,
}

impl Measured {
    /// Runs, and watches how much memory it takes.
    pub(crate) fn run(case: &Case) -> Self {
        let run = case.start();
        let process = run.id();
        let watcher = thread::spawn(move || {
            let mut peak = 0;
            while let Some(memory) = peak_memory_of_tree(process) {
                peak = memory.max(peak);
                thread::sleep(Duration::from_millis(1));
            }
            peak
        });
        let (ended, processor_time) = run.end_measured();
        Self {
            ended,
            peak: watcher.join().unwrap(),
            processor_time,
        }
    }

    #[track_caller]
    pub(crate) fn within(self, memory: u64, processor_time: Duration) -> Ended {
        let Self {
            ended,
            peak,
            processor_time: took,
        } = self;
        assert!(
            peak <= memory,
            "it took {peak} bytes of memory:\n{}",
            ended.output
        );
        assert!(
            took <= processor_time,
            "it took {took:?} of a processor:\n{}",
            ended.output
        );
        ended
    }
}
