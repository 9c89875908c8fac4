//! One way of sampling the chain's posterior.

use sda_diffusion::{
    GaussianScore, Guidance, LocalScore, NoisePredictor, Place, Posterior, PriorCovariance, Sampler, Windows,
};

use crate::chain::Chain;
use crate::error::VerifyError;

/// Where the exact prior score is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prior {
    /// On the whole trajectory.
    Whole,
    /// On windows of 2·order + 1 states every `stride` states, put together.
    Windows {
        /// k.
        order: usize,
        /// States between windows.
        stride: usize,
    },
}

/// Prior, guidance and sampler.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The score.
    pub prior: Prior,
    /// The likelihood.
    pub guidance: Guidance,
    /// Where it is formed.
    pub place: Place,
    /// The steps.
    pub sampler: Sampler,
}

impl Setting {
    /// Whether the likelihood is formed on trajectories put together from windows.
    pub fn is_composed(&self, chain: &Chain) -> bool {
        let windows = match self.prior {
            Prior::Whole => None,
            Prior::Windows { order, stride } => Windows::new(chain.length, order, stride).ok(),
        };
        self.place.is_composed(&self.guidance, &chain.seen.operator, windows)
    }

    /// The posterior's predictor.
    ///
    /// Errors: a covariance without eigenvalues.
    pub fn posterior(&self, chain: &Chain) -> Result<Posterior<Box<dyn NoisePredictor>>, VerifyError> {
        let prior: Box<dyn NoisePredictor> = match self.prior {
            Prior::Whole => Box::new(GaussianScore::new(chain.mean.clone(), &chain.covariance)?),
            Prior::Windows { order, stride } => {
                // A stationary chain's windows all have the law of its first states.
                let width = 2 * order + 1;
                let mean = chain.dynamics.trajectory_mean(width);
                let kernel = GaussianScore::new(mean, &chain.dynamics.trajectory_covariance(width))?;
                Box::new(LocalScore { kernel, order, stride })
            }
        };
        let mut posterior = Posterior::new(prior, chain.observation()?, self.guidance.clone());
        posterior.place = self.place;
        if let Guidance::Jfps { covariance, .. } = &self.guidance {
            let states = posterior.covariance_states(chain.length);
            let exact = chain.dynamics.trajectory_covariance(states);
            posterior.covariance = Some(PriorCovariance::of(&exact, *covariance, states)?);
        }
        Ok(posterior)
    }
}
