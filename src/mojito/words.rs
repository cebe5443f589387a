//! Finds the line of a source file that changed, by the words that code keeps when it is minified.
//!
//! A container is minified and the live one's sources are unknown. But strings, properties, globals and numbers stay. So a word
//! that only the new code has, and that stands once in its source, marks a line.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use borsh::{BorshDeserialize, BorshSerialize};

/// The hash of a word. They are compared within one part of an experiment's code, so 32 bits are enough.
pub(crate) type Word = u32;

/// A part of an experiment's code in a container.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, Default)]
pub(crate) struct CodeDigest {
    /// Of the whole code, however it was minified.
    pub(crate) hash: u64,
    /// Its words, sorted, each once.
    pub(crate) words: Vec<Word>,
}

impl PartialEq for CodeDigest {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

/// What became of the words of a part of the code.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WordChanges {
    added: HashSet<Word>,
    kept: HashSet<Word>,
    /// Whether there were others.
    is_any_removed: bool,
}

/// A word in a source file.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, PartialEq)]
pub(crate) struct SourceWord {
    pub(crate) word: Word,
    /// `None` if it is not certain, or if a minifier may leave out the word for a reason that is elsewhere.
    pub(crate) line: Option<u32>,
    /// The number of the smallest piece of code around it that a minifier may leave out. 0 if there is none.
    pub(crate) region: u32,
    /// Whether it may be in the container or not, depending on code elsewhere that uses its region.
    pub(crate) is_optional: bool,
}

impl WordChanges {
    pub(crate) fn between(old: &CodeDigest, new: &CodeDigest) -> Self {
        let has = |code: &CodeDigest, word: &Word| code.words.binary_search(word).is_ok();
        let (kept, added) = new.words.iter().partition(|word| has(old, word));
        Self {
            added,
            kept,
            is_any_removed: !old.words.iter().all(|word| has(new, word)),
        }
    }

    /// The first line of the source that is certain to have changed.
    ///
    /// CodeDigest that nothing used before is new in the container, though its lines are old. It is told by this: none of its words
    /// was there before, and nothing was replaced by it.
    pub(crate) fn first_line(&self, source: &[SourceWord]) -> Option<u32> {
        let mut counts: HashMap<Word, usize> = HashMap::new();
        for it in source {
            *counts.entry(it.word).or_default() += 1;
        }
        let once = || source.iter().filter(|it| counts[&it.word] == 1);
        let kept = once().filter(|it| self.kept.contains(&it.word));
        let used_before: HashSet<u32> = kept.map(|it| it.region).collect();
        let is_new = |it: &&SourceWord| {
            self.added.contains(&it.word)
                && (!it.is_optional || self.is_any_removed || used_before.contains(&it.region))
        };
        once().filter(is_new).filter_map(|it| it.line).min()
    }
}

/// The words of a text, of a program or of CSS, as minifiers leave them: numbers by value, short colors.
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = Word> + '_ {
    words_with_places(text).map(|(_, word)| word)
}

/// The hash of a number.
pub(crate) fn word_of_number(number: f64) -> Word {
    hash(&number.to_string())
}

/// The words of CSS with their lines. Those of a selector belong to its block, which is left out if it is empty.
pub(crate) fn words_of_css(text: &str) -> Vec<SourceWord> {
    let text = without_comments(text);
    let mut words = Vec::new();
    let (mut blocks, mut open) = (0, Vec::new());
    let (mut start, mut line) = (0, 1);
    let ends = text.match_indices(['{', '}', ';']);
    for (end, sign) in ends.chain([(text.len(), "")]) {
        let run = &text[start..end];
        if sign == "{" {
            blocks += 1;
            open.push(blocks);
        }
        let mut before = 0;
        for (at, word) in words_with_places(run) {
            line += count_lines(&run[before..at]);
            before = at;
            words.push(SourceWord {
                word,
                line: Some(line),
                region: open.last().copied().unwrap_or_default(),
                is_optional: sign == "{",
            });
        }
        line += count_lines(&run[before..]);
        start = end + sign.len();
        if sign == "}" {
            open.pop();
        }
    }
    words
}

