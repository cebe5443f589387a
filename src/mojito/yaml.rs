//! Parses a YAML document, with the line of each node. What versions of `js-yaml`, which Mojito's build uses, may read differently
//! has no value here.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::value::Value;

/// Real files have two levels. Also how far aliases and merge keys are followed.
const MAX_DEPTH: usize = 20;
/// Mappings whose entries are listed, one for each recipe and merge key.
const MAX_LISTED: usize = 2_000;

/// The nodes of a document, each after those in it.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// By the anchor's number.
    anchors: HashMap<usize, usize>,
    /// How often entries were listed, as merge keys can multiply them.
    listed: Cell<usize>,
}

pub(super) struct Node {
    pub(super) line: u32,
    /// Whether it ends on the same line.
    pub(super) is_one_line: bool,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// No value. The parser finds it anywhere after the key.
    Empty,
    /// `None` if what JavaScript makes of it is not certain.
    Scalar(Option<String>),
    /// Keys with values, by their numbers.
    Mapping(Vec<(usize, usize)>),
    Sequence(Vec<usize>),
    /// The number of the anchor.
    Alias(usize),
}

/// The key of an entry.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) line: u32,
}

/// A mapping or sequence that is not complete.
struct Open {
    line: u32,
    anchor: usize,
    is_mapping: bool,
    children: Vec<usize>,
}

impl Tree {
    /// The nodes of the only document; the last one is its root.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut tree = Self::default();
        let mut open: Vec<Open> = Vec::new();
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.ok()?;
            let is_mapping = matches!(event, Event::MappingStart(..));
            let (anchor, node) = match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    (documents == 1).then_some(())?;
                    continue;
                }
                Event::MappingStart(anchor, tag) | Event::SequenceStart(anchor, tag) => {
                    (tag.is_none() && open.len() < MAX_DEPTH).then_some(())?;
                    let line = line_of(&span)?;
                    open.push(Open {
                        line,
                        anchor,
                        is_mapping,
                        children: Vec::new(),
                    });
                    continue;
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    let Open {
                        line,
                        anchor,
                        is_mapping,
                        children,
                    } = open.pop()?;
                    let kind = if is_mapping {
                        let pairs = children.chunks_exact(2).map(|pair| (pair[0], pair[1]));
                        tree.mapping(pairs.collect())?
                    } else {
                        Kind::Sequence(children)
                    };
                    (
                        anchor,
                        Node {
                            line,
                            is_one_line: false,
                            kind,
                        },
                    )
                }
                Event::Scalar(text, style, anchor, tag) => {
                    // Any other tag is an error, or an unusual way to write a value.
                    let is_text =
                        tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                    let kind = match style {
                        ScalarStyle::Plain if text.is_empty() => Kind::Empty,
                        ScalarStyle::Plain if !is_text => Kind::Scalar(plain(&text)),
                        _ => Kind::Scalar(Some(text.into_owned())),
                    };
                    (anchor, Node::new(&span, kind)?)
                }
                Event::Alias(anchor) => (0, Node::new(&span, Kind::Alias(anchor))?),
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Nothing => {
                    continue
                }
            };
            let number = tree.nodes.len();
            tree.nodes.push(node);
            if anchor > 0 {
                tree.anchors.insert(anchor, number);
            }
            if let Some(parent) = open.last_mut() {
                parent.children.push(number);
            }
        }
        Some(tree)
    }

    /// `None` if a key is not a scalar, or there twice, both of which are errors.
    fn mapping(&self, pairs: Vec<(usize, usize)>) -> Option<Kind> {
        let mut keys = HashSet::new();
        for (key, _) in &pairs {
            let key = self.scalar(*key, 0)?;
            (key == "<<" || keys.insert(key)).then_some(())?;
        }
        Some(Kind::Mapping(pairs))
    }

    /// The node that an alias stands for, or the node itself.
    fn resolved(&self, node: usize, depth: usize) -> Option<&Node> {
        let found = &self.nodes[node];
        match &found.kind {
            Kind::Alias(anchor) if depth < MAX_DEPTH => {
                self.resolved(*self.anchors.get(anchor)?, depth + 1)
            }
            Kind::Alias(_) => None,
            _ => Some(found),
        }
    }

    fn scalar(&self, node: usize, depth: usize) -> Option<&str> {
        match &self.resolved(node, depth)?.kind {
            Kind::Scalar(text) => text.as_deref(),
            _ => None,
        }
    }

    /// The entries of a mapping, with those that merge keys add, or of a sequence, by index. `None` if it is neither.
    pub(super) fn entries(&self, node: usize, depth: usize) -> Option<Vec<(Key, usize)>> {
        self.listed.set(self.listed.get() + 1);
        if depth > MAX_DEPTH || self.listed.get() > MAX_LISTED {
            return None;
        }
        let pairs = match &self.resolved(node, 0)?.kind {
            Kind::Mapping(pairs) => pairs,
            Kind::Sequence(items) => {
                let entry = |(index, item): (usize, &usize)| {
                    let line = self.nodes[*item].line;
                    (
                        Key {
                            text: index.to_string(),
                            line,
                        },
                        *item,
                    )
                };
                return Some(items.iter().enumerate().map(entry).collect());
            }
            Kind::Empty | Kind::Scalar(_) | Kind::Alias(_) => return None,
        };
        let (mut entries, mut merged) = (Vec::new(), Vec::new());
        for (key, value) in pairs {
            let text = self.scalar(*key, 0)?;
            if text != "<<" {
                let line = self.nodes[*key].line;
                entries.push((
                    Key {
                        text: text.to_owned(),
                        line,
                    },
                    *value,
                ));
                continue;
            }
            match &self.resolved(*value, 0)?.kind {
                Kind::Sequence(items) => merged.extend(items),
                _ => merged.push(*value),
            }
        }
        let mut known: HashSet<String> = entries.iter().map(|(key, _)| key.text.clone()).collect();
        for source in merged {
            for (key, value) in self.entries(source, depth + 1)? {
                if known.insert(key.text.clone()) {
                    entries.push((key, value));
                }
            }
        }
        Some(entries)
    }
}

