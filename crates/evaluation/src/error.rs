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
}
