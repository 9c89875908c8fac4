//! The residual network on flattened windows.

use crate::activation::Activation;
use crate::error::NnError;
use crate::layer_norm::layer_norm;
use crate::linear::Linear;
use crate::parameter::{LARGEST, Parameter, Weights, total};
use crate::time_embedding::TimeEmbedding;
use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};

/// A multilayer perceptron with residual blocks: the score network of low-dimensional windows.
///
///   h ← Linear(h) where the width changes, then h ← h + Linear(act(Linear(LN(h)))),
///   for every hidden width and then the output's; h begins as the window with the time embedding appended.
///
/// Good values: five hidden layers of 256, embedding 32, SiLU.
///
/// Source: Rozet & Louppe 2023, arXiv 2306.10574.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResMlp {
    /// Length of a window, flattened time-major.
    pub features: usize,
    /// Length of the time embedding.
    pub embedding: usize,
    /// Widths of the hidden layers.
    pub hidden_features: Vec<usize>,
    /// Activation inside the residual blocks.
    #[serde(default)]
    pub activation: Activation,
}

/// One entry of the published network's list of layers.
enum Layer {
    Widen(Linear),
    Residual([Linear; 2]),
}

impl ResMlp {
    /// Errors: a width for which the network does not exist, or more weights than there is room for.
    pub fn validate(&self) -> Result<(), NnError> {
        let refuse = |field, expected, found| {
            Err(NnError::Architecture { network: "ResMlp", field, expected, found: format!("{found:?}") })
        };
        match self {
            Self { features: n @ (0 | 1), .. } => refuse("features", "at least 2", vec![*n]),
            Self { embedding: 0, .. } => refuse("embedding", "at least 1", vec![0]),
            Self { hidden_features: w, .. } if w.iter().any(|n| *n < 2) => {
                refuse("hidden_features", "a list of widths of at least 2", w.clone())
            }
            _ if self.weights() > LARGEST => {
                let remedy = "features, embedding or hidden_features";
                Err(NnError::Weights { network: "ResMlp", most: LARGEST, remedy })
            }
            _ => Ok(()),
        }
    }

    fn embedding(&self) -> TimeEmbedding {
        TimeEmbedding { width: self.embedding }
    }

    fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        let mut width = self.features.saturating_add(self.embedding);
        for &next in self.hidden_features.iter().chain([&self.features]) {
            if next != width {
                layers.push(Layer::Widen(Linear::new(format!("network.{}", layers.len()), width, next)));
            }
            let at = layers.len();
            let block = [1, 3].map(|i| Linear::new(format!("network.{at}.{i}"), next, next));
            layers.push(Layer::Residual(block));
            width = next;
        }
        layers
    }

    /// All parameters, the embedding's first.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = self.embedding().parameters();
        for layer in self.layers() {
            match layer {
                Layer::Widen(linear) => parameters.extend(linear.parameters()),
                Layer::Residual(block) => parameters.extend(block.iter().flat_map(Linear::parameters)),
            }
        }
        parameters
    }

    /// Numbers of all parameters, counted without making them.
    pub(crate) fn weights(&self) -> usize {
        let of_layer = |layer: Layer| match layer {
            Layer::Widen(linear) => linear.weights(),
            Layer::Residual(block) => total(block.iter().map(Linear::weights)),
        };
        total(self.layers().into_iter().map(of_layer).chain([self.embedding().weights()]))
    }

    /// The noise estimate.
    ///
    /// Shapes: `x` [B, …, features], time `features` [1, 32] (one time for all) or [B, 32], result that of `x`.
    ///
    /// Panics: a shape does not fit, or [`ResMlp::validate`] would fail.
    #[track_caller]
    pub fn emit(&self, g: &mut Graph, weights: Weights, x: NodeId, features: NodeId) -> NodeId {
        self.validate().unwrap_or_else(|e| panic!("failed to {e}"));
        let (shape, times) = (g.shape(x).to_vec(), g.shape(features).to_vec());
        let fits = shape.len() > 1
            && shape.last() == Some(&self.features)
            && times.len() == 2
            && (times[0] == 1 || times[0] == shape[0]);
        assert!(fits, "ResMlp of {} features: x {shape:?} with time features {times:?}", self.features);
        let embedding = self.embedding().emit(g, weights, features);
        let mut aligned = vec![1; shape.len()];
        (aligned[0], aligned[shape.len() - 1]) = (times[0], self.embedding);
        let embedding = if times[0] == 1 { embedding } else { g.reshape(embedding, &aligned) };
        let mut layers = self.layers().into_iter().peekable();
        let mut h = if let Some(Layer::Widen(linear)) = layers.next_if(|l| matches!(l, Layer::Widen(_))) {
            linear.emit_parts(g, weights, &[x, embedding])
        } else {
            let mut to = shape.clone();
            to[shape.len() - 1] = self.embedding;
            let embedding = g.broadcast(embedding, &to);
            g.concat(&[x, embedding], shape.len() - 1)
        };
        for layer in layers {
            h = match layer {
                Layer::Widen(linear) => linear.emit(g, weights, h),
                Layer::Residual(block) => self.residual(g, weights, &block, h),
            };
        }
        h
    }

    fn residual(&self, g: &mut Graph, weights: Weights, block: &[Linear; 2], h: NodeId) -> NodeId {
        let y = layer_norm(g, h);
        let y = block[0].emit(g, weights, y);
        let y = self.activation.emit(g, y);
        let y = block[1].emit(g, weights, y);
        g.add(h, y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use crate::reference::{evaluate_with, random_weights, wave};
    use crate::time_embedding::time_features;
    use ndarray::{Array2, Axis, concatenate};

    fn network(hidden: &[usize]) -> ResMlp {
        ResMlp { features: 6, embedding: 4, hidden_features: hidden.to_vec(), activation: Activation::ELU }
    }

    fn rows(times: &[f64]) -> ndarray::ArrayD<f64> {
        Array2::from_shape_fn((times.len(), 32), |(i, j)| time_features(times[i])[j]).into_dyn()
    }

    #[test]
    fn one_time_for_all_is_the_same_time_for_each() {
        // 10 is features + embedding: the published network has no first linear layer then.
        for hidden in [&[8, 8][..], &[10, 7], &[6], &[]] {
            let network = network(hidden);
            let states = random_weights(&Network::ResMlp(network.clone()));
            let x = wave(&[3, 2, 6], 0.8);
            let mut g = Graph::new();
            let [x, shared, each] = [x, rows(&[0.3]), rows(&[0.3; 3])].map(|a| g.constant(a));
            let y = [shared, each].map(|f| network.emit(&mut g, Weights::Trained, x, f));
            let out = evaluate_with(g, &states, &y);
            assert!((&out[0] - &out[1]).iter().all(|d| d.abs() < 1e-13), "{hidden:?}");
        }
    }

    #[test]
    fn samples_do_not_see_each_other() {
        let network = network(&[8]);
        let states = random_weights(&Network::ResMlp(network.clone()));
        let (x, times) = (wave(&[3, 2, 6], 0.8), [0.1, 0.5, 0.9]);
        let mut g = Graph::new();
        let [all, features] = [x.clone(), rows(&times)].map(|a| g.constant(a));
        let mut ends = vec![network.emit(&mut g, Weights::Trained, all, features)];
        for (i, &t) in times.iter().enumerate() {
            let [x, f] =
                [x.slice_axis(Axis(0), (i..=i).into()).to_owned(), rows(&[t])].map(|a| g.constant(a));
            ends.push(network.emit(&mut g, Weights::Trained, x, f));
        }
        let out = evaluate_with(g, &states, &ends);
        let joined = concatenate![Axis(0), out[1], out[2], out[3]];
        assert!((&out[0] - &joined).iter().all(|d| d.abs() < 1e-13));
    }

    #[test]
    #[should_panic(expected = "ResMlp of 6 features: x [3, 7] with time features [1, 32]")]
    fn names_the_shapes_that_do_not_fit() {
        let mut g = Graph::new();
        let [x, f] = [wave(&[3, 7], 1.0), rows(&[0.5])].map(|a| g.constant(a));
        network(&[8]).emit(&mut g, Weights::Trained, x, f);
    }

    #[test]
    fn refuses_widths_without_a_layer_norm() {
        let bad = [
            ResMlp { features: 1, ..network(&[4]) },
            ResMlp { embedding: 0, ..network(&[4]) },
            network(&[4, 1]),
        ];
        for (network, field) in bad.iter().zip(["features", "embedding", "hidden_features"]) {
            let error = network.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("build a ResMlp: `{field}` must be")), "{error}");
        }
        network(&[4]).validate().unwrap();
    }

    #[test]
    fn more_weights_than_there_is_room_for_are_refused() {
        let most = usize::MAX;
        for bad in [
            ResMlp { features: most, embedding: most, ..network(&[4]) },
            ResMlp { embedding: most / 2, ..network(&[4]) },
            ResMlp { features: 1 << 15, ..network(&[]) },
            network(&[1 << 15]),
            network(&[4, most]),
        ] {
            let error = bad.validate().unwrap_err().to_string();
            assert!(error.contains("more than 1073741823 weights; lower features"), "{error}");
        }
        ResMlp { features: 27, embedding: 32, ..network(&[4096; 8]) }.validate().unwrap();
    }
}
