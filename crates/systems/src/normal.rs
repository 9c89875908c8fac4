//! The random streams' normals for a block of members at once, in loops that vectorise.
//!
//! The words are those of [`Stream::words`], bit for bit; the normals are those of `sda_core::random::normals` to
//! rounding (1e-14), with ln, sin and cos as polynomials in place of calls to the mathematics library. There is no
//! fused multiply-add, so the bits are the same on every instruction set.

use sda_core::Stream;

use crate::ensemble::{LANES, Lanes};

/// Standard normals of one Philox block (four components) for the members `first_row` … `first_row + LANES − 1`.
///
/// Shapes: result [4, LANES].
pub fn standard_normals(stream: &Stream, step: u32, first_row: u32, block: u32) -> [Lanes; 4] {
    let mut words = [[0u32; LANES]; 4];
    let [w0, w1, w2, w3] = &mut words;
    for i in 0..LANES {
        [w0[i], w1[i], w2[i], w3[i]] = stream.words(step, first_row.wrapping_add(i as u32), block);
    }
    let mut normals = [[0.0; LANES]; 4];
    let [z0, z1, z2, z3] = &mut normals;
    box_muller(w0, w1, z0, z1);
    box_muller(w2, w3, z2, z3);
    normals
}

/// Adds std_c · z_c to every component c of a block of members.
///
/// Shapes: `std` [D], `states` [D, LANES].
pub fn add_normals(stream: &Stream, step: u32, first_row: u32, std: &[f64], states: &mut [Lanes]) {
    assert_eq!(std.len(), states.len(), "noise of {} components for states of {}", std.len(), states.len());
    for (block, (std, states)) in std.chunks(4).zip(states.chunks_mut(4)).enumerate() {
        let normals = standard_normals(stream, step, first_row, block as u32);
        for ((state, &std), z) in states.iter_mut().zip(std).zip(&normals) {
            for (x, z) in state.iter_mut().zip(z) {
                *x += std * z;
            }
        }
    }
}

fn box_muller(a: &[u32; LANES], b: &[u32; LANES], z0: &mut Lanes, z1: &mut Lanes) {
    for i in 0..LANES {
        let r = (-2.0 * ln_fraction((a[i] >> 8) + 1)).sqrt();
        let (cos, sin) = cos_sin_turn(b[i] >> 8);
        z0[i] = r * cos;
        z1[i] = r * sin;
    }
}

/// ln(v·2⁻²⁴) for 1 ≤ v ≤ 2²⁴.
///
///   v = 2ᵏ m, √½ ≤ m < √2, ln m = 2 artanh(s), s = (m − 1)/(m + 1), by its series up to s²¹
#[inline(always)]
#[allow(clippy::inline_always)] // the loop around it vectorises only if it is inlined
fn ln_fraction(v: u32) -> f64 {
    const SQRT_HALF: u64 = 0x3FE6_A09E_667F_3BCD;
    const TWO_52: u64 = 0x4330_0000_0000_0000;
    let bits = f64::from(v as i32).to_bits();
    // v ≥ 1 > √½, so the difference is positive and its exponent field is k.
    let k = (bits - SQRT_HALF) >> 52;
    let m = f64::from_bits(bits - (k << 52));
    let exponent = f64::from_bits(TWO_52 | k) - f64::from_bits(TWO_52) - 24.0;
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = horner(
        z,
        [
            1.0 / 21.0,
            1.0 / 19.0,
            1.0 / 17.0,
            1.0 / 15.0,
            1.0 / 13.0,
            1.0 / 11.0,
            1.0 / 9.0,
            1.0 / 7.0,
            1.0 / 5.0,
            1.0 / 3.0,
        ],
    );
    exponent * std::f64::consts::LN_2 + 2.0 * (s + s * (z * series))
}

