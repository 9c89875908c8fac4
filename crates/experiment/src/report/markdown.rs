//! The report as GitHub's Markdown.

use super::{Report, Table};

/// The whole document.
pub(super) fn document(report: &Report) -> String {
    let mut blocks = vec![format!("# {}", escape(&report.title))];
    blocks.extend(report.summary.iter().map(|paragraph| escape(paragraph)));
    if !report.posterior.is_empty() {
        blocks.push(format!("> **Which posterior.** {}", escape(&report.posterior)));
    }
    if !report.checks.is_empty() {
        blocks.extend(table(&report.check_table()));
    }
    blocks.extend(report.tables.iter().flat_map(table));
    if !report.figures.is_empty() {
        blocks.push("## Figures".to_owned());
    }
    for picture in &report.figures {
        let caption = escape(&picture.caption);
        blocks.push(format!("![{caption}](<{}>)", picture.file.replace(['<', '>', '\n'], "")));
        blocks.push(caption);
    }
    if !report.notes.is_empty() {
        blocks.push("## Notes".to_owned());
        blocks.push(
            report.notes.iter().map(|note| format!("- {}", escape(note))).collect::<Vec<_>>().join("\n"),
        );
    }
    for group in &report.facts {
        blocks.push(format!("## {}", escape(&group.title)));
        let row = |(name, value): &(String, String)| format!("| {} | {} |", escape(name), escape(value));
        let rows: Vec<String> = group.rows.iter().map(row).collect();
        blocks.push(format!("| | |\n|:--|:--|\n{}", rows.join("\n")));
    }
    if !report.configuration.is_empty() {
        let fence = fence(&report.configuration);
        blocks.push(format!(
            "<details><summary>Configuration, resolved</summary>\n\n{fence}ron\n{}\n{fence}\n\n</details>",
            report.configuration.trim_end()
        ));
    }
    blocks.join("\n\n") + "\n"
}

fn table(table: &Table) -> Vec<String> {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let mut lines = vec![line(table.columns.iter().map(|name| escape(name)).collect())];
    let rule = |c| if table.is_numeric(c) { "--:" } else { ":--" }.to_owned();
    lines.push(line((0..table.columns.len()).map(rule).collect()));
    for i in 0..table.rows.len() {
        lines.push(line(table.row_texts(i).iter().map(|text| escape(text)).collect()));
    }
    let mut blocks = vec![format!("## {}", escape(&table.title))];
    if !table.note.is_empty() {
        blocks.push(escape(&table.note));
    }
    blocks.push(lines.join("\n"));
    blocks
}

/// A fence longer than any run of backticks within.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(3.max(longest + 1))
}

/// Text that means itself: no markup, no table separator, no line break.
fn escape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => result.push(' '),
            '\\' | '|' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '#' => result.extend(['\\', c]),
            other => result.push(other),
        }
    }
    result
}
