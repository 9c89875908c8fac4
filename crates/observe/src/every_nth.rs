//! Every n-th state, from the first: x[::n].

use ndarray::{ArrayD, ArrayViewD, Axis};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(n: usize, shape: &[usize]) -> Result<Vec<usize>, String> {
    if n == 0 {
        return Err("every 0th state does not exist".into());
    }
    let mut out = shape.to_vec();
    out[1] = shape[1].div_ceil(n);
    Ok(out)
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, n: usize) -> NodeId {
    let states = g.shape(x)[1].div_ceil(n);
    g.slice(x, 1, 0, states, n)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, n: usize) -> ArrayD<f64> {
    let states: Vec<usize> = (0..x.shape()[1]).step_by(n).collect();
    x.select(Axis(1), &states)
}
