//! Where the time of an item's program goes: its steps one by one on one thread.

use crate::items::{Item, Setting};
use crate::roofline::{Kind, work};
use anyhow::{Context, bail};
use sda_device::{Cpu, Profile};
use sda_graph::{Handle, RunKey, Stage, StepKind};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

/// Runs of which the quickest is told.
const RUNS: u32 = 3;

/// The quickest of a few runs, every input 0.5.
pub(crate) fn measure(cpu: &mut Cpu, program: Handle) -> anyhow::Result<Profile> {
    let lengths = cpu.input_lengths(program);
    let inputs: Vec<Vec<f32>> = lengths.into_iter().map(|n| vec![0.5; n]).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let start = Instant::now();
    let clock = || start.elapsed().as_secs_f64();
    let mut best: Option<Profile> = None;
    for step in 0..RUNS {
        let profile = cpu.profile(program, RunKey { seed: 1, step }, &inputs, &clock)?;
        if best.as_ref().is_none_or(|best| profile.seconds() < best.seconds()) {
            best = Some(profile);
        }
    }
    best.context("no run")
}

/// Seconds of each sort of step.
pub(crate) fn by_kind(cpu: &Cpu, program: Handle, profile: &Profile) -> BTreeMap<Kind, f64> {
    let mut seconds = BTreeMap::new();
    for (step, time) in cpu.plan(program).steps().zip(profile.steps.iter().flatten()) {
        *seconds.entry(work(step).0).or_insert(0.0) += time;
    }
    *seconds.entry(Kind::Products).or_insert(0.0) += profile.packing;
    *seconds.entry(Kind::Moves).or_insert(0.0) += profile.sums;
    seconds
}

/// A table of an item's steps.
pub(crate) fn table(item: &Item, setting: Setting) -> anyhow::Result<String> {
    let mut out = String::new();
    item.with(setting, &mut |work| {
        work.run()?;
        let Some((cpu, program)) = work.program() else { bail!("{} replays no program", item.name) };
        let profile = measure(cpu, program)?;
        out = steps(cpu, program, &profile);
        Ok(())
    })?;
    Ok(out)
}

fn steps(cpu: &Cpu, program: Handle, profile: &Profile) -> String {
    let mut out = String::new();
    let all = profile.seconds();
    for (stage, seconds) in cpu.plan(program).stages.iter().zip(&profile.steps) {
        let steps = match stage {
            Stage::Global(steps) => {
                let _ = writeln!(out, "whole arrays: {:.3} ms", 1e3 * seconds.iter().sum::<f64>());
                steps
            }
            Stage::Rows { rows, block, groups, steps, local } => {
                let bytes = 4 * block * local.iter().sum::<usize>();
                let _ = writeln!(
                    out,
                    "{rows} rows by {block} in {groups} groups, {bytes} bytes a block: {:.3} ms",
                    1e3 * seconds.iter().sum::<f64>()
                );
                steps
            }
        };
        for (step, time) in steps.iter().zip(seconds) {
            let name = match &step.kind {
                StepKind::Op(op) => op.name(),
                StepKind::Fused(fused) => {
                    format!("fused {} × {}, {} instructions", fused.rows, fused.cols, fused.body.len())
                }
            };
            let shapes: Vec<_> = step.inputs.iter().take(3).map(|i| &i.shape).collect();
            let to: Vec<_> = step.outputs.iter().map(|o| &o.shape).collect();
            let rate = work(step).1 / time * 1e-9;
            let (ms, share) = (1e3 * time, 100.0 * time / all);
            let _ = writeln!(out, "  {ms:9.3} ms {share:5.1} % {rate:7.1} G/s  {name} {shapes:?} → {to:?}");
        }
    }
    for (kind, time) in by_kind(cpu, program, profile) {
        let _ = writeln!(out, "{:<14} {:9.3} ms {:5.1} %", kind.name(), 1e3 * time, 100.0 * time / all);
    }
    let slots = 4 * cpu.plan(program).full.iter().sum::<usize>();
    let _ = writeln!(
        out,
        "bytes: slots {slots}, packed weights {}, all of the executor {}",
        cpu.packed_bytes(program),
        cpu.bytes()
    );
    let _ = writeln!(
        out,
        "packing {:.3} ms, sums {:.3} ms, all {:.3} ms",
        1e3 * profile.packing,
        1e3 * profile.sums,
        1e3 * all
    );
    out
}
