//! C = A B with vectors: A by any strides, B as it is or in panels, by bands of rows where threads may share it.

use super::blocks::{Block, Vectors, Walk};
use crate::share::{Shared, share};

/// Terms of one pass, so that what a panel of B and a block of A have of them stays in the first-level cache or near.
const DEPTH: usize = 256;
/// Rows of one pass: their terms stay in the second-level cache.
const HEIGHT: usize = 240;
/// Products below this many terms are not worth a second thread.
const WORTH_SHARING: usize = 1 << 20;

/// B in memory.
#[derive(Clone, Copy)]
pub(crate) enum Second {
    /// Adjacent columns, and the distance from a row to the next.
    AsIs(*const f32, usize),
    /// [`super::pack::Form::Panels`] of the same vectors.
    Panels(*const f32),
}

/// One product.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) vectors: Vectors,
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) a: *const f32,
    /// (row, column) strides of A.
    pub(crate) sa: (usize, usize),
    pub(crate) b: Second,
    pub(crate) c: *mut f32,
    /// From a row of C to the next.
    pub(crate) row: usize,
    pub(crate) accumulate: bool,
}

/// Rows of C that one thread takes at a time: an eighth of them in whole blocks, but no more than 48.
fn band_rows(vectors: Vectors, m: usize) -> usize {
    let rows = vectors.rows();
    (m / 8).next_multiple_of(rows).clamp(rows, 48)
}

/// The whole product.
///
/// # Safety
/// All elements are inside their allocations, C apart from A and B; the machine has these vectors.
pub(crate) unsafe fn product(t: Product, parallel: bool) {
    let rows = if parallel && t.m * t.k * t.n >= WORTH_SHARING { band_rows(t.vectors, t.m) } else { t.m };
    let shared = Shared(t);
    share(t.m.div_ceil(rows), parallel, |band| {
        let t = shared.get();
        let first = band * rows;
        // SAFETY: a band of rows lies inside the product, and bands do not overlap in C.
        unsafe {
            let (a, c) = (t.a.add(first * t.sa.0), t.c.add(first * t.row));
            run(&Product { m: rows.min(t.m - first), a, c, ..t });
        }
    });
}

unsafe fn run(t: &Product) {
    for p in (0..t.k).step_by(DEPTH) {
        let terms = DEPTH.min(t.k - p);
        for first in (0..t.m).step_by(HEIGHT) {
            let end = t.m.min(first + HEIGHT);
            for j in (0..t.n).step_by(t.vectors.columns()) {
                // SAFETY: the caller's contract.
                unsafe { blocks(t, (p, terms), first, end, j) };
            }
        }
    }
}

/// A panel of columns by rows `first` … `end`.
unsafe fn blocks(t: &Product, (p, terms): (usize, usize), first: usize, end: usize, j: usize) {
    let cols = t.vectors.columns().min(t.n - j);
    // SAFETY: the caller's contract.
    unsafe {
        let is_padded = matches!(t.b, Second::Panels(_));
        let (b, step) = match t.b {
            Second::AsIs(b, row) => (b.add(p * row + j), row),
            Second::Panels(b) => {
                let width = cols.next_multiple_of(16);
                (b.add(j * t.k + p * width), width)
            }
        };
        let walk = Walk::single(t.sa.0, (t.sa.1, step), terms);
        let height = t.vectors.even(end - first);
        let mut i = first;
        while i < end {
            let rows = height.min(end - i);
            let (a, c) = (t.a.add(i * t.sa.0 + p * t.sa.1), t.c.add(i * t.row + j));
            let accumulate = t.accumulate || p > 0;
            t.vectors.block(&walk, &Block { a, rows, b, c, row: t.row, cols, is_padded, accumulate });
            i += rows;
        }
    }
}
