//! The polynomials against the library, the fills against their plain twin, and the law itself.

use super::*;
use crate::Real;

/// 24-bit integers where a mistake would show: both ends, powers of two, quadrant borders, a sweep.
fn awkward() -> impl Iterator<Item = u32> {
    let near_powers = (0..24).flat_map(|k| [(1u32 << k) - 1, 1 << k, (1 << k) + 1]);
    let borders = (0..8u32).flat_map(|k| [(k << 21).wrapping_sub(1) & 0xFF_FFFF, k << 21, (k << 21) + 1]);
    (0..4096u32)
        .chain(near_powers)
        .chain(borders)
        .chain((0..4096).map(|k| (1 << 24) - 1 - k))
        .chain((0..1 << 24).step_by(1021))
}

#[test]
fn logarithm_and_circle_agree_with_the_library() {
    for w in awkward() {
        let v = w + 1;
        let log = (f64::from(v) / 16_777_216.0).ln();
        let (a, b) = (f64::ln_fraction(v), f64::from(f32::ln_fraction(v)));
        assert!((a - log).abs() <= 4e-16 * log.abs(), "ln of {v}: {a} {log}");
        assert!((b - log).abs() <= 2e-7 * log.abs(), "ln of {v}: {b} {log}");
        let (sin, cos) = (std::f64::consts::TAU * f64::from(w) / 16_777_216.0).sin_cos();
        let (c, s) = f64::cos_sin_turn(w);
        assert!((c - cos).abs() < 1e-15 && (s - sin).abs() < 1e-15, "turn {w}: {c} {cos} {s} {sin}");
        let (c, s) = f32::cos_sin_turn(w);
        let (c, s) = (f64::from(c), f64::from(s));
        assert!((c - cos).abs() < 1.5e-7 && (s - sin).abs() < 1.5e-7, "turn {w}: {c} {cos} {s} {sin}");
    }
}

/// Every row length and every set of instructions gives the words' own normals, at 64 bits and at 32.
fn check<T: Real>(tolerance: f64) {
    let stream = Stream::new(0x1234_5678_9abc, 5);
    for row_len in [1, 2, 3, 4, 5, 8, 27, 127, 128, 129, 195] {
        for rows in [1, 2, 7, 33] {
            let (mut want, mut first) = (vec![0f64; row_len * rows], None::<Vec<T>>);
            stream.fill_normal_plainly(9, u32::MAX - 3, row_len, &mut want);
            for vectors in Vectors::available() {
                let mut got = vec![T::from_f64(f64::NAN); row_len * rows];
                T::fill(vectors, &stream, 9, u32::MAX - 3, row_len, &mut got);
                for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                    let error = (got.to_f64() - want).abs();
                    assert!(error <= tolerance, "{rows} rows of {row_len}, {i}: {got} is not {want}");
                }
                assert_eq!(first.get_or_insert_with(|| got.clone()), &got, "{vectors:?}");
            }
        }
    }
}

#[test]
fn fills_are_the_words_normals_with_the_same_bits_everywhere() {
    check::<f64>(1e-14);
    check::<f32>(1e-6);
}

/// P(|z| > a) for a = 1 … 4, and moments up to the sixth.
fn check_law<T: Real>() {
    const N: usize = 1 << 20;
    let tails = [0.317_310_507_863, 0.045_500_263_896, 0.002_699_796_063, 6.334_248_366_6e-5];
    for vectors in Vectors::available() {
        let mut z = vec![T::ZERO; N];
        T::fill(vectors, &Stream::new(77, 1), 3, 0, 1 << 10, &mut z);
        let z: Vec<f64> = z.into_iter().map(Real::to_f64).collect();
        for (a, p) in (1..).zip(tails) {
            let beyond = z.iter().filter(|z| z.abs() > f64::from(a)).count() as f64 / N as f64;
            let sd = (p * (1.0 - p) / N as f64).sqrt();
            assert!((beyond - p).abs() < 5.0 * sd, "{beyond} of the draws lie beyond {a}, not {p}");
        }
        // Variances of z^p: E z^{2p} − (E z^p)², of the moments (2k − 1)!!.
        for (p, mean, second) in
            [(1, 0.0, 1.0), (2, 1.0, 3.0), (3, 0.0, 15.0), (4, 3.0, 105.0), (6, 15.0, 10395.0)]
        {
            let got = z.iter().map(|z| z.powi(p)).sum::<f64>() / N as f64;
            let sd = ((second - mean * mean) / N as f64).sqrt();
            assert!((got - mean).abs() < 5.0 * sd, "moment {p} is {got}");
        }
        // Neighbours share a block: the pairs and the two pairs of a block are uncorrelated.
        for lag in 1..=4 {
            let got = z.iter().zip(&z[lag..]).map(|(a, b)| a * b).sum::<f64>() / N as f64;
            assert!(got.abs() < 5.0 / (N as f64).sqrt(), "correlation at lag {lag} is {got}");
        }
    }
}

#[test]
fn tails_and_moments_are_those_of_the_law() {
    check_law::<f32>();
    check_law::<f64>();
}

/// The smallest and the greatest fraction: the farthest draw there is, and zero.
#[test]
fn the_ends_are_finite() {
    let farthest = (2.0 * 24.0 * std::f64::consts::LN_2).sqrt();
    assert!((box_muller::<f64>(0, 0).0 - farthest).abs() < 1e-14);
    assert!((f64::from(box_muller::<f32>(0, 0).0) - farthest).abs() < 1e-6);
    assert_eq!(box_muller::<f64>(u32::MAX, 7), (0.0, 0.0));
    assert_eq!(box_muller::<f32>(u32::MAX, 7), (0.0, 0.0));
}
