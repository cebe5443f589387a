//! The integration tests: the real binary against a local AWS that checks signatures and policies.

mod consistency;
mod fail;
mod harness;
mod image;
mod local_aws;
mod publish;
mod refuse;
mod result;
mod sample;
mod stop;
