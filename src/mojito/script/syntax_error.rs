//! A syntax error: why a text is not a valid script, and where.

use std::ops::Range;

use borsh::{BorshDeserialize, BorshSerialize};
use oxc_diagnostics::OxcDiagnostic;
use oxc_span::Span;

use crate::common::printable::sanitize;

/// Why a text is not a valid script, and where.
#[derive(BorshDeserialize, BorshSerialize, Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    /// The byte range of the error.
    pub(crate) place: Range<usize>,
    pub(crate) kind: SyntaxErrorKind,
}

/// What is wrong with a text that is not a valid script.
#[derive(BorshDeserialize, BorshSerialize, Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SyntaxErrorKind {
    /// It has a syntax error.
    Script,
    /// It is a valid module, but pages load it as a script.
    Module,
    /// It exceeds a limit, so it could not be checked.
    Unchecked,
}

impl SyntaxError {
    pub(super) fn new(message: String, span: Span, kind: SyntaxErrorKind) -> Self {
        let place = range(span);
        Self {
            message,
            place,
            kind,
        }
    }

    /// The line that it is on. `None` if that is not known.
    pub(crate) fn line<'a>(&self, text: &'a str) -> Option<&'a str> {
        if self.kind == SyntaxErrorKind::Unchecked {
            return None;
        }
        let before = &text[..text.floor_char_boundary(self.place.start)];
        text[before.rfind('\n').map_or(0, |at| at + 1)..]
            .lines()
            .next()
    }

    pub(super) fn from_diagnostic(error: &OxcDiagnostic) -> Self {
        let label = error.labels.first();
        let span = label.map(|label| Span::sized(label.offset(), label.len()));
        let span = span.unwrap_or_default();
        Self::new(sanitize(&error.message), span, SyntaxErrorKind::Script)
    }
}

/// The bytes of a span.
pub(super) fn range(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}
