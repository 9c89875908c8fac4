//! Mean over blocks of points.

use super::axes;
use ndarray::{ArrayD, ArrayViewD, indices};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(factor: usize, shape: &[usize]) -> Result<Vec<usize>, String> {
    let [b, l, h, w, c] = axes(shape)?;
    if factor == 0 || h % factor != 0 || w % factor != 0 {
        return Err(format!("{h} × {w} points do not divide into blocks of {factor} × {factor}"));
    }
    Ok(vec![b, l, h / factor, w / factor, c])
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, factor: usize) -> NodeId {
    let shape = g.shape(x).to_vec();
    let [b, l, h, w, c] = [0, 1, 2, 3, 4].map(|a| shape[a]);
    let (h, w) = (h / factor, w / factor);
    let blocks = g.reshape(x, &[b, l * h, factor, w, factor, c]);
    let mean = g.mean(blocks, &[2, 4]);
    g.reshape(mean, &[b, l, h, w, c])
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, shape: Vec<usize>, factor: usize) -> ArrayD<f64> {
    ArrayD::from_shape_fn(shape, |i| {
        let point = |(dy, dx)| x[[i[0], i[1], i[2] * factor + dy, i[3] * factor + dx, i[4]]];
        indices((factor, factor)).into_iter().map(point).sum::<f64>() / (factor * factor) as f64
    })
}
