//! States that are known exactly: they stand at t = 0 while the others stand at t.

use ndarray::ArrayD;
use sda_graph::{Declaration, Graph, NodeId};

use crate::compose::Windows;
use crate::error::DiffusionError;
use crate::predictor::{Estimate, Guide, Guided, NoisePredictor, TimeNodes, flat};

/// The state that holds the values of known states, [N, K, …].
pub const KNOWN: &str = "known";

/// Known states of a trajectory, or of each of some windows, as nodes.
#[derive(Clone, Debug)]
pub struct KnownStates {
    /// Which, ascending.
    pub states: Vec<usize>,
    /// Their values, and anything at the others, [N, L, …].
    pub values: NodeId,
}

impl KnownStates {
    /// 1 where a number is of a known state, else 0.
    ///
    /// Shapes: `shape` [N, L, …], result [1, M].
    pub fn mask(&self, g: &mut Graph, shape: &[usize]) -> NodeId {
        let numbers = shape[2..].iter().product::<usize>();
        let is_known = |i: usize| f64::from(u8::from(self.states.binary_search(&(i / numbers)).is_ok()));
        let mask = ArrayD::from_shape_fn(vec![1, shape[1] * numbers], |i| is_known(i[1]));
        g.constant(mask)
    }

    /// x with the known states at their values; it has no derivative there.
    ///
    /// Shapes: `x` [N, L, …], result the same.
    pub fn place(&self, g: &mut Graph, x: NodeId) -> NodeId {
        let values = self.values;
        self.instead(g, values, x)
    }

    /// An estimate of which the known states' part is sure: x̂ is their value, whatever x is, and ε = (x − μ x̂)/σ, so
    /// that whatever a sampler does with ε, it carries them to their value.
    ///
    /// Shapes: `x` [N, L, …], the estimate and result the same.
    pub fn hold(&self, g: &mut Graph, x: NodeId, time: &TimeNodes, estimate: Estimate) -> Estimate {
        let noise = self.hold_noise(g, x, time, estimate.noise);
        let values = self.values;
        Estimate { noise, denoised: self.instead(g, values, estimate.denoised) }
    }

    /// The same of the noise alone.
    pub fn hold_noise(&self, g: &mut Graph, x: NodeId, time: &TimeNodes, noise: NodeId) -> NodeId {
        let shape = g.shape(x).to_vec();
        let (x, values) = (flat(g, x), flat(g, self.values));
        let data = g.mul(values, time.mu);
        let away = g.sub(x, data);
        let sure = g.div(away, time.sigma);
        let sure = g.reshape(sure, &shape);
        self.instead(g, sure, noise)
    }

    /// `a` at the known states, `b` at the others.
    fn instead(&self, g: &mut Graph, a: NodeId, b: NodeId) -> NodeId {
        let shape = g.shape(b).to_vec();
        let mask = self.mask(g, &shape);
        let (a, b) = (flat(g, a), flat(g, b));
        let chosen = g.select(mask, a, b);
        g.reshape(chosen, &shape)
    }
}

/// The prior of trajectories of which some states are known, each sample its own.
///
///   p(x_u(t) | x_k),  x_u(t) = μ x_u + σ ε
///
/// The known states k have x̂ = x_k without a derivative, so that a guidance sees their variance as the zero that it is;
/// the others share μ and σ. The values are the state [`KNOWN`]: other values need no other program. An observation of
/// a known state says nothing of the others and belongs left out (`Posterior::seen`).
///
/// Shapes: `x` [N, L, …].
/// Source: Chen et al. 2024, arXiv 2407.01392 (diffusion forcing); Shysheya et al. 2024, arXiv 2410.16415.
#[derive(Clone, Debug)]
pub struct Known<P> {
    /// Predicts where some states stand at t = 0: [`NoisePredictor::check_known`].
    pub prior: P,
    /// Which are known, ascending.
    pub states: Vec<usize>,
    /// Their values, [N, K, …].
    pub values: ArrayD<f64>,
}

impl<P: NoisePredictor> Known<P> {
    fn emitted(&self, g: &mut Graph, x: NodeId) -> KnownStates {
        let shape = g.shape(x).to_vec();
        let mut held = shape.clone();
        held[1] = self.states.len();
        let values = g.state(Declaration::rows(KNOWN, &held));
        let values = g.scatter(values, 1, &self.states, shape[1]);
        KnownStates { states: self.states.clone(), values }
    }
}

impl<P: NoisePredictor> NoisePredictor for Known<P> {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        self.estimate(g, x, time).noise
    }

    fn estimate(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> Estimate {
        let known = self.emitted(g, x);
        self.prior.estimate_known(g, x, time, &known)
    }

    fn guided(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        states: &[usize],
        guide: &Guide<'_>,
    ) -> Guided {
        let known = self.emitted(g, x);
        self.prior.guided_known(g, x, time, states, guide, &known)
    }

    fn windows(&self, length: usize) -> Option<Windows> {
        self.prior.windows(length)
    }

    fn known_states(&self) -> &[usize] {
        &self.states
    }

    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let refuse = |reason: String| Err(DiffusionError::Known { reason });
        self.prior.check(shape)?;
        let (length, states) = (shape[1], &self.states);
        let ascend = states.windows(2).all(|s| s[0] < s[1]);
        if states.is_empty() || !ascend || states.last().is_some_and(|&last| last >= length) {
            return refuse(format!(
                "they must ascend within the {length} states of a trajectory, and are {states:?}"
            ));
        }
        if states.len() == length {
            return refuse(format!("all {length} states are known, and none is left to sample"));
        }
        let mut expected = shape.to_vec();
        expected[1] = states.len();
        if self.values.shape() != expected {
            return refuse(format!(
                "their values have shape {:?}, and {expected:?} belong",
                self.values.shape()
            ));
        }
        self.prior.check_known(shape, states)
    }

    fn conditions(&self, shape: &[usize]) -> Vec<(String, ArrayD<f64>)> {
        let mut conditions = self.prior.conditions(shape);
        conditions.push((KNOWN.into(), self.values.clone()));
        conditions
    }
}

#[cfg(test)]
mod tests;
