//! Finds where the properties of an experiment stand in its `config.yml`, which Mojito's build reads by `js-yaml`.
//!
//! A line that is not certain is not given: a remark at the wrong line is worse than one without a line.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use super::yaml::{Key, Kind, Tree};

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
        properties: properties(&tree, root)?,
        recipes: BTreeMap::new(),
    };
    let entries = tree.entries(root, 0)?;
    let recipes = entries.iter().find(|(key, _)| key.text == "recipes");
    for (key, recipe) in
        recipes.map_or_else(Vec::new, |(_, it)| tree.entries(*it, 0).unwrap_or_default())
    {
        let properties = properties(&tree, recipe).unwrap_or_default();
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

/// The properties of a mapping. `None` if it is none.
fn properties(tree: &Tree, node: usize) -> Option<Properties> {
    let entries = tree.entries(node, 0)?;
    let property = |(key, value): (Key, usize)| {
        let value = &tree.nodes[value];
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

#[cfg(test)]
mod tests {
    use std::fmt::Write;

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
            let merged = format!("*a{before}, *a{before}, *a{before}");
            writeln!(text, "a{number}: &a{number}\n  <<: [{merged}]").unwrap();
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
