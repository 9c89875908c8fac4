//! What can go wrong in training and sampling, worded to continue "failed to …".

use sda_graph::ExecutorError;
use thiserror::Error;

/// The world's errors of this crate.
#[derive(Debug, Error)]
pub enum DiffusionError {
    /// A window is longer than the trajectory it should slide over.
    #[error(
        "compose local scores: order {order} needs windows of {width} states, and the trajectory has {length}; \
         lower `order` to at most {largest} or lengthen the trajectory",
        width = 2 * order + 1,
        largest = length.saturating_sub(1) / 2
    )]
    WindowTooLong {
        /// k.
        order: usize,
        /// L.
        length: usize,
    },
    /// A stride that leaves gaps between windows.
    #[error("compose local scores: `stride` must be in 1 … {width} (the window), but it is {stride}")]
    Stride {
        /// States between the starts of two windows.
        stride: usize,
        /// 2k + 1.
        width: usize,
    },
    /// A setting out of its range.
    #[error("set up {what}: `{field}` must be {expected}, but it is {found}")]
    Setting {
        /// The part it belongs to.
        what: &'static str,
        /// The field's name.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A guidance that cannot serve the observation.
    #[error("guide the samples: {reason}")]
    Guidance {
        /// Why, and what would work.
        reason: String,
    },
    /// Data of another shape than the one compiled for.
    #[error("use {what}: it holds {found} numbers where {expected} belong")]
    Length {
        /// Which data.
        what: &'static str,
        /// Numbers that belong there.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// The network reads another number of values than the data has.
    #[error("apply the network: it reads {network} values where the states {shape:?} give {data}")]
    Channels {
        /// Features or channels of the network.
        network: usize,
        /// Those of the data.
        data: usize,
        /// Shape of the states.
        shape: Vec<usize>,
    },
    /// The loss left the real numbers.
    #[error(
        "train: the loss is {loss} at step {step}; the data must be finite, and a lower learning rate helps"
    )]
    NonFiniteLoss {
        /// The step, counted from 0.
        step: u32,
        /// The loss, NaN or infinite.
        loss: f64,
    },
    /// The loss of held-out windows left the real numbers.
    #[error(
        "validate: the loss is {loss} in batch {batch}; the data must be finite, and a lower learning rate helps"
    )]
    NonFiniteValidation {
        /// The batch, counted from 0.
        batch: u32,
        /// The loss, NaN or infinite.
        loss: f64,
    },
    /// States that can't be known.
    #[error("hold known states: {reason}")]
    Known {
        /// Why, and what would work.
        reason: String,
    },
    /// A rollout that does not fit its trajectory, its prior or its observation.
    #[error("roll out: {reason}")]
    Rollout {
        /// Why, and what would work.
        reason: String,
    },
    /// The executor failed.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The network or its weights do not fit.
    #[error(transparent)]
    Network(#[from] sda_nn::NnError),
    /// The observation does not fit.
    #[error(transparent)]
    Observe(#[from] sda_observe::ObserveError),
}

/// Refuses a setting that `accept` does not accept.
pub(crate) fn check<T: Copy + std::fmt::Display>(
    what: &'static str,
    field: &'static str,
    expected: &'static str,
    value: T,
    accept: impl Fn(T) -> bool,
) -> Result<(), DiffusionError> {
    if accept(value) {
        return Ok(());
    }
    Err(DiffusionError::Setting { what, field, expected, found: value.to_string() })
}
