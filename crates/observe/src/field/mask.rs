//! The points of a region, one after another.

use super::axes;
use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};

/// Points of a field by where their centres are: (p, q) on [−1, 1]², p along the first spatial axis.
///
///   p_i = (2 i + 1)/H − 1
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Region {
    /// inner < p² + q² < outer
    Ring {
        /// Smallest p² + q².
        inner: f64,
        /// Largest p² + q².
        outer: f64,
    },
    /// low ≤ p, q ≤ high by axis.
    Box {
        /// Least (p, q).
        low: [f64; 2],
        /// Largest (p, q).
        high: [f64; 2],
    },
    /// What is in none of these.
    Outside(Vec<Region>),
    /// What is in any of these.
    Any(Vec<Region>),
}

impl Region {
    /// Whether a point lies in it.
    pub fn has(&self, p: f64, q: f64) -> bool {
        match self {
            Self::Ring { inner, outer } => {
                (*inner..*outer).contains(&(p * p + q * q)) && p * p + q * q > *inner
            }
            Self::Box { low, high } => (low[0]..=high[0]).contains(&p) && (low[1]..=high[1]).contains(&q),
            Self::Outside(regions) => !regions.iter().any(|r| r.has(p, q)),
            Self::Any(regions) => regions.iter().any(|r| r.has(p, q)),
        }
    }

    /// Its points on a grid, by rows: positions in the flattened grid, ascending.
    pub fn points(&self, [h, w]: [usize; 2]) -> Vec<usize> {
        let centre = |i: usize, n: usize| (2 * i + 1) as f64 / n as f64 - 1.0;
        (0..h * w).filter(|&i| self.has(centre(i / w, h), centre(i % w, w))).collect()
    }
}

pub(crate) fn output_shape(region: &Region, shape: &[usize]) -> Result<Vec<usize>, String> {
    let [b, l, h, w, c] = axes(shape)?;
    let points = region.points([h, w]).len();
    if points == 0 {
        return Err(format!("none of {h} × {w} points is in the region {region:?}: it hides everything"));
    }
    Ok(vec![b, l, points, c])
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, region: &Region) -> NodeId {
    let &[b, l, h, w, c] = g.shape(x) else { unreachable!("checked by output_shape") };
    let flat = g.reshape(x, &[b, l, h * w, c]);
    g.gather(flat, 2, &region.points([h, w]))
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, shape: Vec<usize>, region: &Region) -> ArrayD<f64> {
    let w = x.shape()[3];
    let points = region.points([x.shape()[2], w]);
    ArrayD::from_shape_fn(shape, |i| x[[i[0], i[1], points[i[2]] / w, points[i[2]] % w, i[3]]])
}
