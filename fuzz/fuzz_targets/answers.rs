//! What AWS answers: `mojito_publish::fuzzing::answers` says what must hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mojito_publish::fuzzing::answers(data));
