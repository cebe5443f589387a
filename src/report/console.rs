//! The one place that prints: lines in the manner of Bitbucket's official pipes, on standard output, or on standard error where
//! a command's JSON has standard output to itself.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::writer::{duplicate, Writer};
use crate::common::layout::cut;
use crate::common::printable::{sanitize_json, sanitize_lines};
use crate::common::secrets;

/// The width of a terminal that does not reveal it.
const DEFAULT_WIDTH: u16 = 80;

/// How often CI's log gets a line about a wait.
const WAIT_LINE_EVERY: Duration = Duration::from_secs(30);

/// How long a reader of standard output or of the log may read nothing at the end.
pub(crate) const READER_PATIENCE: Duration = Duration::from_secs(5);

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
    /// Nothing that may panic happens under its lock, as the panic is printed too.
    printed: Mutex<Printed>,
    writer: Writer,
}

/// What was printed, as far as it matters later.
#[derive(Default)]
struct Printed {
    /// Whether the last line is one that shows a wait on a terminal.
    live_line: bool,
    last_wait_line: Option<Instant>,
    warnings: Vec<String>,
    /// The thread that ends the process, once one does.
    ending: Option<ThreadId>,
}

impl Console {
    /// Colours are for CI's log and for terminals, unless `NO_COLOR` is set.
    pub(crate) fn new(stream: Stream, in_ci: bool, no_color: bool) -> Self {
        let (terminal, output) = match stream {
            Stream::Stdout => (io::stdout().is_terminal(), duplicate(&io::stdout())),
            Stream::Stderr => (io::stderr().is_terminal(), duplicate(&io::stderr())),
        };
        Self {
            stream,
            colour: !no_color && (in_ci || terminal),
            terminal,
            started: Instant::now(),
            printed: Mutex::default(),
            writer: Writer::start(output),
        }
    }

    /// From now on, only this thread prints, so that nothing comes after what it says of the end. False if another one does.
    pub(crate) fn reserve(&self) -> bool {
        let current = thread::current().id();
        *self.printed().ending.get_or_insert(current) == current
    }

    /// Waits until everything is written, unless nothing was read for as long as `patience`.
    pub(crate) fn drain(&self, patience: Duration) {
        self.writer.drain(patience);
    }

    pub(crate) fn info(&self, text: &str) {
        self.print("", "", &sanitize_lines(text));
    }

    pub(crate) fn success(&self, text: &str) {
        self.print(GREEN, "✔ ", &sanitize_lines(text));
    }

    pub(crate) fn failure(&self, text: &str) {
        self.print(RED, "✖ ", &sanitize_lines(text));
    }

    /// A warning. It is also in the result.
    pub(crate) fn warning(&self, text: &str) {
        self.remember_warning(text);
        self.print(YELLOW, "WARNING: ", &sanitize_lines(text));
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
        let mut text = sanitize_lines(heading).into_owned();
        for row in rows {
            let colour = match row.style {
                Style::Plain => "",
                Style::Good => GREEN,
                Style::Notable => YELLOW,
                Style::Bad => RED,
            };
            let (styled, rest) = row.text.split_at(row.styled_bytes.min(row.text.len()));
            let (styled, rest) = (sanitize_lines(styled), sanitize_lines(rest));
            text.extend(["\n", &self.coloured(colour, &styled), &rest]);
        }
        self.print("", "", &text);
    }

    /// Prints only JSON on standard output, for another program to read. What cannot be written is an error: half a policy must
    /// not look like one.
    pub(crate) fn json(value: &Value) -> io::Result<()> {
        let mut value = value.clone();
        sanitize_json(&mut value);
        write_to_stdout(&format!("{value:#}\n"))
    }

    /// Prints a command's result as JSON on standard output, while the log goes to standard error. That it cannot be written is a
    /// warning, as it changes nothing of what was done. A reader that reads nothing is waited for as long as `patience`.
    pub(crate) fn result(&self, value: &Value, patience: Duration) {
        let mut value = value.clone();
        sanitize_json(&mut value);
        let output = if stdout_was_closed() {
            Err(io::Error::other("it is closed"))
        } else {
            duplicate(&io::stdout())
        };
        let writer = Writer::start(output);
        writer.push(format!("{value:#}\n"));
        writer.drain(patience);
        if writer.is_closed() {
            self.warning("the result could not be written to standard output, as nobody reads it");
        }
    }

    /// Prints only these lines on standard output, where they are what a command is for.
    pub(crate) fn lines(lines: impl Iterator<Item = String>) -> io::Result<()> {
        let text: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
        write_to_stdout(&secrets::redact(&sanitize_lines(&text)))
    }

    /// Prints what is wrong with the arguments, in the parser's own form.
    pub(crate) fn usage_error(text: &str) {
        let _ = io::stderr().write_all(sanitize_lines(text).as_bytes());
    }

    /// Shows that a wait continues: by a live line on a terminal, elsewhere by a line now and then.
    pub(crate) fn waiting(&self, text: &str) {
        let text = sanitize_lines(text);
        if self.terminal {
            // A line as wide as the terminal would make some of them start another one.
            let text = cut(&text, self.width() - 1);
            let mut printed = self.printed();
            printed.live_line = true;
            self.write(&printed, format!("{CLEAR_LINE}{text}"));
            return;
        }
        let mut printed = self.printed();
        let is_recent = |last: Instant| last.elapsed() < WAIT_LINE_EVERY;
        if !printed.last_wait_line.is_some_and(is_recent) {
            printed.last_wait_line = Some(Instant::now());
            self.write(&printed, format!("{text}\n"));
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

    /// A mark and a first line in colour, further lines plain and indented. The text is sanitized, but for colours in it.
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
        let text = secrets::redact(text).into_owned();
        let mut printed = self.printed();
        if mem::take(&mut printed.live_line) {
            self.write(&printed, CLEAR_LINE.to_owned());
        }
        self.write(&printed, text);
    }

    /// Never waits. What nobody reads any more is lost, and the publish continues.
    fn write(&self, printed: &Printed, text: String) {
        let current = thread::current().id();
        if printed.ending.is_none_or(|ending| ending == current) {
            self.writer.push(text);
        }
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
        self.print_lines(&sanitize_lines(&String::from_utf8_lossy(line)));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_to_stdout(text: &str) -> io::Result<()> {
    if stdout_was_closed() {
        return Err(io::Error::other("it is closed"));
    }
    // Rust's own handle takes an invalid descriptor for a successful write.
    let mut stdout = duplicate(&io::stdout())?;
    stdout.write_all(text.as_bytes())
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
