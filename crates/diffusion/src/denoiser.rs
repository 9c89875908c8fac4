//! What a network's output means: the noise itself, or a preconditioned mixture of noise and data.

use std::f64::consts::PI;

use ndarray::{Array2, ArrayD};
use sda_graph::{Graph, NodeId};
use sda_nn::TIME_FEATURES;
use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, check};
use crate::predictor::{Estimate, TimeNodes, flat};

/// ln σ/μ that the preconditioned network's noise feature has its middle at, and half of the range around it.
const LEVELS: [f64; 2] = [0.0, 7.0];

/// How a network's output F becomes an estimate of the noise ε in x = μ x₀ + σ ε.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Denoiser {
    /// ε = F(x, t), the published form.
    ///
    /// Source: Ho et al. 2020, arXiv 2006.11239; Rozet & Louppe 2023, arXiv 2306.10574.
    #[default]
    Noise,
    /// The denoised mean is a mixture of x and F, chosen so that F has inputs and targets of unit variance at every
    /// noise level:
    ///
    ///   x̂ = (σ_d² μ/v) x + (σ σ_d/√v) F(x/√v, ln σ/μ),  v = σ² + μ² σ_d²
    ///   ε = (x − μ x̂)/σ = (σ/v) x − (μ σ_d/√v) F
    ///
    /// With σ/μ as the noise level of x/μ this is table 1 of the source. F knows the level by cos(π j u) and sin(π j u)
    /// with u = (ln(σ/μ) + 7)/14, j = 1 … 16, which tells small levels apart where t does not.
    ///
    /// Good values: `data_std` 1 on normalised states.
    /// Source: Karras, Aittala, Aila & Laine 2022, arXiv 2206.00364, section 5.
    Preconditioned {
        /// σ_d, the data's standard deviation.
        data_std: f64,
    },
}

impl Denoiser {
    /// Errors: a standard deviation that is none.
    pub fn check(self) -> Result<(), DiffusionError> {
        match self {
            Self::Noise => Ok(()),
            Self::Preconditioned { data_std } => {
                check("the denoiser", "data_std", "positive and finite", data_std, |s| {
                    s > 0.0 && s.is_finite()
                })
            }
        }
    }

    /// The estimate made of a network's output.
    ///
    /// Shapes: `x` [N, …], result the same; `network` maps an array of that shape, and time features [1 or N, 32], to
    /// one of that shape.
    pub fn emit(
        self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        network: impl FnOnce(&mut Graph, NodeId, NodeId) -> NodeId,
    ) -> Estimate {
        self.emit_at(g, x, time, [time.mu, time.sigma], network)
    }

    /// The same where numbers differ in μ and σ; the features are those of `time` for all, and what the estimate of a
    /// number without noise is, is not said.
    ///
    /// Shapes: `scales` μ and σ, each [], [N, 1] or [1 or N, M].
    pub fn emit_at(
        self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        [mu, sigma]: [NodeId; 2],
        network: impl FnOnce(&mut Graph, NodeId, NodeId) -> NodeId,
    ) -> Estimate {
        let Self::Preconditioned { data_std } = self else {
            let noise = network(g, x, time.features);
            return Estimate::of_noise(g, x, noise, time);
        };
        let shape = g.shape(x).to_vec();
        let features = level_features(g, time);
        let x = flat(g, x);
        let data = g.scale(mu, data_std);
        let variance = variance(g, data, sigma);
        let deviation = g.sqrt(variance);
        let scaled = g.div(x, deviation);
        let scaled = g.reshape(scaled, &shape);
        let output = network(g, scaled, features);
        let output = flat(g, output);
        let noise = {
            let (of_x, of_output) = (g.div(sigma, variance), g.div(data, deviation));
            let (kept, taken) = (g.mul(x, of_x), g.mul(output, of_output));
            g.sub(kept, taken)
        };
        let denoised = {
            let (of_x, of_output) = (g.div(data, variance), g.div(sigma, deviation));
            let (kept, added) = (g.mul(x, of_x), g.mul(output, of_output));
            let sum = g.add(kept, added);
            g.scale(sum, data_std)
        };
        Estimate { noise: g.reshape(noise, &shape), denoised: g.reshape(denoised, &shape) }
    }
}

