//! What predicts the noise in a trajectory: networks, their composition, their posterior, or a closed form.

use ndarray::ArrayD;
use sda_graph::{Graph, NodeId};

use crate::compose::Windows;
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

/// The same estimate twice: of the noise, and of the data that it hides.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// ε.
    pub noise: NodeId,
    /// x̂ = (x − σ ε)/μ, the mean of the data given x.
    pub denoised: NodeId,
}

impl Estimate {
    /// Tweedie's formula, x̂ = (x − σ ε)/μ.
    ///
    /// Shapes: `x`, `noise` [N, …].
    pub fn of_noise(g: &mut Graph, x: NodeId, noise: NodeId, time: &TimeNodes) -> Self {
        let shape = g.shape(x).to_vec();
        let (x, noisy) = (flat(g, x), flat(g, noise));
        let hidden = g.mul(noisy, time.sigma);
        let scaled = g.sub(x, hidden);
        let denoised = g.div(scaled, time.mu);
        Self { noise, denoised: g.reshape(denoised, &shape) }
    }

    /// The same numbers without a gradient.
    #[must_use]
    pub fn detached(self, g: &mut Graph) -> Self {
        Self { noise: g.detach(self.noise), denoised: g.detach(self.denoised) }
    }
}

/// Some windows of a trajectory, as rows of one array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRows {
    /// First state of each window; rows are samples, then these windows.
    pub starts: Vec<usize>,
    /// States of a window.
    pub width: usize,
}

impl WindowRows {
    /// The trajectory whole.
    pub fn whole(length: usize) -> Self {
        Self { starts: vec![0], width: length }
    }

    /// Whether a window holds one of the states (ascending).
    pub fn has_any(&self, q: usize, states: &[usize]) -> bool {
        let from = states.partition_point(|&i| i < self.starts[q]);
        states.get(from).is_some_and(|&i| i < self.starts[q] + self.width)
    }
}

/// The prior's estimate, and the noise as the posterior has it.
#[derive(Clone, Copy, Debug)]
pub struct Guided {
    /// Of the prior.
    pub prior: Estimate,
    /// ε − σ s.
    pub noise: NodeId,
}

/// What a guidance makes of the estimate in each of some windows: the posterior's noise.
///
/// Shapes: windows `x` [N · Q, W, …] and their estimate, result the same.
pub type Guide<'a> = dyn Fn(&mut Graph, NodeId, Estimate, &TimeNodes, &WindowRows) -> NodeId + 'a;

/// Emits an estimate of the noise ε in x(t) = μ x + σ ε; the score is −ε/σ.
///
/// Shapes: `x` [N, L, D] or [N, L, H, W, C], result the same.
pub trait NoisePredictor {
    /// The estimate, as nodes of `g`.
    ///
    /// Panics: a shape that [`NoisePredictor::check`] refuses.
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId;

    /// The estimate with the denoised mean, which a predictor may know more exactly than by a difference of large
    /// numbers.
    ///
    /// Panics: as [`NoisePredictor::emit`].
    fn estimate(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> Estimate {
        let noise = self.emit(g, x, time);
        Estimate::of_noise(g, x, noise, time)
    }

    /// The same, for a guidance that differentiates it at these states (ascending) and at no other: what does not lead
    /// to them may be emitted without a gradient.
    ///
    /// Panics: as [`NoisePredictor::emit`].
    fn estimate_at(&self, g: &mut Graph, x: NodeId, time: &TimeNodes, states: &[usize]) -> Estimate {
        let _ = states;
        self.estimate(g, x, time)
    }

    /// The noise, guided inside each window that the prediction is made of; windows that hold none of the states
    /// (ascending) stay as they are. What sees the trajectory whole is one window.
    ///
    /// Panics: as [`NoisePredictor::emit`].
    fn guided(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        states: &[usize],
        guide: &Guide<'_>,
    ) -> Guided {
        let prior = self.estimate(g, x, time);
        if states.is_empty() {
            return Guided { prior, noise: prior.noise };
        }
        let rows = WindowRows::whole(g.shape(x)[1]);
        let noise = guide(g, x, prior, time, &rows);
        Guided { prior, noise }
    }

    /// Windows of a trajectory of `length` states that the prediction is made of; `None` where it is seen whole.
    fn windows(&self, length: usize) -> Option<Windows> {
        let _ = length;
        None
    }

    /// Errors: trajectories of this shape [N, L, …] cannot be predicted.
    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let _ = shape;
        Ok(())
    }

    /// States that the emitted nodes read, besides the weights, and their values: what the posterior is given.
    ///
    /// Shapes: trajectories [N, L, …].
    fn conditions(&self, shape: &[usize]) -> Vec<(String, ArrayD<f64>)> {
        let _ = shape;
        Vec::new()
    }
}

/// A pointer predicts what it points to does.
macro_rules! delegate {
    ($pointer:ty) => {
        impl<P: NoisePredictor + ?Sized> NoisePredictor for $pointer {
            fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
                (**self).emit(g, x, time)
            }

            fn estimate(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> Estimate {
                (**self).estimate(g, x, time)
            }

            fn estimate_at(&self, g: &mut Graph, x: NodeId, time: &TimeNodes, states: &[usize]) -> Estimate {
                (**self).estimate_at(g, x, time, states)
            }

            fn guided(
                &self,
                g: &mut Graph,
                x: NodeId,
                time: &TimeNodes,
                states: &[usize],
                guide: &Guide<'_>,
            ) -> Guided {
                (**self).guided(g, x, time, states, guide)
            }

            fn windows(&self, length: usize) -> Option<Windows> {
                (**self).windows(length)
            }

            fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
                (**self).check(shape)
            }

            fn conditions(&self, shape: &[usize]) -> Vec<(String, ArrayD<f64>)> {
                (**self).conditions(shape)
            }
        }
    };
}

delegate!(&P);
delegate!(Box<P>);

/// x as one row per sample, [N, L · D …].
pub(crate) fn flat(g: &mut Graph, x: NodeId) -> NodeId {
    let n = g.shape(x)[0];
    let m = g.len(x) / n.max(1);
    g.reshape(x, &[n, m])
}
