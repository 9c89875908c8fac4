//! Evaluation of nodes by the f64 interpreter, for tests.

use ndarray::ArrayD;
use sda_graph::{Executor, Graph, NodeId, Program, RunKey};
use sda_kernels::Interpreter;

/// Values of nodes, with states set beforehand.
pub(crate) fn evaluate(g: Graph, states: &[(String, ArrayD<f64>)], nodes: &[NodeId]) -> Vec<ArrayD<f64>> {
    let shapes: Vec<Vec<usize>> = nodes.iter().map(|&n| g.shape(n).to_vec()).collect();
    let mut program = Program::new(g);
    for (i, &node) in nodes.iter().enumerate() {
        program = program.output(format!("node {i}"), node);
    }
    let mut interpreter = Interpreter::<f64>::new();
    for (name, value) in states {
        interpreter.write(name, value.view()).unwrap();
    }
    let handle = interpreter.compile(&program).unwrap();
    interpreter.run(handle, RunKey { seed: 0, step: 0 }, &[]).unwrap();
    let value = |(i, shape): (usize, Vec<usize>)| {
        ArrayD::from_shape_vec(shape, interpreter.output(handle, i).unwrap().to_vec()).unwrap()
    };
    shapes.into_iter().enumerate().map(value).collect()
}
