//! Score-based data assimilation: a Gaussian likelihood that is wide where the diffusion's noise is.

use sda_graph::{Graph, NodeId};

use crate::predictor::TimeNodes;

/// σ ∂ log p(y | x(t)) / ∂ A(x̂), to be pulled back to x(t).
///
///   log p(y | x(t)) ≈ −½ Σ (y − A(x̂))² / (σ_y² + γ σ²/μ²) = −½ Σ μ² (y − A(x̂))² / (μ² σ_y² + γ σ²)
///
/// The second form adds numbers of like size where σ²/μ² is 1e6 and σ_y² 1e-4.
///
/// Shapes: `residual` y − A(x̂) [N, P], result the same.
/// Source: Rozet & Louppe 2023, arXiv 2306.10574, section 3.2.
pub(super) fn pull(g: &mut Graph, residual: NodeId, noise_std: f64, gamma: f64, time: &TimeNodes) -> NodeId {
    let (data, noise) = (g.square(time.mu), g.square(time.sigma));
    let (instrument, spread) = (g.scale(data, noise_std * noise_std), g.scale(noise, gamma));
    let variance = g.add(instrument, spread);
    let precision = g.div(data, variance);
    let scale = g.mul(precision, time.sigma);
    g.mul(residual, scale)
}
