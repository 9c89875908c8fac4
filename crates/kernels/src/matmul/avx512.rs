//! C = A B or C += A B with AVX-512, A by any strides, B and C with adjacent columns; nothing is packed or allocated.
//!
//! A tile of 12 × 32 of C stays in 24 registers while it runs over k: two loads of B and twelve broadcasts of A feed
//! 24 fused multiply-adds. B comes from the second-level cache at 128 bytes for each 24 of them. Every element of C is
//! summed in the order of k, whatever the tile, so the bits depend on nothing but the numbers.

use rayon::prelude::*;
use std::arch::x86_64::{
    __m512, __mmask16, _mm512_fmadd_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_ps,
    _mm512_setzero_ps,
};

/// Rows of a tile.
const ROWS: usize = 12;
/// Columns of a tile: two registers.
const COLS: usize = 32;
/// Terms of one pass over k, so that the columns of B that a tile reads stay in cache.
const DEPTH: usize = 512;

/// Lengths, addresses and strides of one product.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub(super) m: usize,
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) a: *const f32,
    /// (row, column) strides of A.
    pub(super) sa: (usize, usize),
    pub(super) b: *const f32,
    /// Row stride of B.
    pub(super) sb: usize,
    pub(super) c: *mut f32,
    /// Row stride of C.
    pub(super) sc: usize,
    /// Whether C is added to.
    pub(super) accumulate: bool,
}

// SAFETY: threads share A and B and write different rows of C; see `run_parallel`.
unsafe impl Sync for Tiles {}

/// Rows of C that one thread takes at a time: an eighth of them in whole tiles, but no more than four tiles.
fn band_rows(m: usize) -> usize {
    (m / 8).next_multiple_of(ROWS).clamp(ROWS, 4 * ROWS)
}

/// Products below this many terms are not worth a second thread.
const WORTH_SHARING: usize = 1 << 20;

/// The whole product, by bands of rows where threads may share it.
///
/// # Safety
/// As [`run`].
pub(super) unsafe fn run_parallel(t: Tiles, parallel: bool) {
    if !parallel || t.m * t.k * t.n < WORTH_SHARING {
        // SAFETY: the caller's contract.
        unsafe { run(t) };
        return;
    }
    let whole = &t;
    let rows = band_rows(t.m);
    (0..t.m.div_ceil(rows)).into_par_iter().for_each(move |band| {
        let first = band * rows;
        let m = rows.min(whole.m - first);
        // SAFETY: a band of rows lies inside the product, and bands do not overlap in C.
        unsafe {
            let (a, c) = (whole.a.add(first * whole.sa.0), whole.c.add(first * whole.sc));
            run(Tiles { m, a, c, ..*whole });
        }
    });
}

/// # Safety
/// All elements lie inside their allocations, C apart from A and B; the machine has AVX-512 F.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
pub(super) unsafe fn run(t: Tiles) {
    let mut k = 0;
    while k < t.k {
        let depth = DEPTH.min(t.k - k);
        let mut j = 0;
        while j < t.n {
            let cols = COLS.min(t.n - j);
            let mut i = 0;
            while i < t.m {
                let rows = ROWS.min(t.m - i);
                // SAFETY: the tile lies inside the product.
                unsafe { tile(&t, i, rows, j, cols, k, depth) };
                i += rows;
            }
            j += cols;
        }
        k += depth;
    }
}

/// Chooses the kernel of a tile's size.
#[inline(always)]
unsafe fn tile(t: &Tiles, i: usize, rows: usize, j: usize, cols: usize, k: usize, depth: usize) {
    macro_rules! by_rows {
        ($($r:literal)*) => {
            match (rows, cols > 16) {
                $(($r, true) => kernel::<$r, 2>(t, i, j, cols, k, depth),
                ($r, false) => kernel::<$r, 1>(t, i, j, cols, k, depth),)*
                _ => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    // SAFETY: the caller's contract.
    unsafe { by_rows!(1 2 3 4 5 6 7 8 9 10 11 12) }
}

/// R × (16 V) elements of C, the last register masked to the columns there are.
#[allow(clippy::needless_range_loop)] // unrolled over registers; an iterator's code might not be inlined here
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn kernel<const R: usize, const V: usize>(
    t: &Tiles,
    i: usize,
    j: usize,
    cols: usize,
    k: usize,
    depth: usize,
) {
    let left = cols - 16 * (V - 1);
    let last: __mmask16 = if left == 16 { !0 } else { (1 << left) - 1 };
    let mask = |v: usize| if v + 1 == V { last } else { !0 };
    // SAFETY: rows i … i + R, columns j … j + cols and terms k … k + depth are inside the product; masked lanes are
    // not touched.
    unsafe {
        let a = t.a.add(i * t.sa.0 + k * t.sa.1);
        let b = t.b.add(k * t.sb + j);
        let c = t.c.add(i * t.sc + j);
        let mut sum: [[__m512; V]; R] = [[_mm512_setzero_ps(); V]; R];
        if t.accumulate || k > 0 {
            for r in 0..R {
                for v in 0..V {
                    sum[r][v] = _mm512_maskz_loadu_ps(mask(v), c.add(r * t.sc + 16 * v));
                }
            }
        }
        let mut p = 0;
        while p < depth {
            let row = b.add(p * t.sb);
            let mut x: [__m512; V] = [_mm512_setzero_ps(); V];
            for v in 0..V {
                x[v] = _mm512_maskz_loadu_ps(mask(v), row.add(16 * v));
            }
            let column = a.add(p * t.sa.1);
            for r in 0..R {
                let y = _mm512_set1_ps(*column.add(r * t.sa.0));
                for v in 0..V {
                    sum[r][v] = _mm512_fmadd_ps(y, x[v], sum[r][v]);
                }
            }
            p += 1;
        }
        for r in 0..R {
            for v in 0..V {
                _mm512_mask_storeu_ps(c.add(r * t.sc + 16 * v), mask(v), sum[r][v]);
            }
        }
    }
}
