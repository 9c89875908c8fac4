//! What predicts the noise in a trajectory: networks, their composition, their posterior, or a closed form.

use ndarray::ArrayD;
use sda_graph::{Graph, NodeId};

use crate::compose::Windows;
use crate::error::DiffusionError;
use crate::known::KnownStates;

/// Why most predictors refuse known states.
pub(crate) const ONE_LEVEL: &str = "the network has one noise level for all states; condition by guidance, \
    `Guided(noise_std: …)`, or train one with `levels: PerState(share: 0.5)`";

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

/// What a guidance asks for of the Jacobian J = ∂x̂/∂x(t) at some states; the rest of it may be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JacobianPart {
    /// Derivatives of their estimate by every state: Jᵀ v of a v that is 0 at other states, and J v at these.
    Rows,
    /// Derivatives by them of every state's estimate too: of a v that is 0 at other states J v as well.
    RowsAndColumns,
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

    /// The same, for a guidance that asks for no more of its Jacobian than a part at these states (ascending): what does
    /// not lead there may be emitted without a gradient.
    ///
    /// Panics: as [`NoisePredictor::emit`].
    fn estimate_at(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        states: &[usize],
        part: JacobianPart,
    ) -> Estimate {
        let _ = (states, part);
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

    /// As [`NoisePredictor::estimate`], where some states stand at t = 0: what is known of them is sure
    /// ([`KnownStates::hold`]), and the others' estimate is made with it.
    ///
    /// Panics: what [`NoisePredictor::check_known`] refuses.
    fn estimate_known(&self, g: &mut Graph, x: NodeId, time: &TimeNodes, known: &KnownStates) -> Estimate {
        let _ = (g, x, time);
        panic!("states {:?} stand at t = 0, and this predictor has one level for all", known.states);
    }

    /// As [`NoisePredictor::guided`], where some states stand at t = 0; a guidance does not move them.
    ///
    /// Panics: what [`NoisePredictor::check_known`] refuses.
    fn guided_known(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        states: &[usize],
        guide: &Guide<'_>,
        known: &KnownStates,
    ) -> Guided {
        let prior = self.estimate_known(g, x, time, known);
        if states.is_empty() {
            return Guided { prior, noise: prior.noise };
        }
        let rows = WindowRows::whole(g.shape(x)[1]);
        let noise = guide(g, x, prior, time, &rows);
        Guided { prior, noise: known.hold_noise(g, x, time, noise) }
    }

    /// States that stand at t = 0 in all that this predicts, ascending.
    fn known_states(&self) -> &[usize] {
        &[]
    }

    /// Errors: these states (ascending) of trajectories of this shape [N, L, …] can't stand at t = 0 while the others
    /// stand at t.
    fn check_known(&self, shape: &[usize], states: &[usize]) -> Result<(), DiffusionError> {
        let _ = (shape, states);
        Err(DiffusionError::Known { reason: ONE_LEVEL.into() })
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

            fn estimate_at(
                &self,
                g: &mut Graph,
                x: NodeId,
                time: &TimeNodes,
                states: &[usize],
                part: JacobianPart,
            ) -> Estimate {
                (**self).estimate_at(g, x, time, states, part)
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

            fn estimate_known(
                &self,
                g: &mut Graph,
                x: NodeId,
                time: &TimeNodes,
                known: &KnownStates,
            ) -> Estimate {
                (**self).estimate_known(g, x, time, known)
            }

            fn guided_known(
                &self,
                g: &mut Graph,
                x: NodeId,
                time: &TimeNodes,
                states: &[usize],
                guide: &Guide<'_>,
                known: &KnownStates,
            ) -> Guided {
                (**self).guided_known(g, x, time, states, guide, known)
            }

            fn known_states(&self) -> &[usize] {
                (**self).known_states()
            }

            fn check_known(&self, shape: &[usize], states: &[usize]) -> Result<(), DiffusionError> {
                (**self).check_known(shape, states)
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
