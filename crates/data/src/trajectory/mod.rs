//! Trajectories [N, L, D…] on disk: a Zarr v3 group that Python's xarray opens.
//!
//!   trajectories (trajectory, step, D…) float32 · step, time (step) · coordinates of the state's axes
//!
//! A store is written block by block under a hidden name beside its own and takes its name when it is whole.

mod chunk_cache;
mod coordinates;
mod description;
mod layout;
mod store;
mod writer;
mod zarr;

pub use description::{Description, Split};
pub use layout::{Coordinate, Dimension, Layout};
pub use store::TrajectoryStore;
pub use writer::TrajectoryWriter;

/// Name of the array in its group.
const ARRAY: &str = "trajectories";

/// What to do about a store that cannot be trusted.
const REGENERATE: &str = "delete the whole store and generate it again";

#[cfg(test)]
mod tests;
