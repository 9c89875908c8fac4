//! A rectangle of points.

use super::axes;
use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(
    start: [usize; 2],
    size: [usize; 2],
    shape: &[usize],
) -> Result<Vec<usize>, String> {
    let [b, l, h, w, c] = axes(shape)?;
    let inside =
        |i: usize, n: usize| size[i] > 0 && start[i].checked_add(size[i]).is_some_and(|end| end <= n);
    if !(inside(0, h) && inside(1, w)) {
        return Err(format!("{} × {} points from {start:?} are not inside {h} × {w}", size[0], size[1]));
    }
    Ok(vec![b, l, size[0], size[1], c])
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, start: [usize; 2], size: [usize; 2]) -> NodeId {
    let rows = g.slice(x, 2, start[0], size[0], 1);
    g.slice(rows, 3, start[1], size[1], 1)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, shape: Vec<usize>, start: [usize; 2]) -> ArrayD<f64> {
    ArrayD::from_shape_fn(shape, |i| x[[i[0], i[1], i[2] + start[0], i[3] + start[1], i[4]]])
}