/// Cosine and sine of 2π w/2²⁴: the quadrant by integers, exactly, then Taylor's series on [−π/4, π/4].
#[inline(always)]
#[allow(clippy::inline_always)] // the loop around it vectorises only if it is inlined
fn cos_sin_turn(w: u32) -> (f64, f64) {
    let quadrant = (w + (1 << 21)) >> 22;
    let rest = w as i32 - (quadrant << 22) as i32;
    let x = f64::from(rest) * (std::f64::consts::TAU / 16_777_216.0);
    let z = x * x;
    let sin = x + x
        * (z * horner(
            z,
            [
                -1.0 / 1_307_674_368_000.0,
                1.0 / 6_227_020_800.0,
                -1.0 / 39_916_800.0,
                1.0 / 362_880.0,
                -1.0 / 5_040.0,
                1.0 / 120.0,
                -1.0 / 6.0,
            ],
        ));
    let cos = 1.0
        + z * horner(
            z,
            [
                1.0 / 20_922_789_888_000.0,
                -1.0 / 87_178_291_200.0,
                1.0 / 479_001_600.0,
                -1.0 / 3_628_800.0,
                1.0 / 40_320.0,
                -1.0 / 720.0,
                1.0 / 24.0,
                -0.5,
            ],
        );
    let swapped = quadrant & 1 == 1;
    let (c, s) = (if swapped { sin } else { cos }, if swapped { cos } else { sin });
    (negate_if(c, (quadrant + 1) & 2), negate_if(s, quadrant & 2))
}

/// −x if `flag` is 2, x if it is 0.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn negate_if(x: f64, flag: u32) -> f64 {
    f64::from_bits(x.to_bits() ^ (u64::from(flag) << 62))
}

/// Polynomial by Horner's rule, highest coefficient first.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn horner<const N: usize>(z: f64, coefficients: [f64; N]) -> f64 {
    let mut sum = coefficients[0];
    for c in &coefficients[1..] {
        sum = sum * z + c;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_and_circle_agree_with_the_library() {
        let samples = (1..=4096u32).chain((0..24).map(|k| 1 << k)).chain((0..4096).map(|k| (1 << 24) - k));
        for v in samples.chain((1..1 << 24).step_by(4099)) {
            let want = (f64::from(v) / 16_777_216.0).ln();
            assert!(
                (ln_fraction(v) - want).abs() <= 4e-16 * want.abs(),
                "ln of {v}: {} {want}",
                ln_fraction(v)
            );
        }
        for w in (0..1 << 24).step_by(1021).chain((0..64).map(|k| k << 18)).chain([(1 << 24) - 1]) {
            let (sin, cos) = (std::f64::consts::TAU * f64::from(w) / 16_777_216.0).sin_cos();
            let (c, s) = cos_sin_turn(w);
            assert!((c - cos).abs() < 1e-15 && (s - sin).abs() < 1e-15, "turn {w}: {c} {cos} {s} {sin}");
        }
    }

    #[test]
    #[allow(clippy::needless_range_loop)] // a lane runs through every component
    fn normals_are_the_streams() {
        let stream = Stream::new(0x1234_5678_9abc, 5);
        for (step, first_row, block) in [(0, 0, 0), (7, 1000, 3), (u32::MAX, u32::MAX - 3, 1)] {
            let normals = standard_normals(&stream, step, first_row, block);
            for i in 0..LANES {
                let want = stream.normals::<f64>(step, first_row.wrapping_add(i as u32), block);
                for c in 0..4 {
                    assert!((normals[c][i] - want[c]).abs() < 1e-14, "{} is not {}", normals[c][i], want[c]);
                }
            }
        }
    }

    #[test]
    fn noise_of_many_components_follows_the_streams_rows() {
        let stream = Stream::new(3, 1);
        let std: Vec<f64> = (0..7).map(|c| 0.5 + f64::from(c)).collect();
        let mut states = vec![[1.0; LANES]; 7];
        add_normals(&stream, 2, 10, &std, &mut states);
        let mut rows = vec![0f64; LANES * 7];
        stream.fill_normal(2, 10, 7, &mut rows);
        for i in 0..LANES {
            for c in 0..7 {
                assert!((states[c][i] - 1.0 - std[c] * rows[i * 7 + c]).abs() < 1e-13);
            }
        }
    }
}
