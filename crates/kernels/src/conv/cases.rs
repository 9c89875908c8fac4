//! The three faces at the same geometries: 1-D and 2-D, zero and circular padding, strides 1 to 3, points around a
//! tile of 128.

use crate::catalogue::{Case, Domain, Exactness, Kernel};
use sda_graph::{ConvGeometry, Face, Padding, PaddingMode};

pub(crate) const FORWARD: Kernel =
    Kernel::new("conv-forward", "y[b, o, c'] = Σ x[b, source(o, k), c] w[k, c, c']", || {
        cases(Face::Forward)
    });
pub(crate) const INPUT: Kernel =
    Kernel::new("conv-input", "dx[b, source(o, k), c] += dy[b, o, c'] w[k, c, c']", || cases(Face::Input));
pub(crate) const FILTER: Kernel =
    Kernel::new("conv-filter", "dw[k, c, c'] = Σ x[b, source(o, k), c] dy[b, o, c']", || {
        cases(Face::Filter)
    });

/// Batch, channels in and out, and the geometry.
type Size = (usize, usize, usize, ConvGeometry);

fn geometry(
    input: [usize; 2],
    kernel: [usize; 2],
    stride: usize,
    mode: PaddingMode,
    wide: usize,
) -> ConvGeometry {
    // A height of 1 is a 1-D convolution.
    let padding = [0, 1].map(|i| {
        let before = if kernel[i] == 1 { 0 } else { (kernel[i] - 1) / 2 + wide };
        Padding { before, after: before, mode }
    });
    let stride = [0, 1].map(|i| if input[i] == 1 { 1 } else { stride });
    ConvGeometry { input, kernel, stride, padding }
}

fn sizes() -> Vec<Size> {
    use PaddingMode::{Circular, Zero};
    let mut sizes = Vec::new();
    for mode in [Zero, Circular] {
        for stride in 1..=3 {
            sizes.push((2, 3, 5, geometry([1, 11], [1, 3], stride, mode, 0)));
            sizes.push((2, 3, 2, geometry([7, 6], [3, 3], stride, mode, 0)));
        }
        sizes.push((3, 1, 1, geometry([1, 43], [1, 5], 1, mode, 0)));
        sizes.push((1, 4, 4, geometry([5, 8], [5, 3], 1, mode, 1)));
        sizes.push((5, 2, 3, geometry([1, 1], [1, 1], 1, mode, 0)));
    }
    let odd = [Padding { before: 0, after: 2, mode: Zero }, Padding { before: 3, after: 1, mode: Circular }];
    sizes.push((1, 16, 17, ConvGeometry { input: [4, 5], kernel: [2, 4], stride: [2, 3], padding: odd }));
    sizes
}

fn cases(face: Face) -> Vec<Case> {
    let case = |(batch, ci, co, g): Size| {
        let [h, w] = g.input;
        let [ho, wo] = g.output();
        let [kh, kw] = g.kernel;
        let (x, y, k) = (vec![batch, h, w, ci], vec![batch, ho, wo, co], vec![kh, kw, ci, co]);
        let (a, b, length) = match face {
            Face::Forward => (x, k, kh * kw * ci),
            // A circular padding may show one point through several taps and outputs.
            Face::Input => (y, k, kh * kw * co),
            Face::Filter => (x, y, batch * ho * wo),
        };
        let inputs = [(&a[..], Domain::Real), (&b[..], Domain::Real)];
        Case::op(&inputs, Exactness::Reduction { length }, |graph, x| graph.conv(face, g, x[0], x[1]))
    };
    sizes().into_iter().map(case).collect()
}
