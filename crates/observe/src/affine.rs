//! Another unit: scale x + offset.

use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(scale: f64, offset: f64, shape: &[usize]) -> Result<Vec<usize>, String> {
    if scale.is_finite() && offset.is_finite() {
        return Ok(shape.to_vec());
    }
    Err(format!("scale {scale} and offset {offset} must be finite"))
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, scale: f64, offset: f64) -> NodeId {
    let scaled = g.scale(x, scale);
    g.offset(scaled, offset)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, scale: f64, offset: f64) -> ArrayD<f64> {
    x.mapv(|x| scale * x + offset)
}
