//! A picture of what Bitbucket makes of a report and its annotations in a pull request: the report, and the diff with
//! each annotation below its line. The README shows it.
//!
//! It is drawn as Bitbucket draws it, without its fonts and icons, and follows the reader's light or dark theme.

use std::fmt::Write;

use serde_json::Value;

use super::bitbucket::Report;

/// The README's.
const WIDTH: usize = 830;
const MARGIN: usize = 16;
const LINE: usize = 20;
/// Of the text at 13 px, cautiously: SVG breaks no lines itself.
const CHARACTER: f64 = 6.7;
/// Lines around an annotation. The others are left out.
const CONTEXT: usize = 3;

const STYLE: &str = "
  text { font: 13px -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif; fill: #172b4d; white-space: pre }
  .code { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace }
  .title { font-size: 16px; font-weight: 600 }
  .strong { font-weight: 600 }
  .dim { fill: #626f86 }
  .badge { font-size: 11px; font-weight: 700 }
  .page { fill: #ffffff }
  .card { fill: #ffffff; stroke: #d0d4db }
  .head { fill: #f4f5f7 }
  .rule { stroke: #d0d4db }
  .added { fill: #e3fcef }
  .removed { fill: #ffebe6 }
  .note { fill: #f7f8f9; stroke: #b3b9c4 }
  .passed { fill: #dcfff1 } .passed-text { fill: #216e4e }
  .failed { fill: #ffeceb } .failed-text { fill: #ae2e24 }
  .low { fill: #8590a2 } .medium { fill: #e2b203 } .high { fill: #e2483d }
  @media (prefers-color-scheme: dark) {
    text { fill: #c7d1db }
    .dim { fill: #8c9bab }
    .page { fill: #161a1d }
    .card { fill: #1d2125; stroke: #3c444d }
    .head { fill: #22272b }
    .rule { stroke: #3c444d }
    .added { fill: #143c2b }
    .removed { fill: #4a221d }
    .note { fill: #282e33; stroke: #5c6c7a }
    .passed { fill: #1c3329 } .passed-text { fill: #7ee2b8 }
    .failed { fill: #42221f } .failed-text { fill: #fd9891 }
  }
";

/// A file that the pull request changes. Empty text stands for no file.
pub(crate) struct Changed<'a> {
    pub(crate) path: &'a str,
    pub(crate) before: &'a str,
    pub(crate) after: &'a str,
}

/// Draws the report and the files. Fails if an annotation stands anywhere but at a changed line.
#[track_caller]
pub(crate) fn draw(report: &Report, files: &[Changed]) -> String {
    let mut picture = Picture::default();
    picture.report(&report.content, report.annotations.len());
    let mut unseen: Vec<&Value> = report.annotations.iter().collect();
    unseen.retain(|it| it["path"].is_string());
    for file in files {
        picture.file(file, &mut unseen);
    }
    assert!(unseen.is_empty(), "not in the diff: {unseen:#?}");
    picture.finish()
}

#[derive(Default)]
struct Picture {
    /// Below what is drawn.
    y: usize,
    shapes: String,
}

impl Picture {
    fn report(&mut self, report: &Value, annotations: usize) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let card = self.card();
        self.y += 8;
        let title = text(&report["title"]);
        self.text(MARGIN * 2, "title", &title);
        let result = text(&report["result"]);
        let class = if result == "FAILED" {
            "failed"
        } else {
            "passed"
        };
        let x = WIDTH - MARGIN * 2 - 72;
        self.rect(x, self.y, 72, LINE, class);
        self.text(x + 10, &format!("badge {class}-text"), &result);
        self.y += LINE;
        let reporter = text(&report["reporter"]);
        let plural = if annotations == 1 { "" } else { "s" };
        let by = format!("{reporter} · {annotations} annotation{plural}");
        self.text(MARGIN * 2, "dim", &by);
        self.y += LINE + 8;
        self.paragraphs(MARGIN * 2, "", &text(&report["details"]));
        self.y += 8;
        let data = report["data"].as_array().map_or(&[][..], Vec::as_slice);
        for datum in data {
            let (x1, x2, y) = (MARGIN * 2, WIDTH - MARGIN * 2, self.y);
            let rule = format!("x1=\"{x1}\" y1=\"{y}\" x2=\"{x2}\" y2=\"{y}\"");
            writeln!(self.shapes, r#"<line class="rule" {rule}/>"#).unwrap();
            self.y += 2;
            self.text(x1, "dim", &text(&datum["title"]));
            self.text(x1 + 250, "strong", &shown(datum));
            self.y += LINE + 2;
        }
        self.y += 4;
        self.end_card(card);
    }

    fn file(&mut self, file: &Changed, unseen: &mut Vec<&Value>) {
        let card = self.card();
        let inner = WIDTH - MARGIN * 2 - 2;
        self.rect(MARGIN + 1, self.y + 1, inner, LINE + 8, "head");
        self.y += 5;
        self.text(MARGIN * 2, "strong", file.path);
        if file.before.is_empty() {
            self.text(WIDTH - MARGIN * 2 - 36, "dim", "added");
        }
        self.y += LINE + 4;
        let is_here = |it: &&Value| it["path"] == file.path;
        let here: Vec<&Value> = unseen.iter().copied().filter(is_here).collect();
        unseen.retain(|it| !is_here(it));
        let at = |line: Option<usize>| {
            let line = line.map(Value::from).unwrap_or_default();
            here.iter().filter(move |it| it["line"] == line).copied()
        };
        at(None).for_each(|it| self.annotation(it));
        let mut drawn = at(None).count();
        let lines = diff(file.before, file.after);
        let is_annotated = |line: &Line| line.after.is_some_and(|it| at(Some(it)).count() > 0);
        let is_changed = |line: &Line| line.sign != ' ';
        let has_annotated = lines.iter().any(is_annotated);
        let is_near = |number: usize| {
            let near = number.saturating_sub(CONTEXT)..lines.len().min(number + CONTEXT + 1);
            let near = &lines[near];
            near.iter().any(is_annotated) || !has_annotated && near.iter().any(is_changed)
        };
        let mut was_near = true;
        for (number, line) in lines.iter().enumerate() {
            if is_near(number) {
                self.line(line);
            } else if was_near {
                self.text(MARGIN + 72, "code dim", "⋯");
                self.y += LINE;
            }
            was_near = is_near(number);
            for annotation in line.after.into_iter().flat_map(|it| at(Some(it))) {
                assert!(is_changed(line), "not at a changed line: {annotation:#}");
                self.annotation(annotation);
                drawn += 1;
            }
        }
        assert_eq!(
            drawn,
            here.len(),
            "a line is not in {}: {here:#?}",
            file.path
        );
        self.end_card(card);
    }

    fn line(&mut self, line: &Line) {
        let class = match line.sign {
            '+' => Some("added"),
            '-' => Some("removed"),
            _ => None,
        };
        if let Some(class) = class {
            self.rect(MARGIN + 1, self.y, WIDTH - MARGIN * 2 - 2, LINE, class);
        }
        let numbers = [(line.before, MARGIN + 10), (line.after, MARGIN + 40)];
        for (number, x) in numbers {
            if let Some(number) = number {
                self.text(x, "code dim", &format!("{number:>3}"));
            }
        }
        self.text(MARGIN + 72, "code", &format!("{} {}", line.sign, line.text));
        self.y += LINE;
    }

    fn annotation(&mut self, annotation: &Value) {
        let text = |name: &str| annotation[name].as_str().unwrap_or_default();
        let x = MARGIN + 72;
        let frame = self.shapes.len();
        self.y += 4;
        let top = self.y;
        self.y += 6;
        let severity = text("severity").to_lowercase();
        let (dot_x, dot_y) = (x + 16, self.y + LINE / 2);
        writeln!(
            self.shapes,
            r#"<circle class="{severity}" cx="{dot_x}" cy="{dot_y}" r="5"/>"#
        )
        .unwrap();
        self.paragraphs(x + 30, "strong", text("summary"));
        self.paragraphs(x + 30, "dim", text("details"));
        self.y += 6;
        let mut below = std::mem::take(self);
        below.frame(x, top, WIDTH - MARGIN * 2 - x, below.y - top, "note", frame);
        below.y += 6;
        *self = below;
    }

    /// Text with its own line breaks, and others where it is too wide.
    fn paragraphs(&mut self, x: usize, class: &str, text: &str) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "some hundred pixels"
        )]
        let width = ((WIDTH - x - MARGIN * 3) as f64 / CHARACTER) as usize;
        for line in text.lines() {
            for line in wrapped(line, width) {
                self.text(x, class, &line);
                self.y += LINE;
            }
        }
    }

    fn text(&mut self, x: usize, class: &str, text: &str) {
        let y = self.y + 14;
        let text = escaped(text);
        writeln!(
            self.shapes,
            r#"<text x="{x}" y="{y}" class="{class}">{text}</text>"#
        )
        .unwrap();
    }

    fn rect(&mut self, x: usize, y: usize, width: usize, height: usize, class: &str) {
        let at = self.shapes.len();
        self.frame(x, y, width, height, class, at);
    }

    /// Draws a rectangle below what was drawn since.
    fn frame(
        &mut self,
        x: usize,
        y: usize,
        width: usize,
        height: usize,
        class: &str,
        since: usize,
    ) {
        let round = if matches!(class, "added" | "removed" | "head") {
            0
        } else {
            4
        };
        let rect = format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>\n"
        );
        self.shapes.insert_str(since, &rect);
    }

    fn card(&mut self) -> (usize, usize) {
        self.y += MARGIN;
        (self.y, self.shapes.len())
    }

    fn end_card(&mut self, (top, since): (usize, usize)) {
        self.y += 4;
        self.frame(MARGIN, top, WIDTH - MARGIN * 2, self.y - top, "card", since);
    }

    fn finish(self) -> String {
        let height = self.y + MARGIN;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n\
             <style>{STYLE}</style>\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n{}</svg>\n",
            self.shapes
        )
    }
}

/// A datum's value as Bitbucket shows it.
fn shown(datum: &Value) -> String {
    let value = &datum["value"];
    match (datum["type"].as_str(), value) {
        (Some("LINK"), link) => link["text"].as_str().unwrap_or_default().to_owned(),
        (Some("BOOLEAN"), value) => if *value == true { "Yes" } else { "No" }.to_owned(),
        (Some("PERCENTAGE"), value) => format!("{value}%"),
        (Some("DURATION"), value) => format!("{} s", value.as_u64().unwrap_or_default() / 1000),
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}

struct Line<'a> {
    sign: char,
    /// Its numbers in the two files.
    before: Option<usize>,
    after: Option<usize>,
    text: &'a str,
}

/// The lines of two files, by their longest common subsequence.
fn diff<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        let both = i < old.len() && j < new.len();
        let (sign, text) = if both && old[i] == new[j] {
            (' ', new[j])
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            ('-', old[i])
        } else {
            ('+', new[j])
        };
        i += usize::from(sign != '+');
        j += usize::from(sign != '-');
        lines.push(Line {
            sign,
            before: (sign != '+').then_some(i),
            after: (sign != '-').then_some(j),
            text,
        });
    }
    lines
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
