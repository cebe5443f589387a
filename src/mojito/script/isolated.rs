//! Parses in a child process, which may die alone.
//!
//! The parser recurses, and its memory and time may grow far faster than its input. No program survives a stack overflow, and
//! a thread cannot be stopped. So the binary starts itself, the system limits that process, and whatever happens to it only
//! means that the script could not be checked.

use std::env;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use borsh::BorshDeserialize;
use oxc_span::Span;
use rustix::process::Signal;

use super::limits::{memory, Reservation, MAX_ANSWER, MAX_SIZE};
use super::syntax_error::{SyntaxError, SyntaxErrorKind};

/// The hidden command of the child. Its arguments are the content, its size in bytes, and the ID of this process.
pub(super) const COMMAND: &str = "parse";

/// The exit code of a child that panicked.
pub(super) const PANICKED: i32 = 101;

/// What a text is parsed as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Content {
    /// A container.
    Script,
    /// `config.js`.
    Module,
    /// Source files of experiments.
    Sources,
    /// The files `config.yml` of experiments.
    Configs,
}

impl Content {
    pub(super) const ALL: [Self; 4] = [Self::Script, Self::Module, Self::Sources, Self::Configs];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Module => "module",
            Self::Sources => "sources",
            Self::Configs => "configs",
        }
    }
}

type Answer<T> = Result<T, SyntaxError>;

/// Parses a text in a child process, as `read` does. Without an answer in time, the error is of kind `Unchecked`.
///
/// The tests of the library have no binary to start, and parse here.
pub(super) fn parse<T: BorshDeserialize + Send>(
    content: Content,
    text: &str,
    timeout: Duration,
    read: fn(&str) -> Answer<T>,
) -> Answer<T> {
    if cfg!(any(test, fuzzing)) {
        return on_stack(2_000_000_000, || read(text)).expect("unused stack takes no memory");
    }
    in_child(content, text, timeout).unwrap_or_else(|reason| {
        let kind = SyntaxErrorKind::Unchecked;
        Err(SyntaxError::new(reason, Span::empty(0), kind))
    })
}

/// Runs `work` on a stack of this size. What is unused of it takes no memory.
pub(super) fn on_stack<T: Send>(size: usize, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(size);
        let thread = thread.spawn_scoped(scope, work)?;
        Ok(thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// The child's answer, or why there is none, as a clause about the script.
fn in_child<T: BorshDeserialize + Send>(
    content: Content,
    text: &str,
    timeout: Duration,
) -> Result<Answer<T>, String> {
    let size = text.len();
    if size as u64 > MAX_SIZE.0 {
        return Err(format!("it is larger than {MAX_SIZE}"));
    }
    let _reservation = Reservation::new(memory(size));
    let not_started = |error| format!("its parser cannot be started ({error})");
    let mut child = command(content, size).spawn().map_err(not_started)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    // This thread must not end before the child, which dies with it.
    let answer = thread::scope(|scope| {
        let (sender, receiver) = sync_channel(1);
        let exchange = move || sender.send(exchange(stdin, stdout, text));
        let started = thread::Builder::new().spawn_scoped(scope, exchange);
        let answer = receiver.recv_timeout(timeout);
        if !matches!(answer, Ok(None)) {
            // It has answered or is too slow. In either case, the other thread ends.
            let _ = child.kill();
        }
        started.map(|_| answer)
    });
    let status = child.wait().map_err(not_started)?;
    match answer.map_err(not_started)? {
        Ok(Some(answer)) => answer,
        Ok(None) => Err(why_it_died(status, size, timeout)),
        Err(_) => Err(too_slow(timeout)),
    }
}

/// The same binary, with nothing but the text.
fn command(content: Content, size: usize) -> Command {
    // Also after the file was replaced.
    let own = Path::new("/proc/self/exe");
    let other = || env::current_exe().unwrap_or_default();
    let binary = if own.exists() {
        own.to_owned()
    } else {
        other()
    };
    let mut command = Command::new(binary);
    command
        .arg0(env!("CARGO_PKG_NAME"))
        .args([
            COMMAND,
            content.name(),
            &size.to_string(),
            &process::id().to_string(),
        ])
        .env_clear()
        // Ctrl+C in a terminal ends this process, which says so, and with it the child.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Sends the text and receives the answer. `None` if the child died.
fn exchange<T: BorshDeserialize>(
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    text: &str,
) -> Option<Result<Answer<T>, String>> {
    // Fails if it died.
    let _ = stdin?.write_all(text.as_bytes());
    let mut stdout = stdout?.take(MAX_ANSWER.0);
    let answer = Answer::deserialize_reader(&mut BufReader::new(&mut stdout));
    match answer {
        Ok(answer) => Some(Ok(answer)),
        Err(_) if stdout.limit() == 0 => Some(Err("it has too many experiments".to_owned())),
        Err(_) => None,
    }
}

/// A stack overflow and a lack of memory end a process by the same signal, unless it is the parser's arena that lacks memory,
/// which panics.
fn why_it_died(status: ExitStatus, size: usize, timeout: Duration) -> String {
    let signal = status.signal().and_then(Signal::from_named_raw);
    let megabytes = memory(size).0 / 1_000_000;
    match signal {
        Some(Signal::XCPU) => too_slow(timeout),
        Some(Signal::KILL) => {
            "the system killed its parser, as it does when memory runs out".to_owned()
        }
        Some(Signal::ABORT | Signal::SEGV | Signal::BUS) => format!(
            "parsing it takes more than {megabytes} MB of memory, or it is nested too deeply"
        ),
        None if status.code() == Some(PANICKED) => {
            format!("its parser failed, as it does when {megabytes} MB of memory is not enough")
        }
        _ => format!("its parser failed ({status})"),
    }
}

fn too_slow(timeout: Duration) -> String {
    format!("parsing it takes longer than {} s", timeout.as_secs())
}
