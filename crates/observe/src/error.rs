//! What can go wrong with an observation, worded to continue "failed to …".

use thiserror::Error;

/// An operator does not suit a trajectory, or an observation is unusable.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ObserveError {
    /// The operator does not apply to arrays of this shape.
    #[error("observe {operator} of trajectories of shape {shape:?}: {why}")]
    Shape {
        /// The operator.
        operator: String,
        /// Shape of the array it was given, with the samples first.
        shape: Vec<usize>,
        /// The reason.
        why: String,
    },
    /// The noise is not a standard deviation.
    #[error(
        "use an observation: `noise_std` must be finite and not negative, above 0 where there is a density, but it is {0}"
    )]
    Noise(f64),
    /// A value is NaN or infinite.
    #[error("use an observation: value {index:?} is {value}, which is not finite")]
    Value {
        /// Position in the array of values.
        index: Vec<usize>,
        /// What stands there.
        value: f64,
    },
    /// The operator's result and the values differ in shape.
    #[error(
        "compare {operator} with its observation: the operator gives {predicted:?}, and {observed:?} was observed"
    )]
    Observed {
        /// The operator.
        operator: String,
        /// Shape of the operator's result for one sample.
        predicted: Vec<usize>,
        /// Shape of the values.
        observed: Vec<usize>,
    },
}
