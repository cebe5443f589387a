//! `--help`, and what a mistyped argument gets.

use std::process::Command;

use crate::support::harness::BINARY;
use crate::support::settings::{names, names_of_aws};

const README: &str = include_str!("../../../README.md");

/// The exit code and the two outputs of a run without any variable.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|stream| String::from_utf8(stream).unwrap());
    (output.status.code(), stdout, stderr)
}

#[test]
fn the_help_lists_the_settings_the_exit_codes_and_the_documentation() {
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    let has_line = |start: &str| {
        let start = format!("  {start} ");
        help.lines().any(|line| line.starts_with(&start))
    };
    for name in names().into_iter().chain(names_of_aws()) {
        assert!(has_line(name), "{name} is not in:\n{help}");
    }
    let (_, exit_codes) = README.split_once("\n## Exit codes\n").unwrap();
    let rows = exit_codes.lines().skip(3);
    let codes = rows.map_while(|row| row.strip_prefix("| ")?.split_once(" |"));
    let codes: Vec<&str> = codes.map(|(code, _)| code).collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6"]);
    for code in codes {
        assert!(has_line(code), "{code} is not in:\n{help}");
    }
    let documentation = concat!("Documentation: ", env!("CARGO_PKG_REPOSITORY"));
    assert!(help.contains(documentation), "{help}");
}

#[test]
fn the_help_fits_in_80_columns_and_has_no_colour() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["publish", "--help"],
        &["check", "--help"],
        &["rollback", "--help"],
        &["policy", "--help"],
        &["settings", "--help"],
        &["status", "--help"],
    ] {
        let (code, help, _) = run(arguments);
        assert_eq!(code, Some(0));
        assert!(!help.contains('\u{1b}'), "{help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
        }
    }
    let (_, short, _) = run(&["-h"]);
    assert!(!short.contains("DISTRIBUTION_ID"), "{short}");
}

#[test]
fn a_mistyped_argument_gets_a_suggestion() {
    for (arguments, suggestion) in [
        (&["polcy"][..], "'policy'"),
        (&["chek"], "'check'"),
        (&["setings"], "'settings'"),
        (&["--prodution"], "'--production'"),
        (&["--dryrun"], "'--dry-run'"),
        (
            &["policy", "--enviroment-uuid", "x"],
            "'--environment-uuid'",
        ),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""));
        assert!(stderr.contains("similar"), "{stderr}");
        assert!(stderr.contains(suggestion), "{stderr}");
    }
}
