//! Operands of [`super::amx`] from f32 numbers.
//!
//! A by rows: each row as [k / 32][part][32] bf16 numbers, or 16 rows as [k / 32][part][16][32], which the
//! prefetchers like. A by columns, from its transpose, at any distances. B: for 32 columns at a time [k / 32][16 columns][part][16 pairs of terms][16 columns][2]. What is
//! beyond a matrix is zero.

use super::amx::{B_BYTES, DEPTH, TILE, mask};
use super::split::{PARTS, narrow, parts};
use super::transpose::transpose;
use std::arch::x86_64::{
    __m512, __m512i, _mm512_maskz_loadu_ps, _mm512_or_si512, _mm512_setzero_ps, _mm512_srli_epi32,
    _mm512_storeu_si512,
};

/// Bytes of 32 terms of a row of A.
pub(crate) const A_BYTES: usize = PARTS * 64;

/// Bytes of two terms of 16 columns.
pub(crate) const PAIR_BYTES: usize = PARTS * 64;

/// Bytes of packed B.
pub(crate) const fn b_bytes(k: usize, n: usize) -> usize {
    k.div_ceil(DEPTH) * n.div_ceil(TILE) * B_BYTES
}

/// One row of A from adjacent numbers, [`A_BYTES`] from 32 terms to the next.
///
/// # Safety
/// `from` holds `n` numbers, `to` ⌈n / 32⌉ times [`A_BYTES`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) unsafe fn row(from: *const f32, n: usize, to: *mut u8) {
    // SAFETY: the caller's contract.
    unsafe { spread_row(from, n, to, 64) }
}

/// One row of A from adjacent numbers, `part` bytes from a part to the next and three times as many from 32 terms to
/// the next.
///
/// # Safety
/// As [`row`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) unsafe fn spread_row(from: *const f32, n: usize, to: *mut u8, part: usize) {
    let mut at = 0;
    let mut to = to;
    while at < n {
        let left = n - at;
        // SAFETY: the caller's contract; lanes beyond `n` are not read.
        unsafe {
            let low = _mm512_maskz_loadu_ps(mask(left), from.add(at));
            let high = if left > 16 {
                _mm512_maskz_loadu_ps(mask(left - 16), from.add(at + 16))
            } else {
                _mm512_setzero_ps()
            };
            let [a, b, c] = parts([low, high]);
            _mm512_storeu_si512(to.cast(), narrow(a));
            _mm512_storeu_si512(to.add(part).cast(), narrow(b));
            _mm512_storeu_si512(to.add(2 * part).cast(), narrow(c));
            to = to.add(3 * part);
        }
        at += DEPTH;
    }
}

/// 16 rows of the transpose from 32 points: row j, part p at `to + j row + p part`. A null point is zero.
///
/// # Safety
/// Each point holds `channels` ≤ 16 numbers; the rows written are inside their allocation.
#[allow(clippy::needless_range_loop)] // registers; an iterator's code might not be inlined here
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) unsafe fn columns(
    points: &[*const f32; DEPTH],
    channels: usize,
    (to, row, part): (*mut u8, usize, usize),
) {
    let mut low = [_mm512_setzero_ps(); 16];
    let mut high = low;
    for i in 0..16 {
        // SAFETY: the caller's contract.
        unsafe {
            low[i] = load(points[i], channels);
            high[i] = load(points[16 + i], channels);
        }
    }
    let (low, high) = (transpose(low), transpose(high));
    for j in 0..16 {
        let [a, b, c] = parts([low[j], high[j]]);
        // SAFETY: the caller's contract.
        unsafe {
            let to = to.add(j * row);
            _mm512_storeu_si512(to.cast(), narrow(a));
            _mm512_storeu_si512(to.add(part).cast(), narrow(b));
            _mm512_storeu_si512(to.add(2 * part).cast(), narrow(c));
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(from: *const f32, n: usize) -> __m512 {
    // SAFETY: the caller's contract.
    if from.is_null() { _mm512_setzero_ps() } else { unsafe { _mm512_maskz_loadu_ps(mask(n), from) } }
}

/// 32 terms × 16 columns of B, from 32 rows of `n` ≤ 16 adjacent numbers. A null row is zero.
///
/// # Safety
/// Each row holds `n` numbers, `to` [`B_BYTES`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) unsafe fn pairs(rows: &[*const f32; DEPTH], n: usize, to: *mut u8) {
    let mut r = 0;
    while r < 16 {
        // SAFETY: the caller's contract.
        unsafe { pair(load(rows[2 * r], n), load(rows[2 * r + 1], n), to.add(64 * r)) };
        r += 1;
    }
}

/// As [`pairs`], from 16 columns of `k` ≤ 32 adjacent numbers.
///
/// # Safety
/// As [`pairs`].
#[allow(clippy::needless_range_loop)] // as in `columns`
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) unsafe fn pairs_of_columns(columns: &[*const f32; TILE], k: usize, to: *mut u8) {
    for half in 0..2 {
        let mut x = [_mm512_setzero_ps(); 16];
        if k > 16 * half {
            for i in 0..16 {
                if !columns[i].is_null() {
                    // SAFETY: the caller's contract.
                    x[i] = unsafe { load(columns[i].add(16 * half), k - 16 * half) };
                }
            }
        }
        let x = transpose(x);
        for r in 0..8 {
            // SAFETY: the caller's contract.
            unsafe { pair(x[2 * r], x[2 * r + 1], to.add(64 * (8 * half + r))) };
        }
    }
}

/// One line of each of the three tiles: two terms of 16 columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn pair(even: __m512, odd: __m512, to: *mut u8) {
    let [a, b, c] = parts([even, odd]);
    // SAFETY: the caller's contract.
    unsafe { store([a[0], b[0], c[0]], [a[1], b[1], c[1]], (to, 1024)) }
}

/// The parts of `n` ≤ 16 numbers at `from` of each of two points. A null point is zero.
///
/// # Safety
/// Each point holds `from + n` numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) unsafe fn two_points(points: [*const f32; 2], from: usize, n: usize) -> [[__m512i; PARTS]; 2] {
    let at = |p: *const f32| if p.is_null() { p } else { p.wrapping_add(from) };
    // SAFETY: the caller's contract.
    let [a, b, c] = unsafe { parts([load(at(points[0]), n), load(at(points[1]), n)]) };
    [[a[0], b[0], c[0]], [a[1], b[1], c[1]]]
}

/// Two terms of 16 columns as [part][16][2].
///
/// # Safety
/// `to` holds [`PAIR_BYTES`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) unsafe fn store_pair(even: [__m512i; PARTS], odd: [__m512i; PARTS], to: *mut u8) {
    // SAFETY: the caller's contract.
    unsafe { store(even, odd, (to, 64)) }
}

/// Two terms of 16 columns, `part` bytes from a part to the next.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn store(even: [__m512i; PARTS], odd: [__m512i; PARTS], (to, part): (*mut u8, usize)) {
    let mut i = 0;
    while i < PARTS {
        let line = _mm512_or_si512(_mm512_srli_epi32::<16>(even[i]), odd[i]);
        // SAFETY: the caller's contract.
        unsafe { _mm512_storeu_si512(to.add(i * part).cast(), line) };
        i += 1;
    }
}
