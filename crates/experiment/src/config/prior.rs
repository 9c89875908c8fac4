//! The score as a predictor of noise, and the posteriors that can be made of it.

use super::{Experiment, PriorConfig, ScoreConfig};
use ndarray::Array1;
use sda_diffusion::{GlobalScore, Guidance, NoisePredictor, Posterior, PriorCovariance, Sampler};
use sda_nn::Weights;

impl Experiment {
    /// The prior's noise estimate, by trained weights.
    pub fn prior(&self) -> Box<dyn NoisePredictor> {
        let network = self.score.network().clone();
        let global = GlobalScore {
            network,
            weights: Weights::Trained,
            denoiser: self.denoiser,
            levels: self.training.levels,
        };
        match self.score {
            ScoreConfig::Local { order, stride, .. } => Box::new(global.local(order, stride)),
            ScoreConfig::Global { .. } => Box::new(global),
        }
    }

    /// What draws from the prior alone, and how many states.
    pub(crate) fn drawn(&self, prior: &PriorConfig) -> (Sampler, usize) {
        let mut sampler = self.assimilation.sampler.with(self.schedule, prior.corrections, 0.0);
        sampler.steps = prior.steps.unwrap_or(sampler.steps);
        (sampler, prior.length.unwrap_or(self.score.window()))
    }
}

/// Numbers whose covariance has eigenvalues within minutes.
const LARGEST_COVARIANCE: usize = 4096;

/// Errors: why a posterior cannot be, of trajectories of a shape [N, L, …].
///
/// The covariance that JFPS takes is estimated later; here its size is enough.
pub(super) fn check_posterior<P: NoisePredictor>(
    mut posterior: Posterior<P>,
    shape: &[usize],
) -> Result<(), String> {
    if let Guidance::Jfps { .. } = posterior.guidance {
        let numbers = posterior.covariance_states(shape[1]) * shape[2..].iter().product::<usize>();
        if numbers > LARGEST_COVARIANCE {
            return Err(format!(
                "JFPS takes a covariance of {numbers} numbers, and the largest is {LARGEST_COVARIANCE}; choose MMPS, or \
                 place: Windowed"
            ));
        }
        posterior.covariance = Some(PriorCovariance { variances: Array1::ones(numbers), modes: None });
    }
    posterior.check(shape).map_err(|e| e.to_string())
}
