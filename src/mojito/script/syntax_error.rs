//! Why a text is not a valid script, and where.

use std::ops::Range;

use oxc_diagnostics::OxcDiagnostic;
use oxc_span::Span;

use crate::common::printable::sanitize;

/// Why a text is no sound script, and where.
#[derive(Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    /// The place, in bytes.
    pub(crate) place: Range<usize>,
    pub(crate) kind: SyntaxErrorKind,
}

/// What a text is that is no sound script.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SyntaxErrorKind {
    /// A script with a fault.
    Script,
    /// Sound as a module, which pages do not load it as.
    Module,
    /// Nobody knows: it could not be checked.
    Unchecked,
}

impl SyntaxError {
    pub(super) fn from_diagnostic(error: &OxcDiagnostic) -> Self {
        let label = error.labels.first();
        let start = label.map_or(0, |label| label.offset() as usize);
        Self {
            message: sanitize(&error.message),
            place: start..start + label.map_or(0, |label| label.len() as usize),
            kind: SyntaxErrorKind::Script,
        }
    }
}

/// The bytes of a span.
pub(super) fn range(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}
