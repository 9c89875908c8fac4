//! What can go wrong in a filter, worded to continue "failed to …".

use sda_core::linalg::LinalgError;
use thiserror::Error;

/// A filter cannot run, or has lost the observations.
#[derive(Debug, Error)]
pub enum FilterError {
    /// Observations that contradict themselves or the trajectory.
    #[error("read the observations: {0}")]
    Observations(String),
    /// A setting of a filter is outside its range.
    #[error("set up the particle filter: `{field}` must be {expected}, but it is {found}")]
    Setting {
        /// The field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// No particle explains an observation.
    #[error(
        "weight the particles at step {step}: every one of the {particles} has likelihood zero; \
         more particles, a larger noise_std or a longer burn-in helps"
    )]
    Collapsed {
        /// Index of the state observed.
        step: usize,
        /// N.
        particles: usize,
    },
    /// Backward simulation on a system without a transition density.
    #[error(
        "simulate backward: the transition of {system} is deterministic and has no density; set its diffusion"
    )]
    Deterministic {
        /// The system's name.
        system: &'static str,
    },
    /// A covariance is not positive definite.
    #[error("run the Kalman recursion at step {step}")]
    Singular {
        /// Index of the state.
        step: usize,
        /// What the factorisation said.
        source: LinalgError,
    },
}
