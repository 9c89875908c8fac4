//! Diffusion posterior sampling: along the gradient of the misfit, over the misfit's norm.

use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};

use crate::predictor::TimeNodes;

/// Over what the norm of the misfit is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DpsNorm {
    /// Each sample's own.
    #[default]
    Sample,
    /// The whole batch, as in the published code: samples then depend on each other.
    Batch,
}

/// Least norm divided by: a perfect fit has a gradient of 0, not 0/0.
const LEAST_NORM: f64 = 1e-30;

/// σ s as a cotangent of A(x̂), to be pulled back to x(t).
///
///   s = −ζ ∇‖y − A(x̂)‖² / ‖y − A(x̂)‖
///
/// Shapes: `residual` y − A(x̂) [N, P], result the same.
/// Source: Chung et al. 2022, arXiv 2209.14687.
pub(super) fn pull(g: &mut Graph, residual: NodeId, zeta: f64, norm: DpsNorm, time: &TimeNodes) -> NodeId {
    let squared = g.square(residual);
    let misfit = match norm {
        DpsNorm::Sample => g.sum(squared, &[1]),
        DpsNorm::Batch => g.sum_all(squared),
    };
    let length = g.sqrt(misfit);
    let least = g.scalar(LEAST_NORM);
    let length = g.max(length, least);
    let step = g.scale(time.sigma, 2.0 * zeta);
    let scale = g.div(step, length);
    g.mul(residual, scale)
}
