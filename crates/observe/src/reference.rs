//! The reference cases, and what this crate's tests run graphs with.

use ndarray::ArrayD;
use safetensors::SafeTensors;
use sda_graph::{Executor, Graph, NodeId, Program, RunKey};
use sda_kernels::Interpreter;
use std::path::Path;

/// A tensor of a reference case, widened to f64.
pub(crate) fn tensor(case: &str, name: &str) -> ArrayD<f64> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
    let bytes = std::fs::read(folder.join(format!("{case}.safetensors"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    let words = tensor.data().as_chunks::<4>().0.iter();
    ArrayD::from_shape_vec(tensor.shape(), words.map(|b| f64::from(f32::from_le_bytes(*b))).collect())
        .unwrap()
}

/// Numbers without pattern: sin(i·step) for i = 1, 2, … in row-major order.
pub(crate) fn wave(shape: &[usize], step: f64) -> ArrayD<f64> {
    let n: usize = shape.iter().product();
    ArrayD::from_shape_vec(shape, (1..=n).map(|i| (i as f64 * step).sin()).collect()).unwrap()
}

/// Values of nodes that depend on constants alone, in f64.
pub(crate) fn evaluate(g: Graph, nodes: &[NodeId]) -> Vec<ArrayD<f64>> {
    let shapes: Vec<Vec<usize>> = nodes.iter().map(|n| g.shape(*n).to_vec()).collect();
    let name = |i: usize| format!("out{i}");
    let program = nodes.iter().enumerate().fold(Program::new(g), |p, (i, node)| p.output(name(i), *node));
    let mut executor = Interpreter::<f64>::new();
    let handle = executor.compile(&program).unwrap();
    executor.run(handle, RunKey { seed: 0, step: 0 }, &[]).unwrap();
    let value =
        |(i, shape)| ArrayD::from_shape_vec(shape, executor.output(handle, i).unwrap().to_vec()).unwrap();
    shapes.into_iter().enumerate().map(value).collect::<Vec<ArrayD<f64>>>()
}
