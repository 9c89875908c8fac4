//! What was asked for beside PyTorch, as ratios with a verdict.

use super::torch::{Bare, EAGER, TF32};
use super::{kernel, program};
use sda_kernels::gpu::Precision;
use serde_json::{Value, json};

/// Share of the peer's f32 rate that products and convolutions should reach.
const PRODUCTS: f64 = 0.6;
/// Seconds of the host in a run of the paper's network.
const HOST_SECONDS: f64 = 1e-3;

/// The one ratio that needs no peer.
pub(super) const HOST: &str = "1 ms / host time of a run";

/// One line: a ratio that should be at least `asked`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) what: String,
    /// What is divided by what.
    pub(super) of: &'static str,
    pub(super) asked: f64,
    /// `None` where it could not be measured.
    pub(super) reached: Option<f64>,
}

impl Target {
    /// ✓ or ✗ where it was measured.
    pub(super) fn verdict(&self) -> &'static str {
        match self.reached {
            Some(ratio) if ratio >= self.asked => "✓",
            Some(_) => "✗",
            None => "not measured",
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({ "what": self.what, "of": self.of, "asked": self.asked, "reached": self.reached, "verdict": self.verdict() })
    }
}

/// All targets; those beside the peer are measured only where it ran on the `same` device.
pub(super) fn targets(
    kernels: &[kernel::Line],
    programs: &[program::Line],
    bare: &[Bare],
    same: bool,
) -> Vec<Target> {
    let theirs = |name: &str| bare.iter().find(|b| b.name == name).filter(|_| same);
    let mut all = Vec::new();
    for line in kernels.iter().filter(|line| line.multiplies && line.precision == Precision::F32) {
        let reached = theirs(&line.name).map(|b| b.eager / line.median());
        let of = "rate, ours f32 / PyTorch f32";
        all.push(Target { what: line.name.clone(), of, asked: PRODUCTS, reached });
    }
    for line in kernels.iter().filter(|line| line.multiplies && line.precision == Precision::Mixed) {
        let reached = theirs(&line.name).map(|b| b.tf32 / line.median());
        let of = "rate, ours mixed / PyTorch TF32";
        all.push(Target { what: line.name.clone(), of, asked: 1.0, reached });
    }
    for line in programs.iter().filter(|line| !line.name.contains("narrow")) {
        let (mode, of) = match line.precision {
            Precision::F32 => (EAGER, "PyTorch eager f32 / ours f32"),
            Precision::Mixed => (TF32, "PyTorch eager TF32 / ours mixed"),
        };
        let reached = line.peer(mode).filter(|_| same).map(|seconds| seconds / line.median());
        all.push(Target { what: line.name.clone(), of, asked: 1.0, reached });
    }
    for line in programs.iter().filter(|line| line.name.contains("paper")) {
        let reached = line.host().map(|seconds| HOST_SECONDS / seconds);
        all.push(Target { what: line.name.clone(), of: HOST, asked: 1.0, reached });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::watched::Making;

    fn kernel(precision: Precision, seconds: f64) -> kernel::Line {
        kernel::Line {
            name: "matmul".into(),
            precision,
            multiplies: true,
            launches: vec![],
            flops: 1.0,
            bytes: 1.0,
            seconds: vec![seconds],
        }
    }

    fn program(host_waits: bool, seconds: f64, peer: f64) -> program::Line {
        program::Line {
            name: "train_kolmogorov_paper".into(),
            precision: Precision::F32,
            making: Making::default(),
            again_seconds: 0.0,
            launches: 1,
            submissions: 1,
            host_waits,
            device_bytes: 0,
            flops: 0.0,
            seconds: vec![seconds],
            host_seconds: if host_waits { vec![] } else { vec![5e-4] },
            device_seconds: None,
            kernels: vec![],
            peer: vec![(EAGER, vec![peer])],
        }
    }

    fn verdicts(same: bool, host_waits: bool) -> Vec<&'static str> {
        let kernels = [kernel(Precision::F32, 1.0), kernel(Precision::Mixed, 1.0)];
        let bare = [Bare { name: "matmul".into(), eager: 0.61, tf32: 0.9 }];
        let programs = [program(host_waits, 2.0, 2.5)];
        targets(&kernels, &programs, &bare, same).iter().map(Target::verdict).collect()
    }

    #[test]
    fn ratios_have_verdicts_on_the_same_device_alone() {
        assert_eq!(verdicts(true, false), ["✓", "✗", "✓", "✓"]);
        assert_eq!(verdicts(false, false), ["not measured", "not measured", "not measured", "✓"]);
    }

    #[test]
    fn host_time_that_holds_the_devices_is_not_told() {
        assert_eq!(verdicts(true, true)[3], "not measured");
    }
}
