//! Lays out rows in columns, for terminals and CI logs.

use std::borrow::Borrow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How far rows are indented below their heading.
const INDENT: usize = 2;

/// The space between two columns.
const GAP: usize = 2;

/// The width that a row should have at most, in columns.
const ROW_WIDTH: usize = 80;

/// The maximum width of a cell. Longer ones are cut, so that one long name does not push the rest out of sight.
const MAX_WIDTH: usize = 48;

/// The widest column is cut as far as this for the sake of `ROW_WIDTH`.
const MIN_WIDTH: usize = 20;

/// Makes each column as wide as its widest cell. The last cell of each row is not padded, so rows may differ in length.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let rows: Vec<(&[String], &str)> = rows
        .iter()
        .filter_map(|row| row.split_last().map(|(last, cells)| (cells, last.as_str())))
        .collect();
    let widths = widths(&rows);
    rows.iter()
        .map(|(cells, last)| {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(&widths).filter(|(_, width)| **width > 0) {
                let cell = cut(cell, *width);
                line.push_str(&cell);
                line.push_str(&" ".repeat(width - cell.width() + GAP));
            }
            (line + last).trim_end().to_owned()
        })
        .collect()
}

/// The width of each column but the last.
fn widths(rows: &[(&[String], &str)]) -> Vec<usize> {
    let count = rows.iter().map(|(cells, _)| cells.len()).max();
    let mut widths: Vec<usize> = (0..count.unwrap_or_default())
        .map(|column| {
            let cells = rows.iter().filter_map(|(cells, _)| cells.get(column));
            let width = cells.map(|cell| cell.width()).max();
            width.unwrap_or_default().min(MAX_WIDTH)
        })
        .collect();
    let row_width = |(cells, last): &(&[String], &str)| {
        let cells = widths.iter().take(cells.len()).filter(|width| **width > 0);
        INDENT + cells.map(|width| width + GAP).sum::<usize>() + last.width()
    };
    let widest_row = rows.iter().map(row_width).max().unwrap_or_default();
    let excess = widest_row.saturating_sub(ROW_WIDTH);
    if let Some(widest) = widths.iter_mut().max() {
        *widest = (*widest).min(MIN_WIDTH.max(widest.saturating_sub(excess)));
    }
    widths
}

/// The text, or if it is wider than `max` columns, its start with an ellipsis.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.width() <= max {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut width = 1;
    for c in text.chars() {
        width += c.width().unwrap_or_default();
        if width > max {
            break;
        }
        shown.push(c);
    }
    shown + "…"
}

/// Joins a list, showing only the first ten of many.
pub(crate) fn first_ten(items: &[impl Borrow<str>]) -> String {
    const SHOWN: usize = 10;
    if items.len() <= SHOWN {
        return items.join(", ");
    }
    let shown = items[..SHOWN].join(", ");
    format!("{shown} and {} more", items.len() - SHOWN)
}

/// Joins the parts that are known.
pub(crate) fn join_known<const N: usize>(parts: [Option<String>; N]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &str) -> Vec<String> {
        cells.split('|').map(str::to_owned).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = ["w1|Größe|50%", "w12|大きさ|staged"].map(row);
        assert_eq!(columns(&rows), ["w1   Größe   50%", "w12  大きさ  staged"]);
    }

    #[test]
    fn a_row_may_have_fewer_cells() {
        let rows = ["+ starts|w1|50%", "size|any"].map(row);
        assert_eq!(columns(&rows), ["+ starts  w1  50%", "size      any"]);
    }

    #[test]
    fn an_empty_column_takes_no_room_and_a_long_cell_is_cut() {
        let long = "x".repeat(100);
        let cut = "x".repeat(MAX_WIDTH - 1);
        let rows = [row(&format!("{long}||50%"))];
        assert_eq!(columns(&rows), [format!("{cut}…  50%")]);
    }

    #[test]
    fn the_widest_column_is_cut_so_that_a_row_fits() {
        let name = "x".repeat(40);
        let [fits, last] = [80 - 2 - 4 - 42, 20].map(|width| "y".repeat(width));
        let uncut = columns(&[row(&format!("w1|{name}|{fits}"))]);
        assert_eq!(uncut, [format!("w1  {name}  {fits}")]);
        let cut = columns(&[row(&format!("w1|{name}|{fits}{last}"))]);
        let name = "x".repeat(MIN_WIDTH - 1);
        assert_eq!(cut, [format!("w1  {name}…  {fits}{last}")]);
    }

    #[test]
    fn wide_characters_count_twice() {
        let texts = ["大きさ", "大きさ!", "a大きさ"].map(|text| cut(text, 6));
        assert_eq!(texts, ["大きさ", "大き…", "a大き…"]);
    }
}
