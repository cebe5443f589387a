//! Mojito's `config.js`; `mojito_publish::fuzzing::config_js` has the invariants.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mojito_publish::fuzzing::config_js(data));
