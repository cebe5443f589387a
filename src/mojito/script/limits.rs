//! How much memory and time parsing may take: for one script, and for all that are parsed at the same time.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::common::byte_size::ByteSize;

/// Real containers are a few hundred kilobytes.
pub(super) const MAX_SIZE: ByteSize = ByteSize(2_000_000);
/// A script of `MAX_SIZE` takes a second.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
/// What the parser may answer. Real answers are a few kilobytes.
pub(super) const MAX_ANSWER: ByteSize = ByteSize(30_000_000);

/// Heap for a byte of a script. Real ones take 40, and dense code (`a;b;`) 150, with twice the largest table while it grows.
const HEAP_OF_BYTE: u64 = 200;
const MIN_HEAP: u64 = 32_000_000;
/// Enough for some 10,000 levels of nesting in a debug build. Real containers have tens.
const MIN_STACK: usize = 64_000_000;
/// Long chains of operators nest too: `a||b||c`.
const STACK_OF_BYTE: usize = 50;
/// A Bitbucket pipe has 1 GB, for all that it does.
const MAX_TOTAL: u64 = 800_000_000;

/// How much memory of its own a parser of a script of `size` bytes may take, its stack included.
pub(super) fn memory(size: usize) -> ByteSize {
    ByteSize(MIN_HEAP + HEAP_OF_BYTE * size as u64 + stack(size) as u64)
}

/// How much of that is stack.
pub(super) fn stack(size: usize) -> usize {
    MIN_STACK + STACK_OF_BYTE * size
}

static RESERVED: Mutex<u64> = Mutex::new(0);
static RELEASED: Condvar = Condvar::new();

/// Memory that a parser may take, so that no other may.
pub(super) struct Reservation(ByteSize);

impl Reservation {
    /// Waits until so much is free. All parsers of the process share `MAX_TOTAL`.
    pub(super) fn new(memory: ByteSize) -> Self {
        let reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |reserved: &mut u64| *reserved + memory.0 > MAX_TOTAL;
        let mut reserved = RELEASED
            .wait_while(reserved, is_full)
            .unwrap_or_else(PoisonError::into_inner);
        *reserved += memory.0;
        Self(memory)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        *RESERVED.lock().unwrap_or_else(PoisonError::into_inner) -= self.0 .0;
        RELEASED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn all_parsers_together_never_take_more_than_the_total() {
        let taken = AtomicU64::new(0);
        let largest = usize::try_from(MAX_SIZE.0).unwrap();
        thread::scope(|scope| {
            for number in 0..16 {
                let size = largest / (1 + number % 4);
                let taken = &taken;
                scope.spawn(move || {
                    for _ in 0..200 {
                        let memory = memory(size);
                        let _reservation = Reservation::new(memory);
                        let before = taken.fetch_add(memory.0, Ordering::SeqCst);
                        assert!(before + memory.0 <= MAX_TOTAL);
                        thread::yield_now();
                        taken.fetch_sub(memory.0, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn real_containers_are_parsed_at_the_same_time_and_the_largest_script_alone() {
        assert!(4 * memory(300_000).0 <= MAX_TOTAL);
        let largest = memory(usize::try_from(MAX_SIZE.0).unwrap()).0;
        assert!((MAX_TOTAL / 2 + 1..=MAX_TOTAL).contains(&largest));
    }
}
