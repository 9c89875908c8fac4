//! Programs without states on the f64 interpreter.

use sda_core::Stream;
use sda_graph::{Executor, Graph, NodeId, Program, RunKey};
use sda_kernels::Interpreter;

/// A compiled program of several nodes.
pub(super) struct Function {
    interpreter: Interpreter<f64>,
    handle: sda_graph::Handle,
    outputs: usize,
}

impl Function {
    pub(super) fn new(graph: &Graph, nodes: &[NodeId]) -> Self {
        let program = nodes
            .iter()
            .enumerate()
            .fold(Program::new(graph.clone()), |program, (i, n)| program.output(format!("y{i}"), *n));
        let mut interpreter = Interpreter::new();
        let handle = interpreter.compile(&program).unwrap();
        Self { interpreter, handle, outputs: nodes.len() }
    }

    pub(super) fn at(&mut self, inputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
        self.interpreter.run(self.handle, RunKey { seed: 0, step: 0 }, &inputs).unwrap();
        (0..self.outputs).map(|i| self.interpreter.output(self.handle, i).unwrap().to_vec()).collect()
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `n` uniforms on [−1, 1).
pub(super) fn direction(n: usize, row: u32) -> Vec<f64> {
    let mut x = vec![0.0; n];
    Stream::new(99, 1).fill_uniform(0, row, n.max(1), &mut x);
    x.iter().map(|u| 2.0 * u - 1.0).collect()
}
