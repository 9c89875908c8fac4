//! Vorticity of a periodic velocity field.
//!
//!   ω = ∂u/∂x_last − ∂v/∂x_first, by central differences with unit spacing

use super::axes;
use super::upsample::rolled;
use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(shape: &[usize]) -> Result<Vec<usize>, String> {
    let [b, l, h, w, c] = axes(shape)?;
    if c != 2 {
        return Err(format!("a velocity has 2 components, not {c}"));
    }
    Ok(vec![b, l, h, w, 1])
}

pub(crate) fn emit(g: &mut Graph, x: NodeId) -> NodeId {
    let [u, v] = [0, 1].map(|c| g.slice(x, 4, c, 1, 1));
    let (du, dv) = (difference(g, u, 3), difference(g, v, 2));
    let twice = g.sub(du, dv);
    g.scale(twice, 0.5)
}

/// f(i + 1) − f(i − 1)
pub(super) fn difference(g: &mut Graph, f: NodeId, axis: usize) -> NodeId {
    let n = g.shape(f)[axis];
    let [after, before] = [1 % n, n - 1].map(|by| rolled(g, f, axis, by));
    g.sub(after, before)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, shape: Vec<usize>) -> ArrayD<f64> {
    let (h, w) = (shape[2], shape[3]);
    ArrayD::from_shape_fn(shape, |i| {
        let u = |z: usize| x[[i[0], i[1], i[2], z % w, 0]];
        let v = |y: usize| x[[i[0], i[1], y % h, i[3], 1]];
        0.5 * (u(i[3] + 1) - u(i[3] + w - 1)) - 0.5 * (v(i[2] + 1) - v(i[2] + h - 1))
    })
}
