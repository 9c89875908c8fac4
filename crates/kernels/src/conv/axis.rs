//! Convolutions without strides between the points computed: one axis of one phase.
//!
//! A line of the source is laid out with its padding; output point i then reads places `step · i + d` for the taps
//! d = 0 … `taps` − 1. A convolution has one phase. The gradient of its input at stride s has s phases, points
//! φ, φ + s, … each seeing every s-th tap; that of its filter has s phases of taps.

use sda_graph::{ConvGeometry, PaddingMode};

/// One axis of one phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// Output points, and output point i as `first + pace · i` on the whole axis.
    pub(super) count: usize,
    pub(super) first: usize,
    pub(super) pace: usize,
    /// Places of the laid out line from an output point to the next.
    pub(super) step: usize,
    pub(super) taps: usize,
    /// Tap d is kernel tap `kernel.0 + kernel.1 · d`.
    kernel: (usize, isize),
    /// Place p shows source point `space · p + origin`.
    space: usize,
    origin: isize,
    /// Source points, and after how many they come again; 0: never.
    len: usize,
    period: usize,
}

impl Axis {
    /// y from x.
    pub(super) fn forward(g: &ConvGeometry, i: usize) -> Self {
        let p = g.padding[i];
        Self {
            count: g.output()[i],
            first: 0,
            pace: 1,
            step: g.stride[i],
            taps: g.kernel[i],
            kernel: (0, 1),
            space: 1,
            origin: -(p.before as isize),
            len: g.input[i],
            period: if p.mode == PaddingMode::Circular { g.input[i] } else { 0 },
        }
    }

    /// Points φ, φ + stride, … of dx from dy.
    pub(super) fn input(g: &ConvGeometry, i: usize, phase: usize) -> Self {
        let (p, stride) = (g.padding[i], g.stride[i]);
        let first = (phase + p.before) % stride;
        let taps = g.kernel[i].saturating_sub(first).div_ceil(stride);
        let last = first as isize + stride as isize * (taps as isize - 1);
        Self {
            count: g.input[i].saturating_sub(phase).div_ceil(stride),
            first: phase,
            pace: stride,
            step: 1,
            taps,
            kernel: (last.max(0) as usize, -(stride as isize)),
            space: 1,
            origin: ((phase + p.before) / stride) as isize - (taps as isize - 1),
            len: g.output()[i],
            period: if p.mode == PaddingMode::Circular { g.input[i] / stride } else { 0 },
        }
    }

    /// Taps φ, φ + stride, … of dw: what they see of x.
    pub(super) fn filter(g: &ConvGeometry, i: usize, phase: usize) -> Self {
        let stride = g.stride[i];
        Self {
            step: 1,
            taps: g.kernel[i].saturating_sub(phase).div_ceil(stride),
            kernel: (phase, stride as isize),
            space: stride,
            origin: phase as isize - g.padding[i].before as isize,
            ..Self::forward(g, i)
        }
    }

    /// Whether [`Self::input`] holds: a circular axis shows every dy once, and its phases close.
    pub(super) fn has_input_phases(g: &ConvGeometry, i: usize) -> bool {
        let (n, stride) = (g.input[i], g.stride[i]);
        g.padding[i].mode == PaddingMode::Zero || (n % stride == 0 && g.output()[i] <= n / stride)
    }

    pub(super) fn kernel_tap(&self, d: usize) -> usize {
        (self.kernel.0 as isize + self.kernel.1 * d as isize) as usize
    }

    /// Places that `count` output points see.
    pub(super) fn places(&self, count: usize) -> usize {
        (count - 1) * self.step + self.taps
    }

    /// Source point at a place; `None` is a zero.
    #[inline(always)]
    pub(super) fn source(&self, place: usize) -> Option<usize> {
        let mut at = (self.space * place) as isize + self.origin;
        if self.period > 0 {
            at = at.rem_euclid(self.period as isize);
        }
        (at >= 0 && at < self.len as isize).then_some(at as usize)
    }
}

/// Images and rows of them that are worked on at a time: as many as fit `budget`, which one row need not.
pub(super) fn strip(batch: usize, rows: usize, row: usize, image: usize, budget: usize) -> (usize, usize) {
    if image <= budget {
        return ((budget / image.max(1)).clamp(1, batch.max(1)), rows);
    }
    let fit = (budget / row.max(1)).clamp(1, rows);
    (1, rows.div_ceil(rows.div_ceil(fit)))
}

/// A convolution's lengths, a stack of independent lines being one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    pub(super) g: ConvGeometry,
    pub(super) batch: usize,
    pub(super) ci: usize,
    pub(super) co: usize,
    /// Whether the filter's gradient is added to what the output holds.
    pub(super) adds: bool,
}

impl Lengths {
    pub(super) fn new(mut g: ConvGeometry, mut batch: usize, ci: usize, co: usize) -> Self {
        let p = g.padding[0];
        if g.kernel[0] == 1 && g.stride[0] == 1 && p.before == 0 && p.after == 0 && batch > 0 {
            g.input[0] *= batch;
            batch = 1;
        }
        Self { g, batch, ci, co, adds: false }
    }
}
