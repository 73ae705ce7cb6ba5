//! Pure: a table in columns, or with its longer cells broken where the terminal is too narrow.

use unicode_width::UnicodeWidthChar;

use super::flow::{paint, width_of};
use super::inline;
use super::style::{Span, Style};

/// Between two columns.
const GAP: &str = " │ ";
const GAP_WIDTH: usize = 3;
/// No column gets narrower than this.
const NARROWEST: usize = 6;
/// More columns than this are nobody's table.
const MAX_COLUMNS: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Middle,
    Right,
}

type Cell = Vec<Span>;

/// The lines as a table of at most `width` columns, each ended; `None` if they are none, or one
/// that does not fit.
pub(super) fn table(lines: &[String], width: usize) -> Option<String> {
    let [head, rule, body @ ..] = lines else {
        return None;
    };
    let aligns: Option<Vec<Align>> = cells(rule).iter().map(|cell| align(cell)).collect();
    let aligns = aligns?;
    let head = read(head, Style::BOLD);
    if head.len() != aligns.len() || aligns.len() > MAX_COLUMNS {
        return None;
    }
    let mut rows = vec![head];
    rows.extend(body.iter().map(|line| read(line, Style::PLAIN)));
    let mut widths: Vec<usize> = Vec::new();
    for column in 0..aligns.len() {
        let cells = rows.iter().filter_map(|row| row.get(column));
        widths.push(cells.map(|cell| width_of(cell)).max().unwrap_or(0).max(1));
    }
    shrink(&mut widths, width)?;
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        draw(row, &widths, &aligns, &mut out);
        if index == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            Style::DIM.paint(&rules.join("─┼─"), &mut out);
            out.push('\n');
        }
    }
    Some(out)
}

/// The cells of a line, as they stand between its bars; a bar behind a backslash is text.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let mut cells = vec![String::new()];
    let mut is_escaped = false;
    for c in line.chars() {
        match cells.last_mut() {
            Some(_) if c == '|' && !is_escaped => cells.push(String::new()),
            Some(cell) => {
                if c == '|' {
                    cell.pop();
                }
                cell.push(c);
            }
            None => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    if cells.len() > 1 && cells.last().is_some_and(|cell| cell.trim().is_empty()) {
        cells.pop();
    }
    cells
}

fn read(line: &str, base: Style) -> Vec<Cell> {
    let cells = cells(line);
    let read = |cell: &String| inline::read(cell.trim(), true, base).spans;
    cells.iter().map(read).collect()
}

/// What a cell of the line under the head says, such as `:--:`.
fn align(cell: &str) -> Option<Align> {
    let cell = cell.trim();
    let dashes = cell.trim_matches(':');
    if dashes.is_empty() || !dashes.chars().all(|c| c == '-') {
        return None;
    }
    Some(match (cell.starts_with(':'), cell.ends_with(':')) {
        (true, true) => Align::Middle,
        (false, true) => Align::Right,
        _ => Align::Left,
    })
}

/// Takes from the widest until all fit.
fn shrink(widths: &mut [usize], width: usize) -> Option<()> {
    let gaps = GAP_WIDTH * widths.len().saturating_sub(1);
    loop {
        let over = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
        if over == 0 {
            return Some(());
        }
        let widest = widths.iter_mut().max_by_key(|width| **width)?;
        if *widest <= NARROWEST {
            return None;
        }
        *widest -= over.min((*widest - NARROWEST).div_ceil(4)).max(1);
    }
}

/// One row, in as many lines as its longest cell needs.
fn draw(row: &[Cell], widths: &[usize], aligns: &[Align], out: &mut String) {
    let cells: Vec<Vec<Cell>> = widths
        .iter()
        .enumerate()
        .map(|(column, width)| {
            row.get(column)
                .map_or_else(Vec::new, |cell| broken(cell, *width))
        })
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
    for line in 0..height {
        for (column, (width, align)) in widths.iter().zip(aligns).enumerate() {
            if column > 0 {
                Style::DIM.paint(GAP, out);
            }
            let cell = cells.get(column).and_then(|lines| lines.get(line));
            let cell = cell.map_or(&[][..], Vec::as_slice);
            let room = width.saturating_sub(width_of(cell));
            let before = match align {
                _ if cell.is_empty() => 0,
                Align::Left => 0,
                Align::Middle => room / 2,
                Align::Right => room,
            };
            out.push_str(&" ".repeat(before));
            paint(cell, out);
            if column + 1 < widths.len() {
                out.push_str(&" ".repeat(room - before));
            }
        }
        out.push('\n');
    }
}

/// A cell in lines of at most `width` columns, broken between words where it can be.
fn broken(cell: &[Span], width: usize) -> Vec<Cell> {
    let mut lines: Vec<Cell> = vec![Vec::new()];
    let mut column = 0;
    for span in cell {
        for word in span.text.split_inclusive(' ') {
            let spans = [Span::new(word.trim_end(), span.style)];
            if column > 0 && column + width_of(&spans) > width {
                lines.push(Vec::new());
                column = 0;
            }
            for c in word.chars() {
                let taken = c.width().unwrap_or(0);
                if column + taken > width {
                    if c == ' ' {
                        continue;
                    }
                    lines.push(Vec::new());
                    column = 0;
                }
                column += taken;
                if let Some(line) = lines.last_mut() {
                    match line.last_mut() {
                        Some(last) if last.style == span.style => last.text.push(c),
                        _ => line.push(Span::new(c, span.style)),
                    }
                }
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without escape sequences.
    fn plain(lines: &[&str], width: usize) -> Option<String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let table = table(&lines, width)?;
        let mut parts = table.split('\u{1b}');
        let first = parts.next().unwrap_or_default().to_owned();
        Some(parts.fold(first, |text, part| {
            text + part.split_once('m').map_or("", |(_, rest)| rest)
        }))
    }

    #[test]
    fn columns_are_aligned() {
        let lines = [
            "| Name | Size | x |",
            "|:-----|-----:|:-:|",
            "| **a** | 1 | mid |",
            "| 世界 | 100 |",
            "| a\\|b | `2` | z | more |",
        ];
        assert_eq!(
            plain(&lines, 80).unwrap(),
            "Name │ Size │  x\n\
             ─────┼──────┼────\n\
             a    │    1 │ mid\n\
             世界 │  100 │ \n\
             a|b  │    2 │  z\n"
        );
    }

    #[test]
    fn long_cells_are_broken() {
        let lines = [
            "|a|b|",
            "|-|-|",
            "|one two three four|five six seven eight nine|",
        ];
        let shown = plain(&lines, 24).unwrap();
        assert!(
            shown.lines().all(|line| line.chars().count() <= 24),
            "{shown}"
        );
        let words: Vec<&str> = shown.split_whitespace().collect();
        assert!(
            words.contains(&"four") && words.contains(&"nine"),
            "{shown}"
        );
        assert_eq!(plain(&lines, 10), None);
    }

    #[test]
    fn what_is_no_table() {
        for lines in [
            &["|a|b|"][..],
            &["|a|", "|b|"],
            &["|a|b|", "|-|"],
            &["|a|", "|:|"],
        ] {
            assert_eq!(plain(lines, 80), None);
        }
    }
}
