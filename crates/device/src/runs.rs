//! Running a program from drawn states and inputs, on any executor.

use ndarray::ArrayD;
use sda_core::Stream;
use sda_graph::{Declaration, Executor, Program, RunKey};

/// Normal numbers of (row, step); the same for every executor.
pub(crate) fn numbers(shape: &[usize], step: u32, row: u32) -> Vec<f32> {
    let n: usize = shape.iter().product();
    let mut x = vec![0.0; n];
    Stream::new(31, 2).fill_normal(step, row, n.max(1), &mut x);
    x
}

fn inputs(declared: &[Declaration], step: u32) -> Vec<Vec<f32>> {
    declared.iter().enumerate().map(|(i, d)| numbers(&d.shape, step, i as u32)).collect()
}

/// How states begin each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum States {
    /// As the run before left them; drawn before the first.
    Kept,
    /// Drawn anew.
    Drawn,
}

/// Every output and state after each of `steps` runs, in order.
pub(crate) fn run(
    executor: &mut impl Executor<Real = f32>,
    program: &Program,
    steps: u32,
    states: States,
) -> Vec<Vec<f32>> {
    let handle = executor.compile(program).unwrap();
    let mut all = Vec::new();
    for step in 0..steps {
        for (i, d) in program.graph.states().iter().enumerate() {
            if step == 0 || states == States::Drawn {
                let value = numbers(&d.shape, step, 100 + i as u32);
                executor
                    .write(&d.name, ArrayD::from_shape_vec(d.shape.clone(), value).unwrap().view())
                    .unwrap();
            }
        }
        let inputs = inputs(program.graph.inputs(), step);
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        executor.run(handle, RunKey { seed: 5, step }, &inputs).unwrap();
        all.extend((0..program.outputs.len()).map(|i| executor.output(handle, i).unwrap().to_vec()));
        for d in program.graph.states() {
            all.push(executor.read(&d.name).unwrap().into_raw_vec_and_offset().0);
        }
    }
    all
}

pub(crate) fn bits(values: &[Vec<f32>]) -> Vec<Vec<u32>> {
    values.iter().map(|v| v.iter().map(|x| x.to_bits()).collect()).collect()
}

/// The largest difference relative to each array's largest number, or to 1.
pub(crate) fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    let one = |(a, b): (&Vec<f32>, &Vec<f32>)| {
        assert_eq!(a.len(), b.len());
        let scale = b.iter().fold(1.0, |m: f32, x| m.max(x.abs()));
        let apart =
            |(a, b): (&f32, &f32)| if a.is_nan() == b.is_nan() { (a - b).abs() } else { f32::INFINITY };
        a.iter().zip(b).map(apart).fold(0.0, f32::max) / scale
    };
    a.iter().zip(b).map(one).fold(0.0, f32::max)
}
