//! Medians and ratios, as Markdown and JSON.

use anyhow::Context;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// One item's times.
pub(crate) struct Line {
    name: &'static str,
    flops: Option<f64>,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (n > 0).then(|| f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]))
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}

impl Line {
    pub(crate) fn new(name: &'static str, flops: Option<f64>, ours: Vec<f64>, theirs: Vec<f64>) -> Self {
        Self { name, flops, ours, theirs }
    }

    /// Median of the ratios of neighbouring runs: both sides see the same machine.
    fn ratio(&self) -> Option<f64> {
        let ratios: Vec<f64> = self.theirs.iter().zip(&self.ours).map(|(t, o)| t / o).collect();
        median(&ratios)
    }

    fn cells(&self) -> [String; 5] {
        let ours = median(&self.ours);
        let rate = self.flops.zip(ours).map(|(f, s)| format!("{:.0}", f / s * 1e-9));
        [
            self.name.into(),
            ours.map(time).unwrap_or_default(),
            median(&self.theirs).map(time).unwrap_or_default(),
            self.ratio().map(|r| format!("{r:.2}")).unwrap_or_default(),
            rate.unwrap_or_default(),
        ]
    }

    pub(crate) fn text(&self) -> String {
        let [name, ours, theirs, ratio, rate] = self.cells();
        format!("{name:<28} {ours:>12} {theirs:>12} {ratio:>7} {rate:>7}")
    }

    fn json(&self) -> Value {
        json!({
            "item": self.name,
            "ours_seconds": self.ours,
            "peer_seconds": self.theirs,
            "ours_median": median(&self.ours),
            "peer_median": median(&self.theirs),
            "ratio": self.ratio(),
            "flops": self.flops,
        })
    }
}

/// All items of one run.
pub(crate) struct Report {
    threads: usize,
    rounds: usize,
    peer: Option<Value>,
    lines: Vec<Line>,
}

impl Report {
    pub(crate) fn new(threads: usize, rounds: usize, peer: Option<Value>, lines: Vec<Line>) -> Self {
        Self { threads, rounds, peer, lines }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = format!(
            "# Lorenz, {} threads, {} rounds in turns, {:?} instructions\n\n",
            self.threads,
            self.rounds,
            sda_kernels::Level::detect()
        );
        if let Some(peer) = &self.peer {
            let _ = writeln!(out, "Peer: {peer}\n");
        }
        out += "| item | ours | peer | peer / ours | GFLOP/s |\n|---|---|---|---|---|\n";
        for line in &self.lines {
            let _ = writeln!(out, "| {} |", line.cells().join(" | "));
        }
        out
    }

    pub(crate) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        let lines: Vec<Value> = self.lines.iter().map(Line::json).collect();
        let json =
            json!({ "threads": self.threads, "rounds": self.rounds, "peer": self.peer, "items": lines });
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        for (name, text) in
            [("lorenz.md", self.markdown()), ("lorenz.json", serde_json::to_string_pretty(&json)?)]
        {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}
