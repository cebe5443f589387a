//! A built file of a container; `mojito_publish::fuzzing::container` has the invariants.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mojito_publish::fuzzing::container(data));
