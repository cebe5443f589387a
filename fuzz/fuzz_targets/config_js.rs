//! Mojito's `config.js`: `mojito_publish::fuzzing::config_js` says what must hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mojito_publish::fuzzing::config_js(data));
