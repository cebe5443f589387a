//! The settings: `mojito_publish::fuzzing::settings` says what must hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mojito_publish::fuzzing::settings(data));
