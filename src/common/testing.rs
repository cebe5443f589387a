//! Shared by the unit tests.

use proptest::prelude::ProptestConfig;

/// Runs this many cases, without a regression file: a failing case becomes a seed in `fuzz/corpus/`.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
