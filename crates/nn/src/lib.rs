//! Layers, score networks, time embedding, optimiser, weights by name.
//!
//! Everything here *emits* graph nodes: a layer, a network, AdamW are functions that compose ops, so none has a
//! gradient rule of its own. Arrays are channels last; parameters carry PyTorch's published names without prefix.

#![forbid(unsafe_code)]

mod activation;
mod adamw;
mod average;
mod convolution;
mod error;
mod initialise;
mod layer_norm;
mod learning_rate;
mod linear;
mod network;
mod parameter;
mod published;
mod res_mlp;
mod time_embedding;
mod u_net;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod reference;

pub use activation::Activation;
pub use adamw::AdamW;
pub use average::Average;
pub use convolution::{Boundary, Convolution};
pub use error::{Misshapen, NnError};
pub use layer_norm::layer_norm;
pub use learning_rate::LearningRate;
pub use linear::Linear;
pub use network::Network;
pub use parameter::{Parameter, Weights};
pub use res_mlp::ResMlp;
pub use time_embedding::{TIME_FEATURES, TimeEmbedding, time_features};
pub use u_net::{Context, UNet};
