//! 3 × 4 dot products at a time in 12 of AVX2's 16 registers.

use super::Dots;
use crate::matmul::avx2::mask;
use std::arch::x86_64::{
    __m128, __m256, _mm_add_ps, _mm_storeu_ps, _mm256_castps256_ps128, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_maskload_ps, _mm256_setzero_ps,
};

/// Rows and columns of C at a time.
const ROWS: usize = 3;
const COLS: usize = 4;
/// Numbers of a register.
const LANES: usize = 8;

/// Rows `first` … `end` of C.
///
/// # Safety
/// As [`super::product`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn rows(t: &Dots, first: usize, end: usize) {
    let mut j = 0;
    while j < t.n {
        let mut i = first;
        while i < end {
            // SAFETY: the caller's contract.
            unsafe { rectangle(t, i, j, ROWS.min(end - i), COLS.min(t.n - j)) };
            i += ROWS;
        }
        j += COLS;
    }
}

/// At most 3 × 4 of C. Rows beyond are the last one again, and not stored.
#[allow(clippy::needless_range_loop)] // registers; an iterator's code might not be inlined here
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn rectangle(t: &Dots, i: usize, j: usize, height: usize, width: usize) {
    let mut sums = [[_mm256_setzero_ps(); COLS]; ROWS];
    // SAFETY: the caller's contract; lanes beyond k are not read.
    unsafe {
        let mut a = [std::ptr::null(); ROWS];
        for r in 0..ROWS {
            a[r] = t.a.add((i + r.min(height - 1)) * t.k);
        }
        let mut b = [std::ptr::null(); COLS];
        for c in 0..COLS {
            b[c] = t.b.add((j + c.min(width - 1)) * t.k);
        }
        let whole = t.k - t.k % LANES;
        let mut at = 0;
        while at < whole {
            let x =
                [_mm256_loadu_ps(a[0].add(at)), _mm256_loadu_ps(a[1].add(at)), _mm256_loadu_ps(a[2].add(at))];
            for c in 0..COLS {
                let y = _mm256_loadu_ps(b[c].add(at));
                for r in 0..ROWS {
                    sums[r][c] = _mm256_fmadd_ps(x[r], y, sums[r][c]);
                }
            }
            at += LANES;
        }
        if whole < t.k {
            let last = mask(t.k - whole);
            for c in 0..COLS {
                let y = _mm256_maskload_ps(b[c].add(whole), last);
                for r in 0..ROWS {
                    sums[r][c] = _mm256_fmadd_ps(_mm256_maskload_ps(a[r].add(whole), last), y, sums[r][c]);
                }
            }
        }
        for r in 0..height {
            let to = t.c.add((i + r) * t.n + j);
            let four = totals(sums[r]);
            if width == COLS {
                _mm_storeu_ps(to, four);
            } else {
                let mut row = [0f32; COLS];
                _mm_storeu_ps(row.as_mut_ptr(), four);
                for c in 0..width {
                    *to.add(c) = row[c];
                }
            }
        }
    }
}

/// The sum of each register.
#[inline]
#[target_feature(enable = "avx2")]
fn totals([a, b, c, d]: [__m256; COLS]) -> __m128 {
    let four = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_add_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps::<1>(four))
}
