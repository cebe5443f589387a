//! What the user runs. Each file is one command's story; what all of them start from is here.

pub(crate) mod check;
pub(crate) mod dry_run;
pub(crate) mod ending;
pub(crate) mod error;
pub(crate) mod loaded;
pub(crate) mod policy;
pub(crate) mod probe;
pub(crate) mod publish;
pub(crate) mod signals;
