//! A network that sees all states at once: a short trajectory, or one window of a long one.

use sda_graph::{Graph, NodeId};
use sda_nn::{Network, Weights};

use crate::compose::LocalScore;
use crate::predictor::{NoisePredictor, TimeNodes};

/// The network's estimate for the whole of what it is given.
///
/// A ResMLP reads the states flattened, time-major. A U-Net reads states [L, D] as a sequence of D channels, and fields
/// [L, H, W, C] as one field of L · C channels, time-major.
///
/// Shapes: `x` [N, L, D] or [N, L, (H,) W, C], result the same.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalScore {
    /// The network.
    pub network: Network,
    /// Which copy of its weights.
    pub weights: Weights,
}

impl GlobalScore {
    /// This network slid over longer trajectories.
    pub fn local(self, order: usize, stride: usize) -> LocalScore<Self> {
        LocalScore { kernel: self, order, stride }
    }
}

impl NoisePredictor for GlobalScore {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        let shape = g.shape(x).to_vec();
        let (arranged, back) = match (&self.network, shape.len()) {
            (Network::ResMlp(_), _) => (crate::predictor::flat(g, x), None),
            (Network::UNet(_), 0..=3) => (x, None),
            (Network::UNet(_), _) => states_as_channels(g, x),
        };
        let noise = self.network.emit(g, self.weights, arranged, time.features);
        match back {
            None => g.reshape(noise, &shape),
            Some((split, axes)) => {
                let noise = g.reshape(noise, &split);
                g.permute(noise, &axes)
            }
        }
    }
}

/// [N, L, space…, C] → [N, space…, L · C], and how to go back: a shape, then a permutation.
fn states_as_channels(g: &mut Graph, x: NodeId) -> (NodeId, Option<(Vec<usize>, Vec<usize>)>) {
    let rank = g.shape(x).len();
    let mut axes = vec![0];
    axes.extend(2..rank - 1);
    axes.extend([1, rank - 1]);
    let moved = g.permute(x, &axes);
    let split = g.shape(moved).to_vec();
    let mut merged = split[..rank - 2].to_vec();
    merged.push(split[rank - 2] * split[rank - 1]);
    let mut inverse = vec![0; rank];
    axes.iter().enumerate().for_each(|(i, &axis)| inverse[axis] = i);
    (g.reshape(moved, &merged), Some((split, inverse)))
}
