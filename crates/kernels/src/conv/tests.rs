//! The three faces at random geometries, at every level, packed as a step of few rows and of many, by blocks of images
//! and on threads.

use crate::matmul::tests::{call, call_onto, numbers};
use crate::{Call, Level, can_add, reference};
use proptest::prelude::*;
use sda_graph::{ConvGeometry, Face, Op, Padding, PaddingMode, RunKey};

/// Batch, channels in and out, and the geometry.
type Size = (usize, usize, usize, ConvGeometry);

fn shapes(face: Face, (batch, ci, co, g): Size) -> [Vec<usize>; 3] {
    let ([h, w], [ho, wo], [kh, kw]) = (g.input, g.output(), g.kernel);
    let (x, y, k) = (vec![batch, h, w, ci], vec![batch, ho, wo, co], vec![kh, kw, ci, co]);
    match face {
        Face::Forward => [x, k, y],
        Face::Input => [y, k, x],
        Face::Filter => [x, y, k],
    }
}

fn exact(op: &Op, [a, b, c]: &[Vec<usize>; 3], inputs: [&[f32]; 2], size: fn(f64) -> f64) -> Vec<f64> {
    let wide = inputs.map(|x| x.iter().map(|&v| size(f64::from(v))).collect::<Vec<_>>());
    let mut output = vec![0.0; c.iter().product()];
    let key = RunKey { seed: 0, step: 0 };
    let (inputs, shapes): ([&[f64]; 2], [&[usize]; 2]) = ([&wide[0], &wide[1]], [a, b]);
    reference(
        op,
        Call {
            inputs: &inputs,
            shapes: &shapes,
            output: &mut output,
            shape: c,
            key,
            first_row: 0,
            adds: false,
        },
    );
    output
}

fn check(size: Size) {
    for face in [Face::Forward, Face::Input, Face::Filter] {
        let op = Op::Conv(face, size.3);
        let shapes = shapes(face, size);
        let [a, b, c] = &shapes;
        let (x, y) = (numbers(a.iter().product(), 3), numbers(b.iter().product(), 4));
        let want = exact(&op, &shapes, [&x, &y], |v| v);
        let magnitude = exact(&op, &shapes, [&x, &y], f64::abs);
        let [taps, batch] = [size.3.kernel.iter().product::<usize>(), size.0];
        let length = match face {
            Face::Forward => taps * size.1,
            Face::Input => taps * size.2,
            Face::Filter => batch * size.3.output().iter().product::<usize>(),
        };
        for level in Level::available() {
            for rows in if face == Face::Filter { vec![batch] } else { vec![1, 4096] } {
                let run = |block, parallel| call(level, &op, [a, b], c, [&x, &y], (rows, block), parallel);
                let got = run(0, false);
                for (i, (g, w)) in got.iter().zip(&want).enumerate() {
                    let tolerance = (length + 4) as f64 * f64::from(f32::EPSILON) * magnitude[i];
                    assert!(
                        (f64::from(*g) - w).abs() <= tolerance,
                        "{face:?} {size:?} {level:?} {rows} at {i}: {g}, {w}"
                    );
                }
                assert!(got == run(0, true), "{face:?} {size:?} {level:?}: threads");
                if can_add(level, &op) {
                    let onto = call_onto(level, &op, [a, b], c, [&x, &y], (rows, 0), false, Some(0.75));
                    for (i, (g, w)) in onto.iter().zip(&want).enumerate() {
                        let tolerance = (length + 5) as f64 * f64::from(f32::EPSILON) * (magnitude[i] + 0.75);
                        let apart = (f64::from(*g) - 0.75 - w).abs();
                        assert!(apart <= tolerance, "{size:?} {level:?} added at {i}: {g}, {w}");
                    }
                }
                if face != Face::Filter && level >= Level::Avx2 {
                    assert!(got == run(2, false), "{face:?} {size:?} {level:?}: blocks");
                }
            }
        }
    }
}

fn square(input: [usize; 2], kernel: usize, stride: usize, mode: PaddingMode) -> ConvGeometry {
    let padding = [Padding { before: kernel / 2, after: (kernel - 1) / 2, mode }; 2];
    ConvGeometry { input, kernel: [kernel; 2], stride: [stride; 2], padding }
}

