//! The report as one HTML page.

use std::fmt::Write;

use super::{Cell, Facts, Image, Picture, Report, Table, base64, mark};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1c1c;--muted:#5c5c5c;--rule:#d9d9d9;--paper:#fff;--shade:#f5f5f3;--yes:#006b4c;--no:#b23b00}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8e6;--muted:#a3a3a0;--rule:#444;--paper:#191919;--shade:#242424;--yes:#4fcfa0;--no:#ff8a4c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:2rem 1.5rem 4rem;font:16px/1.55 system-ui,-apple-system,'Segoe UI',sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .4rem}
h2{font-size:1.2rem;margin:2.4rem 0 .6rem}
h3{font-size:1rem;margin:1.2rem 0 .3rem}
p{max-width:48rem;margin:.5rem 0}
.muted{color:var(--muted)}
.posterior{border-left:4px solid #0072b2;background:var(--shade);padding:.6rem 1rem;max-width:50rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.92rem;margin:.4rem 0}
th,td{padding:.28rem .8rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top}
th{font-weight:600;border-bottom-width:2px}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.yes{color:var(--yes);font-weight:700}.no{color:var(--no);font-weight:700}
figure{margin:1.2rem 0 2rem}
figure img{display:block;width:100%;max-width:66rem;height:auto;background:#fff;border:1px solid var(--rule)}
figcaption{color:var(--muted);margin-top:.5rem;max-width:48rem}
details{margin:.8rem 0}summary{cursor:pointer;font-weight:600}
pre{overflow-x:auto;background:var(--shade);padding:.8rem 1rem;font-size:.85rem;line-height:1.4}
";

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut out = String::new();
    let title = escape(&report.title);
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    put(&mut out, format_args!("<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"));
    put(&mut out, format_args!("<h1>{title}</h1>\n"));
    for paragraph in &report.summary {
        put(&mut out, format_args!("<p>{}</p>\n", escape(paragraph)));
    }
    if !report.posterior.is_empty() {
        let text = escape(&report.posterior);
        put(&mut out, format_args!("<p class=\"posterior\"><strong>Which posterior.</strong> {text}</p>\n"));
    }
    if !report.checks.is_empty() {
        table(&mut out, &report.check_table());
    }
    report.tables.iter().for_each(|scores| table(&mut out, scores));
    figures(&mut out, &report.figures);
    notes(&mut out, &report.notes);
    facts(&mut out, &report.facts);
    if !report.configuration.is_empty() {
        let text = escape(&report.configuration);
        put(
            &mut out,
            format_args!(
                "<details><summary>Configuration, resolved</summary>\n<pre>{text}</pre></details>\n"
            ),
        );
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn table(out: &mut String, table: &Table) {
    put(out, format_args!("<h2>{}</h2>\n", escape(&table.title)));
    if !table.note.is_empty() {
        put(out, format_args!("<p class=\"muted\">{}</p>\n", escape(&table.note)));
    }
    out.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    for (c, name) in table.columns.iter().enumerate() {
        let class = if table.is_numeric(c) { " class=\"number\"" } else { "" };
        put(out, format_args!("<th{class}>{}</th>", escape(name)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for c in 0..table.columns.len() {
            cell(out, row.get(c).unwrap_or(&Cell::Missing), table.is_numeric(c));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn cell(out: &mut String, cell: &Cell, numeric: bool) {
    let class = if numeric { " class=\"number\"" } else { "" };
    match cell {
        Cell::Passed(passed) => {
            let (class, word) = if *passed { ("yes", "passed") } else { ("no", "failed") };
            put(
                out,
                format_args!("<td><span class=\"{class}\" title=\"{word}\">{}</span></td>", mark(*passed)),
            );
        }
        other => put(out, format_args!("<td{class}>{}</td>", escape(&other.text()))),
    }
}

/// Images go into `img` elements: an identifier or a style of one figure cannot reach another.
fn figures(out: &mut String, figures: &[Picture]) {
    if !figures.is_empty() {
        out.push_str("<h2>Figures</h2>\n");
    }
    for picture in figures {
        let (kind, data) = match &picture.image {
            Image::Svg(text) => ("svg+xml", base64::encode(text.as_bytes())),
            Image::Png(bytes) => ("png", base64::encode(bytes)),
        };
        let caption = escape(&picture.caption);
        put(
            out,
            format_args!(
                "<figure><img src=\"data:image/{kind};base64,{data}\" alt=\"{caption}\"><figcaption>{caption}</figcaption></figure>\n"
            ),
        );
    }
}

fn notes(out: &mut String, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    out.push_str("<h2>Notes</h2>\n<ul>\n");
    for note in notes {
        put(out, format_args!("<li>{}</li>\n", escape(note)));
    }
    out.push_str("</ul>\n");
}

fn facts(out: &mut String, groups: &[Facts]) {
    for group in groups {
        put(out, format_args!("<details open><summary>{}</summary>\n<table>\n", escape(&group.title)));
        for (name, value) in &group.rows {
            put(out, format_args!("<tr><td>{}</td><td>{}</td></tr>\n", escape(name), escape(value)));
        }
        out.push_str("</table></details>\n");
    }
}

/// Text that means itself, in an element and in a quoted attribute.
fn escape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\'' => result.push_str("&#39;"),
            other => result.push(other),
        }
    }
    result
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String grows as needed");
}
