//! Finds where the properties of an experiment stand in its `config.yml`, which Mojito's build reads by `js-yaml`.
//!
//! A line that is not certain is not given: a remark at the wrong line is worse than one without a line.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

use borsh::{BorshDeserialize, BorshSerialize};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::value::Value;

/// Real files have two levels. Also how far aliases and merge keys are followed.
const MAX_DEPTH: usize = 20;
/// Mappings whose entries are listed, one for each recipe and merge key.
const MAX_LISTED: usize = 2_000;

/// An experiment as `config.yml` describes it.
#[derive(BorshDeserialize, BorshSerialize, Debug, Default, PartialEq)]
pub(crate) struct ConfigYml {
    /// Those of the experiment itself.
    pub(crate) properties: Properties,
    /// By the recipe's id.
    pub(crate) recipes: BTreeMap<String, Recipe>,
}

type Properties = BTreeMap<String, Property>;

#[derive(BorshDeserialize, BorshSerialize, Debug, PartialEq)]
pub(crate) struct Property {
    /// As JavaScript converts it to text. `None` if it is not a scalar, or not certain.
    pub(crate) text: Option<String>,
    /// The only line that its value is on. `None` if there are several.
    pub(crate) line: Option<u32>,
}

#[derive(BorshDeserialize, BorshSerialize, Debug, PartialEq)]
pub(crate) struct Recipe {
    /// Its first.
    pub(crate) line: u32,
    pub(crate) properties: Properties,
}

/// Reads the file. `None` if it is not one that Mojito builds an experiment from.
pub(crate) fn read(text: &str) -> Option<ConfigYml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // YAML breaks the line at any carriage return, but Git only at line feeds.
    let breaks_differ = text.replace("\r\n", "").contains('\r');
    if breaks_differ {
        return None;
    }
    let tree = Tree::parse(text)?;
    let root = tree.nodes.len().checked_sub(1)?;
    let mut config = ConfigYml {
        properties: tree.properties(root)?,
        recipes: BTreeMap::new(),
    };
    let entries = tree.entries(root, 0)?;
    let recipes = entries.iter().find(|(key, _)| key.text == "recipes");
    for (key, recipe) in
        recipes.map_or_else(Vec::new, |(_, it)| tree.entries(*it, 0).unwrap_or_default())
    {
        let properties = tree.properties(recipe).unwrap_or_default();
        config.recipes.insert(
            key.text,
            Recipe {
                line: key.line,
                properties,
            },
        );
    }
    Some(config)
}

/// The nodes of a document, each after those in it.
#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
    /// By the anchor's number.
    anchors: HashMap<usize, usize>,
    /// How often entries were listed, as merge keys can multiply them.
    listed: Cell<usize>,
}

struct Node {
    line: u32,
    /// Whether it ends on the same line.
    is_one_line: bool,
    kind: Kind,
}

