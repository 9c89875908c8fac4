//! From scores of windows to the score of a whole trajectory.

use std::ops::Range;

use ndarray::ArrayD;
use sda_graph::{Graph, NodeId};

use crate::error::DiffusionError;
use crate::predictor::{NoisePredictor, TimeNodes};

/// Windows of 2k + 1 states every `stride` states over a trajectory of L.
///
/// Window q starts at q · stride and owns its local indices ⌊(W − stride)/2⌋ … + stride − 1; the first owns all before
/// too, the last all after. Where L − W is no multiple of the stride, a last window starts at L − W and owns what the
/// others leave. So every state is owned once, by a window in whose middle it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    length: usize,
    width: usize,
    stride: usize,
}

impl Windows {
    /// Errors: 2k + 1 > L, or a stride that is 0 or above 2k + 1.
    pub fn new(length: usize, order: usize, stride: usize) -> Result<Self, DiffusionError> {
        let width = 2 * order + 1;
        if width > length {
            return Err(DiffusionError::WindowTooLong { order, length });
        }
        if stride == 0 || stride > width {
            return Err(DiffusionError::Stride { stride, width });
        }
        Ok(Self { length, width, stride })
    }

    /// W = 2k + 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Q.
    pub fn count(&self) -> usize {
        self.regular() + usize::from(self.has_last())
    }

    /// First state of window q.
    pub fn start(&self, q: usize) -> usize {
        if q < self.regular() { q * self.stride } else { self.length - self.width }
    }

    /// States, by their index in the trajectory, whose score window q gives.
    pub fn owned(&self, q: usize) -> Range<usize> {
        let from = |q: usize| q * self.stride + (self.width - self.stride) / 2;
        let first = if q == 0 { 0 } else { from(q) };
        first..if q + 1 == self.count() { self.length } else { from(q + 1) }
    }

    fn regular(&self) -> usize {
        (self.length - self.width) / self.stride + 1
    }

    fn has_last(&self) -> bool {
        !(self.length - self.width).is_multiple_of(self.stride)
    }

    /// All windows of a trajectory.
    ///
    /// Shapes: `x` [N, L, …], result [N · Q, W, …].
    pub fn unfold(&self, g: &mut Graph, x: NodeId) -> NodeId {
        let shape = g.shape(x).to_vec();
        let mut windows = self.gather(g, x, 0, self.regular(), self.stride);
        if self.has_last() {
            let last = self.gather(g, x, self.length - self.width, 1, 1);
            windows = g.concat(&[windows, last], 1);
        }
        let mut merged = vec![shape[0] * self.count(), self.width];
        merged.extend(&shape[2..]);
        g.reshape(windows, &merged)
    }

    /// `count` windows from `start`, [N, count, W, …].
    fn gather(&self, g: &mut Graph, x: NodeId, start: usize, count: usize, stride: usize) -> NodeId {
        let shape = g.shape(x).to_vec();
        let mut single = vec![shape[0], count, 1];
        single.extend(&shape[2..]);
        let states: Vec<NodeId> = (0..self.width)
            .map(|w| {
                let state = g.slice(x, 1, start + w, count, stride);
                g.reshape(state, &single)
            })
            .collect();
        g.concat(&states, 2)
    }

    /// The trajectory put together from what each window owns; not the adjoint of [`Windows::unfold`].
    ///
    /// Shapes: `windows` [N · Q, W, …], result [N, L, …].
    pub fn fold(&self, g: &mut Graph, windows: NodeId) -> NodeId {
        let shape = g.shape(windows).to_vec();
        let (n, q) = (shape[0] / self.count(), self.count());
        let mut split = vec![n, q, self.width];
        split.extend(&shape[2..]);
        let windows = g.reshape(windows, &split);
        // The first and the last window own other local indices than those between, which all own the same.
        let mut parts = vec![self.part(g, windows, 0..1)];
        if q > 2 {
            parts.push(self.part(g, windows, 1..q - 1));
        }
        if q > 1 {
            parts.push(self.part(g, windows, q - 1..q));
        }
        g.concat(&parts, 1)
    }

    /// States owned by a range of windows that own the same local indices, [N, states, …].
    fn part(&self, g: &mut Graph, windows: NodeId, range: Range<usize>) -> NodeId {
        let (owned, start) = (self.owned(range.start), self.start(range.start));
        let some = g.slice(windows, 1, range.start, range.len(), 1);
        let some = g.slice(some, 2, owned.start - start, owned.len(), 1);
        let shape = g.shape(some).to_vec();
        let mut merged = vec![shape[0], shape[1] * shape[2]];
        merged.extend(&shape[3..]);
        g.reshape(some, &merged)
    }
}

/// The score of a trajectory from a score of its windows, applied to all of them at once.
///
/// Shapes: `x` [N, L, …]; the kernel sees [N · Q, 2k + 1, …].
/// Good values: stride 1 is the paper's; k 8 with stride 8 costs less and errs less.
/// Source: Rozet & Louppe 2023, arXiv 2306.10574, section 3.1.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalScore<K> {
    /// Predicts the noise of windows.
    pub kernel: K,
    /// k: states on either side of a window's centre.
    pub order: usize,
    /// States between the starts of two windows.
    pub stride: usize,
}

impl<K: NoisePredictor> NoisePredictor for LocalScore<K> {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        let windows =
            Windows::new(g.shape(x)[1], self.order, self.stride).unwrap_or_else(|e| panic!("failed to {e}"));
        let unfolded = windows.unfold(g, x);
        let time = time.repeated(g, windows.count());
        let noise = self.kernel.emit(g, unfolded, &time);
        windows.fold(g, noise)
    }

    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let windows = Windows::new(shape[1], self.order, self.stride)?;
        let mut unfolded = shape.to_vec();
        unfolded[0] *= windows.count();
        unfolded[1] = windows.width();
        self.kernel.check(&unfolded)
    }

    fn conditions(&self) -> Vec<(String, ArrayD<f64>)> {
        self.kernel.conditions()
    }
}

#[cfg(test)]
mod tests;
