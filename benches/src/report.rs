//! Medians, ratios, memory and shares of the roofline, as Markdown and JSON.

use crate::items::Setting;
use crate::machine::Machine;
use crate::measure::{Times, median};
use crate::memory::{MEASURED, Memory};
use crate::roofline::Counts;
use anyhow::Context;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// One item's figures.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) times: Times,
    pub(crate) counts: Option<Counts>,
    /// Ours and the peer's.
    pub(crate) memory: [Option<Memory>; 2],
}

/// A number in three digits, or a blank.
fn cell(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map(show).unwrap_or_default()
}

pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}

pub(crate) fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}

fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

impl Line {
    /// Operations per second of products and convolutions, over the whole of the time.
    fn rate(&self) -> Option<f64> {
        let flops = self.counts.as_ref()?.flops();
        median(&self.times.ours).map(|seconds| flops / seconds).filter(|rate| *rate > 0.0)
    }

    /// Name, both times, their ratio, both memories, their ratio, rate and its share.
    fn cells(&self, machine: &Machine) -> [String; 9] {
        let bytes = self.memory.map(|memory| memory.map(|m| m.bytes as f64));
        let of_peer = bytes[0].zip(bytes[1]).map(|(ours, theirs)| ours / theirs);
        [
            self.name.clone(),
            cell(median(&self.times.ours), time),
            cell(median(&self.times.theirs), time),
            cell(self.times.ratio(), ratio),
            cell(bytes[0], mebibytes),
            cell(bytes[1], mebibytes),
            cell(of_peer, ratio),
            cell(self.rate(), |rate| format!("{:.0}", rate * 1e-9)),
            cell(self.rate(), |rate| format!("{:.0} %", 100.0 * rate / machine.product_rate())),
        ]
    }

    /// The line as it is measured, for the terminal.
    pub(crate) fn text(&self, machine: &Machine) -> String {
        let [name, cells @ ..] = self.cells(machine);
        cells.iter().fold(format!("{name:<35}"), |text, cell| format!("{text} {cell:>11}"))
    }

    fn json(&self) -> Value {
        json!({
            "item": self.name,
            "ours_seconds": self.times.ours,
            "peer_seconds": self.times.theirs,
            "ours_median": median(&self.times.ours),
            "peer_median": median(&self.times.theirs),
            "ratio": self.times.ratio(),
            "ours_memory": self.memory[0].map(Memory::json),
            "peer_memory": self.memory[1].map(Memory::json),
            "steps": self.counts.as_ref().map(Counts::json),
            "flops_per_second": self.rate(),
        })
    }
}

/// All items of one run.
pub(crate) struct Report {
    pub(crate) setting: Setting,
    pub(crate) machine: Machine,
    /// Its name and versions.
    pub(crate) peer: Option<(String, Value)>,
    pub(crate) lines: Vec<Line>,
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let Setting { threads, level } = self.setting;
        let mut out = format!("# CPU, {threads} threads, {level:?} instructions\n\n");
        if let Some((name, versions)) = &self.peer {
            let _ = writeln!(out, "Peer: {name}, {versions}\n");
        }
        let turns = || self.lines.iter().map(|line| line.times.ours.len());
        let (least, most) = (turns().min().unwrap_or(0), turns().max().unwrap_or(0));
        let turns = if least == most { format!("{most}") } else { format!("{least} … {most}") };
        let _ = writeln!(
            out,
            "Times are medians of {turns} turns; peer / ours is the median of the ratios of neighbouring runs."
        );
        out += if MEASURED {
            "Memory is the growth of the largest resident set while a process of its own prepares the item and runs it \
             three times; program and libraries are left out.\n"
        } else {
            "Memory is left out: this system does not say what a process takes.\n"
        };
        out += "GFLOP/s are those of products and convolutions over the whole time; the share is of the rate of bare \
                products below.\n\n";
        out += "| item | ours | peer | peer / ours | memory, ours | memory, peer | ours / peer | GFLOP/s | share |\n";
        out += "|---|---|---|---|---|---|---|---|---|\n";
        for line in &self.lines {
            let _ = writeln!(out, "| {} |", line.cells(&self.machine).join(" | "));
        }
        out + &self.roofline()
    }

    /// What the machine can do, and what each program has to do.
    fn roofline(&self) -> String {
        let mut out =
            "\n## Roofline\n\nMeasured on this machine before and after the items, the larger of both:\n\n"
                .to_owned();
        for (threads, rate) in &self.machine.products {
            let _ = writeln!(out, "- f32 products, {threads} threads: {:.0} GFLOP/s", rate * 1e-9);
        }
        for (rate, what) in [
            (self.machine.far, "memory to memory, arrays of 1 GiB"),
            (self.machine.near, "within the second-level cache, arrays of 256 KiB"),
        ] {
            let _ = writeln!(out, "- copy {what}: {:.1} GB/s read and written", rate * 1e-9);
        }
        out += "\nEach program by sort of step, counted from its plan; packing of weights is among the products. GFLOP: \
                multiplications and additions, in fused steps arithmetic instructions. GB: what enters and leaves \
                every step, from cache or from memory. Time: of one run on one thread, step by step. Share: for \
                products and convolutions, of the rate of bare products on one thread; for the rest, of the copy \
                from memory to memory, which arrays in cache exceed.\n\n";
        out += "| item | sort | steps | GFLOP | GB | time, 1 thread | GFLOP/s | GB/s | share |\n\
                |---|---|---|---|---|---|---|---|---|\n";
        for line in &self.lines {
            for (kind, count) in line.counts.iter().flat_map(|counts| &counts.0) {
                let (flops, bytes) = (count.flops / count.seconds, count.bytes / count.seconds);
                let share = if kind.multiplies() {
                    flops / self.machine.one_thread_rate()
                } else {
                    bytes / self.machine.far
                };
                let cells = [
                    line.name.clone(),
                    kind.name().into(),
                    count.steps.to_string(),
                    format!("{:.4}", count.flops * 1e-9),
                    format!("{:.4}", count.bytes * 1e-9),
                    time(count.seconds),
                    format!("{:.1}", flops * 1e-9),
                    format!("{:.1}", bytes * 1e-9),
                    format!("{:.0} %", 100.0 * share),
                ];
                let _ = writeln!(out, "| {} |", cells.join(" | "));
            }
        }
        out
    }

    /// Writes cpu.md and cpu.json, cpu-PEER.md and .json beside another peer than PyTorch.
    pub(crate) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        let json = json!({
            "threads": self.setting.threads,
            "level": format!("{:?}", self.setting.level),
            "peer": self.peer.as_ref().map(|(_, versions)| versions),
            "machine": self.machine.json(),
            "items": self.lines.iter().map(Line::json).collect::<Vec<Value>>(),
        });
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let stem = match &self.peer {
            Some((name, _)) if name != "torch" => format!("cpu-{name}"),
            _ => "cpu".to_owned(),
        };
        for (extension, text) in
            [("md", self.markdown()), ("json", serde_json::to_string_pretty(&json)? + "\n")]
        {
            let path = folder.join(format!("{stem}.{extension}"));
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}
