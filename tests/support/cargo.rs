//! Cargo, run by a program that cargo itself runs.

use std::env;
use std::ffi::OsStr;
use std::process::Command;

/// What cargo sets for the program that it runs. Build scripts of dependencies watch some of these, so that a cargo which
/// inherits them compiles those dependencies again, and so does the next one which does not.
const SET_BY_CARGO: [&str; 5] = [
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_",
];

/// A command that cargo is run by, in the environment that the user gave to the outer one.
pub(crate) fn cargo(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let is_set_by_cargo = |prefix| name.to_string_lossy().starts_with(prefix);
        if SET_BY_CARGO.into_iter().any(is_set_by_cargo) {
            command.env_remove(&name);
        }
    }
    command
}