/// CSS with blanks in place of comments, and of the signs in texts that separate declarations elsewhere.
fn without_comments(css: &str) -> String {
    let mut plain = String::with_capacity(css.len());
    let mut quote = None;
    let mut characters = css.chars().peekable();
    while let Some(c) = characters.next() {
        let next = characters.peek().copied();
        match (quote, c) {
            (None, '/') if next == Some('*') => {
                let mut last = ' ';
                characters.next();
                plain.push(' ');
                for c in characters.by_ref() {
                    if c == '\n' {
                        plain.push(c);
                    }
                    if (last, c) == ('*', '/') {
                        break;
                    }
                    last = c;
                }
            }
            (Some(_), '\\') => {
                plain.push(c);
                plain.extend(characters.next());
            }
            (Some(_), '{' | '}' | ';') => plain.push(' '),
            (None, '"' | '\'') => {
                quote = Some(c);
                plain.push(c);
            }
            (Some(end), c) => {
                if c == end || c == '\n' {
                    quote = None;
                }
                plain.push(c);
            }
            (None, c) => plain.push(c),
        }
    }
    plain
}

pub(crate) fn count_lines(text: &str) -> u32 {
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
    u32::try_from(lines).unwrap_or(u32::MAX)
}

/// Words with their byte offsets.
pub(crate) fn words_with_places(text: &str) -> impl Iterator<Item = (usize, Word)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || loop {
        let rest = &text[at..];
        let start = at;
        let first = rest.chars().next()?;
        let length = |is_part: fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let decimals = rest.strip_prefix('.').unwrap_or(rest);
        if decimals.starts_with(|c: char| c.is_ascii_digit()) {
            let digits = |text: &str| {
                text.find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(text.len())
            };
            let mut end = if first == '.' { 0 } else { digits(rest) };
            if rest[end..].starts_with('.') {
                end += 1 + digits(&rest[end + 1..]);
            }
            at += end;
            let number = rest[..end].parse().unwrap_or(f64::NAN);
            return Some((start, word_of_number(number)));
        }
        if first == '#' {
            let end = 1 + rest[1..]
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(rest.len() - 1);
            if let Some(color) = color(&rest[1..end]) {
                at += end;
                return Some((start, hash(&color)));
            }
        }
        if is_part(first) {
            let end = length(is_part);
            at += end;
            return Some((start, hash(&rest[..end])));
        }
        at += first.len_utf8();
    })
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// `FFEEDD` and `fed` are one color.
fn color(digits: &str) -> Option<String> {
    let is_hex = digits.bytes().all(|it| it.is_ascii_hexdigit());
    if !is_hex || !matches!(digits.len(), 3 | 6) {
        return None;
    }
    let digits = digits.to_ascii_lowercase();
    let pairs: Vec<&str> = (0..digits.len() / 2)
        .map(|it| &digits[2 * it..2 * it + 2])
        .collect();
    let is_short = digits.len() == 6 && pairs.iter().all(|it| it.as_bytes()[0] == it.as_bytes()[1]);
    Some(if is_short {
        pairs.iter().map(|it| &it[..1]).collect()
    } else {
        digits
    })
}

fn hash(text: &str) -> Word {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    // Any part of it is as good as another.
    (hasher.finish() >> 32) as Word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minified_and_readable_forms_of_words_are_the_same() {
        #[track_caller]
        fn case(readable: &str, minified: &str) {
            let [readable, minified] =
                [readable, minified].map(|it| words_of(it).collect::<Vec<_>>());
            assert_eq!(readable, minified);
        }
        case("0.50em  1.0", ".5em 1");
        case("#FFFFFF #AbC #aabbcd", "#fff #abc #AABBCD");
        case("a-b, c_d$ 'é'", "a b c_d$ é");
        assert!(words_of("Buy").ne(words_of("buy")));
        assert!(words_of("#abd").ne(words_of("#abc")));
        assert_eq!(words_of("").count(), 0);
        assert_eq!(words_of("…#.- ,").count(), 0);
        assert_eq!(words_of("1.2.3 #buy").count(), 3);
    }

    #[test]
    fn words_of_css_have_their_lines_and_blocks() {
        let css = "/* a\n{ b */\n.c,\n.d {\n  e: 1px;\n  f: \"x;}\"\n}\n@media g {\n  .h { i: 2 }\n}\n.j{}";
        let shown = |word: &SourceWord| (word.line.unwrap(), word.region, word.is_optional);
        let words: Vec<_> = words_of_css(css).iter().map(shown).collect();
        let expected = [
            (3, 1, true),
            (4, 1, true),
            (5, 1, false),
            (5, 1, false),
            (5, 1, false),
            (6, 1, false),
            (6, 1, false),
            (8, 2, true),
            (8, 2, true),
            (9, 3, true),
            (9, 3, false),
            (9, 3, false),
            (11, 4, true),
        ];
        assert_eq!(words, expected);
        for css in ["}}}", "{{{", "/*", "\"", "'\\", "a{", "/", "*/", ";"] {
            words_of_css(css);
        }
    }
}
