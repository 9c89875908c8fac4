//! Blocks of 12 × 32 of C = A B with AVX-512.
//!
//! A block of C stays in 24 registers while its terms go by: two loads of B and twelve broadcasts of A feed 24 fused
//! multiply-adds. Every element of C is summed in the order of its terms, whatever the block.

use super::amx::mask;
use super::blocks::{Block, Walk};
use std::arch::x86_64::{
    __m512, __mmask16, _mm512_fmadd_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_ps,
    _mm512_setzero_ps,
};

/// Computes a block of C.
///
/// # Safety
/// The walk stays inside A for all rows and inside B for all columns; C's elements are inside their allocation, apart
/// from A and B; the machine has AVX-512 F.
pub(crate) unsafe fn block(w: &Walk, t: &Block) {
    macro_rules! by_rows {
        ($($r:literal)*) => {
            match (t.rows, t.cols > 16) {
                $(($r, true) => kernel::<$r, 2>(w, t),
                ($r, false) => kernel::<$r, 1>(w, t),)*
                _ => unreachable!("a block of {} rows", t.rows),
            }
        };
    }
    // SAFETY: the caller's contract.
    unsafe { by_rows!(1 2 3 4 5 6 7 8 9 10 11 12) }
}

/// R × (16 V) elements of C, the last register masked to the columns there are.
#[allow(clippy::needless_range_loop)] // unrolled over registers; an iterator's code might not be inlined here
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn kernel<const R: usize, const V: usize>(w: &Walk, t: &Block) {
    let mut masks: [__mmask16; V] = [!0; V];
    masks[V - 1] = mask(t.cols - 16 * (V - 1));
    let (row, (a_step, b_step), terms) = (w.row, w.step, w.terms);
    let [(outer, a_far, b_far), (inner, a_near, b_near)] = w.runs;
    // SAFETY: the caller's contract; masked lanes are not touched.
    unsafe {
        let mut sum: [[__m512; V]; R] = [[_mm512_setzero_ps(); V]; R];
        if t.accumulate {
            for r in 0..R {
                for v in 0..V {
                    sum[r][v] = _mm512_maskz_loadu_ps(masks[v], t.c.add(r * t.row + 16 * v));
                }
            }
        }
        let mut i = 0;
        while i < outer {
            let mut j = 0;
            while j < inner {
                let mut a = t.a.add(i * a_far + j * a_near);
                let mut b = t.b.add(i * b_far + j * b_near);
                let mut p = 0;
                while p < terms {
                    let mut x: [__m512; V] = [_mm512_setzero_ps(); V];
                    for v in 0..V {
                        x[v] = _mm512_maskz_loadu_ps(masks[v], b.add(16 * v));
                    }
                    for r in 0..R {
                        let y = _mm512_set1_ps(*a.add(r * row));
                        for v in 0..V {
                            sum[r][v] = _mm512_fmadd_ps(y, x[v], sum[r][v]);
                        }
                    }
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
                _mm512_mask_storeu_ps(t.c.add(r * t.row + 16 * v), masks[v], sum[r][v]);
            }
        }
    }
}
