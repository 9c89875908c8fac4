//! An instrument that saturates: x/(1 + |x|).

use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};

pub(crate) fn emit(g: &mut Graph, x: NodeId) -> NodeId {
    let size = g.abs(x);
    let scale = g.offset(size, 1.0);
    g.div(x, scale)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>) -> ArrayD<f64> {
    x.mapv(|x| x / (1.0 + x.abs()))
}
