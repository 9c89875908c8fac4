//! Moment matching posterior sampling: the denoised covariance by Tweedie's second formula.

use sda_graph::{Graph, NodeId};

use super::choice::Solver;
use super::problem::Problem;
use super::{conjugate, residuals};

/// The posterior's noise estimate.
///
///   y ~ N(A x̂, σ_y² I + λ A V Aᵀ), V = V[x | x(t)] = (σ²/μ) J;  s = λ Jᵀ Aᵀ (σ_y² I + λ A V Aᵀ)⁻¹ (y − A(x̂))
///
/// by a fixed number of iterations, each of which is one vector–Jacobian product through the network; that of the score
/// itself is their sum, so that one iteration costs what SDA's guidance does. The system is solved divided by λ, with
/// σ_y²/λ for σ_y². On a whole trajectory put together from windows J is not symmetric: ½ (J + Jᵀ) takes its place, and an
/// iteration costs a product with J too.
///
/// With linear A, Gaussian data, the exact score, iterations enough and λ = 1, exact.
///
/// Source: Rozet, Andry, Lanusse & Louppe 2024, arXiv 2405.13712.
pub(super) fn emit(
    g: &mut Graph,
    problem: &Problem<'_>,
    iterations: usize,
    solver: Solver,
    inflation: f64,
) -> NodeId {
    let problem = &Problem { noise_std: problem.noise_std / inflation.sqrt(), ..*problem };
    let covariance = |g: &mut Graph, w| problem.covariance_times(g, w);
    let step = match solver {
        Solver::ConjugateGradients => {
            conjugate::solve(g, problem, iterations, problem.is_composed, covariance).step
        }
        Solver::MinimalResidual => residuals::solve(g, problem, iterations, problem.is_composed, covariance),
    };
    problem.posterior_of_scaled(g, step)
}
