//! What a network is told beside the state.

use ndarray::ArrayD;
use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Channels appended after the state's, and absent from the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Context {
    /// The forcing of Kolmogorov flow.
    ///
    ///   sin(n y_j), y_j = 2π (j + ½)/N along the last spatial axis
    Forcing {
        /// n; 4 in Kolmogorov flow.
        wavenumber: usize,
    },
}

impl Context {
    /// Number of channels.
    pub fn channels(self) -> usize {
        match self {
            Self::Forcing { .. } => 1,
        }
    }

    /// The channels on a grid.
    ///
    /// Shapes: `size` the spatial axes, result [size…, channels].
    pub fn values(self, size: &[usize]) -> ArrayD<f64> {
        let Self::Forcing { wavenumber } = self;
        let last = size.len() - 1;
        let shape: Vec<usize> = size.iter().copied().chain([1]).collect();
        ArrayD::from_shape_fn(shape, |i| {
            (wavenumber as f64 * TAU * (i[last] as f64 + 0.5) / size[last] as f64).sin()
        })
    }

    /// The channels as one sample on a plane [1, H, W, channels], H = 1 in one dimension.
    pub(super) fn emit(self, g: &mut Graph, size: &[usize]) -> NodeId {
        let values = g.constant(self.values(size));
        let [h, w] = match size {
            [w] => [1, *w],
            _ => [size[0], size[1]],
        };
        g.reshape(values, &[1, h, w, self.channels()])
    }
}
