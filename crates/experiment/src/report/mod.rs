//! The report of a run: one value, written as a self-contained page, as Markdown, as JSON and for the terminal.
//!
//! Everything shown is in [`Report`]; the writers add nothing but layout, so that all four say the same.

pub(crate) mod base64;
mod html;
mod markdown;
mod number;
mod terminal;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use number::significant;
pub use terminal::columns;

/// What a run has to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Title, such as "Lorenz, tier quick".
    pub title: String,
    /// A paragraph or two on what was done.
    pub summary: Vec<String>,
    /// Which posterior this is: the prior it rests on, where that was learned, and what the reference's prior is.
    pub posterior: String,
    /// Published or recorded numbers and whether they were met.
    pub checks: Vec<Check>,
    /// Scores.
    pub tables: Vec<Table>,
    /// Figures in the order shown.
    pub figures: Vec<Picture>,
    /// Caveats, skipped stages, diverged samples.
    pub notes: Vec<String>,
    /// Versions, seeds, timings, machine: one group of name and value each.
    pub facts: Vec<Facts>,
    /// The resolved configuration, as RON.
    pub configuration: String,
}

/// A number that should lie within bounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What was measured, such as "lo: W₁ over the filter's own".
    pub quantity: String,
    /// What came out; NaN where nothing did, which fails.
    pub value: f64,
    /// Least value that passes; none for any.
    pub lower: Option<f64>,
    /// Greatest value that passes; none for any.
    pub upper: Option<f64>,
    /// Where the bounds come from.
    pub source: String,
}

/// A table of scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// Title.
    pub title: String,
    /// What the reader must know: units, number of samples; may be empty.
    pub note: String,
    /// Column heads.
    pub columns: Vec<String>,
    /// Rows, as wide as `columns`; a shorter row is filled with [`Cell::Missing`].
    pub rows: Vec<Vec<Cell>>,
}

/// An entry of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A whole number.
    Count(u64),
    /// A number, shown with four significant digits.
    Number(f64),
    /// A number and its standard error or deviation.
    Spread(f64, f64),
    /// ✓ or ✗.
    Passed(bool),
    /// Nothing: a dash.
    Missing,
}

/// A figure and its caption.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Picture {
    /// Path from the run directory to the PNG, for the Markdown report.
    pub file: String,
    /// What is to be seen.
    pub caption: String,
    /// The image itself, for the page.
    #[serde(skip)]
    pub image: Image,
}

/// An image to be embedded.
#[derive(Clone, Debug, PartialEq)]
pub enum Image {
    /// SVG text.
    Svg(String),
    /// A PNG file's bytes.
    Png(Vec<u8>),
}

/// A group of names and values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facts {
    /// Title, such as "seeds".
    pub title: String,
    /// Names and values.
    pub rows: Vec<(String, String)>,
}

/// Why a report could not be written; continues "failed to write the report: …".
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file system refused.
    #[error(transparent)]
    Write(#[from] sda_data::DataError),
    /// The values do not serialise.
    #[error("cannot serialise: {0}")]
    Json(#[from] serde_json::Error),
}

impl Check {
    /// Whether the value is finite and within its bounds, ends included.
    pub fn passed(&self) -> bool {
        self.value.is_finite()
            && self.lower.is_none_or(|lower| self.value >= lower)
            && self.upper.is_none_or(|upper| self.value <= upper)
    }

    /// The bounds in words.
    pub fn bounds(&self) -> String {
        let short = |bound: f64| bound.to_string().replace('-', "−");
        match (self.lower, self.upper) {
            (Some(lower), Some(upper)) => format!("{} … {}", short(lower), short(upper)),
            (Some(lower), None) => format!("≥ {}", short(lower)),
            (None, Some(upper)) => format!("≤ {}", short(upper)),
            (None, None) => "any finite".to_owned(),
        }
    }
}

impl Cell {
    /// What the cell shows.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Number(value) => significant(*value),
            Self::Spread(value, spread) => {
                format!("{} ± {}", significant(*value), number::digits(*spread, 2))
            }
            Self::Passed(passed) => mark(*passed).to_owned(),
            Self::Missing => "—".to_owned(),
        }
    }

    fn is_words(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

impl Table {
    /// Row `i`'s cells as shown, as many as there are columns.
    fn row_texts(&self, i: usize) -> Vec<String> {
        (0..self.columns.len()).map(|c| self.rows[i].get(c).unwrap_or(&Cell::Missing).text()).collect()
    }

    /// Whether a column holds numbers only, and is aligned to the right.
    fn is_numeric(&self, column: usize) -> bool {
        !self.rows.iter().any(|row| row.get(column).is_some_and(Cell::is_words))
    }
}

impl Report {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }

    /// The checks as a table, the first to be shown.
    fn check_table(&self) -> Table {
        let rows = self.checks.iter().map(|check| {
            vec![
                Cell::Passed(check.passed()),
                Cell::Text(check.quantity.clone()),
                Cell::Number(check.value),
                Cell::Text(check.bounds()),
                Cell::Text(check.source.clone()),
            ]
        });
        Table {
            title: "Checks".into(),
            note: String::new(),
            columns: ["", "quantity", "value", "expected", "source"].map(str::to_owned).to_vec(),
            rows: rows.collect(),
        }
    }

    /// A self-contained HTML page: styles and images are within it, no script, nothing is fetched.
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// GitHub's Markdown; figures are links into the run directory.
    pub fn markdown(&self) -> String {
        markdown::document(self)
    }

    /// Plain text with aligned columns: tables, checks and notes.
    pub fn terminal(&self) -> String {
        terminal::document(self)
    }

    /// Writes `report.html`, `report.md` and `report.json` into the folder, each whole or not at all.
    ///
    /// Errors: the folder cannot be made or written.
    pub fn save(&self, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
        let json = serde_json::to_string_pretty(self)?;
        let files = [("report.html", self.html()), ("report.md", self.markdown()), ("report.json", json)];
        let mut written = Vec::new();
        for (name, text) in files {
            let path = folder.join(name);
            sda_data::whole_file::write(&path, text.as_bytes())?;
            written.push(path);
        }
        Ok(written)
    }
}

fn mark(passed: bool) -> &'static str {
    if passed { "✓" } else { "✗" }
}

#[cfg(test)]
mod tests;
