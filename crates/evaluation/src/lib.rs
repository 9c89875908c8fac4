//! Exact W1, MMD, log densities, summaries of samples, and whether samples are calibrated.
//!
//! Two sets of samples are compared by [`wasserstein1`] and [`squared_mmd`]. Samples beside their truth are judged by
//!
//! - [`crps`], [`mean_crps`]: the score of each number's ensemble, plain or fair;
//! - [`SpreadSkill`]: the spread against the error of the mean;
//! - [`rank`], [`ranks`], [`RankHistogram`]: where truths rank, tested by [`ChiSquared`] and [`Kolmogorov`];
//! - [`Sbc`]: the ranks of replicates simulated from the model itself;
//! - [`Coverage`]: how often central intervals hold the truth;
//! - [`innovation_chi_squared`], [`residual_over_noise`]: observations against their predictions;
//! - [`SignPatterns`], [`ModeMasses`], [`MirrorShares`]: the masses of modes beside a reference's.

// `widest_vectors!` calls functions compiled for instruction sets found at run time: nothing else is unsafe.
#![deny(unsafe_code)]

mod assignment;
mod chi_squared;
mod coverage;
mod crps;
mod density;
mod distance;
mod ensemble;
mod error;
mod gamma;
mod innovation;
mod kolmogorov;
mod mmd;
mod modes;
mod quantile;
mod ranks;
mod sbc;
mod spread_skill;
mod summary;
mod wasserstein;

pub use assignment::{Assignment, assign};
pub use chi_squared::ChiSquared;
pub use coverage::{Coverage, CoverageCounts};
pub use crps::{CrpsForm, crps, mean_crps};
pub use density::{gaussian_log_density, log_chain, log_likelihood};
pub use distance::squared_distances;
pub use error::EvaluationError;
pub use gamma::{gamma_q, ln_gamma};
pub use innovation::{innovation_chi_squared, residual_over_noise};
pub use kolmogorov::Kolmogorov;
pub use mmd::squared_mmd;
pub use modes::{MirrorShares, ModeMasses, SignPatterns};
pub use quantile::{quantile_sorted, quantiles};
pub use ranks::{RankHistogram, rank, ranks};
pub use sbc::{Sbc, SbcQuantity};
pub use spread_skill::{SpreadSkill, SpreadSkillSums};
pub use summary::Summary;
pub use wasserstein::wasserstein1;

#[cfg(test)]
mod reference;
