//! A built file of a container: `mojito_publish::fuzzing::container` says what must hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mojito_publish::fuzzing::container(data));
