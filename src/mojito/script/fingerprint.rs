//! Compares code by what it does, not by how it names its variables.
//!
//! A minifier chooses the names of variables by how often each letter occurs in the whole file, so one more experiment
//! can rename the variables of all others.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use oxc_ast::AstKind;
use oxc_semantic::{Semantic, SymbolId};
use oxc_span::{GetSpan, Span};

use super::syntax_error::range;

/// A script whose code can be compared.
pub(super) struct Normalizer<'a> {
    text: &'a str,
    semantic: &'a Semantic<'a>,
    /// What does not stand in the code as it is, in its order: variables and labels that are renamed, and comments.
    names: Vec<(Span, Name<'a>)>,
    /// The experiments and what the build wrote, in their order.
    left_out: Vec<Span>,
    /// What stands for a variable that is declared elsewhere.
    outside: RefCell<HashMap<SymbolId, u64>>,
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
    pub(super) fn new(text: &'a str, semantic: &'a Semantic<'a>, mut left_out: Vec<Span>) -> Self {
        left_out.sort_by_key(|hole| (hole.start, hole.end));
        let scoping = semantic.scoping();
        let symbol = |span, id| (!is_global(semantic, id)).then_some((span, Name::Symbol(id)));
        let key = |span: Span| {
            let at_start = Span::new(span.start, span.start);
            Some((at_start, Name::Key(&text[range(span)])))
        };
        let nodes = semantic.nodes().iter();
        let mut names: Vec<(Span, Name)> = nodes
            .filter_map(|node| match node.kind() {
                AstKind::BindingIdentifier(id) => symbol(id.span, id.symbol_id()),
                AstKind::IdentifierReference(id) => {
                    let reference = scoping.get_reference(id.reference_id());
                    symbol(id.span, reference.symbol_id()?)
                }
                AstKind::LabelIdentifier(label) => {
                    Some((label.span, Name::Label(label.name.as_str())))
                }
                AstKind::ObjectProperty(it) if it.shorthand => key(it.key.span()),
                AstKind::BindingProperty(it) if it.shorthand => key(it.key.span()),
                AstKind::AssignmentTargetPropertyIdentifier(it) => key(it.binding.span),
                _ => None,
            })
            .collect();
        let comments = semantic.comments().iter();
        names.extend(comments.map(|comment| (comment.span, Name::Comment)));
        names.sort_by_key(|(span, _)| (span.start, span.end));
        Self {
            text,
            semantic,
            names,
            left_out,
            outside: RefCell::default(),
        }
    }

    /// What identifies the code in `span`.
    pub(super) fn hash(&self, span: Span) -> u64 {
        hash(&self.normalized(span, &[]))
    }

    /// What identifies the code in `span` but for what is left out.
    pub(super) fn hash_of_rest(&self, span: Span) -> u64 {
        hash(&self.normalized(span, &self.left_out))
    }

    /// The code with a number for each name that a minifier chooses.
    fn normalized(&self, span: Span, left_out: &[Span]) -> String {
        let mut code = String::with_capacity(span.size() as usize);
        let mut symbols: HashMap<SymbolId, usize> = HashMap::new();
        let mut labels: HashMap<&str, usize> = HashMap::new();
        self.pieces(span, left_out, |text, name| {
            code.push_str(text);
            // Whatever is written for a name is told from text by its zero bytes.
            let _ = match name {
                Some(Name::Key(key)) => write!(code, "{key}:"),
                Some(Name::Label(label)) => {
                    let number = labels.len();
                    let number = labels.entry(label).or_insert(number);
                    write!(code, "\0label {number}\0")
                }
                Some(Name::Symbol(id)) if self.is_declared_outside(id, span) => {
                    write!(code, "\0outside {:x}\0", self.of_outside(id))
                }
                Some(Name::Symbol(id)) => {
                    let number = symbols.len();
                    let number = symbols.entry(id).or_insert(number);
                    write!(code, "\0{number}\0")
                }
                Some(Name::Comment) | None => Ok(()),
            };
        });
        code
    }

    /// Goes through the code in `span`: each piece of it that stands as it is, with the name that comes after it.
    fn pieces(&self, span: Span, left_out: &[Span], mut piece: impl FnMut(&str, Option<Name<'a>>)) {
        let first = left_out.partition_point(|hole| hole.start < span.start);
        let holes = left_out[first..].iter().map(|hole| (*hole, None));
        let holes = holes.take_while(|(hole, _)| hole.start < span.end);
        let names = self.names_in(span).map(|(name, kind)| (name, Some(kind)));
        let mut marks: Vec<(Span, Option<Name>)> = names
            .chain(holes.filter(|(hole, _)| span.contains_inclusive(*hole)))
            .collect();
        marks.sort_by_key(|(mark, _)| (mark.start, mark.end));
        let mut at = span.start;
        let mut after_hole = false;
        for (mark, name) in marks {
            // It is within a hole.
            if mark.start < at {
                continue;
            }
            let text = self.literally(at..mark.start, after_hole, name.is_none());
            (at, after_hole) = (mark.end, name.is_none());
            piece(text, name);
        }
        piece(self.literally(at..span.end, after_hole, false), None);
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

    fn is_declared_outside(&self, id: SymbolId, span: Span) -> bool {
        !span.contains_inclusive(self.semantic.symbol_declaration(id).kind().span())
    }

    /// What stands for a variable that is declared outside: its declaration without names, and, as several may look alike,
    /// which of those it is.
    fn of_outside(&self, id: SymbolId) -> u64 {
        if let Some(known) = self.outside.borrow().get(&id) {
            return *known;
        }
        let scoping = self.semantic.scoping();
        let bindings = scoping.get_bindings(scoping.symbol_scope_id(id));
        let mut siblings: Vec<SymbolId> = bindings.values().copied().collect();
        siblings.sort_by_key(|sibling| scoping.symbol_span(*sibling).start);
        let mut alike: HashMap<u64, usize> = HashMap::new();
        let mut outside = self.outside.borrow_mut();
        for sibling in siblings {
            let skeleton = self.skeleton(self.semantic.symbol_declaration(sibling).kind().span());
            let number = alike.entry(skeleton).or_default();
            *number += 1;
            outside.insert(sibling, hash(&format!("{skeleton} {number}")));
        }
        outside.get(&id).copied().unwrap_or_default()
    }

    /// What identifies code without its names: enough to tell the helpers apart that several experiments share.
    fn skeleton(&self, span: Span) -> u64 {
        let mut skeleton = String::new();
        self.pieces(span, &self.left_out, |text, _| skeleton.push_str(text));
        hash(&skeleton)
    }
}

/// Whether a minifier leaves its name as it is.
pub(super) fn is_global(semantic: &Semantic, id: SymbolId) -> bool {
    let scoping = semantic.scoping();
    scoping.symbol_scope_id(id) == scoping.root_scope_id()
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