enum Kind {
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
struct Key {
    text: String,
    line: u32,
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
    fn parse(text: &str) -> Option<Self> {
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
    fn entries(&self, node: usize, depth: usize) -> Option<Vec<(Key, usize)>> {
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

    /// The properties of a mapping. `None` if it is none.
    fn properties(&self, node: usize) -> Option<Properties> {
        let entries = self.entries(node, 0)?;
        let property = |(key, value): (Key, usize)| {
            let value = &self.nodes[value];
            let (text, line) = match &value.kind {
                Kind::Empty => (None, Some(key.line)),
                Kind::Scalar(text) => (text.clone(), value.is_one_line.then_some(value.line)),
                // Of an alias, what it stands for may change.
                Kind::Alias(_) | Kind::Mapping(_) | Kind::Sequence(_) => (None, None),
            };
            let property = Property { text, line };
            (key.text, property)
        };
        Some(entries.into_iter().map(property).collect())
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::common::testing::cases;

    /// The lines of the properties, then those of the recipes with theirs: `state:1 recipes:? | 0:5 name:6`.
    fn lines(text: &str) -> Option<String> {
        let config = read(text)?;
        let shown = |properties: &Properties| {
            let line = |it: &Property| it.line.map_or("?".to_owned(), |line| line.to_string());
            let shown = properties
                .iter()
                .map(|(name, it)| format!("{name}:{}", line(it)));
            shown.collect::<Vec<_>>().join(" ")
        };
        let recipes = config.recipes.iter().map(|(id, recipe)| {
            let shown = format!("{id}:{} {}", recipe.line, shown(&recipe.properties));
            shown.trim_end().to_owned()
        });
        let all = [shown(&config.properties)].into_iter().chain(recipes);
        Some(all.collect::<Vec<_>>().join(" | "))
    }

    #[track_caller]
    fn case(text: &str, expected: &str) {
        assert_eq!(lines(text).as_deref(), Some(expected), "{text}");
        let windows = text.replace('\n', "\r\n");
        assert_eq!(lines(&windows).as_deref(), Some(expected), "{text}");
        assert_eq!(lines(&format!("\u{feff}{text}")).as_deref(), Some(expected));
    }

    #[test]
    fn each_property_has_its_line() {
        let dumped = "state: live\nsampleRate: 0.5\nid: w1\nrecipes:\n  '0':\n    name: A\n  '1':\n    name: B\n    js: 1.js\n";
        let expected = "id:3 recipes:? sampleRate:2 state:1 | 0:5 name:6 | 1:7 js:9 name:8";
        case(dumped, expected);
        let by_hand = "--- # Experiment\n\n# A comment: 'with signs'\n\"state\": \"live\"\nrecipes: {0: {name: A},\n  \"1\": {name: B}}\n";
        case(by_hand, "recipes:? state:4 | 0:5 name:5 | 1:6 name:6");
        case(
            "state:\n  live\nname: >-\n  long\n  text\n",
            "name:? state:2",
        );
        case(
            "state: live\nrecipes:\n- name: A\n- name: B\n",
            "recipes:? state:1 | 0:3 name:3 | 1:4 name:4",
        );
        case("divertTo:\n\n\nstate:\n", "divertTo:1 state:4");
        // Anchors and merge keys.
        let merged = "base: &b\n  name: A\n  js: 1.js\nrecipes:\n  '0': *b\n  '1':\n    <<: *b\n    name: B\n";
        case(
            merged,
            "base:? recipes:? | 0:5 js:3 name:2 | 1:6 js:3 name:8",
        );
    }

    #[test]
    fn what_mojitos_build_refuses_is_not_read() {
        for text in [
            "",
            "text",
            "a: 1\na: 2\n",
            "recipes:\n  0: {}\n  '0': {}\n",
            "a: 1\n---\nb: 2\n",
            "a:\n\tb: 1\n",
            "a: {b: 1\n",
            "a: *b\nc: 1\n? [d]\n: 1\n",
            "a: !!js/function x\nb: !c {}\n",
            "a: 1\rb: 2\n",
        ] {
            assert_eq!(lines(text), None, "{text:?}");
        }
        let deep = "a: ".to_owned() + &"[".repeat(50_000);
        assert_eq!(lines(&deep), None);
    }

    #[test]
    fn scalars_are_the_text_that_javascript_makes_of_them() {
        let text = |scalar: &str| {
            read(&format!("id: {scalar}\n")).unwrap().properties["id"]
                .text
                .clone()
        };
        for (scalar, expected) in [
            ("w1", "w1"),
            ("'01'", "01"),
            ("\"a\\tb\"", "a\tb"),
            ("0", "0"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            (".5", "0.5"),
            ("-7", "-7"),
            ("True", "true"),
            ("2_treatment.js", "2_treatment.js"),
            ("1.2.3", "1.2.3"),
            ("10% more", "10% more"),
            ("!!str 1", "1"),
        ] {
            assert_eq!(text(scalar).as_deref(), Some(expected), "{scalar}");
        }
        for scalar in [
            "",
            "~",
            "null",
            "010",
            "0x1F",
            "1_000",
            "12:30",
            "2026-11-24",
            "2026-11-24T05:00:00Z",
            ".inf",
            "[1]",
        ] {
            assert_eq!(text(scalar), None, "{scalar}");
        }
    }

    #[test]
    fn merge_keys_that_multiply_end() {
        let mut text = "a0: &a0 {x: 1}\n".to_owned();
        for number in 1..200 {
            let before = number - 1;
            text += &format!("a{number}: &a{number}\n  <<: [*a{before}, *a{before}, *a{before}]\n");
        }
        text += "recipes:\n  <<: *a199\n";
        assert!(read(&text).is_some());
    }

    proptest! {
        #![proptest_config(cases(2_000))]

        #[test]
        fn anything_is_read_or_not(parts in prop::collection::vec(prop::sample::select(vec![
            "a", ":", " ", "\n", "- ", "? ", "[", "]", "{", "}", ",", "&a", "*a", "!!str", "!", "|", ">-", "'", "\"", "\\",
            "#", "---", "...", "\t", "\r\n", "%YAML 1.2", "<<", "0", "é", "\u{2028}", "\u{85}", "~", "  ", "\u{feff}", "@", "`",
        ]), 0..40)) {
            if let Some(config) = read(&parts.concat()) {
                let lines = parts.concat().matches('\n').count() + 1;
                let used = config.properties.values().filter_map(|it| it.line);
                prop_assert!(used.into_iter().all(|line| (1..=lines).contains(&(line as usize))));
            }
        }
    }
}
