//! A linear map of the last axis.

use crate::parameter::{Parameter, Weights, weights_of_layer};
use sda_graph::{Graph, NodeId};

/// y = x W + b
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Name of the layer; its parameters are `NAME.weight` and `NAME.bias`.
    pub name: String,
    /// Length of the last axis of `x`.
    pub input: usize,
    /// Length of the last axis of the result.
    pub output: usize,
}

impl Linear {
    /// A layer of this name.
    pub fn new(name: impl Into<String>, input: usize, output: usize) -> Self {
        Self { name: name.into(), input, output }
    }

    /// Weight [input, output] and bias [output].
    pub fn parameters(&self) -> [Parameter; 2] {
        Parameter::layer(&self.name, &[self.input, self.output])
    }

    /// Numbers of both.
    pub(crate) fn weights(&self) -> usize {
        weights_of_layer(&[self.input, self.output])
    }

    /// Shapes: `x` […, input], result […, output].
    ///
    /// Panics: the last axis of `x` has another length.
    #[track_caller]
    pub fn emit(&self, g: &mut Graph, weights: Weights, x: NodeId) -> NodeId {
        self.emit_parts(g, weights, &[x])
    }

    /// The layer on parts that stand for one concatenated input, without concatenating them.
    ///
    ///   y = b + Σ_p x_p W_p,  W_p the rows of W that belong to part p
    ///
    /// A part that does not depend on the sample (leading axes of length 1) is multiplied once for all of them.
    ///
    /// Shapes: part p […, n_p] with Σ n_p = input and leading axes that broadcast; result […, output].
    ///
    /// Panics: the parts' last axes do not add up to the layer's input.
    #[track_caller]
    pub fn emit_parts(&self, g: &mut Graph, weights: Weights, parts: &[NodeId]) -> NodeId {
        let shapes: Vec<Vec<usize>> = parts.iter().map(|&p| g.shape(p).to_vec()).collect();
        let widths: Vec<usize> = shapes.iter().map(|s| s.last().copied().unwrap_or(0)).collect();
        let fits = widths.iter().sum::<usize>() == self.input;
        assert!(
            fits,
            "linear «{}»: inputs {shapes:?}, and its weight is {:?}",
            self.name,
            [self.input, self.output]
        );
        let [weight, bias] = self.parameters().map(|p| weights.read(g, &p));
        let mut sum = bias;
        let mut end = self.input;
        // From the last part to the first: the small, shared parts join the bias before the large one is added.
        for (&x, width) in parts.iter().zip(widths).rev() {
            end -= width;
            let rows = g.slice(weight, 0, end, width, 1);
            let product = g.linear(x, rows);
            sum = g.add(product, sum);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{evaluate_with, wave};
    use ndarray::{ArrayD, Axis, concatenate};
    use std::collections::BTreeMap;

    fn weights() -> BTreeMap<String, ArrayD<f64>> {
        [("parameter.l.weight", wave(&[5, 3], 0.3)), ("parameter.l.bias", wave(&[3], 1.7))]
            .map(|(n, a)| (n.to_string(), a))
            .into()
    }

    #[test]
    fn multiplies_and_adds() {
        let x = wave(&[2, 4, 5], 0.9);
        let mut g = Graph::new();
        let node = g.constant(x.clone());
        let y = Linear::new("l", 5, 3).emit(&mut g, Weights::Trained, node);
        let states = weights();
        let y = evaluate_with(g, &states, &[y]).remove(0);
        let (w, b) = (&states["parameter.l.weight"], &states["parameter.l.bias"]);
        for ((i, j, k), y) in ndarray::indices((2, 4, 3)).into_iter().zip(&y) {
            let want = b[[k]] + (0..5).map(|c| x[[i, j, c]] * w[[c, k]]).sum::<f64>();
            assert!((want - y).abs() < 1e-14);
        }
    }

    #[test]
    fn parts_are_the_concatenated_input() {
        let (x, e) = (wave(&[4, 3], 0.9), wave(&[1, 2], 0.4));
        let layer = Linear::new("l", 5, 3);
        let whole = concatenate![Axis(1), x, e.broadcast(vec![4, 2]).unwrap()];
        let mut g = Graph::new();
        let [x, e, whole] = [x, e, whole].map(|a| g.constant(a));
        let parts = layer.emit_parts(&mut g, Weights::Trained, &[x, e]);
        let whole = layer.emit(&mut g, Weights::Trained, whole);
        let out = evaluate_with(g, &weights(), &[parts, whole]);
        assert!((&out[0] - &out[1]).iter().all(|d| d.abs() < 1e-14));
    }

    #[test]
    #[should_panic(expected = "linear «l»: inputs [[2, 4]], and its weight is [5, 3]")]
    fn names_the_shapes_that_do_not_fit() {
        let mut g = Graph::new();
        let x = g.constant(wave(&[2, 4], 1.0));
        Linear::new("l", 5, 3).emit(&mut g, Weights::Trained, x);
    }
}
