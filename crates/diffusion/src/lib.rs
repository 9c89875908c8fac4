//! Schedules, loss, local-score composition, guidance, samplers.
//!
//! Everything that estimates the noise in a trajectory is a [`NoisePredictor`]: a network that sees it whole
//! ([`GlobalScore`]), a network slid over it ([`LocalScore`]), either of them given an observation ([`Posterior`]).
//! [`Trainer`] learns the network, [`Sampler`] samples whatever predicts. Both take their executor as an argument.

// ndarray's `s!` carries an `allow(unsafe_code)` that `forbid` refuses.
#![deny(unsafe_code)]

mod compose;
mod denoiser;
mod error;
mod gaussian;
mod global;
pub mod guidance;
mod known;
mod levels;
mod loss;
mod predictor;
mod rollout;
mod sampler;
mod schedule;
pub mod stream;
mod time_grid;
mod training;
mod twisted;

#[cfg(test)]
mod exact;
#[cfg(test)]
mod interpret;

pub use compose::{LocalScore, Windows};
pub use denoiser::{Denoiser, LossWeight, TrainingTimes};
pub use error::DiffusionError;
pub use gaussian::GaussianScore;
pub use global::GlobalScore;
pub use guidance::{CovarianceForm, DpsNorm, Guidance, Place, Posterior, PriorCovariance, Solver};
pub use known::{KNOWN, Known, KnownStates};
pub use levels::Levels;
pub use loss::{denoising_loss, perturb, squared_errors};
pub use predictor::{Estimate, Guide, Guided, JacobianPart, NoisePredictor, TimeNodes, WindowRows};
pub use rollout::{Conditioning, Rolling, Rollout, RolloutProgress, RolloutRun, RolloutState};
pub use sampler::{
    Divergence, FINITE_STEPS, Integrator, LangevinStep, NoiseSource, PREVIOUS, SAMPLE, Sampled, Sampler,
    SamplerRun, Samples,
};
pub use schedule::{Alpha, Schedule, Sde};
pub use time_grid::TimeGrid;
pub use training::{Trainer, Training};
pub use twisted::{LOG_WEIGHT, Resampling, Twisted, TwistedRun, Weighing};
