//! Observation operators emitted as graphs, noise, likelihood.
//!
//! An [`Operator`] maps trajectories to what an instrument sees of them, an [`Observation`] is what it saw. Each
//! operator exists twice: as graph nodes, and as plain loops on the host.

#![forbid(unsafe_code)]

mod affine;
mod arctan;
mod component;
mod difference;
mod error;
mod every_nth;
mod field;
mod observation;
mod operator;
mod per_state;
mod saturation;
mod stack;
mod states;
mod sum;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod reference;

pub use error::ObserveError;
pub use field::{Interpolation, Region};
pub use observation::{Observation, emit_log_likelihood};
pub use operator::Operator;
pub use per_state::{PerState, Pointwise};
