//! What predicts the noise in a trajectory: networks, their composition, their posterior, or a closed form.

use ndarray::ArrayD;
use sda_graph::{Graph, NodeId};

use crate::error::DiffusionError;

/// Diffusion time as a graph sees it: one for all samples, or one for each.
///
/// Shapes: `features` [1, 32] or [N, 32]; `mu`, `sigma` [] or [N, 1].
#[derive(Clone, Copy, Debug)]
pub struct TimeNodes {
    /// cos(πjt) and sin(πjt), j = 1 … 16.
    pub features: NodeId,
    /// μ(t).
    pub mu: NodeId,
    /// σ(t).
    pub sigma: NodeId,
}

impl TimeNodes {
    /// The same times where each sample has become `count` rows, one after another.
    pub fn repeated(&self, g: &mut Graph, count: usize) -> Self {
        let [features, mu, sigma] = [self.features, self.mu, self.sigma].map(|node| repeat(g, node, count));
        Self { features, mu, sigma }
    }
}

/// [N, M] → [N · count, M]; what all samples share stays.
fn repeat(g: &mut Graph, x: NodeId, count: usize) -> NodeId {
    let shape = g.shape(x).to_vec();
    match shape[..] {
        [n, m] if n > 1 => {
            let row = g.reshape(x, &[n, 1, m]);
            let rows = g.broadcast(row, &[n, count, m]);
            g.reshape(rows, &[n * count, m])
        }
        _ => x,
    }
}

/// Emits an estimate of the noise ε in x(t) = μ x + σ ε; the score is −ε/σ.
///
/// Shapes: `x` [N, L, D] or [N, L, H, W, C], result the same.
pub trait NoisePredictor {
    /// The estimate, as nodes of `g`.
    ///
    /// Panics: a shape that [`NoisePredictor::check`] refuses.
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId;

    /// The same estimate, for a guidance that differentiates it at these states (ascending) and at no other: what does
    /// not lead to them may be emitted without a gradient.
    ///
    /// Panics: as [`NoisePredictor::emit`].
    fn emit_differentiable_at(&self, g: &mut Graph, x: NodeId, time: &TimeNodes, states: &[usize]) -> NodeId {
        let _ = states;
        self.emit(g, x, time)
    }

    /// Errors: trajectories of this shape [N, L, …] cannot be predicted.
    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let _ = shape;
        Ok(())
    }

    /// States that the emitted nodes read, besides the weights, and their values: what the posterior is given.
    fn conditions(&self) -> Vec<(String, ArrayD<f64>)> {
        Vec::new()
    }
}

impl<P: NoisePredictor + ?Sized> NoisePredictor for &P {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        (**self).emit(g, x, time)
    }

    fn emit_differentiable_at(&self, g: &mut Graph, x: NodeId, time: &TimeNodes, states: &[usize]) -> NodeId {
        (**self).emit_differentiable_at(g, x, time, states)
    }

    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        (**self).check(shape)
    }

    fn conditions(&self) -> Vec<(String, ArrayD<f64>)> {
        (**self).conditions()
    }
}

/// x as one row per sample, [N, L · D …].
pub(crate) fn flat(g: &mut Graph, x: NodeId) -> NodeId {
    let n = g.shape(x)[0];
    let m = g.len(x) / n.max(1);
    g.reshape(x, &[n, m])
}
