//! Every case of every kernel, in every form that the adapter has.

use super::{best, forms, guarded, has_adapter};
use crate::Wgpu;
use crate::wgpu::AdapterKind;
use sda_graph::{Executor, Op, RunKey};
use sda_kernels::Interpreter;
use sda_kernels::catalogue::{Case, Exactness, kernels};
use sda_kernels::gpu::Precision;
use std::sync::LazyLock;

const KEY: RunKey = RunKey { seed: 17 << 32 | 5, step: 3 };

fn slices<T>(inputs: &[Vec<T>]) -> Vec<&[T]> {
    inputs.iter().map(Vec::as_slice).collect()
}

pub(super) fn interpret(case: &Case) -> Vec<Vec<f64>> {
    let mut interpreter = Interpreter::<f64>::new();
    let handle = interpreter.compile(&case.program).unwrap();
    interpreter.run(handle, KEY, &slices(&case.inputs(1))).unwrap();
    (0..case.program.outputs.len()).map(|i| interpreter.output(handle, i).unwrap().to_vec()).collect()
}

pub(super) fn run(gpu: &mut Wgpu, case: &Case) -> Vec<Vec<f32>> {
    let handle = gpu.compile(&case.program).unwrap();
    gpu.run(handle, KEY, &slices(&case.inputs(1))).unwrap();
    (0..case.program.outputs.len()).map(|i| gpu.output(handle, i).unwrap().to_vec()).collect()
}

/// Largest error of a product whose operands are rounded to f16: 2⁻¹¹ of each factor, of the sizes of all terms, and what
/// numbers far below the largest of their array lose.
fn mixed(case: &Case, exactness: Exactness, magnitude: f64) -> Option<f64> {
    let is_product = matches!(case.result().op, Op::MatMul { .. } | Op::Conv(..));
    let Exactness::Reduction { .. } = exactness else { return None };
    is_product.then_some(1.1e-3 * magnitude + 1e-6)
}

/// A case's class on the adapter that is tested: programs on the CPU divide and take roots as exactly as the CPU.
fn class(case: &Case) -> Exactness {
    static KIND: LazyLock<AdapterKind> = LazyLock::new(|| best().kind);
    match *KIND {
        AdapterKind::Software => case.exactness,
        _ => case.exactness_on_gpu(),
    }
}

pub(super) fn check(name: &str, case: &Case, precision: Precision, got: &[Vec<f32>], want: &[Vec<f64>]) {
    let exactness = class(case);
    let inputs = case.inputs::<f64>(1);
    for (k, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(got.len(), want.len(), "{name}");
        let first = if k == 0 { case.magnitude(&inputs, want) } else { Vec::new() };
        let largest = want.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            let magnitude = first.get(i).copied().unwrap_or(largest);
            let rounded = mixed(case, exactness, magnitude).filter(|_| precision == Precision::Mixed);
            let near = |bound: f64| (f64::from(*g) - w).abs() <= bound;
            let allowed = rounded.map_or_else(|| exactness.allows(*g, *w, magnitude), near);
            let error = (f64::from(*g) - w).abs() / f64::from(f32::EPSILON) / magnitude;
            assert!(
                allowed,
                "{name} {}, result {k} at {i}: {g} and {w} ({error:.1} ε apart), {exactness:?}",
                case.name
            );
        }
    }
}

#[test]
fn parity_of_every_kernel_and_case() {
    if !has_adapter("parity_of_every_kernel_and_case") {
        return;
    }
    for (form, abilities, precision) in forms() {
        let mut seen = 0;
        for kernel in kernels() {
            let mut gpu = guarded(abilities, precision);
            for case in kernel.cases() {
                let name = format!("{form}: {}", kernel.name);
                check(&name, &case, precision, &run(&mut gpu, &case), &interpret(&case));
                seen += 1;
            }
            gpu.assert_guards(&format!("{form}: {}", kernel.name));
        }
        assert!(seen > 200, "{seen} cases only");
    }
}

/// A NaN goes where the reference sends it, and nowhere else.
#[test]
fn parity_of_nan() {
    if !has_adapter("parity_of_nan") {
        return;
    }
    for (form, abilities, precision) in forms() {
        let mut gpu = guarded(abilities, precision);
        for kernel in kernels() {
            for case in kernel.cases() {
                // The rest of a convolution's inputs meets padding, where 0 · NaN is a NaN and a skipped tap is none.
                let conv = matches!(case.result().op, Op::Conv(..));
                for poisoned in 0..if conv { 1 } else { case.domains.len() } {
                    let mut inputs = case.inputs::<f32>(3);
                    let at = inputs[poisoned].len() / 2;
                    inputs[poisoned][at] = f32::NAN;
                    let mut interpreter = Interpreter::<f32>::new();
                    let want = nans(&mut interpreter, &case, &inputs);
                    let got = nans(&mut gpu, &case, &inputs);
                    assert_eq!(got, want, "{form}: {} {}, input {poisoned}", kernel.name, case.name);
                }
            }
        }
    }
}

/// Which numbers of each result are NaN.
fn nans(executor: &mut impl Executor<Real = f32>, case: &Case, inputs: &[Vec<f32>]) -> Vec<Vec<bool>> {
    let handle = executor.compile(&case.program).unwrap();
    executor.run(handle, KEY, &slices(inputs)).unwrap();
    let outputs = 0..case.program.outputs.len();
    outputs.map(|i| executor.output(handle, i).unwrap().iter().map(|x| x.is_nan()).collect()).collect()
}
