//! Helpers that know nothing of Mojito, Bitbucket or AWS: sizes, bounded file reads, causes of errors, columns, log-safe text and
//! secrets.

pub(crate) mod bounded_file;
pub(crate) mod byte_size;
pub(crate) mod causes;
pub(crate) mod layout;
pub(crate) mod printable;
pub(crate) mod secrets;
#[cfg(test)]
pub(crate) mod testing;
