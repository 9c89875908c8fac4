//! From the prior's score to the posterior's: one paper per file.

mod dps;
mod sda;

pub use dps::DpsNorm;

use ndarray::{ArrayD, Axis};
use sda_graph::{Declaration, Graph, NodeId};
use sda_observe::Observation;
use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, check};
use crate::predictor::{NoisePredictor, TimeNodes, flat};

/// How the likelihood of noisy trajectories is approximated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Guidance {
    /// A Gaussian whose variance grows with the diffusion's noise.
    Sda {
        /// γ.
        #[serde(default = "default_gamma")]
        gamma: f64,
        /// Whether the gradient takes the network's estimate as a constant.
        #[serde(default)]
        detach: bool,
    },
    /// A step of a length of its own along the gradient of the misfit.
    Dps {
        /// ζ.
        #[serde(default = "default_zeta")]
        zeta: f64,
        /// Over what the misfit's norm is taken.
        #[serde(default)]
        norm: DpsNorm,
    },
}

fn default_gamma() -> f64 {
    1e-2
}

fn default_zeta() -> f64 {
    1.0
}

impl Guidance {
    /// Errors: γ or ζ is negative or not finite.
    pub fn check(&self) -> Result<(), DiffusionError> {
        let accept = |x: f64| x >= 0.0 && x.is_finite();
        match *self {
            Self::Sda { gamma, .. } => {
                check("SDA guidance", "gamma", "finite and not negative", gamma, accept)
            }
            Self::Dps { zeta, .. } => check("DPS guidance", "zeta", "finite and not negative", zeta, accept),
        }
    }
}

/// The state that holds what was observed.
pub const OBSERVATION: &str = "observation";

/// The posterior's noise estimate ε − σ s, s = ∇ log p(y | x(t)), differentiated through all of the prior.
///
/// It is a predictor itself, so that whatever samples a prior samples a posterior. What was observed is the state
/// [`OBSERVATION`]: another observation by the same operator and noise needs no other program.
///
/// Shapes: `x` [N, L, …]; the observation is the same for all N.
#[derive(Clone, Debug)]
pub struct Posterior<P> {
    /// Predicts the noise in trajectories.
    pub prior: P,
    /// What was seen, how, and how well.
    pub observation: Observation,
    /// The approximation of the likelihood.
    pub guidance: Guidance,
}

impl<P: NoisePredictor> NoisePredictor for Posterior<P> {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        let through_network = !matches!(self.guidance, Guidance::Sda { detach: true, .. });
        let noise = if through_network {
            let states = self.observation.operator.states(g.shape(x)[1]);
            self.prior.emit_differentiable_at(g, x, time, &states)
        } else {
            self.prior.emit(g, x, time)
        };
        let estimate = if through_network { noise } else { g.detach(noise) };
        let denoised = denoise(g, x, estimate, time);
        let predicted = self.observation.operator.emit(g, denoised);
        let observed = g.state(Declaration::shared(OBSERVATION, self.values().shape()));
        let residual = {
            let observed = flat(g, observed);
            let predicted = flat(g, predicted);
            g.sub(observed, predicted)
        };
        let pull = match self.guidance {
            Guidance::Sda { gamma, .. } => sda::pull(g, residual, self.observation.noise_std, gamma, time),
            Guidance::Dps { zeta, norm } => dps::pull(g, residual, zeta, norm, time),
        };
        let shape = g.shape(predicted).to_vec();
        let pull = g.reshape(pull, &shape);
        let score = g.vjp(&[(predicted, pull)], &[x])[0];
        let (noise, score) = (flat(g, noise), flat(g, score));
        let posterior = g.sub(noise, score);
        let shape = g.shape(x).to_vec();
        g.reshape(posterior, &shape)
    }

    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        self.guidance.check()?;
        self.prior.check(shape)?;
        Ok(self.observation.check(shape)?)
    }

    fn conditions(&self) -> Vec<(String, ArrayD<f64>)> {
        let mut conditions = self.prior.conditions();
        conditions.push((OBSERVATION.into(), self.values()));
        conditions
    }
}

impl<P> Posterior<P> {
    /// What was observed with a leading axis of 1, for all samples.
    fn values(&self) -> ArrayD<f64> {
        self.observation.values.clone().insert_axis(Axis(0))
    }
}

/// The denoised mean by Tweedie's formula, x̂ = (x − σ ε)/μ.
///
/// Shapes: `x`, `noise` [N, …], result the same.
pub fn denoise(g: &mut Graph, x: NodeId, noise: NodeId, time: &TimeNodes) -> NodeId {
    let shape = g.shape(x).to_vec();
    let (x, noise) = (flat(g, x), flat(g, noise));
    let noise = g.mul(noise, time.sigma);
    let scaled = g.sub(x, noise);
    let denoised = g.div(scaled, time.mu);
    g.reshape(denoised, &shape)
}

#[cfg(test)]
mod tests;
