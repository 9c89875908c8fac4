//! Blocks of 6 × 16 of C = A B with AVX2.
//!
//! A block of C stays in 12 of the 16 registers while its terms go by: two loads of B and six broadcasts of A feed 12
//! fused multiply-adds. Every element of C is summed in the order of its terms, whatever the block.

use super::blocks::{Block, Walk};
use std::arch::x86_64::{
    __m256, __m256i, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskload_ps,
    _mm256_maskstore_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

/// Numbers of a register.
const LANES: usize = 8;
/// Adjacent terms of A in one turn.
const UNROLLED: usize = 4;

/// The first `n` lanes, or all eight.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn mask(n: usize) -> __m256i {
    static BITS: [i32; 2 * LANES] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    let at = BITS[LANES - n.min(LANES)..].as_ptr();
    // SAFETY: eight of the sixteen, from the first to the ninth on.
    unsafe { _mm256_loadu_si256(at.cast()) }
}

/// Computes a block of C.
///
/// # Safety
/// As [`super::blocks::Vectors::block`].
pub(super) unsafe fn block(w: &Walk, t: &Block) {
    macro_rules! by_rows {
        ($($r:literal)*) => {
            match (t.rows, t.cols > LANES, t.is_padded || t.cols.is_multiple_of(LANES)) {
                $(($r, true, true) => kernel::<$r, 2, true>(w, t),
                ($r, true, false) => kernel::<$r, 2, false>(w, t),
                ($r, false, true) => kernel::<$r, 1, true>(w, t),
                ($r, false, false) => kernel::<$r, 1, false>(w, t),)*
                _ => unreachable!("a block of {} rows", t.rows),
            }
        };
    }
    // SAFETY: the caller's contract.
    unsafe { by_rows!(1 2 3 4 5 6) }
}

/// R × (8 V) elements of C, the last register masked to the columns there are. B is read in `WHOLE` registers or masked.
#[allow(clippy::needless_range_loop)] // unrolled over registers; an iterator's code might not be inlined here
#[target_feature(enable = "avx2,fma")]
unsafe fn kernel<const R: usize, const V: usize, const WHOLE: bool>(w: &Walk, t: &Block) {
    let last = mask(t.cols - LANES * (V - 1));
    let is_whole = |v: usize| v + 1 < V || t.cols == LANES * V;
    let (row, (a_step, b_step), terms) = (w.row, w.step, w.terms);
    let [(outer, a_far, b_far), (inner, a_near, b_near)] = w.runs;
    // SAFETY: the caller's contract; masked lanes are not touched.
    unsafe {
        let mut sum: [[__m256; V]; R] = [[_mm256_setzero_ps(); V]; R];
        if t.accumulate {
            for r in 0..R {
                for v in 0..V {
                    let from = t.c.add(r * t.row + LANES * v);
                    sum[r][v] =
                        if is_whole(v) { _mm256_loadu_ps(from) } else { _mm256_maskload_ps(from, last) };
                }
            }
        }
        // Adds one term's products.
        macro_rules! term {
            ($a:expr, $b:expr) => {
                let (a, b) = ($a, $b);
                let mut x: [__m256; V] = [_mm256_setzero_ps(); V];
                for v in 0..V {
                    let from = b.add(LANES * v);
                    let is_whole = WHOLE || v + 1 < V;
                    x[v] = if is_whole { _mm256_loadu_ps(from) } else { _mm256_maskload_ps(from, last) };
                }
                for r in 0..R {
                    let y = _mm256_set1_ps(*a.add(r * row));
                    for v in 0..V {
                        sum[r][v] = _mm256_fmadd_ps(y, x[v], sum[r][v]);
                    }
                }
            };
        }
        let mut i = 0;
        while i < outer {
            let mut j = 0;
            while j < inner {
                let mut a = t.a.add(i * a_far + j * a_near);
                let mut b = t.b.add(i * b_far + j * b_near);
                // A term is 20 instructions; by fours, where distances are known, stepping adds three to them, else eight.
                let fours = if a_step == 1 { terms / UNROLLED } else { 0 };
                let mut p = 0;
                while p < fours {
                    for q in 0..UNROLLED {
                        term!(a.add(q), b.add(q * b_step));
                    }
                    a = a.wrapping_add(UNROLLED);
                    b = b.wrapping_add(UNROLLED * b_step);
                    p += 1;
                }
                p *= UNROLLED;
                while p < terms {
                    term!(a, b);
                    a = a.wrapping_add(a_step);
                    b = b.wrapping_add(b_step);
                    p += 1;
                }
                j += 1;
            }
            i += 1;
        }
        for r in 0..R {
            for v in 0..V {
                let to = t.c.add(r * t.row + LANES * v);
                if is_whole(v) {
                    _mm256_storeu_ps(to, sum[r][v]);
                } else {
                    _mm256_maskstore_ps(to, last, sum[r][v]);
                }
            }
        }
    }
}
