//! The sampler checked exactly on a chain whose scores are closed forms: no network, no Monte Carlo.

mod affine;
mod chain;
mod rollouts;
mod sampled;
mod table;
