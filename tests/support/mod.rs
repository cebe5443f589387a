//! What the tests stand on: a local AWS, sample containers, the binary run as a case, and what stands between the two.

pub(crate) mod bitbucket;
pub(crate) mod cargo;
pub(crate) mod docker;
pub(crate) mod gate;
pub(crate) mod gateway;
pub(crate) mod harness;
pub(crate) mod local_aws;
pub(crate) mod measured;
pub(crate) mod peak;
pub(crate) mod proxy;
pub(crate) mod pull_request;
pub(crate) mod run;
pub(crate) mod sample;
pub(crate) mod settings;
pub(crate) mod tls_server;
pub(crate) mod unreachable;
