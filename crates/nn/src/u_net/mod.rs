//! The U-Net on trajectories (1-D, over the states) and on windows of fields (2-D).

mod block;
mod context;
mod validate;

#[cfg(test)]
mod tests;

pub use context::Context;

use crate::activation::Activation;
use crate::convolution::{Boundary, Convolution};
use crate::layer_norm::layer_norm;
use crate::linear::Linear;
use crate::parameter::{Parameter, Weights, total};
use crate::time_embedding::TimeEmbedding;
use block::Block;
use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};

/// A U-Net with modulated residual blocks.
///
/// Down: at each depth the blocks, then a strided convolution. Up: at each depth as many blocks, then layer norm,
/// nearest upsampling and a convolution, plus the output of the last descending block of the depth above.
/// First and last are plain convolutions.
///
/// Good values: global Lorenz: channels 64, 3 blocks, embedding 32, kernel 3, zero boundary. Kolmogorov: channels
/// 96/192/384 (32/64/128, 16/32/64), 3 blocks each, embedding 64, kernel 3, circular.
///
/// Source: Rozet & Louppe 2023, arXiv 2306.10574.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNet {
    /// Channels of the state, in and out.
    pub channels: usize,
    /// Length of the time embedding.
    pub embedding: usize,
    /// Channels at each depth.
    pub hidden_channels: Vec<usize>,
    /// Residual blocks at each depth, on the way down and again on the way up.
    pub hidden_blocks: Vec<usize>,
    /// Points of the kernel along each axis, odd.
    pub kernel: usize,
    /// Step of the convolutions between depths.
    pub stride: usize,
    /// Activation inside the residual blocks.
    #[serde(default)]
    pub activation: Activation,
    /// What lies beyond the ends of each spatial axis; its length, 1 or 2, is the number of axes.
    pub boundary: Vec<Boundary>,
    /// Channels appended to the state's that the network is told and does not estimate.
    #[serde(default)]
    pub context: Option<Context>,
}

