//! Score-based data assimilation: a Gaussian likelihood that is wide where the diffusion's noise is.

use std::f64::consts::PI;

use ndarray::{Array2, ArrayD};
use sda_graph::{Graph, NodeId};

use super::problem::Problem;
use crate::predictor::TimeNodes;

/// The posterior's noise estimate.
///
///   log p(y | x(t)) ≈ −½ Σ (y − A(x̂))² / (σ_y² + γ σ²/μ²) = −½ Σ μ² (y − A(x̂))² / (μ² σ_y² + γ σ²)
///
/// The second form adds numbers of like size where σ²/μ² is 1e6 and σ_y² 1e-4.
///
/// Shapes: `gamma` one number or one for each of the P observed numbers [1, P].
/// Source: Rozet & Louppe 2023, arXiv 2306.10574, section 3.2.
pub(super) fn emit(g: &mut Graph, problem: &Problem<'_>, gamma: &ArrayD<f64>) -> NodeId {
    let pull = {
        let precision = precision(g, problem.time, problem.noise_std, gamma);
        g.mul(problem.residual, precision)
    };
    let step = problem.pull_back(g, pull);
    problem.posterior(g, step)
}

/// The same with γ_k of each mode of the observed numbers' course over the observed states:
///
///   log p(y | x(t)) ≈ −½ Σ_k (Bᵀ (y − A(x̂)))_k² / (σ_y² + γ_k σ²/μ²)
///
/// B holds the cosine modes (DCT-II, orthonormal), which need no periodic trajectory.
///
/// Shapes: `gamma` one number for each observed state.
pub(super) fn emit_spectral(g: &mut Graph, problem: &Problem<'_>, gamma: &[f64]) -> NodeId {
    let (states, shape) = (gamma.len(), g.shape(problem.residual).to_vec());
    let others = shape[1] / states;
    let basis = g.constant(cosine_modes(states).into_dyn());
    let residual = g.reshape(problem.residual, &[shape[0], states, others]);
    let residual = g.permute(residual, &[0, 2, 1]);
    let residual = g.reshape(residual, &[shape[0] * others, states]);
    let modes = g.matmul(residual, basis, false, false);
    let modes = g.reshape(modes, &[shape[0], others * states]);
    let gamma = ArrayD::from_shape_fn(vec![1, others * states], |i| gamma[i[1] % states]);
    let precision = precision(g, problem.time, problem.noise_std, &gamma);
    let modes = g.mul(modes, precision);
    let modes = g.reshape(modes, &[shape[0] * others, states]);
    let pull = g.matmul(modes, basis, false, true);
    let pull = g.reshape(pull, &[shape[0], others, states]);
    let pull = g.permute(pull, &[0, 2, 1]);
    let pull = g.reshape(pull, &shape);
    let step = problem.pull_back(g, pull);
    problem.posterior(g, step)
}

/// σ/(σ_y² + γ σ²/μ²).
fn precision(g: &mut Graph, time: &TimeNodes, noise_std: f64, gamma: &ArrayD<f64>) -> NodeId {
    let (data, noise) = (g.square(time.mu), g.square(time.sigma));
    let instrument = g.scale(data, noise_std * noise_std);
    let spread = if gamma.len() == 1 {
        g.scale(noise, gamma.sum())
    } else {
        let gamma = g.constant(gamma.clone());
        g.mul(noise, gamma)
    };
    let variance = g.add(instrument, spread);
    let precision = g.div(data, variance);
    g.mul(precision, time.sigma)
}

/// B [n, n], B_jk = √((2 − δ_k0)/n) cos(π (j + ½) k/n); Bᵀ B = I.
fn cosine_modes(n: usize) -> Array2<f64> {
    Array2::from_shape_fn((n, n), |(j, k)| {
        let size = if k == 0 { 1.0 } else { 2.0 };
        (size / n as f64).sqrt() * (PI * (j as f64 + 0.5) * k as f64 / n as f64).cos()
    })
}
