//! f32 numbers as sums of three bf16 parts: x = x₁ + x₂ + x₃, exactly.
//!
//! x₁ is x rounded to eight significant bits, x₂ what is left, rounded likewise, x₃ the rest, which fits. A finite x
//! that would be rounded to infinity is cut off instead; ±∞ and NaN are (x, 0, 0). AMX reads parts below the smallest
//! normal number as zero.

use std::arch::x86_64::{
    __m512, __m512i, _CMP_UNORD_Q, _mm512_add_epi32, _mm512_and_si512, _mm512_castps_si512,
    _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cmpge_epu32_mask, _mm512_mask_add_epi32,
    _mm512_mask_or_epi32, _mm512_maskz_sub_ps, _mm512_max_epu32, _mm512_permutex2var_epi16,
    _mm512_set1_epi32, _mm512_sub_ps,
};

/// Parts of a number.
pub(crate) const PARTS: usize = 3;

/// Anything whose magnitude has at least these bits is rounded to infinity, or is not finite.
const HUGE: i32 = 0x7f7f_8000;
const MAGNITUDE: i32 = 0x7fff_ffff;
const HALF: i32 = 0x8000;
const TOP: i32 = 0xffff_0000u32 as i32;
const INFINITY: i32 = 0x7f80_0000;
const QUIET: i32 = 0x7fc0_0000;

/// The parts of 2 × 16 numbers, each in the upper half of its lane; the lower halves are zero.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn parts(x: [__m512; 2]) -> [[__m512i; 2]; PARTS] {
    let magnitude = _mm512_set1_epi32(MAGNITUDE);
    let [a, b] = [_mm512_castps_si512(x[0]), _mm512_castps_si512(x[1])];
    let largest = _mm512_max_epu32(_mm512_and_si512(a, magnitude), _mm512_and_si512(b, magnitude));
    if _mm512_cmpge_epu32_mask(largest, _mm512_set1_epi32(HUGE)) != 0 {
        let [a, b] = [any(x[0]), any(x[1])];
        return [[a[0], b[0]], [a[1], b[1]], [a[2], b[2]]];
    }
    let [a, b] = [ordinary(x[0]), ordinary(x[1])];
    [[a[0], b[0]], [a[1], b[1]], [a[2], b[2]]]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn ordinary(x: __m512) -> [__m512i; PARTS] {
    let first = round(_mm512_castps_si512(x));
    let rest = _mm512_sub_ps(x, _mm512_castsi512_ps(first));
    let second = round(_mm512_castps_si512(rest));
    let third = _mm512_sub_ps(rest, _mm512_castsi512_ps(second));
    [first, second, _mm512_castps_si512(third)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn round(bits: __m512i) -> __m512i {
    _mm512_and_si512(_mm512_add_epi32(bits, _mm512_set1_epi32(HALF)), _mm512_set1_epi32(TOP))
}

/// The parts of numbers among which some are huge or not finite.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw")]
fn any(x: __m512) -> [__m512i; PARTS] {
    let bits = _mm512_castps_si512(x);
    let magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(MAGNITUDE));
    let huge = _mm512_cmpge_epu32_mask(magnitude, _mm512_set1_epi32(HUGE));
    let finite = !_mm512_cmpge_epu32_mask(magnitude, _mm512_set1_epi32(INFINITY));
    let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x);
    let rounded = _mm512_mask_add_epi32(bits, !huge, bits, _mm512_set1_epi32(HALF));
    let first = _mm512_and_si512(rounded, _mm512_set1_epi32(TOP));
    let first = _mm512_mask_or_epi32(first, nan, first, _mm512_set1_epi32(QUIET));
    let rest = _mm512_maskz_sub_ps(finite, x, _mm512_castsi512_ps(first));
    let second = round(_mm512_castps_si512(rest));
    let third = _mm512_sub_ps(rest, _mm512_castsi512_ps(second));
    [first, second, _mm512_castps_si512(third)]
}

/// 32 bf16 numbers from the upper halves of 2 × 16 lanes, in order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn narrow(x: [__m512i; 2]) -> __m512i {
    const ODD: [i16; 32] = {
        let mut odd = [0; 32];
        let mut i = 0;
        while i < 32 {
            odd[i] = 2 * i as i16 + 1;
            i += 1;
        }
        odd
    };
    // SAFETY: both are 64 bytes without padding, and any bits are a vector.
    let odd: __m512i = unsafe { std::mem::transmute(ODD) };
    _mm512_permutex2var_epi16(x[0], odd, x[1])
}
