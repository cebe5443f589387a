//! The integration tests: the real binary against a local AWS that checks signatures and policies. The files are named
//! after the folders of `src/` that they test.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "snapbox writes the expected output so"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "`json!` reads better without a `&` before it"
)]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[expect(dead_code, reason = "the other test targets use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod mojito {
    mod config_js;
    mod experiments;
    mod script;
}
mod settings {
    mod environment;
    mod every_setting;
    mod refusals;
}
mod container {
    mod changes;
    mod consequences;
}
mod aws {
    mod connections;
    mod credentials;
    mod kms;
    mod oidc;
    mod oversized_responses;
}
mod bitbucket {
    mod client;
    mod proxy;
}
mod publish {
    mod confirmation;
    mod failures;
    mod many_containers;
    mod metadata;
    mod only_newer;
    mod run;
    mod variants;
    mod verify;
    mod versions;
}
mod report {
    mod code_insights;
    mod console;
    mod markdown;
    mod output_variables;
    mod pull_request;
    mod result_json;
    mod rollback;
    mod untrusted_text;
}
mod commands {
    mod check;
    mod command;
    mod help;
    mod json;
    mod policy;
    pub(crate) mod rollback;
    mod settings;
    mod signals;
    mod status;
}
mod consistency;
mod direction;
mod garbage;
mod limits;
mod readme_setup;
