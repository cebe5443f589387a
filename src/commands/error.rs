//! Why a command ends before it changes anything, with its exit code.

use std::fmt::Write as _;

use thiserror::Error;

use crate::aws::credentials::ConnectError;
use crate::container::InvalidFile;
use crate::exit::Exit;
use crate::report::console::Console;
use crate::report::result_json::ErrorResult;
use crate::report::rollback::NotRolledBack;
use crate::settings::problems::InvalidSetting;

/// Why a command ends before its first upload.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{}", list("settings are missing or invalid", .0))]
    Settings(Vec<InvalidSetting>),
    #[error("{}", list("files cannot be published", .0))]
    Container(Vec<InvalidFile>),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{}", list("containers cannot be rolled back", .0))]
    NotRolledBack(Vec<NotRolledBack>),
    #[error("the output could not be written to standard output: {0}\nwhat to do: do not use what was written, and print it again")]
    Output(std::io::Error),
    #[error("the program cannot start: {0}")]
    Start(std::io::Error),
}

impl Error {
    /// For the result.
    pub(crate) fn result(&self) -> ErrorResult<'_> {
        match self {
            Self::Settings(_) => ErrorResult::new("invalid_settings", self.to_string()),
            Self::Container(_) => ErrorResult::new("invalid_files", self.to_string()),
            Self::Connect(error) => ErrorResult::of_connect(error),
            Self::NotRolledBack(problems) => ErrorResult::not_rolled_back(problems),
            Self::Output(_) => ErrorResult::new("cannot_write", self.to_string()),
            Self::Start(_) => ErrorResult::new("cannot_start", self.to_string()),
        }
    }

    /// Ends a command that publishes nothing, so that what visitors get is not its matter.
    pub(crate) fn report(&self, console: &Console) -> Exit {
        console.failure(&self.to_string());
        self.exit()
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Settings(_) | Self::Container(_) => Exit::Refused,
            Self::NotRolledBack(problems) if problems.iter().all(|it| it.is_refused) => {
                Exit::Refused
            }
            Self::Connect(_) | Self::NotRolledBack(_) => Exit::NotPublished,
            Self::Output(_) | Self::Start(_) => Exit::InternalError,
        }
    }
}

/// How many items a list has.
const MAX_ITEMS: usize = 30;

/// One item alone; several with their count, each on a line of its own, with what belongs to it below.
fn list<T: ToString>(plural: &str, items: &[T]) -> String {
    if let [item] = items {
        return item.to_string();
    }
    let mut text = format!("{} {plural}:", items.len());
    for item in items.iter().take(MAX_ITEMS) {
        let _ = write!(text, "\n  {}", item.to_string().replace('\n', "\n    "));
    }
    if items.len() > MAX_ITEMS {
        let _ = write!(text, "\n  and {} more", items.len() - MAX_ITEMS);
    }
    text
}
