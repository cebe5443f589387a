//! `mojito-publish settings`: every setting with its value, which is never a secret, and where that comes from.
//!
//! It sends nothing, and needs neither credentials nor a network.

use std::collections::BTreeMap;

use super::error::Error;
use super::loaded;
use crate::exit::Exit;
use crate::report::console::Console;
use crate::settings::effective::{effective, Effective};
use crate::settings::raw::Raw;
use crate::settings::Flags;

/// Prints the settings, a line each or with `--json` as an object by name. If some are invalid, the others are printed all the
/// same, unless that takes the invalid ones.
pub(crate) async fn settings(flags: Flags, raw: &Raw, console: &Console) -> Exit {
    let json = flags.json;
    let (settings, problems) = loaded::inspect(flags, raw, console).await;
    let rows = settings.map(|settings| effective(&settings, raw));
    let is_valid = |row: &Effective| !problems.iter().any(|problem| problem.is_of(row.name()));
    let rows: Vec<Effective> = rows.into_iter().flatten().filter(is_valid).collect();
    let printed = if json {
        let by_name: BTreeMap<&str, &Effective> =
            rows.iter().map(|row| (row.name(), row)).collect();
        let by_name = serde_json::to_value(by_name).expect("it has only text and lists");
        Console::json(&by_name)
    } else {
        Console::lines(rows.iter().map(ToString::to_string))
    };
    if let Err(error) = printed {
        return Error::Output(error).report(console);
    }
    if problems.is_empty() {
        Exit::Published
    } else {
        Error::Settings(problems).report(console)
    }
}
