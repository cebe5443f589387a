//! The child process that parses: a text on standard input, the answer on standard output.
//!
//! It limits itself before it reads. A lack of memory and a stack overflow abort it.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::panic;
use std::process;

use rustix::process::{getppid, getrlimit, setrlimit, Resource, Rlimit};

use super::isolated::{on_stack, Content, COMMAND, PANICKED};
use super::limits::{memory, stack, TIMEOUT};

/// The arguments of the hidden command.
struct Request {
    content: Content,
    size: usize,
    parent: i32,
}

impl Request {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let arguments: Vec<OsString> = arguments.collect();
        let arguments: Option<Vec<&str>> = arguments.iter().map(|it| it.to_str()).collect();
        let [COMMAND, content, size, parent] = arguments?[..] else {
            return None;
        };
        Some(Self {
            content: Content::ALL.into_iter().find(|it| it.name() == content)?,
            size: size.parse().ok()?,
            parent: parent.parse().ok()?,
        })
    }
}

/// Ends the process with the answer of `read`, if the arguments are those of the hidden command.
pub(super) fn serve(
    arguments: impl Iterator<Item = OsString>,
    read: fn(Content, &str) -> io::Result<Vec<u8>>,
) {
    let Some(request) = Request::parse(arguments) else {
        return;
    };
    // There is no standard error.
    panic::set_hook(Box::new(|_| process::exit(PANICKED)));
    let answered = answer(&request, read);
    process::exit(answered.is_err().into());
}

fn answer(request: &Request, read: fn(Content, &str) -> io::Result<Vec<u8>>) -> io::Result<()> {
    limit(request)?;
    let mut text = String::with_capacity(request.size);
    io::stdin().lock().read_to_string(&mut text)?;
    let stack = stack(request.size);
    let answer = on_stack(stack, || read(request.content, &text))??;
    io::stdout().lock().write_all(&answer)
}

fn limit(request: &Request) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{set_parent_process_death_signal, Signal};
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // If memory runs out, this process is the one to kill.
        let _ = fs::write("/proc/self/oom_score_adj", "1000");
    }
    // If the parent died before, it is nobody's child.
    let parent = getppid().map(|it| it.as_raw_nonzero().get());
    if parent != Some(request.parent) {
        return Err(io::ErrorKind::NotFound.into());
    }
    // Of its own memory. The address space has the binary in it, which is large in a debug build.
    at_most(Resource::Data, memory(request.size).0)?;
    at_most(Resource::Cpu, TIMEOUT.as_secs())?;
    at_most(Resource::Core, 0)
}

fn at_most(resource: Resource, limit: u64) -> io::Result<()> {
    let maximum = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Some(limit.min(maximum));
    let limits = Rlimit {
        current: limit,
        maximum: limit,
    };
    Ok(setrlimit(resource, limits)?)
}
