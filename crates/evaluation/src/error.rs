//! What can go wrong in an evaluation, worded to continue "failed to …".

use thiserror::Error;

/// Samples that a metric is not defined on.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum EvaluationError {
    /// A set without samples.
    #[error("compute {metric}: the {set} set holds no samples")]
    Empty {
        /// The metric.
        metric: &'static str,
        /// Which set.
        set: &'static str,
    },
    /// NaN or ±∞ among the samples.
    #[error("compute {metric}: sample {sample} of the {set} set is not finite")]
    NotFinite {
        /// The metric.
        metric: &'static str,
        /// Which set.
        set: &'static str,
        /// Index along the first axis.
        sample: usize,
    },
    /// Unequal sizes whose exact transport is too large.
    #[error(
        "compute W1 between {n} and {m} samples: their least common multiple {common} exceeds {limit}; \
         use equal sizes, or sizes of which one divides the other"
    )]
    Sizes {
        /// Samples of the first set.
        n: usize,
        /// Samples of the second set.
        m: usize,
        /// Their least common multiple.
        common: usize,
        /// The largest one solved.
        limit: usize,
    },
    /// Samples that are not of the truth's shape.
    #[error(
        "compute {metric}: samples of shape {samples:?} for a truth of shape {truth:?}, expected [N, …] for […]"
    )]
    Shapes {
        /// The metric.
        metric: &'static str,
        /// Shape of the samples.
        samples: Vec<usize>,
        /// Shape of the truth.
        truth: Vec<usize>,
    },
    /// NaN or ±∞ in the truth.
    #[error("compute {metric}: number {number} of the truth is not finite")]
    TruthNotFinite {
        /// The metric.
        metric: &'static str,
        /// Index in row-major order.
        number: usize,
    },
    /// A metric that needs more samples.
    #[error("compute {metric}: {found} samples, expected at least {least}")]
    TooFew {
        /// The metric.
        metric: &'static str,
        /// Samples given.
        found: usize,
        /// Samples needed.
        least: usize,
    },
    /// Nothing to take a mean or a histogram of.
    #[error("compute {metric}: there are no {what}")]
    Missing {
        /// The metric.
        metric: &'static str,
        /// What there is none of.
        what: &'static str,
    },
    /// A level that is no probability.
    #[error("compute coverage: the level {level} is not within [0, 1]")]
    Level {
        /// The level.
        level: f64,
    },
    /// Bins that ranks cannot fill.
    #[error(
        "compute a rank histogram: {bins} bins for {ranks} ranks; use 2 … {ranks}, best a divisor of {ranks}"
    )]
    Bins {
        /// Bins asked for.
        bins: usize,
        /// Ranks that occur, N + 1.
        ranks: usize,
    },
    /// A rank that does not occur.
    #[error("compute a rank histogram: rank {rank} among {samples} samples, expected 0 … {samples}")]
    Rank {
        /// The rank.
        rank: usize,
        /// Samples N.
        samples: usize,
    },
    /// Noise without a width.
    #[error("compute {metric}: the noise has standard deviation {noise_std}, expected a positive number")]
    Noise {
        /// The metric.
        metric: &'static str,
        /// Its standard deviation.
        noise_std: f64,
    },
    /// A covariance that cannot be inverted.
    #[error("compute {metric} with the covariance of {numbers} observed numbers, being unable to {reason}")]
    Covariance {
        /// The metric.
        metric: &'static str,
        /// Numbers observed.
        numbers: usize,
        /// Why not.
        reason: String,
    },
}
