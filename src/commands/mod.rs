//! What the user runs: one command a file, and how a run ends.

pub(crate) mod check;
pub(crate) mod error;
pub(crate) mod policy;
pub(crate) mod probe;
pub(crate) mod signals;
