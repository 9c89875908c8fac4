//! Packed weights and the profile: what a run gives does not depend on either.

use crate::runs::bits;
use crate::{Cpu, CpuOptions};
use ndarray::{ArrayD, IxDyn};
use sda_graph::{Declaration, Executor, Graph, Program, RunKey};

const ROWS: usize = 512;
const KEY: RunKey = RunKey { seed: 0, step: 0 };

fn weights(scale: f64) -> ArrayD<f32> {
    ArrayD::from_shape_fn(IxDyn(&[64, 64]), |i| {
        (scale * (i[0] as f64 * 0.37 + i[1] as f64 * 1.3).sin()) as f32
    })
}

/// Rows enough to pack: y = tanh(x W) Wᵀ, so that W is packed in two forms.
fn twice() -> Program {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[ROWS, 64]));
    let w = g.state(Declaration::shared("w", &[64, 64]));
    let y = g.matmul(x, w, false, false);
    let y = g.tanh(y);
    let y = g.matmul(y, w, false, true);
    Program::new(g).output("y", y)
}

/// w ← w / 2.
fn halve() -> Program {
    let mut g = Graph::new();
    let w = g.state(Declaration::shared("w", &[64, 64]));
    let new = g.scale(w, 0.5);
    Program::new(g).update("w", new)
}

fn x() -> Vec<f32> {
    (0..ROWS * 64).map(|i| (i as f32 * 0.11).sin()).collect()
}

/// The result of a new executor with these weights.
fn fresh(kept_packs: usize, w: &ArrayD<f32>) -> Vec<f32> {
    let mut cpu = Cpu::with_options(CpuOptions { threads: 2, kept_packs, ..CpuOptions::default() }).unwrap();
    let program = cpu.compile(&twice()).unwrap();
    cpu.write("w", w.view()).unwrap();
    cpu.run(program, KEY, &[&x()]).unwrap();
    cpu.output(program, 0).unwrap().to_vec()
}

#[test]
fn weights_that_changed_are_packed_again() {
    for kept_packs in [0, 1 << 30] {
        let mut cpu =
            Cpu::with_options(CpuOptions { threads: 2, kept_packs, ..CpuOptions::default() }).unwrap();
        let (program, halve) = (cpu.compile(&twice()).unwrap(), cpu.compile(&halve()).unwrap());
        let result = |cpu: &mut Cpu| {
            cpu.run(program, KEY, &[&x()]).unwrap();
            cpu.output(program, 0).unwrap().to_vec()
        };
        for w in [weights(0.3), weights(0.2)] {
            cpu.write("w", w.view()).unwrap();
            assert_eq!(bits(&[result(&mut cpu)]), bits(&[fresh(kept_packs, &w)]), "written");
            cpu.run(halve, KEY, &[]).unwrap();
            assert_eq!(
                bits(&[result(&mut cpu)]),
                bits(&[fresh(kept_packs, &(&w * 0.5))]),
                "by another program"
            );
        }
    }
}

#[test]
fn memory_of_packed_weights_changes_no_bit() {
    let w = weights(0.3);
    assert_eq!(bits(&[fresh(0, &w)]), bits(&[fresh(1 << 30, &w)]));
}

#[test]
fn a_profiled_run_is_a_run() {
    let mut cpu = Cpu::new(2).unwrap();
    let program = cpu.compile(&twice()).unwrap();
    let w = weights(0.3);
    cpu.write("w", w.view()).unwrap();
    let ticks = std::cell::Cell::new(0.0);
    let clock = || ticks.replace(ticks.get() + 1.0);
    let profile = cpu.profile(program, KEY, &[&x()], &clock).unwrap();
    assert_eq!(
        bits(&[cpu.output(program, 0).unwrap().to_vec()]),
        bits(&[fresh(CpuOptions::default().kept_packs, &w)])
    );
    let plan = cpu.plan(program);
    assert_eq!(profile.steps.iter().map(Vec::len).sum::<usize>(), plan.steps().count());
    assert!(profile.steps.iter().flatten().all(|&seconds| seconds >= 1.0), "{profile:?}");
    assert!(cpu.profile(program, KEY, &[], &clock).is_err());
}
