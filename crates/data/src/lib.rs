//! Trajectory stores (Zarr), weights (safetensors), files written whole or not at all.
#![forbid(unsafe_code)]

mod error;
mod lock;
mod model_file;
mod observations;
mod tensor_file;
mod trajectory;
pub mod whole_file;

pub use error::{DataError, remedy};
pub use lock::Lock;
pub use model_file::{FORMAT_VERSION, ModelFile, ModelHeader};
pub use observations::Observations;
pub use tensor_file::Metadata;
pub use trajectory::{Coordinate, Description, Dimension, Layout, Split, TrajectoryStore, TrajectoryWriter};
