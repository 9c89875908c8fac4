//! The library's front door and the sda command.
//!
//! Everything that the command does is here under the name of its crate; see ARCHITECTURE.md for the map.
#![forbid(unsafe_code)]

pub use sda_core as core;
pub use sda_data as data;
pub use sda_device as device;
pub use sda_diffusion as diffusion;
pub use sda_evaluation as evaluation;
pub use sda_experiment as experiment;
pub use sda_filters as filters;
pub use sda_graph as graph;
pub use sda_kernels as kernels;
pub use sda_nn as nn;
pub use sda_observe as observe;
pub use sda_systems as systems;
pub use sda_verify as verify;
