//! What can go wrong, worded to continue "failed to …".

use thiserror::Error;

/// The world's errors of this crate.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The sampler refused its settings, or its executor failed.
    #[error(transparent)]
    Diffusion(#[from] sda_diffusion::DiffusionError),
    /// The executor failed.
    #[error(transparent)]
    Executor(#[from] sda_graph::ExecutorError),
    /// The observation refused its operator.
    #[error(transparent)]
    Observe(#[from] sda_observe::ObserveError),
    /// A matrix of the closed form is singular, or not finite.
    #[error(transparent)]
    Linalg(#[from] sda_core::linalg::LinalgError),
    /// A sampler's maps hold numbers that are not finite.
    #[error("propagate the sampler's moments: step {step} is not finite")]
    NotFinite {
        /// The predictor step, counted from 0.
        step: u32,
    },
}