impl UNet {
    /// All parameters.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = self.embedding().parameters();
        for depth in 0..self.depths() {
            parameters.extend(self.head(depth).parameters());
            for at in 0..self.hidden_blocks[depth] {
                parameters.extend(self.descending(depth, at).parameters());
            }
        }
        for depth in (0..self.depths()).rev() {
            for at in 0..self.hidden_blocks[depth] {
                parameters.extend(self.ascending(depth, at).parameters());
            }
            parameters.extend(self.tail(depth).parameters());
        }
        parameters
    }

    /// Numbers of all parameters, counted without making them.
    pub(crate) fn weights(&self) -> usize {
        let at_depth = |depth: usize| {
            let both_ways = self.hidden_blocks[depth].saturating_mul(2);
            let blocks = self.descending(depth, 0).weights().saturating_mul(both_ways);
            [self.head(depth).weights(), blocks, self.tail(depth).weights()]
        };
        total((0..self.depths()).flat_map(at_depth).chain([self.embedding().weights()]))
    }

    /// The noise estimate.
    ///
    /// Shapes: `x` [B, W, C] in one dimension, [B, H, W, C] in two, C = `channels`; time `features` [1, 32] (one time
    /// for all) or [B, 32]; result that of `x`.
    ///
    /// Panics: a shape does not fit, or [`UNet::validate`] or [`UNet::check_size`] would fail.
    #[track_caller]
    pub fn emit(&self, g: &mut Graph, weights: Weights, x: NodeId, features: NodeId) -> NodeId {
        let (shape, times) = (g.shape(x).to_vec(), g.shape(features).to_vec());
        let axes = self.boundary.len();
        let fits = shape.len() == axes + 2 && shape[axes + 1] == self.channels;
        assert!(fits, "{axes}-D U-Net of {} channels: x {shape:?}", self.channels);
        let timed = times.len() == 2 && (times[0] == 1 || times[0] == shape[0]);
        assert!(timed, "U-Net: x {shape:?} with time features {times:?}");
        self.check_size(&shape[1..=axes]).unwrap_or_else(|e| panic!("failed to {e}"));
        let embedding = self.embedding().emit(g, weights, features);
        let plane = if axes == 1 { vec![shape[0], 1, shape[1], shape[2]] } else { shape.clone() };
        let x = g.reshape(x, &plane);
        let y = self.emit_plane(g, weights, x, embedding, &shape[1..=axes]);
        g.reshape(y, &shape)
    }

    /// `x` [B, H, W, C], with H = 1 in one dimension.
    fn emit_plane(&self, g: &mut Graph, weights: Weights, x: NodeId, e: NodeId, size: &[usize]) -> NodeId {
        let mut h = x;
        let mut skips = Vec::new();
        for depth in 0..self.depths() {
            h = match self.context {
                Some(context) if depth == 0 => {
                    let told = context.emit(g, size);
                    self.head(0).emit_parts(g, weights, &[h, told])
                }
                _ => self.head(depth).emit(g, weights, h),
            };
            for at in 0..self.hidden_blocks[depth] {
                h = self.descending(depth, at).emit(g, weights, self.activation, h, e);
            }
            skips.push(h);
        }
        skips.pop();
        for depth in (0..self.depths()).rev() {
            for at in 0..self.hidden_blocks[depth] {
                h = self.ascending(depth, at).emit(g, weights, self.activation, h, e);
            }
            if let Some(skip) = skips.pop() {
                h = layer_norm(g, h);
                h = self.upsample(g, h);
                h = self.tail(depth).emit(g, weights, h);
                h = g.add(h, skip);
            }
        }
        self.tail(0).emit(g, weights, h)
    }

    /// Repeats each point `stride` times along every spatial axis.
    fn upsample(&self, g: &mut Graph, x: NodeId) -> NodeId {
        let shape = g.shape(x).to_vec();
        let [b, h, w, c] = [0, 1, 2, 3].map(|a| shape[a]);
        let [tall, wide] = self.strides();
        let split = g.reshape(x, &[b, h, 1, w, 1, c]);
        let repeated = g.broadcast(split, &[b, h, tall, w, wide, c]);
        g.reshape(repeated, &[b, h * tall, w * wide, c])
    }

    fn depths(&self) -> usize {
        self.hidden_channels.len()
    }

    fn embedding(&self) -> TimeEmbedding {
        TimeEmbedding { width: self.embedding }
    }

    /// Kernel, stride or another number of the spatial axes on a plane: 1 along the height of one dimension.
    fn on_plane(&self, n: usize) -> [usize; 2] {
        if self.boundary.len() == 1 { [1, n] } else { [n, n] }
    }

    fn strides(&self) -> [usize; 2] {
        self.on_plane(self.stride)
    }

    fn convolution(&self, name: String, input: usize, output: usize, stride: [usize; 2]) -> Convolution {
        let boundary = match self.boundary[..] {
            [wide] => [Boundary::Zero, wide],
            [tall, wide] => [tall, wide],
            _ => panic!("U-Net: `boundary` {:?} is not of 1 or 2 axes", self.boundary),
        };
        Convolution { name, input, output, kernel: self.on_plane(self.kernel), stride, boundary }
    }

    /// The convolution into a depth.
    fn head(&self, depth: usize) -> Convolution {
        let to = self.hidden_channels[depth];
        if depth == 0 {
            let from = self.channels.saturating_add(self.context.map_or(0, Context::channels));
            return self.convolution("network.heads.0".into(), from, to, [1, 1]);
        }
        let from = self.hidden_channels[depth - 1];
        self.convolution(format!("network.heads.{depth}.0"), from, to, self.strides())
    }

    /// The convolution out of a depth; published lists count from the deepest.
    fn tail(&self, depth: usize) -> Convolution {
        let from = self.hidden_channels[depth];
        let at = self.depths() - 1 - depth;
        if depth == 0 {
            return self.convolution(format!("network.tails.{at}"), from, self.channels, [1, 1]);
        }
        self.convolution(format!("network.tails.{at}.2"), from, self.hidden_channels[depth - 1], [1, 1])
    }

    fn descending(&self, depth: usize, at: usize) -> Block {
        self.block(&format!("network.descent.{depth}.{at}"), depth)
    }

    fn ascending(&self, depth: usize, at: usize) -> Block {
        self.block(&format!("network.ascent.{}.{at}", self.depths() - 1 - depth), depth)
    }

    fn block(&self, name: &str, depth: usize) -> Block {
        let c = self.hidden_channels[depth];
        Block {
            project: Linear::new(format!("{name}.project.0"), self.embedding, c),
            residue: [1, 3].map(|i| self.convolution(format!("{name}.residue.{i}"), c, c, [1, 1])),
        }
    }
}
