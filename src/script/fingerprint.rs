//! Compares code by what it does, not by how it names its variables.
//!
//! A minifier chooses the names of variables by how often each letter occurs in the whole file, so one more experiment
//! can rename the variables of all others.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use oxc_ast::AstKind;
use oxc_semantic::{Semantic, SymbolId};
use oxc_span::{GetSpan, Span};

use super::{is_global, range};

/// A script whose code can be compared.
pub(super) struct Normalizer<'a> {
    text: &'a str,
    semantic: &'a Semantic<'a>,
    /// What does not stand in the code as it is, in its order: variables and labels that are renamed, and comments.
    names: Vec<(Span, Name<'a>)>,
}

#[derive(Clone, Copy)]
enum Name<'a> {
    Symbol(SymbolId),
    Label(&'a str),
    Comment,
    /// `{a}` is written in full, as `{a: a}`.
    Key(&'a str),
}

impl<'a> Normalizer<'a> {
    pub(super) fn new(text: &'a str, semantic: &'a Semantic<'a>) -> Self {
        let scoping = semantic.scoping();
        let mut names: Vec<(Span, Name)> = Vec::new();
        let mut symbol = |span, id| {
            if !is_global(semantic, id) {
                names.push((span, Name::Symbol(id)));
            }
        };
        for node in semantic.nodes() {
            match node.kind() {
                AstKind::BindingIdentifier(id) => symbol(id.span, id.symbol_id()),
                AstKind::IdentifierReference(id) => {
                    if let Some(id_of_symbol) = scoping.get_reference(id.reference_id()).symbol_id()
                    {
                        symbol(id.span, id_of_symbol);
                    }
                }
                _ => {}
            }
        }
        for node in semantic.nodes() {
            let (key, shorthand) = match node.kind() {
                AstKind::LabelIdentifier(label) => {
                    names.push((label.span, Name::Label(label.name.as_str())));
                    continue;
                }
                AstKind::ObjectProperty(property) => (property.key.span(), property.shorthand),
                AstKind::BindingProperty(property) => (property.key.span(), property.shorthand),
                AstKind::AssignmentTargetPropertyIdentifier(property) => {
                    (property.binding.span, true)
                }
                _ => continue,
            };
            if shorthand {
                let at_start = Span::new(key.start, key.start);
                names.push((at_start, Name::Key(&text[range(key)])));
            }
        }
        let comments = semantic.comments().iter();
        names.extend(comments.map(|comment| (comment.span, Name::Comment)));
        names.sort_by_key(|(span, _)| (span.start, span.end));
        Self {
            text,
            semantic,
            names,
        }
    }

    /// What identifies the code in `span` but for the parts left out, which are in their order.
    pub(super) fn hash(&self, span: Span, left_out: &[Span]) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.normalized(span, left_out).hash(&mut hasher);
        hasher.finish()
    }

    /// The code with a number for each name that a minifier chooses.
    fn normalized(&self, span: Span, left_out: &[Span]) -> String {
        let mut code = String::with_capacity(span.size() as usize);
        let mut symbols: HashMap<SymbolId, usize> = HashMap::new();
        let mut labels: HashMap<&str, usize> = HashMap::new();
        let holes = left_out.iter().map(|hole| (*hole, None));
        let mut pieces: Vec<(Span, Option<Name>)> = self
            .names_in(span)
            .map(|(name, kind)| (name, Some(kind)))
            .chain(holes)
            .collect();
        pieces.sort_by_key(|(piece, _)| (piece.start, piece.end));
        let mut at = span.start;
        let mut after_hole = false;
        for (piece, name) in pieces {
            // It is within a hole.
            if piece.start < at {
                continue;
            }
            code.push_str(self.literally(at..piece.start, after_hole, name.is_none()));
            (at, after_hole) = (piece.end, name.is_none());
            match name {
                None | Some(Name::Comment) => {}
                Some(Name::Key(key)) => code.extend([key, ":"]),
                Some(Name::Label(label)) => {
                    let number = labels.len();
                    let number = labels.entry(label).or_insert(number);
                    let _ = write!(code, "\0label {number}\0");
                }
                Some(Name::Symbol(id)) => {
                    if let Some(declaration) = self.declared_outside(id, span) {
                        let _ = write!(code, "\0{}\0", self.skeleton(declaration));
                    } else {
                        let number = symbols.len();
                        let number = symbols.entry(id).or_insert(number);
                        let _ = write!(code, "\0{number}\0");
                    }
                }
            }
        }
        code + self.literally(at..span.end, after_hole, false)
    }

    fn names_in(&self, span: Span) -> impl Iterator<Item = (Span, Name<'a>)> + '_ {
        let first = self
            .names
            .partition_point(|(name, _)| name.start < span.start);
        let names = self.names[first..].iter().copied();
        names.take_while(move |(name, _)| name.end <= span.end)
    }

    /// The code as it stands. Where something beside it is left out, so is what separates the two.
    fn literally(&self, place: Range<u32>, after_hole: bool, before_hole: bool) -> &'a str {
        let mut text = &self.text[place.start as usize..place.end as usize];
        let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
        if after_hole {
            text = text.trim_start_matches(separates);
        }
        if before_hole {
            text = text.trim_end_matches(separates);
        }
        text
    }

    fn declared_outside(&self, id: SymbolId, span: Span) -> Option<Span> {
        let declaration = self.semantic.symbol_declaration(id).kind().span();
        let inside = span.start <= declaration.start && declaration.end <= span.end;
        (!inside).then_some(declaration)
    }

    /// Code without any name: enough to tell the helpers apart that several experiments share.
    fn skeleton(&self, span: Span) -> String {
        let mut skeleton = String::new();
        let mut at = span.start;
        for (name, _) in self.names_in(span) {
            if name.start >= at {
                skeleton.push_str(self.literally(at..name.start, false, false));
                at = name.end;
            }
        }
        skeleton + self.literally(at..span.end, false, false)
    }
}
