//! A NaN goes where the reference sends it, and nowhere else.

use super::replay::{How, KEY, replay};
use crate::catalogue::kernels;
use crate::{Interpreter, Level};
use sda_graph::{Executor, Op};

#[test]
fn fast_forms_spread_a_nan_as_the_reference_does() {
    for kernel in kernels() {
        for case in kernel.cases() {
            // The rest of a convolution's inputs meets padding, where 0 · NaN is a NaN and a skipped tap is none.
            let conv = matches!(case.result().op, Op::Conv(..));
            for poisoned in 0..if conv { 1 } else { case.domains.len() } {
                let mut inputs = case.inputs::<f32>(3);
                let at = inputs[poisoned].len() / 2;
                inputs[poisoned][at] = f32::NAN;
                let mut interpreter = Interpreter::<f32>::new();
                let handle = interpreter.compile(&case.program).unwrap();
                let slices: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
                interpreter.run(handle, KEY, &slices).unwrap();
                for level in Level::available() {
                    let got = replay(&case.program, How { level, split: 5, parallel: false }, &inputs);
                    for (k, got) in got.iter().enumerate() {
                        let want: Vec<bool> =
                            interpreter.output(handle, k).unwrap().iter().map(|x| x.is_nan()).collect();
                        let got: Vec<bool> = got.iter().map(|x| x.is_nan()).collect();
                        assert_eq!(got, want, "{} {} {level:?}, input {poisoned}", kernel.name, case.name);
                    }
                }
            }
        }
    }
}
