//! The tests that take minutes, most of which is waiting: everything that can go wrong on the way to AWS.

#![expect(
    clippy::needless_pass_by_value,
    reason = "`json!` reads better without a `&` before it"
)]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[expect(dead_code, reason = "the other test targets use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod parallel;
mod races;
mod secrets;
mod setting;
mod several_requests;
mod stops;
mod table;
mod timeouts;
