//! What one state has more than another: x[first] − x[second].

use ndarray::{ArrayD, ArrayViewD, Axis};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(first: usize, second: usize, shape: &[usize]) -> Result<Vec<usize>, String> {
    let length = shape[1];
    if let Some(state) = [first, second].into_iter().find(|&state| state >= length) {
        return Err(format!("state {state} is not among 0 … {}", length - 1));
    }
    if first == second {
        return Err(format!("state {first} less itself is nothing"));
    }
    let mut out = shape.to_vec();
    out[1] = 1;
    Ok(out)
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, first: usize, second: usize) -> NodeId {
    let [a, b] = [first, second].map(|state| g.slice(x, 1, state, 1, 1));
    g.sub(a, b)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, first: usize, second: usize) -> ArrayD<f64> {
    let [a, b] = [first, second].map(|state| x.index_axis(Axis(1), state));
    (&a - &b).insert_axis(Axis(1))
}
