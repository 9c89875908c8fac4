//! How a network learns the diffusion time.

use crate::activation::Activation;
use crate::linear::Linear;
use crate::parameter::{Parameter, Weights, total};
use sda_graph::{Graph, NodeId};
use std::f64::consts::PI;

/// Number of time features.
pub const TIME_FEATURES: usize = 32;

/// Width between the two layers of the embedding.
const HIDDEN: usize = 256;

/// Frequencies π j, j = 1 … 16, of the time features.
pub(crate) fn frequencies() -> [f64; TIME_FEATURES / 2] {
    std::array::from_fn(|j| PI * (j + 1) as f64)
}

/// Features of the diffusion time, computed on the host in f64.
///
///   cos(π j t), j = 1 … 16, then sin(π j t)
///
/// Good values: `t` in [0, 1].
pub fn time_features(t: f64) -> [f64; TIME_FEATURES] {
    let mut features = [0.0; TIME_FEATURES];
    for (j, f) in frequencies().into_iter().enumerate() {
        features[j] = (f * t).cos();
        features[j + TIME_FEATURES / 2] = (f * t).sin();
    }
    features
}

/// Two linear layers with SiLU between them, whatever the network's own activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeEmbedding {
    /// Length of the embedding.
    pub width: usize,
}

impl TimeEmbedding {
    fn layers(self) -> [Linear; 2] {
        [Linear::new("embedding.0", TIME_FEATURES, HIDDEN), Linear::new("embedding.2", HIDDEN, self.width)]
    }

    /// Parameters of both layers.
    pub fn parameters(self) -> Vec<Parameter> {
        self.layers().iter().flat_map(Linear::parameters).collect()
    }

    /// Numbers of them.
    pub(crate) fn weights(self) -> usize {
        total(self.layers().iter().map(Linear::weights))
    }

    /// Shapes: `features` [B, 32], result [B, width].
    ///
    /// Panics: `features` has another shape.
    #[track_caller]
    pub fn emit(self, g: &mut Graph, weights: Weights, features: NodeId) -> NodeId {
        let shape = g.shape(features);
        let fits = shape.len() == 2 && shape[1] == TIME_FEATURES;
        assert!(fits, "time embedding: features {shape:?} are not [B, {TIME_FEATURES}]");
        let [first, second] = self.layers();
        let hidden = first.emit(g, weights, features);
        let hidden = Activation::SiLU.emit(g, hidden);
        second.emit(g, weights, hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_cosines_then_sines() {
        let at = |t| time_features(t);
        assert_eq!(at(0.0), std::array::from_fn(|i| if i < 16 { 1.0 } else { 0.0 }));
        for (j, (c, s)) in at(0.5)[..16].iter().zip(&at(0.5)[16..]).enumerate() {
            let (cosine, sine) = ([0.0, -1.0, 0.0, 1.0][j % 4], [1.0, 0.0, -1.0, 0.0][j % 4]);
            assert!((c - cosine).abs() < 1e-13 && (s - sine).abs() < 1e-13, "j = {}", j + 1);
        }
    }
}
