//! Whole programs: random ones, and a training step, against the interpreter.

use super::{guarded, has_adapter};
use crate::cpu::tests::training;
use crate::runs::{States, bits, distance, run};
use crate::{Wgpu, WgpuOptions};
use sda_graph::Program;
use sda_kernels::Interpreter;
use sda_kernels::catalogue::random_program;
use sda_kernels::gpu::{Abilities, Precision};

/// Rounding of a chain of up to 40 random ops and its gradient.
const TOLERANCE: f32 = 5e-4;

fn gpu(block: Option<usize>, apart: bool, guards: bool) -> Wgpu {
    let abilities = Some(Abilities::PORTABLE);
    Wgpu::with_options(&WgpuOptions { abilities, block, apart, guards, ..WgpuOptions::default() }).unwrap()
}

fn on(mut gpu: Wgpu, program: &Program, what: &str) -> Vec<Vec<f32>> {
    let values = run(&mut gpu, program, 2, States::Drawn);
    if gpu.guards {
        gpu.assert_guards(what);
    }
    values
}

#[test]
fn parity_of_random_programs() {
    if !has_adapter("parity_of_random_programs") {
        return;
    }
    for seed in 0..12 {
        let program = random_program(seed, 30);
        let want = run(&mut Interpreter::<f32>::new(), &program, 2, States::Drawn);
        let apart = distance(&on(gpu(None, false, true), &program, "whole"), &want);
        assert!(apart < TOLERANCE, "program {seed}: {apart}\n{program}");
    }
}

/// Slots that are shared and states updated in place change no bit.
#[test]
fn parity_planned_is_unplanned_bit_for_bit() {
    if !has_adapter("parity_planned_is_unplanned_bit_for_bit") {
        return;
    }
    for seed in 100..104 {
        let program = random_program(seed, 30);
        let planned = on(gpu(None, false, false), &program, "planned");
        assert_eq!(bits(&planned), bits(&on(gpu(None, true, false), &program, "apart")), "\n{program}");
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
