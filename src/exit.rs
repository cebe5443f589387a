//! How a run ends, as a number that a pipeline can act on.

use std::process::ExitCode;

use serde::Serialize;

/// The exit codes. What each means to a visitor is documented in the README.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    /// 0: published, and invalidated where asked.
    Published,
    /// 1: a fault of the program.
    InternalError,
    /// 2: settings or container refused; nothing was uploaded.
    Refused,
    /// 3: at least one `NAME.js` was not replaced.
    NotPublished,
    /// 4: published, but at least one distribution was not told.
    NotInvalidated,
    /// 5: published and invalidated, but the public URL never showed it in time.
    NotVerified,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Published => 0,
            Self::InternalError => 1,
            Self::Refused => 2,
            Self::NotPublished => 3,
            Self::NotInvalidated => 4,
            Self::NotVerified => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
