//! Diffusion posterior sampling: along the gradient of the misfit, over the misfit's norm.

use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// Over what the norm of the misfit is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DpsNorm {
    /// Each sample's own; with windowed guidance, each window's.
    #[default]
    Sample,
    /// The whole batch, as in the published code: samples then depend on each other. With windowed guidance a number counts
    /// once for each window that sees it, which the published norm does not do; choose `place: Composed` for that one.
    Batch,
}

/// Least norm divided by: a perfect fit has a gradient of 0, not 0/0.
const LEAST_NORM: f64 = 1e-30;

/// The posterior's noise estimate.
///
///   s = −ζ ∇‖y − A(x̂)‖² / ‖y − A(x̂)‖
///
/// Source: Chung et al. 2022, arXiv 2209.14687.
pub(super) fn emit(g: &mut Graph, problem: &Problem<'_>, zeta: f64, norm: DpsNorm) -> NodeId {
    let squared = g.square(problem.residual);
    let misfit = match norm {
        DpsNorm::Sample => g.sum(squared, &[1]),
        DpsNorm::Batch => g.sum_all(squared),
    };
    let length = g.sqrt(misfit);
    let least = g.scalar(LEAST_NORM);
    let length = g.max(length, least);
    let step = g.scale(problem.time.sigma, 2.0 * zeta);
    let scale = g.div(step, length);
    let pull = g.mul(problem.residual, scale);
    let step = problem.pull_back(g, pull);
    problem.posterior(g, step)
}
