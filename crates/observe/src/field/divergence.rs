//! Divergence of a periodic velocity field.
//!
//!   ∇·u = ∂u/∂x_first + ∂v/∂x_last, by central differences with unit spacing

use super::vorticity::{self, difference};
use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(shape: &[usize]) -> Result<Vec<usize>, String> {
    vorticity::output_shape(shape)
}

pub(crate) fn emit(g: &mut Graph, x: NodeId) -> NodeId {
    let [u, v] = [0, 1].map(|c| g.slice(x, 4, c, 1, 1));
    let (du, dv) = (difference(g, u, 2), difference(g, v, 3));
    let twice = g.add(du, dv);
    g.scale(twice, 0.5)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, shape: Vec<usize>) -> ArrayD<f64> {
    let (h, w) = (shape[2], shape[3]);
    ArrayD::from_shape_fn(shape, |i| {
        let u = |y: usize| x[[i[0], i[1], y % h, i[3], 0]];
        let v = |z: usize| x[[i[0], i[1], i[2], z % w, 1]];
        0.5 * (u(i[2] + 1) - u(i[2] + h - 1)) + 0.5 * (v(i[3] + 1) - v(i[3] + w - 1))
    })
}
