//! The one place that prints: lines in the manner of Bitbucket's official pipes, on standard output, or on standard error where
//! a command's JSON has standard output to itself.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::layout::cut;
use crate::common::secrets;

/// The width of a terminal that does not reveal it.
const DEFAULT_WIDTH: u16 = 80;

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
    started: Instant,
    printed: Mutex<Printed>,
}

/// What was printed, as far as it matters later.
#[derive(Default)]
struct Printed {
    /// Whether the last line is one that shows a wait on a terminal.
    live_line: bool,
    last_wait_line: Option<Instant>,
    warnings: Vec<String>,
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
            started: Instant::now(),
            printed: Mutex::default(),
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

    /// A warning. It is also in the result.
    pub(crate) fn warning(&self, text: &str) {
        self.remember_warning(text);
        self.print(YELLOW, "WARNING: ", text);
    }

    fn remember_warning(&self, text: &str) {
        let warnings = &mut self.printed().warnings;
        if !warnings.iter().any(|warning| warning == text) {
            warnings.push(text.to_owned());
        }
    }

    /// Warnings that are only in the result.
    pub(crate) fn remember_warnings(&self, texts: Vec<String>) {
        self.printed().warnings.extend(texts);
    }

    /// The time since the program started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The warnings so far.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.printed().warnings.clone()
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
        let mut printed = self.printed();
        if self.terminal {
            printed.live_line = true;
            // A line as wide as the terminal would make some of them start another one.
            let text = cut(&secrets::redact(text), self.width() - 1);
            self.write(&format!("{CLEAR_LINE}{text}"));
            return;
        }
        let is_recent = |last: Instant| last.elapsed() < WAIT_LINE_EVERY;
        if !printed.last_wait_line.is_some_and(is_recent) {
            printed.last_wait_line = Some(Instant::now());
            self.write(&format!("{text}\n"));
        }
    }

    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        let first = self.coloured(colour, &format!("{mark}{first}"));
        let mut text = format!("{first}\n");
        for line in rest.lines() {
            text.extend(["  ", line, "\n"]);
        }
        self.print_lines(&text);
    }

    fn print_lines(&self, text: &str) {
        let mut printed = self.printed();
        if mem::take(&mut printed.live_line) {
            self.write(CLEAR_LINE);
        }
        self.write(text);
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

    /// The width of the terminal in columns. It may change at any time.
    fn width(&self) -> usize {
        let size = match self.stream {
            Stream::Stdout => terminal_size::terminal_size_of(io::stdout()),
            Stream::Stderr => terminal_size::terminal_size_of(io::stderr()),
        };
        let width = size.map_or(DEFAULT_WIDTH, |(width, _)| width.0);
        width.max(2).into()
    }
}

/// For the debug log, a whole line at a time.
impl Write for &Console {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.print_lines(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
