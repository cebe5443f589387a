//! What a run reports: the log on the console, the result in files, and the reports on a commit.

mod atomic_file;
pub(crate) mod changes;
pub(crate) mod check_json;
pub(crate) mod code_insights;
pub(crate) mod console;
mod denied;
mod markdown;
mod notes;
mod output_variables;
pub(crate) mod progress;
pub(crate) mod result_file;
pub(crate) mod result_json;
pub(crate) mod rollback;
mod shared_variables;
pub(crate) mod status;
pub(crate) mod status_json;
mod status_verdicts;
pub(crate) mod summary;
pub(crate) mod tables;
mod times;
pub(crate) mod words;
mod writer;
