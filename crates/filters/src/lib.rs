//! Kalman filter and smoother, particle filter: reference and baseline.
//!
//! They know the system and its transition, never the diffusion prior, so that what they say of a posterior is
//! independent of what it is compared with.

// ndarray's `s!`, used in tests, carries an `allow(unsafe_code)` that `forbid` refuses.
#![cfg_attr(not(test), forbid(unsafe_code))]

mod backward;
mod error;
mod kalman;
mod observation;
mod particle;
mod paths;
mod resampling;
mod smoother;

pub use error::FilterError;
pub use kalman::{Filtered, kalman_filter};
pub use observation::{FunctionOperator, LinearOperator, Observations, StateOperator};
pub use particle::{BootstrapFilter, ParticleHistory};
pub use resampling::{effective_sample_size, systematic};
pub use smoother::{Smoothed, rts_smoother};

#[cfg(test)]
mod exact_tests;
