//! Tweedie moment projected diffusion: the diagonal of the denoised covariance.

use sda_graph::{Graph, NodeId};

use super::problem::{Problem, anchored, project};

/// The posterior's noise estimate.
///
///   y ~ N(A x̂, σ_y² I + diag(A V Aᵀ 1)), V = (σ²/μ) J;  s = Jᵀ Aᵀ (…)⁻¹ (y − A(x̂))
///
/// in units of σ²/μ²: the diagonal is σ_y² μ²/σ² + μ A J Aᵀ 1. A sum of a row that is negative, which a covariance's can
/// be, counts as 0.
///
/// Source: Boys, Girolami, Pidstrigach, Reich, Mosca & Akyildiz 2023, arXiv 2310.06721, section 3.
pub(super) fn emit(g: &mut Graph, problem: &Problem<'_>) -> NodeId {
    let one = g.scalar(1.0);
    let shape = g.shape(problem.residual).to_vec();
    // Of a single number the broadcast is a reshape, by which nothing can be differentiated.
    let ones = g.broadcast(one, &shape);
    let ones = anchored(g, ones);
    let adjoint = problem.adjoint(g, ones);
    let step = problem.covariance_times(g, adjoint);
    let sums = project(g, ones, adjoint, step);
    let zero = g.scalar(0.0);
    let sums = g.max(sums, zero);
    let instrument = problem.instrument(g);
    let variance = g.add(sums, instrument);
    let residual = g.detach(problem.residual);
    let dual = g.div(residual, variance);
    let step = problem.pull_back(g, dual);
    let step = g.mul(step, problem.time.mu);
    problem.posterior_of_scaled(g, step)
}
