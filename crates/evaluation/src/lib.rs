//! Exact W1, MMD, log densities, summaries of samples.

// `widest_vectors!` calls functions compiled for instruction sets found at run time: nothing else is unsafe.
#![deny(unsafe_code)]

mod assignment;
mod density;
mod distance;
mod error;
mod mmd;
mod quantile;
mod summary;
mod wasserstein;

pub use assignment::{Assignment, assign};
pub use density::{gaussian_log_density, log_chain, log_likelihood};
pub use distance::squared_distances;
pub use error::EvaluationError;
pub use mmd::squared_mmd;
pub use quantile::{quantile_sorted, quantiles};
pub use summary::Summary;
pub use wasserstein::wasserstein1;

#[cfg(test)]
mod reference;
