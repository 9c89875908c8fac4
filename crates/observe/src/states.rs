//! Adjacent states: x[start .. start + count].

use ndarray::{ArrayD, ArrayViewD, Axis, Slice};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(start: usize, count: usize, shape: &[usize]) -> Result<Vec<usize>, String> {
    let length = shape[1];
    let end = start.checked_add(count).filter(|&end| count > 0 && end <= length);
    if end.is_none() {
        return Err(format!("{count} states from {start} on are not among 0 … {}", length - 1));
    }
    let mut out = shape.to_vec();
    out[1] = count;
    Ok(out)
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, start: usize, count: usize) -> NodeId {
    g.slice(x, 1, start, count, 1)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, start: usize, count: usize) -> ArrayD<f64> {
    x.slice_axis(Axis(1), Slice::from(start..start + count)).to_owned()
}
