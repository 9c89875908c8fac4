//! Convolution in one or two dimensions, channels last.

use crate::parameter::{Parameter, Weights, weights_of_layer};
use sda_graph::{ConvGeometry, Face, Graph, NodeId, Padding, PaddingMode};
use serde::{Deserialize, Serialize};

/// How a field continues beyond the ends of an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Boundary {
    /// With zeros.
    #[default]
    Zero,
    /// Periodically.
    Circular,
}

impl From<Boundary> for PaddingMode {
    fn from(boundary: Boundary) -> Self {
        match boundary {
            Boundary::Zero => Self::Zero,
            Boundary::Circular => Self::Circular,
        }
    }
}

/// A convolution padded by half its kernel on both sides, with a bias.
///
/// One dimension is a field of height 1 with a kernel of height 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Name of the layer; its parameters are `NAME.weight` and `NAME.bias`.
    pub name: String,
    /// Channels of the input.
    pub input: usize,
    /// Channels of the result.
    pub output: usize,
    /// Height and width of the kernel, odd.
    pub kernel: [usize; 2],
    /// Step between points of the result, in points of the input.
    pub stride: [usize; 2],
    /// What lies beyond the ends of each axis.
    pub boundary: [Boundary; 2],
}

impl Convolution {
    /// Weight [kh, kw, input, output] and bias [output].
    pub fn parameters(&self) -> [Parameter; 2] {
        let [kh, kw] = self.kernel;
        Parameter::layer(&self.name, &[kh, kw, self.input, self.output])
    }

    /// Numbers of both.
    pub(crate) fn weights(&self) -> usize {
        let [kh, kw] = self.kernel;
        weights_of_layer(&[kh, kw, self.input, self.output])
    }

    /// Shapes: `x` [B, H, W, input], result [B, ⌈H/stride⌉, ⌈W/stride⌉, output].
    ///
    /// Panics: `x` is of another rank or number of channels, or narrower than a circular padding.
    #[track_caller]
    pub fn emit(&self, g: &mut Graph, weights: Weights, x: NodeId) -> NodeId {
        self.emit_parts(g, weights, &[x])
    }

    /// The layer on parts that stand for one input concatenated along its channels, without concatenating them;
    /// a part with one sample is convolved once for all of them.
    ///
    /// Shapes: part p [B or 1, H, W, n_p] with Σ n_p = input.
    ///
    /// Panics: the parts' channels do not add up to the layer's input.
    #[track_caller]
    pub fn emit_parts(&self, g: &mut Graph, weights: Weights, parts: &[NodeId]) -> NodeId {
        let shapes: Vec<Vec<usize>> = parts.iter().map(|&p| g.shape(p).to_vec()).collect();
        let fits =
            shapes.iter().all(|s| s.len() == 4) && shapes.iter().map(|s| s[3]).sum::<usize>() == self.input;
        assert!(
            fits,
            "convolution «{}»: inputs {shapes:?}, and it takes [B, H, W, {}]",
            self.name, self.input
        );
        let [weight, bias] = self.parameters().map(|p| weights.read(g, &p));
        let mut sum = bias;
        let mut end = self.input;
        for (&x, shape) in parts.iter().zip(&shapes).rev() {
            end -= shape[3];
            let filter = g.slice(weight, 2, end, shape[3], 1);
            let product = g.conv(Face::Forward, self.geometry([shape[1], shape[2]]), x, filter);
            sum = g.add(product, sum);
        }
        sum
    }

    fn geometry(&self, input: [usize; 2]) -> ConvGeometry {
        let padding = [0, 1].map(|i| {
            let half = self.kernel[i] / 2;
            Padding { before: half, after: half, mode: self.boundary[i].into() }
        });
        ConvGeometry { input, kernel: self.kernel, stride: self.stride, padding }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{evaluate_with, wave};
    use ndarray::ArrayD;
    use std::collections::BTreeMap;

    /// Σ over taps and channels, with the index wrapped or dropped beyond the ends.
    fn naive(layer: &Convolution, x: &ArrayD<f64>, w: &ArrayD<f64>, b: &ArrayD<f64>) -> ArrayD<f64> {
        let (n, size) = (x.shape()[0], [x.shape()[1], x.shape()[2]]);
        let out = [0, 1].map(|i| size[i].div_ceil(layer.stride[i]));
        let source = |axis: usize, o: usize, k: usize| {
            let at = (o * layer.stride[axis] + k) as isize - (layer.kernel[axis] / 2) as isize;
            let len = size[axis] as isize;
            match layer.boundary[axis] {
                Boundary::Circular => Some(at.rem_euclid(len) as usize),
                Boundary::Zero => (0..len).contains(&at).then_some(at as usize),
            }
        };
        ArrayD::from_shape_fn(vec![n, out[0], out[1], layer.output], |i| {
            let mut sum = b[[i[3]]];
            for (ky, kx) in ndarray::indices((layer.kernel[0], layer.kernel[1])) {
                if let (Some(y), Some(z)) = (source(0, i[1], ky), source(1, i[2], kx)) {
                    sum += (0..layer.input).map(|c| x[[i[0], y, z, c]] * w[[ky, kx, c, i[3]]]).sum::<f64>();
                }
            }
            sum
        })
    }

    #[test]
    fn agrees_with_plain_loops_for_every_boundary_and_stride() {
        let (zero, circular) = (Boundary::Zero, Boundary::Circular);
        for boundary in [[zero, zero], [circular, circular], [zero, circular], [circular, zero]] {
            for (kernel, stride) in [([3, 3], [1, 1]), ([3, 5], [2, 1]), ([1, 5], [1, 2]), ([1, 1], [1, 1])] {
                let name = "c".to_string();
                let layer = Convolution { name, input: 3, output: 2, kernel, stride, boundary };
                let (x, w, b) =
                    (wave(&[2, 6, 4, 3], 0.7), wave(&layer.parameters()[0].shape, 0.37), wave(&[2], 1.1));
                let want = naive(&layer, &x, &w, &b);
                let states: BTreeMap<_, _> =
                    [("parameter.c.weight".to_string(), w), ("parameter.c.bias".to_string(), b)].into();
                let mut g = Graph::new();
                let node = g.constant(x);
                let [first, rest] = [(0, 2), (2, 1)].map(|(start, len)| g.slice(node, 3, start, len, 1));
                let whole = layer.emit(&mut g, Weights::Trained, node);
                let parts = layer.emit_parts(&mut g, Weights::Trained, &[first, rest]);
                for got in evaluate_with(g, &states, &[whole, parts]) {
                    assert_eq!(got.shape(), want.shape());
                    assert!((&got - &want).iter().all(|d| d.abs() < 1e-13), "{layer:?}");
                }
            }
        }
    }
}
