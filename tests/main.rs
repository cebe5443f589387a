//! The integration tests: the real binary against a local AWS that checks signatures and policies.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "snapbox writes the expected output so"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "`json!` reads better without a `&` before it"
)]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod absurd;
mod check;
mod config_js;
mod consistency;
mod container;
mod credentials;
mod difference;
mod docker;
mod endless;
mod fail;
mod far_end;
mod faults;
mod gateway;
mod harness;
mod image;
mod local_aws;
mod many;
mod measured;
mod network;
mod peak;
mod policy;
mod proxy;
mod publish;
mod race;
mod refuse;
mod result;
mod sample;
mod stop;
mod unreachable;
mod walkthrough;
