//! Box–Muller in polynomials, so that loops over many draws vectorise.
//!
//! ln, sin and cos are taken of 24-bit integers: exponent and quadrant come out exactly, and short polynomials do the rest.
//! Exactness: within 1e-14 (f64) and 1e-6 (f32) of [`super::normals`] in f64. There is no fused multiply-add, so the
//! bits are the same on every instruction set.

use super::Stream;
use super::philox::philox_lanes;
use crate::{Vectors, widest_vectors};

/// Blocks of four drawn side by side, and those of what is left at the end.
const LANES: usize = 32;
const TAIL_LANES: usize = 8;

/// A type that normals are drawn in: f32 or f64.
pub trait Normal: Copy + Default {
    /// ln(v·2⁻²⁴) for 1 ≤ v ≤ 2²⁴.
    fn ln_fraction(v: u32) -> Self;

    /// Cosine and sine of 2π w/2²⁴ for w < 2²⁴.
    fn cos_sin_turn(w: u32) -> (Self, Self);

    /// √(−2 x).
    fn radius(log: Self) -> Self;

    /// x y.
    fn times(self, other: Self) -> Self;

    /// Standard normals of whole rows; see [`Stream::fill_normal`].
    fn fill(vectors: Vectors, stream: &Stream, step: u32, first_row: u32, row_len: usize, out: &mut [Self]);
}

/// A pair of independent standard normals of two words.
#[inline(always)]
#[allow(clippy::inline_always)] // the loop around it vectorises only if it is inlined
pub fn box_muller<T: Normal>(a: u32, b: u32) -> (T, T) {
    let r = T::radius(T::ln_fraction((a >> 8) + 1));
    let (cos, sin) = T::cos_sin_turn(b >> 8);
    (r.times(cos), r.times(sin))
}

widest_vectors! {
    fn fill_f32(stream: &Stream, step: u32, first_row: u32, row_len: usize, out: &mut [f32]) -> () = fill_body
}

widest_vectors! {
    fn fill_f64(stream: &Stream, step: u32, first_row: u32, row_len: usize, out: &mut [f64]) -> () = fill_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn fill_body<T: Normal>(stream: &Stream, step: u32, first_row: u32, row_len: usize, out: &mut [T]) {
    let mut place = Place { row: first_row, block: 0, blocks: row_len.div_ceil(4) as u32, row_len };
    let mut left = out.len() / row_len * place.blocks as usize;
    let mut out = out;
    while left > LANES - TAIL_LANES {
        out = fill_lanes::<T, LANES>(stream, step, &mut place, out);
        left = left.saturating_sub(LANES);
    }
    while left > 0 {
        out = fill_lanes::<T, TAIL_LANES>(stream, step, &mut place, out);
        left = left.saturating_sub(TAIL_LANES);
    }
}

/// Where in the rows the next block lies.
#[derive(Clone, Copy)]
struct Place {
    row: u32,
    block: u32,
    /// Blocks of a row.
    blocks: u32,
    row_len: usize,
}

impl Place {
    /// Goes on by at most `room` blocks of one row; returns how many.
    #[inline(always)]
    #[allow(clippy::inline_always)] // as above
    fn advance(&mut self, room: usize) -> usize {
        let run = room.min((self.blocks - self.block) as usize);
        self.block += run as u32;
        if self.block == self.blocks {
            (self.row, self.block) = (self.row.wrapping_add(1), 0);
        }
        run
    }
}

/// Draws N blocks and writes those that there is room for; returns the rest of `out`.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn fill_lanes<'a, T: Normal, const N: usize>(
    stream: &Stream,
    step: u32,
    place: &mut Place,
    out: &'a mut [T],
) -> &'a mut [T] {
    let (start, mut rows, mut blocks) = (*place, [0; N], [0; N]);
    let mut i = 0;
    while i < N {
        let (row, first) = (place.row, place.block);
        let run = place.advance(N - i);
        for k in 0..run {
            (rows[i + k], blocks[i + k]) = (row, first + k as u32);
        }
        i += run;
    }
    let words = philox_lanes(&blocks, &rows, (step, stream.id), stream.key());
    let mut drawn = [[T::default(); 4]; N];
    for i in 0..N {
        let (z0, z1) = box_muller(words[0][i], words[1][i]);
        let (z2, z3) = box_muller(words[2][i], words[3][i]);
        drawn[i] = [z0, z1, z2, z3];
    }
    write_rows(start, drawn.as_flattened(), out)
}

/// Copies blocks to their rows, of which the last block may be cut short.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn write_rows<'a, T: Copy>(mut place: Place, drawn: &[T], out: &'a mut [T]) -> &'a mut [T] {
    let (mut out, mut drawn) = (out, drawn);
    while !drawn.is_empty() && !out.is_empty() {
        let first = place.block as usize * 4;
        let run = place.advance(drawn.len() / 4);
        let len = (run * 4).min(place.row_len - first);
        let (here, rest) = out.split_at_mut(len);
        here.copy_from_slice(&drawn[..len]);
        (out, drawn) = (rest, &drawn[run * 4..]);
    }
    out
}

