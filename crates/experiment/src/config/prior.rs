//! The score as a predictor of noise.

use super::{Experiment, ScoreConfig};
use sda_diffusion::{GlobalScore, NoisePredictor};
use sda_nn::Weights;

impl Experiment {
    /// The prior's noise estimate, by trained weights.
    pub fn prior(&self) -> Box<dyn NoisePredictor> {
        let network = self.score.network().clone();
        let global = GlobalScore { network, weights: Weights::Trained, denoiser: self.denoiser };
        match self.score {
            ScoreConfig::Local { order, stride, .. } => Box::new(global.local(order, stride)),
            ScoreConfig::Global { .. } => Box::new(global),
        }
    }
}
