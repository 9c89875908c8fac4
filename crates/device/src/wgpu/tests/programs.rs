//! Whole programs: random ones, and a training step, against the interpreter.

use super::{forms, guarded, has_adapter};
use crate::cpu::tests::training;
use crate::runs::{States, bits, distance, run};
use crate::{Wgpu, WgpuOptions};
use sda_graph::{Declaration, Graph, Program};
use sda_kernels::Interpreter;
use sda_kernels::catalogue::random_program;
use sda_kernels::gpu::{Abilities, Precision};

/// Rounding of a chain of up to 40 random ops and its gradient.
const TOLERANCE: f32 = 5e-4;

fn gpu(apart: bool) -> Wgpu {
    Wgpu::with_options(&WgpuOptions { apart, ..WgpuOptions::default() }).unwrap()
}

#[test]
fn parity_of_random_programs() {
    if !has_adapter("parity_of_random_programs") {
        return;
    }
    for (form, abilities, precision) in forms() {
        if precision == Precision::Mixed {
            continue;
        }
        for seed in 0..20 {
            let program = random_program(seed, 30);
            let want = run(&mut Interpreter::<f32>::new(), &program, 2, States::Drawn);
            let mut gpu = guarded(abilities, precision);
            let apart = distance(&run(&mut gpu, &program, 2, States::Drawn), &want);
            gpu.assert_guards(form);
            assert!(apart < TOLERANCE, "{form}, program {seed}: {apart}\n{program}");
        }
    }
}

/// Slots that are shared and states updated in place change no bit.
#[test]
fn parity_planned_is_unplanned_bit_for_bit() {
    if !has_adapter("parity_planned_is_unplanned_bit_for_bit") {
        return;
    }
    for seed in 100..110 {
        let program = random_program(seed, 30);
        let [planned, plain] = [false, true].map(|apart| run(&mut gpu(apart), &program, 2, States::Drawn));
        assert_eq!(bits(&planned), bits(&plain), "\n{program}");
    }
}

#[test]
fn parity_of_a_training_step() {
    if !has_adapter("parity_of_a_training_step") {
        return;
    }
    let program = training::program(37);
    let want = run(&mut Interpreter::<f32>::new(), &program, 20, States::Kept);
    let mut gpu = guarded(Abilities::PORTABLE, Precision::F32);
    let got = run(&mut gpu, &program, 20, States::Kept);
    gpu.assert_guards("training");
    assert!(distance(&got, &want) < 1e-4, "{}", distance(&got, &want));
}

/// A sum or a product without terms is zero, and an array without numbers is no trouble.
#[test]
fn parity_of_what_is_empty() {
    if !has_adapter("parity_of_what_is_empty") {
        return;
    }
    let mut g = Graph::new();
    let x = g.input(Declaration::shared("x", &[3, 0]));
    let y = g.input(Declaration::shared("y", &[0, 5]));
    let sum = g.sum(x, &[0, 1]);
    let columns = g.sum(y, &[0]);
    let product = g.matmul(x, y, false, false);
    let twice = g.scale(x, 2.0);
    let outputs = [("sum", sum), ("columns", columns), ("product", product), ("twice", twice)];
    let program = outputs.into_iter().fold(Program::new(g), |p, (name, node)| p.output(name, node));
    let mut gpu = guarded(Abilities::PORTABLE, Precision::F32);
    let got = run(&mut gpu, &program, 1, States::Drawn);
    gpu.assert_guards("empty");
    assert_eq!(got, [vec![0.0], vec![0.0; 5], vec![0.0; 15], vec![]]);
}

/// Products of many rows take wide tiles, of 32 to 128 columns; those of few rows, as in the catalogue, small ones.
#[test]
fn parity_of_every_tile() {
    if !has_adapter("parity_of_every_tile") {
        return;
    }
    for (form, abilities, precision) in forms() {
        // f16 operands have 11 bits.
        let bound = if precision == Precision::Mixed { 2e-3 } else { 1e-5 };
        for (n, ta, tb) in
            [(20, false, true), (40, true, false), (70, false, false), (128, true, true), (200, false, true)]
        {
            let (m, k) = (8195, 37);
            let shape = |rows, cols, turned: bool| if turned { [cols, rows] } else { [rows, cols] };
            let mut g = Graph::new();
            let a = g.input(Declaration::shared("a", &shape(m, k, ta)));
            let b = g.input(Declaration::shared("b", &shape(k, n, tb)));
            let c = g.matmul(a, b, ta, tb);
            let program = Program::new(g).output("c", c);
            let want = run(&mut Interpreter::<f32>::new(), &program, 1, States::Drawn);
            let mut gpu = guarded(abilities, precision);
            let apart = distance(&run(&mut gpu, &program, 1, States::Drawn), &want);
            gpu.assert_guards(form);
            assert!(apart < bound, "{form}, {n} columns: {apart}");
        }
    }
}
