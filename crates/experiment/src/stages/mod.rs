//! The stages, in order. Each looks for its result under the key of what it depends on, and else makes it.

pub(crate) mod assimilate;
mod calibration;
mod checkpoint;
mod checks;
mod climate;
mod covariance;
mod drawn;
pub(crate) mod evaluate;
mod fields;
mod keys;
mod modes;
pub(crate) mod observe;
pub(crate) mod prior;
pub(crate) mod reference;
pub(crate) mod report;
pub(crate) mod rollout;
pub(crate) mod samples;
mod scores;
pub(crate) mod simulate;
#[cfg(test)]
mod tests;
pub(crate) mod train;
pub(crate) mod tune;

pub(crate) use train::CURVE;
