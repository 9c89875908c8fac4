//! The report at the end of a run: plain text, aligned columns.

use super::{Report, Table};

const GAP: &str = "  ";

/// Tables, checks, notes, and whether all passed.
pub(super) fn document(report: &Report) -> String {
    let mut blocks = vec![report.title.clone()];
    blocks.extend(report.tables.iter().map(table));
    if !report.checks.is_empty() {
        blocks.push(table(&report.check_table()));
    }
    if !report.posterior.is_empty() {
        blocks.push(format!("Which posterior: {}", report.posterior));
    }
    if !report.notes.is_empty() {
        blocks.push(report.notes.iter().map(|note| format!("note: {note}")).collect::<Vec<_>>().join("\n"));
    }
    if !report.checks.is_empty() {
        let passed = report.checks.iter().filter(|check| check.passed()).count();
        blocks.push(format!(
            "{} {passed} of {} checks passed",
            super::mark(report.passed()),
            report.checks.len()
        ));
    }
    blocks.join("\n\n") + "\n"
}

fn table(table: &Table) -> String {
    let rows: Vec<Vec<String>> = (0..table.rows.len()).map(|i| table.row_texts(i)).collect();
    let right: Vec<bool> = (0..table.columns.len()).map(|c| table.is_numeric(c)).collect();
    let heads: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    let mut text = table.title.clone();
    if !table.note.is_empty() {
        text.extend([" (", table.note.as_str(), ")"]);
    }
    format!("{text}\n{}", columns(&heads, &rows, &right))
}

/// Aligned columns under their heads, with a rule between; `right` says which are aligned to the right.
///
/// A row shorter than the heads is filled with blanks and a longer one is cut. Widths count characters, which is
/// right for the letters, digits, ✓, ±, subscripts and Greek that reports hold.
pub fn columns(heads: &[&str], rows: &[Vec<String>], right: &[bool]) -> String {
    let cell = |row: &[String], c: usize| row.get(c).map_or("", String::as_str).replace(['\n', '\t'], " ");
    let width = |c: usize| {
        let widest = rows.iter().map(|row| cell(row, c).chars().count()).max().unwrap_or(0);
        widest.max(heads[c].chars().count())
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |texts: Vec<String>| {
        let cells = texts.iter().zip(&widths).enumerate().map(|(c, (text, &width))| {
            let blank = " ".repeat(width.saturating_sub(text.chars().count()));
            if right.get(c).copied().unwrap_or(false) {
                format!("{blank}{text}")
            } else {
                format!("{text}{blank}")
            }
        });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    let mut lines = vec![line(heads.iter().map(|&head| head.to_owned()).collect())];
    lines.push(widths.iter().map(|&width| "─".repeat(width)).collect::<Vec<_>>().join(GAP));
    lines.extend(rows.iter().map(|row| line((0..heads.len()).map(|c| cell(row, c)).collect())));
    lines.join("\n")
}