/// σ² + data².
fn variance(g: &mut Graph, data: NodeId, sigma: NodeId) -> NodeId {
    let (data, noise) = (g.square(data), g.square(sigma));
    g.add(data, noise)
}

/// cos(π j u), then sin(π j u), of u = (ln(σ/μ) + 7)/14.
///
/// Shapes: result [1, 32] or [N, 32].
fn level_features(g: &mut Graph, time: &TimeNodes) -> NodeId {
    let [middle, half] = LEVELS;
    let rows = g.len(time.mu);
    let ratio = g.div(time.sigma, time.mu);
    let ratio = g.reshape(ratio, &[rows, 1]);
    let level = g.ln(ratio);
    let raised = g.offset(level, half - middle);
    let u = g.scale(raised, 0.5 / half);
    let frequencies = Array2::from_shape_fn((1, TIME_FEATURES / 2), |(_, j)| PI * (j + 1) as f64);
    let frequencies: ArrayD<f64> = frequencies.into_dyn();
    let frequencies = g.constant(frequencies);
    let angles = g.mul(u, frequencies);
    let (cosines, sines) = (g.cos(angles), g.sin(angles));
    g.concat(&[cosines, sines], 1)
}

/// Which diffusion times a training step draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum TrainingTimes {
    /// t ~ U(0, 1), the published law.
    #[default]
    Uniform,
    /// ln σ(t)/μ(t) ~ N(mean, std²), cut to the schedule's range.
    ///
    /// Good values: a mean near the logarithm of the noise that separates neighbouring trajectories, a std that
    /// reaches both ends: −1.5 and 2 for Lorenz, whose transition noise is at −4.
    /// Source: Karras, Aittala, Aila & Laine 2022, arXiv 2206.00364, table 1.
    LogNormal {
        /// Mean of ln σ/μ.
        mean: f64,
        /// Standard deviation of ln σ/μ.
        std: f64,
    },
}

impl TrainingTimes {
    /// Errors: a standard deviation that is none, a mean that is not finite.
    pub fn check(self) -> Result<(), DiffusionError> {
        let Self::LogNormal { mean, std } = self else { return Ok(()) };
        check("training", "times.mean", "finite", mean, f64::is_finite)?;
        check("training", "times.std", "positive and finite", std, |s| s > 0.0 && s.is_finite())
    }
}

/// What the errors of a training step count at different noise levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossWeight {
    /// (ε_φ − ε)², the published loss.
    #[default]
    Noise,
    /// The error of a preconditioned network's own output, 1 at every level of a network that has learnt nothing but
    /// the data's variance:
    ///
    ///   (1 + σ²/(μ² σ_d²)) (ε_φ − ε)²
    ///
    /// With [`Denoiser::Noise`], σ_d = 1.
    ///
    /// Source: Karras, Aittala, Aila & Laine 2022, arXiv 2206.00364, section 5.
    Output,
}

impl LossWeight {
    /// The weight of each sample; `None` is 1.
    ///
    /// Shapes: result as `time.mu`.
    pub fn emit(self, g: &mut Graph, denoiser: Denoiser, time: &TimeNodes) -> Option<NodeId> {
        if self == Self::Noise {
            return None;
        }
        let data_std = match denoiser {
            Denoiser::Noise => 1.0,
            Denoiser::Preconditioned { data_std } => data_std,
        };
        let ratio = g.div(time.sigma, time.mu);
        let ratio = g.scale(ratio, 1.0 / data_std);
        let squared = g.square(ratio);
        Some(g.offset(squared, 1.0))
    }
}
