//! Kalman filter and smoother, particle filter: reference and baseline.
//!
//! They know the system and its transition, never the diffusion prior, so that what they say of a posterior is
//! independent of what it is compared with.

// `widest_vectors!` calls functions compiled for instruction sets found at run time: nothing else is unsafe.
#![deny(unsafe_code)]

mod ancestors;
mod backward;
mod error;
mod history;
mod kalman;
mod observation;
mod particle;
mod paths;
mod resampling;
mod smoother;
mod weights;

pub use error::FilterError;
pub use history::ParticleHistory;
pub use kalman::{Filtered, kalman_filter};
pub use observation::{BentOperator, FunctionOperator, LinearOperator, Observations, StateOperator};
pub use particle::BootstrapFilter;
pub use resampling::{effective_sample_size, systematic};
pub use smoother::{Smoothed, rts_smoother};

#[cfg(test)]
mod exact_tests;
