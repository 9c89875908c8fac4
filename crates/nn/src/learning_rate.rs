//! Decay of the learning rate over a training.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The learning rate of an epoch as a fraction of the first one's; u = e/E, constant within the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LearningRate {
    /// 1 − u
    #[default]
    Linear,
    /// (1 + cos(π u)) / 2
    Cosine,
    /// exp(−7 u²)
    Exponential,
}

impl LearningRate {
    /// All members.
    pub const ALL: [Self; 3] = [Self::Linear, Self::Cosine, Self::Exponential];

    /// The rate in `epoch` = 0 … `epochs` − 1 of a training that begins with `rate`.
    ///
    /// Good values: `rate` 1e-3 for Lorenz, 2e-4 for Kolmogorov flow.
    ///
    /// Panics: `epoch` is not one of them.
    #[track_caller]
    pub fn at(self, epoch: usize, epochs: usize, rate: f64) -> f64 {
        assert!(epoch < epochs, "learning rate: epoch {epoch} of {epochs}");
        let u = epoch as f64 / epochs as f64;
        rate * match self {
            Self::Linear => 1.0 - u,
            Self::Cosine => 0.5 * (1.0 + (PI * u).cos()),
            Self::Exponential => (-7.0 * u * u).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_at_the_rate_and_decays_above_zero() {
        for schedule in LearningRate::ALL {
            let rates: Vec<f64> = (0..40).map(|e| schedule.at(e, 40, 2e-3)).collect();
            assert_eq!(rates[0], 2e-3, "{schedule:?}");
            assert!(rates.windows(2).all(|r| r[1] < r[0]) && rates[39] > 0.0, "{schedule:?}");
        }
    }

    #[test]
    fn halfway_values_are_the_formulas() {
        let halfway = [0.5, 0.5, (-1.75_f64).exp()];
        for (schedule, want) in LearningRate::ALL.into_iter().zip(halfway) {
            assert!((schedule.at(8, 16, 1.0) - want).abs() < 1e-15, "{schedule:?}");
        }
        assert!((LearningRate::Cosine.at(1, 4, 1.0) - (2.0 + 2.0_f64.sqrt()) / 4.0).abs() < 1e-15);
    }

    #[test]
    fn linear_is_the_reference_training_s() {
        let case = crate::reference::Case::read("train_adamw");
        for (step, want) in case.tensor("out.lr").iter().enumerate() {
            assert!((LearningRate::Linear.at(step / 2, 4, 1e-3) - want).abs() < 1e-10);
        }
    }
}