fn line(input: usize, kernel: usize, stride: usize, mode: PaddingMode) -> ConvGeometry {
    let none = Padding { before: 0, after: 0, mode };
    let padding = [none, Padding { before: kernel / 2, after: kernel / 2, mode }];
    ConvGeometry { input: [1, input], kernel: [1, kernel], stride: [1, stride], padding }
}

#[test]
fn convolutions_of_no_channels_are_zero() {
    for (batch, ci, co) in [(2, 0, 4), (2, 4, 0)] {
        for geometry in [square([8, 8], 3, 1, PaddingMode::Circular), line(9, 3, 2, PaddingMode::Zero)] {
            check((batch, ci, co, geometry));
        }
    }
}

#[test]
fn networks_convolutions() {
    use PaddingMode::{Circular, Zero};
    let sizes = [
        (1, 32, 48, square([16, 16], 3, 1, Circular)),
        (2, 11, 33, square([17, 18], 3, 1, Circular)),
        (1, 96, 10, square([8, 32], 3, 1, Zero)),
        (3, 33, 65, square([16, 20], 3, 2, Circular)),
        (1, 24, 40, square([15, 35], 3, 2, Zero)),
        (2, 20, 16, square([9, 5], 3, 1, Circular)),
        (1, 16, 17, square([12, 12], 3, 3, Circular)),
        (2, 64, 64, square([5, 16], 1, 1, Zero)),
        (1, 30, 30, square([6, 16], 1, 2, Zero)),
        (1, 32, 32, square([33, 16], 5, 1, Circular)),
        (5, 64, 64, line(32, 3, 1, Zero)),
        (7, 3, 64, line(32, 5, 1, Circular)),
        (3, 64, 10, line(33, 3, 2, Zero)),
        (1, 160, 170, square([64, 32], 3, 1, Circular)),
    ];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    pool.install(|| sizes.into_iter().for_each(check));
}

/// An axis: points, kernel, stride, padding before and after.
fn axis() -> impl Strategy<Value = (usize, usize, usize, usize, usize, bool)> {
    (1usize..24, 1usize..5, 1usize..4, 0usize..5, 0usize..5, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_of_any_geometry(y in axis(), x in axis(), batch in 1usize..4, ci in 1usize..40, co in 1usize..40) {
        let mut g = ConvGeometry {
            input: [y.0, x.0],
            kernel: [y.1, x.1],
            stride: [y.2, x.2],
            padding: [y, x].map(|(n, _, _, before, after, circular)| {
                let mode = if circular { PaddingMode::Circular } else { PaddingMode::Zero };
                let most = if circular { n } else { usize::MAX };
                Padding { before: before.min(most), after: after.min(most), mode }
            }),
        };
        for i in 0..2 {
            g.kernel[i] = g.kernel[i].min(g.input[i] + g.padding[i].before + g.padding[i].after);
        }
        check((batch, ci, co, g));
    }
}

/// A point that is not finite reaches the outputs that see it, and no others.
#[test]
fn what_is_not_finite_stays_where_it_is_seen() {
    for mode in [PaddingMode::Zero, PaddingMode::Circular] {
        for stride in [1, 2] {
            let size = (2, 24, 40, square([16, 32], 3, stride, mode));
            for face in [Face::Forward, Face::Input] {
                let (op, shapes) = (Op::Conv(face, size.3), shapes(face, size));
                let [a, b, c] = &shapes;
                let mut x = numbers(a.iter().product(), 3);
                let weights = numbers(b.iter().product(), 4);
                for value in [f32::NAN, f32::INFINITY] {
                    let at = x.len() / 3;
                    let old = std::mem::replace(&mut x[at], value);
                    let want = exact(&op, &shapes, [&x, &weights], |v| v);
                    for level in Level::available() {
                        let got = call(level, &op, [a, b], c, [&x, &weights], (4096, 0), false);
                        let same = got.iter().zip(&want).all(|(g, w)| g.is_finite() == w.is_finite());
                        assert!(same, "{face:?} {mode:?} {stride} {level:?} {value}");
                    }
                    x[at] = old;
                }
            }
        }
    }
}
