//! What a convolution's point sees, by the definition of padding.

use sda_graph::{ConvGeometry, Padding, PaddingMode};

#[test]
fn padding_continues_an_axis_with_zeros_or_periodically() {
    for mode in [PaddingMode::Zero, PaddingMode::Circular] {
        for (n, kernel, stride, before, after) in [
            (5, 3, 1, 1, 1),
            (6, 3, 2, 1, 1),
            (4, 4, 3, 3, 2),
            (3, 5, 1, 3, 3),
            (7, 1, 2, 0, 0),
            (1, 3, 1, 1, 1),
        ] {
            let along = Padding { before, after, mode };
            let across = Padding { before: 0, after: 0, mode };
            let geometry = ConvGeometry {
                input: [1, n],
                kernel: [1, kernel],
                stride: [1, stride],
                padding: [across, along],
            };
            let padded = before + n + after;
            let starts: Vec<usize> = (0..padded).step_by(stride).filter(|s| s + kernel <= padded).collect();
            assert_eq!(geometry.output(), [1, starts.len()]);
            for (o, start) in starts.iter().enumerate() {
                for k in 0..kernel {
                    let at = (start + k) as isize - before as isize;
                    let inside = (0..n as isize).contains(&at);
                    let want = match mode {
                        PaddingMode::Zero => inside.then_some(at as usize),
                        PaddingMode::Circular => Some(at.rem_euclid(n as isize) as usize),
                    };
                    assert_eq!(geometry.source(1, o, k), want, "{mode:?} n {n}, point {o}, tap {k}");
                }
            }
        }
    }
}
