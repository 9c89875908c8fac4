//! The modulated residual block.

use crate::activation::Activation;
use crate::convolution::Convolution;
use crate::layer_norm::layer_norm;
use crate::linear::Linear;
use crate::parameter::{Parameter, Weights, total};
use sda_graph::{Graph, NodeId};

/// x + Conv(act(Conv(LN(x + Linear(e)))))
pub(super) struct Block {
    pub(super) project: Linear,
    pub(super) residue: [Convolution; 2],
}

impl Block {
    pub(super) fn parameters(&self) -> Vec<Parameter> {
        self.project
            .parameters()
            .into_iter()
            .chain(self.residue.iter().flat_map(Convolution::parameters))
            .collect()
    }

    /// Numbers of them.
    pub(super) fn weights(&self) -> usize {
        total(self.residue.iter().map(Convolution::weights).chain([self.project.weights()]))
    }

    /// Shapes: `x` [B, H, W, C], the time's embedding `e` [1 or B, embedding], projected once for all points.
    pub(super) fn emit(
        &self,
        g: &mut Graph,
        weights: Weights,
        activation: Activation,
        x: NodeId,
        e: NodeId,
    ) -> NodeId {
        let modulation = self.project.emit(g, weights, e);
        let [times, c] = [0, 1].map(|a| g.shape(modulation)[a]);
        let modulation = g.reshape(modulation, &[times, 1, 1, c]);
        let y = g.add(x, modulation);
        let y = layer_norm(g, y);
        let y = self.residue[0].emit(g, weights, y);
        let y = activation.emit(g, y);
        let y = self.residue[1].emit(g, weights, y);
        g.add(x, y)
    }
}
