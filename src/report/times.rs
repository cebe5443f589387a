//! Points in time as the log and the results show them, in UTC.

use std::time::SystemTime;

use aws_smithy_types::date_time::Format;
use aws_smithy_types::DateTime;

/// `2026-11-24T05:00:00Z`. `None` if the year has more than four digits.
pub(super) fn second(time: SystemTime) -> Option<String> {
    let seconds = DateTime::from(time).secs();
    DateTime::from_secs(seconds).fmt(Format::DateTime).ok()
}

/// `2026-11-24 05:00`
pub(super) fn minute(time: SystemTime) -> Option<String> {
    Some(second(time)?.get(..16)?.replace('T', " "))
}