/// Polynomial by Horner's rule, highest coefficient first.
macro_rules! horner {
    ($z:expr, $first:expr $(, $rest:expr)*) => {{
        let sum = $first;
        $(let sum = sum * $z + $rest;)*
        sum
    }};
}

macro_rules! normal {
    (
        $t:ident, $bits:ident, fill $fill:ident, sqrt_half $sqrt_half:literal, mantissa $mantissa:literal,
        artanh [$($artanh:expr),*], sin [$($sin:expr),*], cos [$($cos:expr),*]
    ) => {
        #[allow(clippy::inline_always)] // the loop around them vectorises only if they are inlined
        #[allow(clippy::cast_lossless)] // i32 as f64 in one of the two instances
        impl Normal for $t {
            /// v = 2ᵏ m, √½ ≤ m < √2, ln m = 2 artanh(s), s = (m − 1)/(m + 1), z = s².
            #[inline(always)]
            fn ln_fraction(v: u32) -> Self {
                let bits = (v as i32 as $t).to_bits();
                // v ≥ 1 > √½, so the difference is positive and its exponent field is k.
                let k = (bits - $sqrt_half) >> $mantissa;
                let m = $t::from_bits(bits - (k << $mantissa));
                // k < 2⁵ in the last place of 2ᵐᵃⁿᵗⁱˢˢᵃ: an integer made a number without a conversion.
                let whole = (1 as $bits) << $mantissa;
                let exponent = $t::from_bits((whole as $t).to_bits() | k) - whole as $t - 24.0;
                let s = (m - 1.0) / (m + 1.0);
                let z = s * s;
                exponent * std::$t::consts::LN_2 + 2.0 * (s + s * (z * horner!(z $(, $artanh)*)))
            }

            /// The quadrant by integers, exactly, then polynomials of z = x² on [−π/4, π/4].
            #[inline(always)]
            fn cos_sin_turn(w: u32) -> (Self, Self) {
                let quadrant = (w + (1 << 21)) >> 22;
                let rest = w as i32 - (quadrant << 22) as i32;
                let x = rest as $t * (std::$t::consts::TAU / 16_777_216.0);
                let z = x * x;
                let sin = x + x * (z * horner!(z $(, $sin)*));
                let cos = 1.0 + z * horner!(z $(, $cos)*);
                let swapped = quadrant & 1 == 1;
                let (c, s) = (if swapped { sin } else { cos }, if swapped { cos } else { sin });
                // Bit 1 of the quadrant, moved to the sign's place.
                let sign = |flag: u32| <$bits>::from(flag & 2) << ($bits::BITS - 2);
                ($t::from_bits(c.to_bits() ^ sign(quadrant + 1)), $t::from_bits(s.to_bits() ^ sign(quadrant)))
            }

            #[inline(always)]
            fn radius(log: Self) -> Self {
                (-2.0 * log).sqrt()
            }

            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self * other
            }

            fn fill(
                vectors: Vectors, stream: &Stream, step: u32, first_row: u32, row_len: usize, out: &mut [Self],
            ) {
                $fill(vectors, stream, step, first_row, row_len, out);
            }
        }
    };
}

// The polynomials in z interpolate (artanh(s)/s − 1)/z, (sin(x)/x − 1)/z and (cos(x) − 1)/z at Chebyshev's nodes of
// [0, ((√2 − 1)/(√2 + 1))²] and [0, (π/4)²]; what they add to the rounding is below 2e-17 in f64 and 2e-8 in f32.
normal!(
    f32, u32, fill fill_f32, sqrt_half 0x3F35_04F3, mantissa 23,
    artanh [0.147_900_27, 0.199_943_89, 0.333_333_43],
    sin [-0.000_195_878_66, 0.008_332_748, -0.166_666_64],
    cos [2.446_375_4e-5, -0.001_388_758_9, 0.041_666_65, -0.5]
);

normal!(
    f64, u64, fill fill_f64, sqrt_half 0x3FE6_A09E_667F_3BCD, mantissa 52,
    artanh [
        0.073_082_927_124_443_11, 0.076_658_553_091_053_86, 0.090_914_447_278_374_74, 0.111_111_055_651_299_39,
        0.142_857_143_130_016_35, 0.199_999_999_999_497_22, 0.333_333_333_333_333_5
    ],
    sin [
        1.591_811_526_326_597_4e-10, -2.505_113_165_023_518e-8, 2.755_731_610_161_787_4e-6,
        -0.000_198_412_698_367_567_74, 0.008_333_333_333_330_948, -0.166_666_666_666_666_66
    ],
    cos [
        -1.136_798_842_329_498_7e-11, 2.087_588_656_448_267_2e-9, -2.755_731_556_524_682e-7,
        2.480_158_729_369_030_5e-5, -0.001_388_888_888_888_077, 0.041_666_666_666_666_64, -0.5
    ]
);

#[cfg(test)]
mod tests;
