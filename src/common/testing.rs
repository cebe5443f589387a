//! What the unit tests have in common.

use proptest::prelude::ProptestConfig;

/// So many cases, without a file of those that failed: one that fails becomes a seed in `fuzz/corpus/`.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
