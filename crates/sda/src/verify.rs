//! `sda verify`: the sampler's own error on an exact chain.

use crate::say;
use anyhow::Context;
use clap::Args;
use sda::data::whole_file;
use sda::device::Cpu;
use sda::experiment::report::columns;
use sda::verify::{Errors, Expected, Outcome, Row, VerifyError, quick, rows, run};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the command line chooses.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A few rows that a wrong sampler does not pass, in seconds.
    #[arg(long)]
    quick: bool,
    /// Threads; 0 is all. The table does not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Write the table to a Markdown file too.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

const HEADS: [&str; 11] = [
    "seen",
    "windows",
    "guidance",
    "sampler",
    "bias",
    "spread",
    "W2/√n",
    "residual",
    "evaluations",
    "products",
    "expected",
];
const RIGHT: [bool; 11] = [false, false, false, false, true, true, true, true, true, true, false];

/// Runs the table; whether every row shows what is expected.
pub(crate) fn verify(arguments: &Arguments) -> anyhow::Result<bool> {
    let table = if arguments.quick { quick() } else { rows() };
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if arguments.threads == 0 { available() } else { arguments.threads };
    let executor = || Cpu::new(1).map_err(VerifyError::from);
    let done = AtomicUsize::new(0);
    let started = std::time::Instant::now();
    let on_row = |_, _: &Outcome| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let left = started.elapsed().as_secs_f64() / done as f64 * (table.len() - done) as f64;
        // A closed stderr is no reason to stop.
        let _ = write!(std::io::stderr(), "\rverify: {done} of {} rows, {left:.0} s left ", table.len());
    };
    let outcomes = run(&table, threads, executor, on_row);
    let _ = writeln!(std::io::stderr());
    let outcomes = outcomes?;
    let cells: Vec<Vec<String>> =
        table.iter().zip(&outcomes).map(|(row, outcome)| line(row, outcome)).collect();
    say(&columns(&HEADS, &cells, &RIGHT))?;
    let held = outcomes.iter().filter(|outcome| outcome.holds).count();
    let mark = if held == outcomes.len() { "✓" } else { "✗" };
    let seconds = started.elapsed().as_secs_f64();
    let all = outcomes.len();
    say(&format!("{mark} {held} of {all} rows are as expected ({seconds:.1} s, {threads} threads)"))?;
    if let Some(path) = &arguments.save {
        let text = markdown(&cells, held, arguments.quick);
        whole_file::write(path, text.as_bytes())
            .with_context(|| format!("write the table to {}", path.display()))?;
    }
    Ok(held == outcomes.len())
}

fn line(row: &Row, outcome: &Outcome) -> Vec<String> {
    let Errors { bias, spread, w2, residual } = outcome.errors;
    let mark = if outcome.holds { "✓" } else { "✗" };
    let expected = match row.expected {
        Expected::Printed(printed) => printed.map(|p| if p.is_empty() { "·" } else { p }).join(" / "),
        Expected::AtMost(most) => format!("W2 ≤ {most}"),
        Expected::AtLeast(least) => format!("W2 ≥ {least}"),
        Expected::Recorded { w2, .. } => format!("W2 {w2:.4}"),
    };
    vec![
        row.seen.name.into(),
        row.windows(),
        row.guidance(),
        row.sampler(),
        number(bias, 4),
        number(spread, 4),
        number(w2, 5),
        number(residual, 4),
        outcome.evaluations.to_string(),
        outcome.products.to_string(),
        format!("{mark} {expected}"),
    ]
}

fn number(value: f64, digits: usize) -> String {
    if value.abs() < 1e4 { format!("{value:.digits$}") } else { format!("{value:.0e}") }
}

fn markdown(cells: &[Vec<String>], held: usize, quick: bool) -> String {
    let command = if quick { "cargo xtask verify --quick" } else { "cargo xtask verify" };
    let mut text = format!(
        "# The sampler's own error on the exact chain\n\n`{command} --save …`: {held} of {} rows as expected.\n\n\
         Bias in posterior standard deviations, spread √(tr P/tr C), W2 per √n, residual over noise.\n\n",
        cells.len()
    );
    let _ = writeln!(text, "| {} |", HEADS.join(" | "));
    let rule = RIGHT.map(|right| if right { "--:" } else { "---" });
    let _ = writeln!(text, "| {} |", rule.join(" | "));
    for row in cells {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}
