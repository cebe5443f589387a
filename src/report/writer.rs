//! Writes the console's texts on a thread of its own, so that a reader that stops reading never holds the work up.
//!
//! What waits to be written is limited. Beyond that, the oldest texts are dropped and counted, because the last lines say how the
//! run ended.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many bytes may wait: more than the log of any run, so that a slow reader loses nothing.
const MAX_WAITING: usize = 8_000_000;

/// The pause before another attempt where a reader has made the pipe non-blocking, as Node.js does, and it is full.
const FULL_PIPE_PAUSE: Duration = Duration::from_millis(10);

/// A queue of texts and the thread that writes them.
pub(crate) struct Writer(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    texts: VecDeque<String>,
    /// The length of all texts in bytes.
    length: usize,
    dropped_lines: usize,
    /// Whether the thread is writing a text that it has taken.
    is_writing: bool,
    /// How many bytes were written.
    written: usize,
    /// Nobody can read any more, or is waited for any more.
    is_closed: bool,
}

impl Writer {
    /// Starts the thread. Without `output`, nothing is written.
    pub(crate) fn start(output: io::Result<impl Write + Send + 'static>) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
        });
        let writing = Arc::clone(&shared);
        let thread = thread::Builder::new().name("console".to_owned());
        let started =
            output.and_then(|output| thread.spawn(move || writing.write_until_closed(output)));
        shared.queue().is_closed = started.is_err();
        Self(shared)
    }

    /// Queues a text, which is never waited for.
    pub(crate) fn push(&self, text: String) {
        let mut queue = self.0.queue();
        if queue.is_closed {
            return;
        }
        queue.length += text.len();
        queue.texts.push_back(text);
        while queue.length > MAX_WAITING && queue.texts.len() > 1 {
            let oldest = queue.texts.pop_front().unwrap_or_default();
            queue.length -= oldest.len();
            queue.dropped_lines += oldest.matches('\n').count();
        }
        self.0.changed.notify_all();
    }

    /// Whether something could not be written.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.queue().is_closed
    }

    /// Waits until everything is written. It gives up, for good, once nothing was read for as long as `patience`.
    pub(crate) fn drain(&self, patience: Duration) {
        let mut queue = self.0.queue();
        while !queue.is_done() {
            let written = queue.written;
            let is_stalled = |queue: &mut Queue| !queue.is_done() && queue.written == written;
            let waited = self
                .0
                .changed
                .wait_timeout_while(queue, patience, is_stalled);
            let timeout;
            (queue, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue.is_closed |= timeout.timed_out();
        }
    }
}

impl Queue {
    fn is_done(&self) -> bool {
        self.is_closed || !self.is_writing && self.texts.is_empty()
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_until_closed(&self, mut output: impl Write) {
        while let Some(text) = self.next() {
            let result = self.write(&mut output, text.as_bytes());
            let mut queue = self.queue();
            queue.is_writing = false;
            queue.is_closed |= result.is_err();
            self.changed.notify_all();
        }
    }

    /// Waits for the next text. `None` if none will be written.
    fn next(&self) -> Option<String> {
        let wait = self.changed.wait_while(self.queue(), |queue| {
            !queue.is_closed && queue.texts.is_empty()
        });
        let mut queue = wait.unwrap_or_else(PoisonError::into_inner);
        if queue.is_closed {
            return None;
        }
        queue.is_writing = true;
        let dropped = mem::take(&mut queue.dropped_lines);
        if dropped > 0 {
            let lines = if dropped == 1 { "line is" } else { "lines are" };
            return Some(format!(
                "({dropped} {lines} missing here, as nobody read the log)\n"
            ));
        }
        let text = queue.texts.pop_front()?;
        queue.length -= text.len();
        Some(text)
    }

    fn write(&self, output: &mut impl Write, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            match output.write(text) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => {
                    text = &text[length..];
                    self.queue().written += length;
                    self.changed.notify_all();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(FULL_PIPE_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A descriptor of its own for a standard stream, without Rust's buffer and its lock, which the process's end would wait for.
pub(crate) fn duplicate(stream: &impl std::os::fd::AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{sync_channel, Receiver, SyncSender};

    use super::*;

    /// Never gives up in a test.
    const FOREVER: Duration = Duration::from_hours(1);

    /// Takes one write for each permit, and blocks without one, as a full pipe does.
    struct Pipe {
        permits: Receiver<()>,
        read: Arc<Mutex<String>>,
    }

    impl Write for Pipe {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            if self.permits.recv().is_err() {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let text = std::str::from_utf8(text).unwrap();
            self.read.lock().unwrap().push_str(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn blocked() -> (Writer, SyncSender<()>, Arc<Mutex<String>>) {
        let (permits, receiver) = sync_channel(100);
        let read = Arc::<Mutex<String>>::default();
        let pipe = Pipe {
            permits: receiver,
            read: Arc::clone(&read),
        };
        (Writer::start(Ok(pipe)), permits, read)
    }

    /// Waits until the thread has taken a text, which it cannot write yet.
    fn wait_until_writing(writer: &Writer) {
        while !writer.0.queue().is_writing {
            thread::yield_now();
        }
    }

    #[test]
    fn all_is_written_in_order_before_the_end() {
        let (writer, permits, read) = blocked();
        let mut expected = String::new();
        for number in 0..100 {
            let text = format!("{number}\n");
            expected += &text;
            permits.send(()).unwrap();
            writer.push(text);
        }
        writer.drain(FOREVER);
        assert_eq!(*read.lock().unwrap(), expected);
    }

    #[test]
    fn who_does_not_read_is_not_waited_for() {
        let (writer, permits, read) = blocked();
        writer.push("first\n".to_owned());
        writer.drain(Duration::ZERO);
        // It has given up for good.
        writer.push("second\n".to_owned());
        writer.drain(FOREVER);
        drop(permits);
        assert_eq!(*read.lock().unwrap(), "");
    }

    #[test]
    fn who_has_gone_is_not_waited_for() {
        let (writer, permits, _) = blocked();
        writer.push("first\n".to_owned());
        drop(permits);
        writer.drain(FOREVER);
    }

    #[test]
    fn of_what_nobody_reads_the_last_lines_remain_and_the_rest_is_counted() {
        let (writer, permits, read) = blocked();
        writer.push("first\n".to_owned());
        wait_until_writing(&writer);
        let long = "x".repeat(MAX_WAITING / 2);
        for number in 0..4 {
            writer.push(format!("{number}\n{long}\n"));
        }
        writer.push("last\n".to_owned());
        assert!(writer.0.queue().length <= MAX_WAITING);
        for _ in 0..5 {
            permits.send(()).unwrap();
        }
        drop(permits);
        writer.drain(FOREVER);
        let expected =
            format!("first\n(6 lines are missing here, as nobody read the log)\n3\n{long}\nlast\n");
        let read = read.lock().unwrap();
        assert!(*read == expected, "{}", read.replace(&long, "x…"));
    }
}
