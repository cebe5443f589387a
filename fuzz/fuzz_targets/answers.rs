//! Responses from AWS; `mojito_publish::fuzzing::answers` has the invariants.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mojito_publish::fuzzing::answers(data));
