//! More points for each point of a periodic field.

use super::axes;
use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};

/// What lies between the points of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Interpolation {
    /// The nearest point.
    Nearest,
    /// Linear along both axes; new point i of n stands at (i + ½)/n − ½, between the centres of old points.
    Bilinear,
}

/// Along an axis.
const MOST_POINTS: usize = 1 << 16;

impl Interpolation {
    /// Weights of the point before, the point itself and the point after, in new point `phase` of `factor`.
    fn weights(self, phase: usize, factor: usize) -> [f64; 3] {
        let offset = (phase as f64 + 0.5) / factor as f64 - 0.5;
        match self {
            Self::Nearest => [0.0, 1.0, 0.0],
            Self::Bilinear => [(-offset).max(0.0), 1.0 - offset.abs(), offset.max(0.0)],
        }
    }
}

pub(crate) fn output_shape(factor: usize, shape: &[usize]) -> Result<Vec<usize>, String> {
    let [b, l, h, w, c] = axes(shape)?;
    if factor == 0 {
        return Err("there are no 0 points for a point".into());
    }
    let of = |points: usize| {
        points.checked_mul(factor).filter(|&n| n <= MOST_POINTS).ok_or_else(|| {
            format!("{points} points times {factor} are more than {MOST_POINTS} along an axis")
        })
    };
    Ok(vec![b, l, of(h)?, of(w)?, c])
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, factor: usize, mode: Interpolation) -> NodeId {
    let rows = along(g, x, 2, factor, mode);
    along(g, rows, 3, factor, mode)
}

/// Upsamples one axis.
fn along(g: &mut Graph, x: NodeId, axis: usize, factor: usize, mode: Interpolation) -> NodeId {
    let mut shape = g.shape(x).to_vec();
    let n = shape[axis];
    let mut sum = spread(g, x, axis, factor, |phase| mode.weights(phase, factor)[1]);
    if mode == Interpolation::Bilinear {
        for (by, tap) in [(n - 1, 0), (1 % n, 2)] {
            let neighbour = rolled(g, x, axis, by);
            let part = spread(g, neighbour, axis, factor, |phase| mode.weights(phase, factor)[tap]);
            sum = g.add(sum, part);
        }
    }
    shape[axis] = n * factor;
    g.reshape(sum, &shape)
}

/// `factor` copies of each point of an axis, each times its phase's weight.
///
/// Shapes: result [B, points before the axis, n, factor, points after it].
fn spread(g: &mut Graph, x: NodeId, axis: usize, factor: usize, weight: impl Fn(usize) -> f64) -> NodeId {
    let shape = g.shape(x).to_vec();
    let [before, after] = [&shape[1..axis], &shape[axis + 1..]].map(|s| s.iter().product::<usize>());
    let points = g.reshape(x, &[shape[0], before, shape[axis], 1, after]);
    let copies = g.broadcast(points, &[shape[0], before, shape[axis], factor, after]);
    let weights = g.constant(ArrayD::from_shape_fn(vec![factor, 1], |i| weight(i[0])));
    g.mul(copies, weights)
}

/// Point i of the result is point i + `by` of a periodic axis.
pub(super) fn rolled(g: &mut Graph, x: NodeId, axis: usize, by: usize) -> NodeId {
    let n = g.shape(x)[axis];
    if by == 0 {
        return x;
    }
    let parts = [g.slice(x, axis, by, n - by, 1), g.slice(x, axis, 0, by, 1)];
    g.concat(&parts, axis)
}

pub(crate) fn apply(
    x: &ArrayViewD<'_, f64>,
    shape: Vec<usize>,
    factor: usize,
    mode: Interpolation,
) -> ArrayD<f64> {
    let (h, w) = (x.shape()[2], x.shape()[3]);
    ArrayD::from_shape_fn(shape, |i| {
        let (tall, wide) = (mode.weights(i[2] % factor, factor), mode.weights(i[3] % factor, factor));
        let mut sum = 0.0;
        for (dy, a) in tall.into_iter().enumerate() {
            for (dx, b) in wide.into_iter().enumerate() {
                // Tap 0 is the point before: h − 1 more, modulo h.
                let (y, z) = ((i[2] / factor + dy + h - 1) % h, (i[3] / factor + dx + w - 1) % w);
                sum += a * b * x[[i[0], i[1], y, z, i[4]]];
            }
        }
        sum
    })
}
