//! What the user runs: a file for each command, and what they share.

pub(crate) mod check;
pub(crate) mod dry_run;
pub(crate) mod ending;
pub(crate) mod error;
pub(crate) mod leftovers;
mod loaded;
pub(crate) mod policy;
pub(crate) mod probe;
pub(crate) mod publish;
pub(crate) mod rollback;
mod rollback_check;
pub(crate) mod signals;
pub(crate) mod status;
