//! Hashes code independently of its variables' names.
//!
//! Minifiers choose names by letter frequency in the whole file, so adding one experiment can rename the variables of all
//! others.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use oxc_ast::AstKind;
use oxc_semantic::{NodeId, Semantic, SymbolId};
use oxc_span::{GetSpan, Span};

use super::layout::{layout, Layout};
use super::syntax_error::range;
use super::words::Words;
use crate::mojito::words::CodeDigest;

/// Hashes parts of a script.
pub(super) struct Normalizer<'a> {
    text: &'a str,
    semantic: &'a Semantic<'a>,
    /// What is not copied verbatim, in source order: names that minifiers change, and comments.
    names: Vec<(Span, Name<'a>)>,
    /// Experiments and build info, in source order.
    left_out: Vec<Span>,
    /// Hashes that replace variables declared elsewhere.
    outside: RefCell<HashMap<SymbolId, u64>>,
    words: Words,
}

#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Name<'a> {
    Symbol(SymbolId),
    Label(&'a str),
    /// A comment, or a bracket that changes nothing.
    Nothing,
    /// A string, a regular expression or a part of a template.
    Text(&'a str),
    /// Minifiers write statements, sequences and parentheses as it suits what stands beside them, which may be an experiment.
    /// So these have one form in the hash.
    Layout(Layout),
    /// The key of a shorthand property: `{a}` is expanded to `{a: a}`.
    Key(&'a str),
}

impl Name<'_> {
    /// The order of what stands at one place.
    fn rank(self) -> usize {
        match self {
            Self::Layout(layout) => layout as usize,
            _ => usize::MAX,
        }
    }
}

/// Code in its one form.
#[derive(Default)]
struct Code {
    text: String,
    /// Whether white space or a comment follows `text`.
    is_spaced: bool,
}

impl Code {
    /// Adds code that is not within a text. Minifiers that limit the length of lines break them anywhere, so white space counts
    /// only where it separates words or signs.
    fn push(&mut self, code: &str) {
        let mut rest = code;
        loop {
            let word = rest.trim_start();
            self.is_spaced |= word.len() < rest.len();
            if word.is_empty() {
                return;
            }
            let end = word.find(char::is_whitespace).unwrap_or(word.len());
            self.push_verbatim(&word[..end]);
            rest = &word[end..];
        }
    }

    fn push_verbatim(&mut self, text: &str) {
        if text.starts_with(['}', ')']) {
            self.drop_separator();
        }
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '\\' | '#' | '\0');
        let separates = |before: char, after: char| {
            (is_word(before) && is_word(after)) || (before == after && matches!(after, '+' | '-'))
        };
        let around = self.text.chars().next_back().zip(text.chars().next());
        if self.is_spaced && around.is_some_and(|(before, after)| separates(before, after)) {
            self.text.push(' ');
        }
        self.is_spaced = false;
        self.text.push_str(text);
    }

    /// Adds what is not a name.
    fn push_other(&mut self, name: Name) {
        match name {
            Name::Text(text) => self.push_verbatim(text),
            Name::Layout(layout) => self.push_layout(layout),
            Name::Nothing => self.is_spaced = true,
            Name::Symbol(_) | Name::Label(_) | Name::Key(_) => {}
        }
    }

    fn push_layout(&mut self, layout: Layout) {
        self.is_spaced = false;
        let is_first = self.text.is_empty() || self.text.ends_with(['{', '(', '\u{1}', '\u{3}']);
        match layout {
            // None at the start or end of a block, nor two of them.
            Layout::Separator if is_first => {}
            Layout::Separator => self.text.push('\u{3}'),
            Layout::Open => self.text.push('\u{1}'),
            Layout::Close => {
                self.drop_separator();
                self.text.push('\u{2}');
            }
        }
    }

    fn drop_separator(&mut self) {
        if self.text.ends_with('\u{3}') {
            self.text.pop();
        }
    }
}

