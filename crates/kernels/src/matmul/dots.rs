//! C = A Bᵀ with vectors, both by rows as they are: 4 × 4 dot products at a time (with AVX2 3 × 4), nothing packed.
//!
//! Each element is 16 (8) partial sums along k, added at the end. Per 16 terms eight loads feed sixteen multiply-adds (with
//! AVX2 per 8 terms seven feed twelve); the rows of B stream by once, those of A stay in the first-level cache.

mod avx2;

use super::blocks::Vectors;
use crate::share::{Shared, share};
use std::arch::x86_64::{
    __m128, __m512, _mm_storeu_ps, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_extractf32x4_ps,
    _mm512_fmadd_ps, _mm512_maskz_loadu_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_unpackhi_pd,
    _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

/// Rows and columns of C at a time.
const SIDE: usize = 4;
/// Rows of C that one thread takes at a time.
const BAND: usize = 16;
/// Products below this many terms are not worth a second thread.
const WORTH_SHARING: usize = 1 << 20;

/// Lengths and addresses; rows are adjacent.
#[derive(Clone, Copy)]
pub(crate) struct Dots {
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// m × k.
    pub(crate) a: *const f32,
    /// n × k.
    pub(crate) b: *const f32,
    /// m × n.
    pub(crate) c: *mut f32,
}

/// The whole product.
///
/// # Safety
/// All elements lie inside their allocations, C apart from A and B; the machine has these vectors.
pub(crate) unsafe fn product(vectors: Vectors, t: Dots, parallel: bool) {
    let shared = Shared(t);
    share(t.m.div_ceil(BAND), parallel && t.m * t.k * t.n >= WORTH_SHARING, |band| {
        let t = shared.get();
        // SAFETY: the caller's contract; bands have rows of C of their own.
        unsafe {
            let (first, end) = (band * BAND, t.m.min((band + 1) * BAND));
            match vectors {
                Vectors::Avx2 => avx2::rows(&t, first, end),
                Vectors::Avx512 => rows(&t, first, end),
            }
        }
    });
}

/// Rows `first` … `end` of C.
///
/// # Safety
/// As [`product`].
#[target_feature(enable = "avx512f")]
unsafe fn rows(t: &Dots, first: usize, end: usize) {
    let mut j = 0;
    while j < t.n {
        let mut i = first;
        while i < end {
            // SAFETY: the caller's contract.
            unsafe { square(t, i, j, SIDE.min(end - i), SIDE.min(t.n - j)) };
            i += SIDE;
        }
        j += SIDE;
    }
}

/// At most 4 × 4 of C. Rows beyond are the last one again, and not stored.
#[allow(clippy::needless_range_loop)] // registers; an iterator's code might not be inlined here
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn square(t: &Dots, i: usize, j: usize, height: usize, width: usize) {
    let mut sums = [[_mm512_setzero_ps(); SIDE]; SIDE];
    let mut at = 0;
    while at < t.k {
        let mask = super::amx::mask(t.k - at);
        let mut y = [_mm512_setzero_ps(); SIDE];
        for c in 0..SIDE {
            // SAFETY: the caller's contract; lanes beyond k are not read.
            y[c] = unsafe { _mm512_maskz_loadu_ps(mask, t.b.add((j + c.min(width - 1)) * t.k + at)) };
        }
        for r in 0..SIDE {
            // SAFETY: as above.
            let x = unsafe { _mm512_maskz_loadu_ps(mask, t.a.add((i + r.min(height - 1)) * t.k + at)) };
            for c in 0..SIDE {
                sums[r][c] = _mm512_fmadd_ps(x, y[c], sums[r][c]);
            }
        }
        at += 16;
    }
    let total = totals(&sums);
    let quarters: [__m128; SIDE] = [
        _mm512_extractf32x4_ps::<0>(total),
        _mm512_extractf32x4_ps::<2>(total),
        _mm512_extractf32x4_ps::<1>(total),
        _mm512_extractf32x4_ps::<3>(total),
    ];
    for r in 0..height {
        // SAFETY: rows and columns of C that the block holds.
        unsafe {
            let to = t.c.add((i + r) * t.n + j);
            if width == SIDE {
                _mm_storeu_ps(to, quarters[r]);
            } else {
                let mut row = [0f32; SIDE];
                _mm_storeu_ps(row.as_mut_ptr(), quarters[r]);
                for c in 0..width {
                    *to.add(c) = row[c];
                }
            }
        }
    }
}

/// The sum of each register: rows 0, 2, 1, 3 in the quarters of one.
#[allow(clippy::needless_range_loop)] // as above
#[inline]
#[target_feature(enable = "avx512f")]
fn totals(x: &[[__m512; SIDE]; SIDE]) -> __m512 {
    let mut half = [[_mm512_setzero_ps(); SIDE]; 2];
    for r in 0..2 {
        for c in 0..SIDE {
            let low = _mm512_shuffle_f32x4::<0b01_00_01_00>(x[r][c], x[r + 2][c]);
            let high = _mm512_shuffle_f32x4::<0b11_10_11_10>(x[r][c], x[r + 2][c]);
            half[r][c] = _mm512_add_ps(low, high);
        }
    }
    // Quarters: rows 0, 2, 1, 3 of one column.
    let mut column = [_mm512_setzero_ps(); SIDE];
    for c in 0..SIDE {
        let even = _mm512_shuffle_f32x4::<0b10_00_10_00>(half[0][c], half[1][c]);
        let odd = _mm512_shuffle_f32x4::<0b11_01_11_01>(half[0][c], half[1][c]);
        column[c] = _mm512_add_ps(even, odd);
    }
    let [a, b, c, d] = column;
    let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    let (low, high) = (_mm512_unpacklo_pd(ab, cd), _mm512_unpackhi_pd(ab, cd));
    _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high))
}
