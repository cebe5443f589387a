//! The settings; `mojito_publish::fuzzing::settings` has the invariants.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mojito_publish::fuzzing::settings(data));
