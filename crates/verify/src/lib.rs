//! The sampler's own error, exactly.
//!
//! On a linear Gaussian chain with the exact score every step of the sampler is an affine map of its samples and of the
//! observation. The maps are read off the very programs that sample ([`AffineSampler`]), and mean and covariance of the
//! samples are propagated through them in f64: no network, no Monte Carlo, so that an error of 1e-3 posterior standard
//! deviations is seen. What is not affine (DPS, few iterations, a step length of its own for each sample) is sampled
//! and compared in its second moments ([`sampled`]).

// ndarray's `s!` carries an `allow(unsafe_code)` that `forbid` refuses.
#![deny(unsafe_code)]

mod affine;
mod chain;
mod error;
mod moments;
mod sampled;
mod setting;
mod table;

pub use affine::AffineSampler;
pub use chain::{Chain, Seen};
pub use error::VerifyError;
pub use moments::{Errors, Moments};
pub use sampled::sampled;
#[cfg(test)]
mod tests;

pub use setting::{Prior, Setting};
pub use table::{Expected, Outcome, Row, quick, rows, run};
