//! What a terminal shows, and what becomes of a run whose log nobody reads.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use unicode_width::UnicodeWidthStr;

use crate::support::harness::{Case, BINARY};
use crate::support::local_aws::python;
use crate::support::run;
use crate::support::sample;

#[test]
fn a_wait_takes_one_line_of_a_terminal_however_narrow() {
    for columns in [20, 80, 160] {
        let case = Case::production();
        let edge = case.world.edge.clone();
        let case = case.env("PUBLIC_URL", &edge);
        case.run();
        let next = sample::minified("mojito") + "\n// the next build";
        let case = case.file("dist/assets/js/mojito.js", next);
        let terminal = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/terminal.py");
        let mut command = Command::new(python());
        command.args([terminal, &columns.to_string(), BINARY]);
        let output = command
            .env_clear()
            .envs(case.environment())
            .current_dir(case.repository())
            .output()
            .unwrap();
        let ended = case.ended(output).exits(0);
        let live: Vec<&str> = ended.output.split("\r\u{1b}[2K").skip(1).collect();
        let waits = live.iter().filter(|text| text.starts_with("waiting for"));
        let waits: Vec<&&str> = waits.collect();
        assert!(!waits.is_empty(), "{}", ended.output);
        for text in waits {
            assert!(text.width() < columns && !text.contains('\n'), "{text}");
        }
        let last = live.last().unwrap();
        assert!(!last.starts_with("waiting for"), "{last}");
    }
}

/// Publishes with this output, which must make no difference.
fn assert_published(output: OwnedFd, while_running: impl FnOnce()) {
    let case = Case::production().storing_results().env("DEBUG", "true");
    let mut child = case.command().stdout(output).spawn().unwrap();
    case.wait_for_responses("POST", "/invalidation", 1);
    while_running();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(case.keys(), ["js/mojito.js"]);
    assert_eq!(case.invalidations().len(), 1);
    assert_eq!(case.result()["exit"], "published");
}

#[test]
fn a_reader_that_stops_reading_does_not_hold_the_publish_up() {
    for nonblocking in [false, true] {
        let (output, reader) = run::full_output(nonblocking);
        assert_published(output, || {});
        drop(reader);
    }
}

#[test]
fn a_reader_that_goes_on_reading_gets_the_whole_log() {
    for nonblocking in [false, true] {
        let (output, mut reader) = run::full_output(nonblocking);
        let mut log = String::new();
        assert_published(output, || {
            reader.read_to_string(&mut log).unwrap();
        });
        let log = log.trim_start_matches('.');
        assert!(log.starts_with("mojito-publish "), "{log}");
        assert!(
            log.contains("✔ mojito is published to production; "),
            "{log}"
        );
        assert!(!log.contains("missing here"), "{log}");
    }
}

#[test]
fn a_reader_that_has_gone_changes_nothing() {
    let (output, reader) = UnixStream::pair().unwrap();
    drop(reader);
    assert_published(output.into(), || {});
}
