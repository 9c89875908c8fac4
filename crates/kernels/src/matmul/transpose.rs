//! 16 × 16 numbers transposed in registers.

use std::arch::x86_64::{
    __m512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_shuffle_f32x4, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
    _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

/// y[j][i] = x[i][j].
#[allow(clippy::needless_range_loop)] // registers; an iterator's code might not be inlined here
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn transpose(mut x: [__m512; 16]) -> [__m512; 16] {
    // Within each quarter of a register: 4 × 4 blocks of rows 4q … 4q + 3.
    for q in 0..4 {
        let [a, b, c, d] = [x[4 * q], x[4 * q + 1], x[4 * q + 2], x[4 * q + 3]];
        let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
        let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
        let (ef, gh) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
        let (ef, gh) = (_mm512_castps_pd(ef), _mm512_castps_pd(gh));
        x[4 * q] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
        x[4 * q + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
        x[4 * q + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ef, gh));
        x[4 * q + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ef, gh));
    }
    // Quarters: a 4 × 4 transposition of them for each row of the blocks.
    let mut y = x;
    for r in 0..4 {
        let [a, b, c, d] = [x[r], x[4 + r], x[8 + r], x[12 + r]];
        let ab = _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
        let cd = _mm512_shuffle_f32x4::<0b10_00_10_00>(c, d);
        y[r] = _mm512_shuffle_f32x4::<0b10_00_10_00>(ab, cd);
        y[8 + r] = _mm512_shuffle_f32x4::<0b11_01_11_01>(ab, cd);
        let ab = _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
        let cd = _mm512_shuffle_f32x4::<0b11_01_11_01>(c, d);
        y[4 + r] = _mm512_shuffle_f32x4::<0b10_00_10_00>(ab, cd);
        y[12 + r] = _mm512_shuffle_f32x4::<0b11_01_11_01>(ab, cd);
    }
    y
}
