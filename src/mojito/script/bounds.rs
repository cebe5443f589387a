//! The memory, the stack and the time that a script is read within, whatever it holds.
//!
//! The parser recurses, and some of its checks take time that grows with the square of what they check. A script that
//! asks for more than there is must not end the program, nor keep it.

use std::sync::mpsc::{sync_channel, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::common::byte_size::ByteSize;

/// Reading takes some 140 times a script's size, and a step of Bitbucket has 1 GB for its containers. Real ones have some hundred
/// kilobytes.
const MAX_SIZE: ByteSize = ByteSize(2_000_000);
/// Stack that a level of nesting may take in the parser and in the checks after it, measured in a debug build with a
/// fifth to spare: for a bracket, and for a byte of what nests without one (`!!!a`, `a=>b=>c`).
const STACK_OF_BRACKET: usize = 4_800;
const STACK_OF_BYTE: usize = 400;
/// The same for a group of a regular expression.
const STACK_OF_GROUP: usize = 19_000;
/// Groups and classes of one regular expression, whether or not they nest. Real ones have some tens.
pub(super) const MAX_GROUPS: usize = 1_000;
const MIN_STACK: usize = (1 << 20) + MAX_GROUPS * STACK_OF_GROUP;
/// Open brackets at one place. Real containers have some tens; the time to check absurd ones grows with the square.
pub(super) const MAX_DEPTH: usize = 10_000;
/// What `cargo fuzz` puts into every function, to see which are reached, takes stack as well.
const INSTRUMENTED: usize = if cfg!(fuzzing) { 4 } else { 1 };
/// A script of the largest size takes a second.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a text, or says why it cannot be read here.
pub(super) fn parse_within_limits<T: Send + 'static>(
    text: &str,
    read: fn(&str) -> T,
) -> Result<T, String> {
    within(text, TIMEOUT, read)
}

fn within<T: Send + 'static>(
    text: &str,
    longest: Duration,
    read: fn(&str) -> T,
) -> Result<T, String> {
    if text.len() as u64 > MAX_SIZE.0 {
        return Err(format!("it is larger than {MAX_SIZE}"));
    }
    let brackets = brackets(text);
    if brackets.open_at_once > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} brackets are open at once"));
    }
    // Only what is used of it takes memory.
    let stack = MIN_STACK + brackets.opened * STACK_OF_BRACKET + text.len() * STACK_OF_BYTE;
    // What takes too long cannot be stopped. It goes on with a text of its own until the program ends.
    let text = text.to_owned();
    let (sender, receiver) = sync_channel(1);
    let thread = thread::Builder::new()
        .name("parser".to_owned())
        .stack_size(INSTRUMENTED * stack)
        .spawn(move || sender.send(read(&text)))
        .map_err(|error| format!("there is not enough memory ({error})"))?;
    match receiver.recv_timeout(longest) {
        Ok(result) => Ok(result),
        Err(RecvTimeoutError::Timeout) => {
            Err(format!("it takes longer than {} s", longest.as_secs()))
        }
        Err(RecvTimeoutError::Disconnected) => {
            let panic = thread.join().expect_err("it ended without a result");
            std::panic::resume_unwind(panic)
        }
    }
}

/// The brackets of a text, as far as they are seen without parsing: those in strings and comments count as well.
struct Brackets {
    opened: usize,
    open_at_once: usize,
}

fn brackets(text: &str) -> Brackets {
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
    Brackets {
        opened,
        open_at_once,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_given_up() {
        let endless = |_: &str| thread::sleep(Duration::from_mins(1));
        assert_eq!(
            within("a", Duration::from_secs(1), endless).unwrap_err(),
            "it takes longer than 1 s"
        );
        assert_eq!(within("ab", TIMEOUT, str::len), Ok(2));
    }

    #[test]
    fn what_takes_too_much_memory_is_not_read() {
        let text = "a".repeat(2_000_001);
        assert_eq!(
            parse_within_limits(&text, str::len).unwrap_err(),
            "it is larger than 2,000,000 bytes"
        );
        assert_eq!(parse_within_limits(&text[1..], str::len), Ok(2_000_000));
    }
}
