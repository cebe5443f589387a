//! What a terminal shows.

use std::process::Command;

use unicode_width::UnicodeWidthStr;

use crate::support::harness::{Case, BINARY};
use crate::support::local_aws::python;
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
