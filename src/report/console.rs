//! The one place that prints: lines in the manner of Bitbucket's official pipes, on standard output, or on standard error where
//! a command's JSON has standard output to itself.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::secrets;

/// How often CI's log gets a line about a wait.
const WAIT_LINE_EVERY: Duration = Duration::from_secs(30);

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const RESET: &str = "\u{1b}[0m";
const CLEAR_LINE: &str = "\r\u{1b}[2K";

/// What a row means to its reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    Plain,
    Good,
    Notable,
    Bad,
}

/// A line of a table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) style: Style,
    /// How many bytes at the start have the colour of the style.
    pub(crate) styled_bytes: usize,
    pub(crate) text: String,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// The log.
pub(crate) struct Console {
    stream: Stream,
    colour: bool,
    terminal: bool,
    wait: Mutex<Wait>,
}

/// How the current wait is shown.
#[derive(Default)]
struct Wait {
    live_line: bool,
    last_line: Option<Instant>,
}

impl Console {
    /// Colours are for CI's log and for terminals, unless `NO_COLOR` is set.
    pub(crate) fn new(stream: Stream, in_ci: bool, no_color: bool) -> Self {
        let terminal = match stream {
            Stream::Stdout => io::stdout().is_terminal(),
            Stream::Stderr => io::stderr().is_terminal(),
        };
        Self {
            stream,
            colour: !no_color && (in_ci || terminal),
            terminal,
            wait: Mutex::default(),
        }
    }

    pub(crate) fn info(&self, text: &str) {
        self.print("", "", text);
    }

    pub(crate) fn success(&self, text: &str) {
        self.print(GREEN, "✔ ", text);
    }

    pub(crate) fn failure(&self, text: &str) {
        self.print(RED, "✖ ", text);
    }

    pub(crate) fn warning(&self, text: &str) {
        self.print(YELLOW, "WARNING: ", text);
    }

    /// A heading and the rows below it.
    pub(crate) fn table(&self, heading: &str, rows: &[Row]) {
        let mut text = heading.to_owned();
        for row in rows {
            let colour = match row.style {
                Style::Plain => "",
                Style::Good => GREEN,
                Style::Notable => YELLOW,
                Style::Bad => RED,
            };
            let (styled, rest) = row.text.split_at(row.styled_bytes.min(row.text.len()));
            text.extend(["\n", &self.coloured(colour, styled), rest]);
        }
        self.info(&text);
    }

    /// Prints only JSON on standard output, for another program to read. What cannot be written is an error: half a policy must
    /// not look like one.
    pub(crate) fn json(value: &Value) -> io::Result<()> {
        if stdout_was_closed() {
            return Err(io::Error::other("it is closed"));
        }
        // Rust's own handle takes an invalid descriptor for a successful write.
        let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        stdout.write_all(secrets::redact(&format!("{value:#}\n")).as_bytes())
    }

    /// Shows that a wait continues: by a live line on a terminal, elsewhere by a line now and then.
    pub(crate) fn waiting(&self, text: &str) {
        let mut wait = self.wait.lock().unwrap_or_else(PoisonError::into_inner);
        if self.terminal {
            wait.live_line = true;
            self.write(&format!("{CLEAR_LINE}{text}"));
            return;
        }
        let is_recent = |last: Instant| last.elapsed() < WAIT_LINE_EVERY;
        if !wait.last_line.is_some_and(is_recent) {
            wait.last_line = Some(Instant::now());
            self.write(&format!("{text}\n"));
        }
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        if self.colour && !colour.is_empty() {
            format!("{colour}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }

    /// A mark and a first line in colour, further lines plain and indented.
    fn print(&self, colour: &str, mark: &str, text: &str) {
        let mut wait = self.wait.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut wait.live_line) {
            self.write(CLEAR_LINE);
        }
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        let first = self.coloured(colour, &format!("{mark}{first}"));
        let mut text = format!("{first}\n");
        for line in rest.lines() {
            text.extend(["  ", line, "\n"]);
        }
        self.write(&text);
    }

    /// Errors are ignored: a publish continues even if nobody reads its output any more.
    fn write(&self, text: &str) {
        let text = secrets::redact(text);
        let mut stream: Box<dyn Write> = match self.stream {
            Stream::Stdout => Box::new(io::stdout().lock()),
            Stream::Stderr => Box::new(io::stderr().lock()),
        };
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.flush();
    }
}

/// Whether the process was started without a standard output (`>&-`).
///
/// Rust then opens `/dev/null` in its place, for reading and writing. A shell's `> /dev/null` is for writing only.
fn stdout_was_closed() -> bool {
    const READ_WRITE: u32 = 0o2;
    let is_null =
        fs::read_link("/proc/self/fd/1").is_ok_and(|path| path.as_os_str() == "/dev/null");
    let flags = fs::read_to_string("/proc/self/fdinfo/1").unwrap_or_default();
    let flags = flags.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    is_null && flags.is_some_and(|flags| flags & READ_WRITE != 0)
}
