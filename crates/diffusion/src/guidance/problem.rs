//! What every guidance starts from: an estimate, what the operator makes of it, and what was observed.

use sda_graph::{Graph, NodeId, Op};

use crate::predictor::{Estimate, TimeNodes, flat};

/// The linearised observation of a denoised trajectory, or of each of many windows.
///
/// Shapes: `N` rows (samples, or samples and windows) of M numbers, of which P are seen.
pub(super) struct Problem<'a> {
    /// μ and σ.
    pub(super) time: &'a TimeNodes,
    /// x(t), [N, L, …].
    pub(super) x: NodeId,
    /// Of x(t).
    pub(super) estimate: Estimate,
    /// A(x̂), 0 where nothing was observed; the operator's shape.
    pub(super) predicted: NodeId,
    /// y − A(x̂), 0 where nothing was observed [N, P].
    pub(super) residual: NodeId,
    /// σ_y.
    pub(super) noise_std: f64,
    /// Whether the estimate is put together from windows, so that its Jacobian need not be symmetric.
    pub(super) is_composed: bool,
}

/// The same node, which stays where it is in what is made of it.
///
/// The graph takes a reshape of a reshape, and a permutation of a permutation, for one: what is emitted of such a node may
/// read what the node was made of and pass the node by, and would have no derivative by it.
pub(super) fn anchored(g: &mut Graph, x: NodeId) -> NodeId {
    match g.node(x).op {
        Op::Reshape | Op::Permute { .. } => g.rows(x),
        _ => x,
    }
}

impl Problem<'_> {
    /// Jᵀ Aᵀ u, with J = ∂x̂/∂x(t).
    ///
    /// Shapes: `u` [N, P], result [N, M].
    pub(super) fn pull_back(&self, g: &mut Graph, u: NodeId) -> NodeId {
        self.vjp(g, u, self.x)
    }

    /// Aᵀ u.
    ///
    /// Shapes: `u` [N, P], result [N, M].
    pub(super) fn adjoint(&self, g: &mut Graph, u: NodeId) -> NodeId {
        self.vjp(g, u, self.estimate.denoised)
    }

    fn vjp(&self, g: &mut Graph, u: NodeId, wrt: NodeId) -> NodeId {
        let shape = g.shape(self.predicted).to_vec();
        let u = g.reshape(u, &shape);
        let pulled = g.vjp(&[(self.predicted, u)], &[wrt])[0];
        flat(g, pulled)
    }

    /// μ Jᵀ w, the derivative of μ x̂; ½ μ (J + Jᵀ) w where J need not be symmetric.
    ///
    /// Shapes: `w` [N, M], result the same.
    pub(super) fn covariance_times(&self, g: &mut Graph, w: NodeId) -> NodeId {
        let w = if self.is_composed { anchored(g, w) } else { w };
        let shape = g.shape(self.x).to_vec();
        let cotangent = g.reshape(w, &shape);
        let pulled = g.vjp(&[(self.estimate.denoised, cotangent)], &[self.x])[0];
        let mut product = flat(g, pulled);
        if self.is_composed {
            let pushed = g.vjp(&[(product, w)], &[w])[0];
            let sum = g.add(product, pushed);
            product = g.scale(sum, 0.5);
        }
        g.mul(product, self.time.mu)
    }

    /// σ_y² μ²/σ²: the instrument's variance in units of the diffusion's.
    pub(super) fn instrument(&self, g: &mut Graph) -> NodeId {
        let ratio = g.div(self.time.mu, self.time.sigma);
        let scaled = g.scale(ratio, self.noise_std);
        g.square(scaled)
    }

    /// The posterior's noise estimate ε − σ s, for a score given as σ s.
    ///
    /// Shapes: `step` [N, M], result as x.
    pub(super) fn posterior(&self, g: &mut Graph, step: NodeId) -> NodeId {
        let noise = flat(g, self.estimate.noise);
        let posterior = g.sub(noise, step);
        let shape = g.shape(self.x).to_vec();
        g.reshape(posterior, &shape)
    }

    /// The same for a score given as σ²/μ s.
    pub(super) fn posterior_of_scaled(&self, g: &mut Graph, step: NodeId) -> NodeId {
        let ratio = g.div(self.time.mu, self.time.sigma);
        let step = g.mul(step, ratio);
        self.posterior(g, step)
    }
}

/// A v, as the adjoint of the adjoint.
///
/// Shapes: `u` [N, P] any node and `adjoint` [N, M] its Aᵀ u; `v` [N, M], result [N, P].
pub(super) fn project(g: &mut Graph, u: NodeId, adjoint: NodeId, v: NodeId) -> NodeId {
    g.vjp(&[(adjoint, v)], &[u])[0]
}
