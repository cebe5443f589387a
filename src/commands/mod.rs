//! What the user runs: a file for each command, and what they share.

pub(crate) mod check;
mod check_report;
mod commit_reports;
pub(crate) mod dry_run;
pub(crate) mod ending;
pub(crate) mod error;
pub(crate) mod leftovers;
mod loaded;
pub(crate) mod policy;
pub(crate) mod probe;
pub(crate) mod publish;
mod reads;
pub(crate) mod rollback;
pub(crate) mod settings;
pub(crate) mod signals;
pub(crate) mod status;
