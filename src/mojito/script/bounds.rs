//! Limits the memory, stack and time that parsing takes, for any input.
//!
//! The parser recurses, and some of its checks take quadratic time. No script may crash or hang the program.

use std::sync::mpsc::{sync_channel, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use oxc_span::Span;

use super::syntax_error::{SyntaxError, SyntaxErrorKind};
use crate::common::byte_size::ByteSize;

/// Parsing takes some 140 times the script's size, and a Bitbucket step has 1 GB for its containers. Real containers are a
/// few hundred kilobytes.
const MAX_SIZE: ByteSize = ByteSize(2_000_000);
/// Stack for a level of nesting in the parser and its checks: for a bracket, and for a byte of what nests without brackets
/// (`!!!a`, `a=>b=>c`). Measured in a debug build, plus a fifth.
const STACK_OF_BRACKET: usize = 4_800;
const STACK_OF_BYTE: usize = 400;
/// The same for a group of a regular expression.
const STACK_OF_GROUP: usize = 19_000;
/// The most groups and classes of one regular expression, nested or not. Real ones have some tens.
pub(super) const MAX_GROUPS: usize = 1_000;
const MIN_STACK: usize = (1 << 20) + MAX_GROUPS * STACK_OF_GROUP;
/// The most brackets open at once. Real containers have some tens. Checking takes quadratic time beyond that.
pub(super) const MAX_DEPTH: usize = 10_000;
/// The coverage instrumentation of `cargo fuzz` takes stack in every function.
const INSTRUMENTATION_FACTOR: usize = if cfg!(fuzzing) { 4 } else { 1 };
/// A script of `MAX_SIZE` takes a second.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Parses a text with `read` on a thread with a large enough stack. Exceeding a limit is an error of kind `Unchecked`.
pub(super) fn parse_within_limits<T: Send + 'static>(
    text: &str,
    read: fn(&str) -> Result<T, SyntaxError>,
) -> Result<T, SyntaxError> {
    parse_with_timeout(text, TIMEOUT, read).unwrap_or_else(|message| {
        let kind = SyntaxErrorKind::Unchecked;
        Err(SyntaxError::new(message, Span::empty(0), kind))
    })
}

/// Parses a text, or says which limit it exceeds.
fn parse_with_timeout<T: Send + 'static>(
    text: &str,
    timeout: Duration,
    read: fn(&str) -> T,
) -> Result<T, String> {
    if text.len() as u64 > MAX_SIZE.0 {
        return Err(format!("it is larger than {MAX_SIZE}"));
    }
    let (opened, open_at_once) = brackets(text);
    if open_at_once > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} brackets are open at once"));
    }
    // Unused stack takes no memory.
    let stack = MIN_STACK + opened * STACK_OF_BRACKET + text.len() * STACK_OF_BYTE;
    // A thread cannot be stopped. One that takes too long keeps running until the program ends, so it owns its text.
    let text = text.to_owned();
    let (sender, receiver) = sync_channel(1);
    let thread = thread::Builder::new()
        .name("parser".to_owned())
        .stack_size(INSTRUMENTATION_FACTOR * stack)
        .spawn(move || sender.send(read(&text)))
        .map_err(|error| format!("there is not enough memory ({error})"))?;
    match receiver.recv_timeout(timeout) {
        Ok(result) => Ok(result),
        Err(RecvTimeoutError::Timeout) => {
            Err(format!("it takes longer than {} s", timeout.as_secs()))
        }
        Err(RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().expect_err("it ended without a result"))
        }
    }
}

/// How many brackets are opened in all and at once, counted without parsing, so including those in strings and comments.
fn brackets(text: &str) -> (usize, usize) {
    let (mut opened, mut open, mut open_at_once) = (0, 0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                opened += 1;
                open += 1;
                open_at_once = open_at_once.max(open);
            }
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    (opened, open_at_once)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_that_takes_too_long_is_abandoned() {
        let endless = |_: &str| thread::sleep(Duration::from_mins(1));
        let ended = parse_with_timeout("a", Duration::from_secs(1), endless);
        assert_eq!(ended.unwrap_err(), "it takes longer than 1 s");
        assert_eq!(parse_with_timeout("ab", TIMEOUT, str::len), Ok(2));
    }

    #[test]
    fn a_script_that_is_too_large_is_not_parsed() {
        let text = "a".repeat(2_000_001);
        let too_large = Err("it is larger than 2,000,000 bytes".to_owned());
        assert_eq!(parse_with_timeout(&text, TIMEOUT, str::len), too_large);
        let size = parse_with_timeout(&text[1..], TIMEOUT, str::len);
        assert_eq!(size, Ok(2_000_000));
    }
}
