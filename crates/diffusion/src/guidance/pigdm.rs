//! Pseudo-inverse guidance: the denoised covariance of standard normal data.

use sda_graph::{Graph, NodeId};

use super::conjugate::solve;
use super::problem::Problem;

/// The posterior's noise estimate.
///
///   y ~ N(A x̂, σ_y² I + r² A Aᵀ), r² = σ²/(σ² + μ²);  s = Jᵀ Aᵀ (σ_y² I + r² A Aᵀ)⁻¹ (y − A(x̂))
///
/// The solve takes products with A only, no network: one iteration is exact where A Aᵀ is a multiple of the identity,
/// as for components and block means.
///
/// Source: Song, Vahdat, Mardani & Kautz 2023, "Pseudoinverse-guided diffusion models for inverse problems", section 3.
pub(super) fn emit(g: &mut Graph, problem: &Problem<'_>, iterations: usize) -> NodeId {
    let (data, noise) = (g.square(problem.time.mu), g.square(problem.time.sigma));
    let total = g.add(data, noise);
    let variance = g.div(data, total);
    let solution = solve(g, problem, iterations, false, |g, w| g.mul(w, variance));
    let step = problem.pull_back(g, solution.dual);
    let step = g.mul(step, problem.time.mu);
    problem.posterior_of_scaled(g, step)
}