impl Node {
    fn new(span: &Span, kind: Kind) -> Option<Self> {
        Some(Self {
            line: line_of(span)?,
            is_one_line: span.start.line() == span.end.line(),
            kind,
        })
    }
}

fn line_of(span: &Span) -> Option<u32> {
    u32::try_from(span.start.line()).ok()
}

/// A plain scalar as text. `None` if versions of `js-yaml` differ on it, or it is a date or nothing.
fn plain(text: &str) -> Option<String> {
    let unsigned = text.trim_start_matches(['+', '-']);
    match unsigned {
        "" | "~" | "null" | "Null" | "NULL" => return None,
        "true" | "True" | "TRUE" => return Some("true".to_owned()),
        "false" | "False" | "FALSE" => return Some("false".to_owned()),
        _ => {}
    }
    let starts_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let is_number =
        starts_number(unsigned) || unsigned.strip_prefix('.').is_some_and(starts_number);
    let is_date = text
        .get(..4)
        .is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()))
        && text[4..].starts_with('-');
    let is_special = matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan");
    if is_date || is_special {
        return None;
    }
    let of_number =
        |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-' | '_' | ':');
    let is_radix =
        unsigned.starts_with("0x") || unsigned.starts_with("0o") || unsigned.starts_with("0b");
    if !is_number || !text.chars().all(of_number) {
        return (!is_radix).then(|| text.to_owned());
    }
    // Leading zeros were octal once, underscores are dropped, and colons separate hours and minutes.
    let has_leading_zero = unsigned.starts_with('0') && starts_number(&unsigned[1..]);
    if has_leading_zero || text.contains(['_', ':']) {
        return None;
    }
    let number = text.parse().map(|number| Value::Number(number).to_text());
    // A version, such as 1.2.3.
    Some(number.unwrap_or_else(|_| text.to_owned()))
}
