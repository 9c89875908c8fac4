//! What training minimises.

use sda_graph::{Graph, NodeId};

use crate::predictor::{NoisePredictor, TimeNodes, flat};

/// The denoising loss over a batch.
///
///   mean (ε_φ(μ x + σ ε, t) − ε)², or with weights mean(w (ε_φ − ε)²) / mean(w)
///
/// Shapes: `x`, `noise` [B, L, …]; `time` one per sample; `weights` [B, 1], [1, L · …] or [B, L · …]; result [].
/// Source: Ho et al. 2020, arXiv 2006.11239, equation 14.
pub fn denoising_loss(
    g: &mut Graph,
    predictor: &dyn NoisePredictor,
    x: NodeId,
    noise: NodeId,
    time: &TimeNodes,
    weights: Option<NodeId>,
) -> NodeId {
    let shape = g.shape(x).to_vec();
    let noisy = perturb(g, x, noise, time);
    let noisy = g.reshape(noisy, &shape);
    let predicted = predictor.emit(g, noisy, time);
    let (predicted, noise) = (flat(g, predicted), flat(g, noise));
    let error = g.sub(predicted, noise);
    let squared = g.square(error);
    let Some(weights) = weights else {
        return mean(g, squared);
    };
    let weighted = g.mul(squared, weights);
    let (above, below) = (mean(g, weighted), mean(g, weights));
    g.div(above, below)
}

/// x(t) = μ x + σ ε.
///
/// Shapes: `x`, `noise` [N, …], result [N, M].
pub fn perturb(g: &mut Graph, x: NodeId, noise: NodeId, time: &TimeNodes) -> NodeId {
    let (x, noise) = (flat(g, x), flat(g, noise));
    let (data, noise) = (g.mul(x, time.mu), g.mul(noise, time.sigma));
    g.add(data, noise)
}

fn mean(g: &mut Graph, x: NodeId) -> NodeId {
    let n = g.len(x);
    let sum = g.sum_all(x);
    g.scale(sum, 1.0 / n as f64)
}