impl<'a> Normalizer<'a> {
    /// `left_out` is not shared code. `receivers` are what calls in it are called on, with those calls.
    pub(super) fn new(
        text: &'a str,
        semantic: &'a Semantic<'a>,
        mut left_out: Vec<Span>,
        receivers: &HashMap<Span, NodeId>,
    ) -> Self {
        left_out.sort_by_key(|hole| (hole.start, hole.end));
        let scoping = semantic.scoping();
        // Minifiers keep the names of globals, unless they are set to `toplevel`.
        let is_local = |id| {
            scoping.symbol_scope_id(id) != scoping.root_scope_id()
                || scoping.symbol_name(id).len() <= 2
        };
        let symbol = |span, id| is_local(id).then_some((span, Name::Symbol(id)));
        let verbatim = |span: Span| Some((span, Name::Text(&text[range(span)])));
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
                AstKind::StringLiteral(it) => verbatim(it.span),
                AstKind::TemplateElement(it) => verbatim(it.span),
                AstKind::RegExpLiteral(it) => verbatim(it.span),
                AstKind::ObjectProperty(it) if it.shorthand => key(it.key.span()),
                AstKind::BindingProperty(it) if it.shorthand => key(it.key.span()),
                AstKind::AssignmentTargetPropertyIdentifier(it) => key(it.binding.span),
                _ => None,
            })
            .collect();
        let comments = semantic.comments().iter();
        names.extend(comments.map(|comment| (comment.span, Name::Nothing)));
        let layout = layout(text, semantic, receivers);
        names.extend(layout.map(|(span, it)| (span, it.map_or(Name::Nothing, Name::Layout))));
        names.sort_by_key(|(span, name)| (span.start, span.end, name.rank()));
        Self {
            text,
            semantic,
            names,
            left_out,
            outside: RefCell::default(),
            words: Words::new(semantic),
        }
    }

    /// The hash and the words of the code in `span`.
    pub(super) fn code(&self, span: Span) -> CodeDigest {
        CodeDigest {
            hash: hash(&self.normalized(span, &[])),
            words: self.words.within(span),
        }
    }

    /// A hash of the code in `span`, without experiments and build info.
    pub(super) fn hash_of_rest(&self, span: Span) -> u64 {
        hash(&self.normalized(span, &self.left_out))
    }

    /// The code with numbers in place of the names that minifiers choose.
    fn normalized(&self, span: Span, left_out: &[Span]) -> String {
        let mut code = Code::default();
        let mut numbers: HashMap<Name, usize> = HashMap::new();
        self.pieces(span, left_out, |text, name| {
            code.push(text);
            // Zero bytes distinguish placeholders from code.
            match name {
                Some(Name::Key(key)) => code.push(&format!("{key}:")),
                Some(Name::Symbol(id)) if self.is_declared_outside(id, span) => {
                    code.push_verbatim(&format!("\0outside {:x}\0", self.hash_outside(id)));
                }
                Some(name @ (Name::Symbol(_) | Name::Label(_))) => {
                    let number = numbers.len();
                    let number = numbers.entry(name).or_insert(number);
                    code.push_verbatim(&format!("\0{number}\0"));
                }
                Some(name) => code.push_other(name),
                None => {}
            }
        });
        code.drop_separator();
        code.text
    }

    /// Calls `piece` with each verbatim piece of the code in `span` and the name that follows it.
    fn pieces(&self, span: Span, left_out: &[Span], mut piece: impl FnMut(&str, Option<Name<'a>>)) {
        let first = left_out.partition_point(|hole| hole.start < span.start);
        let holes = left_out[first..].iter().map(|hole| (*hole, None));
        let holes = holes.take_while(|(hole, _)| hole.start < span.end);
        let first = self
            .names
            .partition_point(|(name, _)| name.start < span.start);
        let names = self.names[first..].iter();
        let names = names.take_while(|(name, _)| name.end <= span.end);
        let names = names.map(|(name, kind)| (*name, Some(*kind)));
        let mut marks: Vec<(Span, Option<Name>)> = names
            .chain(holes.filter(|(hole, _)| span.contains_inclusive(*hole)))
            .collect();
        marks.sort_by_key(|(mark, name)| (mark.start, mark.end, name.map(Name::rank)));
        let mut at = span.start;
        for (mark, name) in marks {
            // Inside a hole.
            if mark.start < at {
                continue;
            }
            let before = Span::new(at, mark.start);
            at = mark.end;
            piece(&self.text[range(before)], name);
        }
        piece(&self.text[range(Span::new(at, span.end))], None);
    }

    fn is_declared_outside(&self, id: SymbolId, span: Span) -> bool {
        !span.contains_inclusive(self.semantic.symbol_declaration(id).kind().span())
    }

    /// A hash for a variable that is declared outside: of its declaration without names, and its number among those that
    /// look alike.
    fn hash_outside(&self, id: SymbolId) -> u64 {
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

    /// A hash of the code without names, enough to distinguish most shared helpers.
    fn skeleton(&self, span: Span) -> u64 {
        let mut skeleton = Code::default();
        self.pieces(span, &self.left_out, |text, name| {
            skeleton.push(text);
            if let Some(name) = name {
                skeleton.push_other(name);
            }
        });
        hash(&skeleton.text)
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
