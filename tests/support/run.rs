//! A run that is under way: what it prints is read as it comes, and it can be stopped.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wait4::Wait4 as _;

use super::harness::{Case, Ended};

/// The binary, under way.
pub(crate) struct Run<'a> {
    case: &'a Case,
    child: Child,
    printed: Arc<Printed>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Printed {
    text: Mutex<Streams>,
    changed: Condvar,
}

#[derive(Default)]
struct Streams {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Of the two.
    ended: usize,
}

impl<'a> Run<'a> {
    pub(crate) fn start(case: &'a Case, mut command: Command) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("it is a pipe");
        let stderr = child.stderr.take().expect("it is a pipe");
        let printed = Arc::<Printed>::default();
        let readers = vec![
            read(stdout, &printed, |streams| &mut streams.stdout),
            read(stderr, &printed, |streams| &mut streams.stderr),
        ];
        Self {
            case,
            child,
            printed,
            readers,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until this was printed.
    #[track_caller]
    pub(crate) fn wait_for(&self, expected: &str) {
        self.wait_for_times(expected, 1);
    }

    /// Waits until this was printed so many times.
    #[track_caller]
    pub(crate) fn wait_for_times(&self, expected: &str, times: usize) {
        let mut streams = self.printed.text.lock().unwrap();
        loop {
            let text = String::from_utf8_lossy(&streams.stdout);
            if text.matches(expected).count() >= times {
                return;
            }
            assert!(
                streams.ended < 2,
                "`{expected}` was not printed:\n{text}{}",
                String::from_utf8_lossy(&streams.stderr)
            );
            streams = self.printed.changed.wait(streams).unwrap();
        }
    }

    /// Whether it has ended, and with it its output.
    pub(crate) fn has_ended(&self) -> bool {
        self.printed.text.lock().unwrap().ended == 2
    }

    /// Waits until it has nothing to do but to wait, so that what it has received is done with.
    pub(crate) fn wait_until_idle(&self) {
        wait_until_idle(self.id());
    }

    /// Sends it a signal, such as `-TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        send(&self.child, signal);
    }

    /// Waits until it ends.
    #[track_caller]
    pub(crate) fn end(self) -> Ended {
        self.end_measured().0
    }

    /// The same, and says how much time of the processor it took.
    #[track_caller]
    pub(crate) fn end_measured(self) -> (Ended, Duration) {
        // Before it is waited for, as its output may be more than a pipe holds.
        for reader in self.readers {
            reader.join().unwrap();
        }
        let ended = self.child.wait4().unwrap();
        let mut streams = self.printed.text.lock().unwrap();
        let output = Output {
            status: ended.status,
            stdout: std::mem::take(&mut streams.stdout),
            stderr: std::mem::take(&mut streams.stderr),
        };
        let processor_time = ended.rusage.utime + ended.rusage.stime;
        (self.case.ended(output), processor_time)
    }
}

/// Waits until the main thread of a process, on which all but parsing runs, waits itself.
pub(crate) fn wait_until_idle(process: u32) {
    let is_sleeping = || {
        let stat = fs::read_to_string(format!("/proc/{process}/task/{process}/stat")).unwrap();
        // Its name, which is in parentheses, may have any character in it.
        stat.rsplit_once(") ").unwrap().1.starts_with('S')
    };
    while !is_sleeping() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends a signal to a process.
pub(crate) fn send(child: &Child, signal: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status();
    assert!(sent.unwrap().success());
}

/// An output that takes nothing more, and its other end, which nobody reads. It may say so in place of blocking.
pub(crate) fn full_output(is_nonblocking: bool) -> (OwnedFd, UnixStream) {
    let (mut output, reader) = UnixStream::pair().unwrap();
    output.set_nonblocking(true).unwrap();
    loop {
        match output.write(b".") {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    output.set_nonblocking(is_nonblocking).unwrap();
    (output.into(), reader)
}

fn read(
    mut stream: impl Read + Send + 'static,
    printed: &Arc<Printed>,
    of: fn(&mut Streams) -> &mut Vec<u8>,
) -> JoinHandle<()> {
    let printed = Arc::clone(printed);
    thread::spawn(move || {
        let mut part = [0; 16 * 1024];
        loop {
            let length = stream.read(&mut part).unwrap_or_default();
            let mut streams = printed.text.lock().unwrap();
            of(&mut streams).extend(&part[..length]);
            streams.ended += usize::from(length == 0);
            printed.changed.notify_all();
            if length == 0 {
                break;
            }
        }
    })
}
