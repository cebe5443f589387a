//! What a run takes of memory and time.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use super::harness::{Case, Ended};
use super::peak::peak_memory;

/// How a run ended, with what it took.
pub(crate) struct Measured {
    ended: Ended,
    peak: u64,
    took: Duration,
}

impl Measured {
    /// Runs, and watches how much memory it takes.
    pub(crate) fn run(case: &Case) -> Self {
        let started = Instant::now();
        let mut child = case.start();
        let process = child.id();
        let mut stdout = child.stdout.take().expect("it is a pipe");
        // A pipe that is full would make it wait.
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            stdout.read_to_end(&mut text).unwrap();
            text
        });
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            peak = peak_memory(process).unwrap_or(0).max(peak);
            thread::sleep(Duration::from_millis(1));
        }
        let took = started.elapsed();
        let mut output = child.wait_with_output().unwrap();
        output.stdout = reader.join().unwrap();
        Self {
            ended: case.ended(output),
            peak,
            took,
        }
    }

    #[track_caller]
    pub(crate) fn within(self, memory: u64, time: Duration) -> Ended {
        let Self { ended, peak, took } = self;
        assert!(
            peak <= memory,
            "it took {peak} bytes of memory:\n{}",
            ended.output
        );
        assert!(took <= time, "it took {took:?}:\n{}", ended.output);
        ended
    }
}
