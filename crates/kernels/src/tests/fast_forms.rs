//! Every case's fast form against the exact result, at every level.

use super::replay::{How, KEY, replay};
use crate::catalogue::{Case, kernels};
use crate::{Interpreter, Level};
use sda_core::Real;
use sda_graph::{Executor, Plan, PlanOptions, StepKind};

fn interpret<T: Real>(case: &Case, seed: u64) -> Vec<Vec<T>> {
    let mut interpreter = Interpreter::<T>::new();
    let handle = interpreter.compile(&case.program).unwrap();
    let inputs = case.inputs::<T>(seed);
    interpreter.run(handle, KEY, &inputs.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    (0..case.program.outputs.len()).map(|i| interpreter.output(handle, i).unwrap().to_vec()).collect()
}

fn check(kernel: &str, case: &Case, how: How, got: &[Vec<f32>], want: &[Vec<f64>]) {
    let inputs = case.inputs::<f64>(1);
    for (k, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(got.len(), want.len());
        let first = if k == 0 { case.magnitude(&inputs, want) } else { Vec::new() };
        let largest = want.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            let magnitude = first.get(i).copied().unwrap_or(largest);
            let error = (f64::from(*g) - w).abs() / f64::from(f32::EPSILON) / magnitude;
            assert!(
                case.exactness.allows(*g, *w, magnitude),
                "{kernel} {} {how:?}, result {k} at {i}: {g} and {w} ({error:.1} ε apart), {:?}",
                case.name,
                case.exactness
            );
        }
    }
}

#[test]
fn fast_forms_are_within_their_exactness_class_at_every_level() {
    for kernel in kernels() {
        for case in kernel.cases() {
            let want = interpret::<f64>(&case, 1);
            let inputs = case.inputs::<f32>(1);
            for level in Level::available() {
                for split in [usize::MAX, 1, 7] {
                    let how = How { level, split: split.min(1 << 20), parallel: false };
                    check(kernel.name, &case, how, &replay(&case.program, how, &inputs), &want);
                }
            }
        }
    }
}

/// How rows are cut into calls, and threads of the matrix library, change no bit.
#[test]
fn bits_depend_neither_on_the_cut_nor_on_threads() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let bits = |outputs: Vec<Vec<f32>>| -> Vec<Vec<u32>> {
        outputs.iter().map(|o| o.iter().map(|x| x.to_bits()).collect()).collect()
    };
    for kernel in kernels() {
        for case in kernel.cases() {
            let inputs = case.inputs::<f32>(2);
            for level in Level::available() {
                let run =
                    |split, parallel| bits(replay(&case.program, How { level, split, parallel }, &inputs));
                let whole = run(1 << 20, false);
                assert_eq!(whole, run(1, false), "{} {}", kernel.name, case.name);
                assert_eq!(whole, run(13, false), "{} {}", kernel.name, case.name);
                let threaded = pool.install(|| run(1 << 20, true));
                assert_eq!(whole, threaded, "{} {}: threads", kernel.name, case.name);
            }
        }
    }
}

/// The f32 reference is itself within the class, so that the two may stand in for each other.
#[test]
fn references_at_f32_are_within_their_exactness_class() {
    for kernel in kernels() {
        for case in kernel.cases() {
            let how = How { level: Level::Portable, split: 1, parallel: false };
            check(kernel.name, &case, how, &interpret::<f32>(&case, 1), &interpret::<f64>(&case, 1));
        }
    }
}

#[test]
fn fused_cases_are_one_step() {
    for kernel in crate::fused::cases::ALL {
        for case in kernel.cases() {
            let plan = Plan::new(&case.program, PlanOptions::default());
            let steps: Vec<_> = plan.steps().collect();
            let fused = steps.iter().filter(|s| matches!(s.kind, StepKind::Fused(_))).count();
            assert!(steps.len() == 1 && fused == 1, "{} {} is {} steps", kernel.name, case.name, steps.len());
        }
    }
}
