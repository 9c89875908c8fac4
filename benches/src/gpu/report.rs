//! The measurements as Markdown and JSON.

use super::arguments::Sizes;
use super::origin::Origin;
use super::rates::Rates;
use super::setting::{Setting, name};
use super::targets::{HOST, Target, targets};
use super::torch::{Bare, COMPILED, EAGER, TF32};
use super::{kernel, program};
use crate::report::{mebibytes, time};
use anyhow::Context;
use sda_kernels::gpu::Precision;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// Rows of a program's table of kernels.
const MOST_EXPENSIVE: usize = 10;

/// What the peer said, and its times of bare kernels.
pub(super) struct PeerReport {
    pub(super) versions: Value,
    pub(super) device: String,
    pub(super) cuda: bool,
    pub(super) same: bool,
    pub(super) bare: Vec<Bare>,
    pub(super) failures: Vec<String>,
}

/// All of one run.
pub(super) struct Report {
    pub(super) origin: Origin,
    pub(super) setting: Setting,
    pub(super) rates: Rates,
    pub(super) kernels: Vec<kernel::Line>,
    pub(super) programs: Vec<program::Line>,
    /// Names and reasons.
    pub(super) left_out: Vec<(String, String)>,
    pub(super) peer: Option<PeerReport>,
    pub(super) seconds: f64,
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A rate in thousands of millions, in at least two digits.
fn giga(rate: f64) -> String {
    match rate * 1e-9 {
        g if g < 0.95 => format!("{g:.2}"),
        g if g < 10.0 => format!("{g:.1}"),
        g => format!("{g:.0}"),
    }
}

fn row(out: &mut String, cells: &[String]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn head(out: &mut String, names: &[&str]) {
    let _ = writeln!(out, "| {} |\n|{}", names.join(" | "), "---|".repeat(names.len()));
}

impl kernel::Line {
    pub(super) fn cells(&self, rates: &Rates) -> Vec<String> {
        let seconds = self.median();
        let (flops, bytes) = (self.flops / seconds, self.bytes / seconds);
        let of_products = rates.product(self.precision).map(|rate| percent(flops / rate));
        vec![
            self.name.clone(),
            name(self.precision).into(),
            self.launches.len().to_string(),
            format!("{:.2}", self.bytes * 1e-6),
            format!("{:.3}", self.flops * 1e-9),
            time(seconds),
            giga(bytes),
            percent(bytes / rates.copy),
            giga(flops),
            of_products.filter(|_| self.multiplies).unwrap_or_default(),
        ]
    }
}

impl program::Line {
    fn cells(&self, rates: &Rates) -> Vec<String> {
        let host = self.host().map_or_else(|| "†".into(), time);
        vec![
            self.name.clone(),
            name(self.precision).into(),
            time(self.median()),
            self.device_seconds.map(time).unwrap_or_default(),
            self.least_seconds(rates).map(time).unwrap_or_default(),
            host,
            self.launches.to_string(),
            self.submissions.to_string(),
            giga(self.flops / self.median()),
            mebibytes(self.device_bytes as f64),
            self.making.pipelines.to_string(),
            time(self.making.compile_seconds),
            time(self.making.first_run_seconds),
            time(self.again_seconds),
        ]
    }

    /// The line as it is measured, for the terminal.
    pub(super) fn text(&self, rates: &Rates) -> String {
        format!("{:<36} {}", self.name, self.cells(rates)[1..].join("  "))
    }
}

impl Report {
    pub(super) fn targets(&self) -> Vec<Target> {
        let (bare, same) = self.peer.as_ref().map_or((&[][..], false), |p| (&p.bare[..], p.same));
        targets(&self.kernels, &self.programs, bare, same)
    }

    pub(super) fn markdown(&self) -> String {
        let a = &self.origin.adapter;
        let mut out = format!("# {}\n\n", a.name);
        let kind = if a.kind.is_hardware() { "hardware" } else { "a program on the CPU, not a GPU" };
        for (what, value) in [
            ("adapter", format!("{} ({kind})", a.name)),
            ("driver", a.driver.clone()),
            ("backend", format!("{}, wgpu {}", a.backend, self.origin.wgpu)),
            ("kernels may use", format!("{:?}", a.abilities)),
            ("date", self.origin.day.clone()),
            ("sda", format!("{} {}", env!("CARGO_PKG_VERSION"), self.origin.commit)),
            ("sizes", format!("{}, up to {} turns", self.setting.sizes.name(), self.setting.rounds)),
            ("took", format!("{:.0} s", self.seconds)),
        ] {
            let _ = writeln!(out, "- {what}: {}", value.trim());
        }
        out += "\nHow to read this: [README.md](README.md).\n";
        out += &self.asked();
        out += &self.rates();
        out += &self.kernels();
        out += &self.programs();
        out += &self.beside_the_peer();
        out += &self.expensive();
        out
    }

    /// Targets with their verdicts; those that were not measured are one line.
    fn asked(&self) -> String {
        let all = self.targets();
        let (measured, not): (Vec<&Target>, Vec<&Target>) = all.iter().partition(|t| t.reached.is_some());
        let mut out = "\n## What was asked\n\n".to_owned();
        if !measured.is_empty() {
            head(&mut out, &["work", "ratio", "asked", "reached", ""]);
            for target in measured {
                let ratio = |r: f64| format!("{r:.2}");
                let reached = target.reached.map(ratio).unwrap_or_default();
                let cells = [target.of.into(), ratio(target.asked), reached, target.verdict().into()];
                row(&mut out, &[&[target.what.clone()][..], &cells].concat());
            }
            out.push('\n');
        }
        let why = match &self.peer {
            None => "without --peer torch",
            Some(peer) if !peer.same => "the peer did not run on this adapter",
            Some(_) => "the peer failed",
        };
        let (host, beside): (Vec<&Target>, Vec<&Target>) = not.into_iter().partition(|t| t.of == HOST);
        for (why, not) in [(why, beside), ("the host waits for the device", host)] {
            let mut ratios: Vec<&str> = not.iter().map(|t| t.of).collect();
            ratios.sort_unstable();
            ratios.dedup();
            if !not.is_empty() {
                let _ = writeln!(out, "Not measured ({why}), {} ratios: {}.", not.len(), ratios.join("; "));
            }
        }
        out
    }

    fn rates(&self) -> String {
        let mut out = "\n## Rates of the adapter\n\n".to_owned();
        let _ = writeln!(
            out,
            "- copy, y = x + 1 on arrays of {}: {} GB/s read and written",
            mebibytes(self.rates.copied),
            giga(self.rates.copy)
        );
        for (precision, rate, case) in &self.rates.products {
            let _ = writeln!(out, "- products, {}: {} GFLOP/s ({case})", name(*precision), giga(*rate));
        }
        out
    }

    fn kernels(&self) -> String {
        if self.kernels.is_empty() {
            return String::new();
        }
        let clock = if self.setting.timestamps {
            "by the device's own clock around every launch"
        } else {
            "by the host's clock around many queued runs: the adapter has no timestamps"
        };
        let mut out = format!("\n## Kernels\n\nTimes are medians, {clock}.\n\n");
        head(
            &mut out,
            &[
                "case",
                "precision",
                "launches",
                "MB",
                "GFLOP",
                "time",
                "GB/s",
                "of copy",
                "GFLOP/s",
                "of products",
            ],
        );
        self.kernels.iter().for_each(|line| row(&mut out, &line.cells(&self.rates)));
        out
    }

    fn programs(&self) -> String {
        let mut out = "\n## Programs\n\n".to_owned();
        if !self.programs.is_empty() {
            head(
                &mut out,
                &[
                    "program",
                    "precision",
                    "a run",
                    "on the device",
                    "rates allow",
                    "host",
                    "launches",
                    "submissions",
                    "GFLOP/s",
                    "memory",
                    "pipelines",
                    "compile",
                    "first run",
                    "again",
                ],
            );
            self.programs.iter().for_each(|line| row(&mut out, &line.cells(&self.rates)));
            if self.programs.iter().any(|line| line.host_waits) {
                out += "\n† the host waits for the device between submissions, so that its own time is not known.\n";
            }
        }
        if !self.left_out.is_empty() {
            out += "\nLeft out:\n\n";
            for (name, why) in &self.left_out {
                let _ = writeln!(out, "- {name}: {why}");
            }
        }
        out + &self.precisions()
    }

    /// f32 beside mixed.
    fn precisions(&self) -> String {
        let both: Vec<(&program::Line, &program::Line)> = self
            .programs
            .iter()
            .filter(|line| line.precision == Precision::F32)
            .filter_map(|f32| {
                let mixed = |m: &&program::Line| m.name == f32.name && m.precision == Precision::Mixed;
                Some((f32, self.programs.iter().find(mixed)?))
            })
            .collect();
        if both.is_empty() {
            return String::new();
        }
        let mut out = "\n### f32 beside mixed\n\n".to_owned();
        head(&mut out, &["program", "f32", "mixed", "f32 / mixed"]);
        for (f32, mixed) in both {
            let (a, b) = (f32.median(), mixed.median());
            row(&mut out, &[f32.name.clone(), time(a), time(b), format!("{:.2}", a / b)]);
        }
        out
    }

    fn beside_the_peer(&self) -> String {
        let Some(peer) = &self.peer else { return String::new() };
        let mut out = format!("\n## Beside PyTorch\n\nOn {}: {}\n", peer.device, peer.versions);
        if !peer.cuda {
            out += "\n**PyTorch found no CUDA device and ran on the CPU: its times say nothing about any GPU and are \
                    shown to test the peer alone.**\n";
        } else if !peer.same {
            out += "\n**PyTorch ran on another device than this adapter: no ratio is told.**\n";
        }
        if !peer.bare.is_empty() {
            out += "\nBare kernels: ours by the device's clock; PyTorch's by events around many, in the faster of its memory \
                    formats.\n\n";
            head(&mut out, &["case", "ours f32", "PyTorch f32", "ours mixed", "PyTorch TF32"]);
            for bare in &peer.bare {
                let ours = |precision| {
                    let found = self.kernels.iter().find(|k| k.name == bare.name && k.precision == precision);
                    found.map(|line| time(line.median())).unwrap_or_default()
                };
                let cells = [
                    bare.name.clone(),
                    ours(Precision::F32),
                    time(bare.eager),
                    ours(Precision::Mixed),
                    time(bare.tf32),
                ];
                row(&mut out, &cells);
            }
        }
        out += "\nPrograms:\n\n";
        head(
            &mut out,
            &["program", "precision", "ours", "PyTorch eager", "eager, TF32", "compiled", "eager / ours"],
        );
        for line in self.programs.iter().filter(|line| !line.peer.is_empty()) {
            let of = |mode| line.peer(mode).map(time).unwrap_or_default();
            let ratio = line.peer(EAGER).filter(|_| peer.same).map(|s| format!("{:.2}", s / line.median()));
            let cells = [
                line.name.clone(),
                name(line.precision).into(),
                time(line.median()),
                of(EAGER),
                of(TF32),
                of(COMPILED),
                ratio.unwrap_or_default(),
            ];
            row(&mut out, &cells);
        }
        if !peer.failures.is_empty() {
            out += "\nWhat the peer could not do:\n\n";
            peer.failures.iter().for_each(|failure| {
                let _ = writeln!(out, "- {failure}");
            });
        }
        out
    }

    fn expensive(&self) -> String {
        let mut out = String::new();
        for line in self.programs.iter().filter(|line| !line.kernels.is_empty()) {
            if out.is_empty() {
                out += "\n## The most expensive kernels\n\nLaunches of one name and size together.\n";
            }
            let all: f64 = line.kernels.iter().map(|k| k.seconds).sum();
            let _ = writeln!(out, "\n### {}, {}\n", line.name, name(line.precision));
            head(
                &mut out,
                &[
                    "kernel",
                    "launches",
                    "GFLOP each",
                    "MB each",
                    "time",
                    "share",
                    "GFLOP/s",
                    "GB/s",
                    "rates allow",
                ],
            );
            for k in line.kernels.iter().take(MOST_EXPENSIVE) {
                let n = k.launches as f64;
                let (flops, bytes) = (k.flops as f64, k.bytes as f64);
                let least = k.least_seconds(line.precision, &self.rates);
                let cells = [
                    k.name.clone(),
                    k.launches.to_string(),
                    format!("{:.3}", flops * 1e-9),
                    format!("{:.2}", bytes * 1e-6),
                    time(k.seconds),
                    percent(k.seconds / all),
                    giga(n * flops / k.seconds),
                    giga(n * bytes / k.seconds),
                    percent(least / k.seconds),
                ];
                row(&mut out, &cells);
            }
        }
        out
    }

    fn json(&self) -> Value {
        let peer = self.peer.as_ref().map(|p| {
            let bare = |b: &Bare| json!({ "case": b.name, "eager": b.eager, "tf32": b.tf32 });
            json!({
                "versions": p.versions,
                "device": p.device,
                "cuda": p.cuda,
                "same_device": p.same,
                "bare": p.bare.iter().map(bare).collect::<Vec<_>>(),
                "failures": p.failures,
            })
        });
        let left_out: Vec<Value> =
            self.left_out.iter().map(|(name, why)| json!({ "program": name, "why": why })).collect();
        json!({
            "origin": self.origin.json(),
            "sizes": self.setting.sizes.name(),
            "rounds": self.setting.rounds,
            "timestamps": self.setting.timestamps,
            "seconds": self.seconds,
            "rates": self.rates.json(),
            "kernels": self.kernels.iter().map(kernel::Line::json).collect::<Vec<_>>(),
            "programs": self.programs.iter().map(program::Line::json).collect::<Vec<_>>(),
            "left_out": left_out,
            "peer": peer,
            "targets": self.targets().iter().map(Target::json).collect::<Vec<_>>(),
        })
    }

    /// Writes gpu-ADAPTER.md and gpu-ADAPTER.json; small sizes of hardware do not take the full ones' place.
    pub(super) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let usual = self.setting.sizes == Sizes::of(self.origin.adapter.kind);
        let stem = self.origin.stem()
            + &if usual { String::new() } else { format!("-{}", self.setting.sizes.name()) };
        let json = serde_json::to_string_pretty(&self.json())? + "\n";
        for (ending, text) in [("md", self.markdown()), ("json", json)] {
            let path = folder.join(format!("{stem}.{ending}"));
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(multiplies: bool) -> kernel::Line {
        kernel::Line {
            name: "case".into(),
            precision: Precision::F32,
            multiplies,
            launches: vec!["a".into(), "b".into()],
            flops: 4e9,
            bytes: 2e9,
            seconds: vec![1.0, 2.0, 30.0],
        }
    }

    #[test]
    fn shares_are_of_the_measured_rates() {
        let rates = Rates { copy: 4e9, copied: 1.0, products: vec![(Precision::F32, 8e9, "matmul".into())] };
        let cells = line(true).cells(&rates);
        assert_eq!(cells[2..], ["2", "2000.00", "4.000", "2.000 s", "1.0", "25 %", "2.0", "25 %"]);
        assert_eq!(line(false).cells(&rates)[9], "");
    }

    #[test]
    fn rates_have_two_digits() {
        for (rate, expected) in [(4.2e7, "0.04"), (9.4e8, "0.94"), (9.6e8, "1.0"), (1.234e13, "12340")] {
            assert_eq!(giga(rate), expected);
        }
    }

    #[test]
    fn tables_have_a_rule_below_their_head() {
        let mut out = String::new();
        head(&mut out, &["a", "b"]);
        row(&mut out, &["1".into(), "2".into()]);
        assert_eq!(out, "| a | b |\n|---|---|\n| 1 | 2 |\n");
    }
}
