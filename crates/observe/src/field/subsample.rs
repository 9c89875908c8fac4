//! Every n-th point, from the first.

use super::axes;
use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(n: usize, shape: &[usize]) -> Result<Vec<usize>, String> {
    let [b, l, h, w, c] = axes(shape)?;
    if n == 0 {
        return Err("every 0th point does not exist".into());
    }
    Ok(vec![b, l, h.div_ceil(n), w.div_ceil(n), c])
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, n: usize) -> NodeId {
    let [h, w] = [2, 3].map(|a| g.shape(x)[a].div_ceil(n));
    let rows = g.slice(x, 2, 0, h, n);
    g.slice(rows, 3, 0, w, n)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, shape: Vec<usize>, n: usize) -> ArrayD<f64> {
    ArrayD::from_shape_fn(shape, |i| x[[i[0], i[1], i[2] * n, i[3] * n, i[4]]])
}
