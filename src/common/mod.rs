//! What knows nothing of Mojito, Bitbucket or AWS: sizes, files up to a limit, columns, text that a log can bear, secrets.

pub(crate) mod bounded_file;
pub(crate) mod byte_size;
pub(crate) mod layout;
pub(crate) mod printable;
pub(crate) mod secrets;
#[cfg(test)]
pub(crate) mod testing;
