//! The second operand of products, once, in the order in which it is read: panels of 32 columns (the last may have 16), for
//! AVX2 of 16, padded with zeros.
//!
//! For vectors a panel is [k][columns] f32 numbers, for AMX [k / 32] times the tiles of [`super::tiles`].

use super::amx::{B_BYTES, DEPTH, TILE, mask};
use super::blocks::Vectors;
use super::tiles::{b_bytes, pairs, pairs_of_columns};
use super::transpose::transpose;
use crate::share::{Shared, share};
use std::arch::x86_64::{_mm512_maskz_loadu_ps, _mm512_setzero_ps, _mm512_storeu_ps};

/// Columns of a panel of tiles.
pub(crate) const PANEL: usize = 32;

/// What a packed operand is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Vectors.
    Panels(Vectors),
    /// AMX.
    Tiles,
}

impl Form {
    /// Numbers of the packed form of `k` terms (for tiles of whole blocks of 32) × `n` columns.
    pub(crate) fn len(self, k: usize, n: usize) -> usize {
        match self {
            Self::Panels(_) => k * n.next_multiple_of(TILE),
            Self::Tiles => b_bytes(k, n) / 4,
        }
    }

    /// Which form has this length where panels are of these vectors: tiles are at least half as long again.
    pub(crate) fn of_len(vectors: Vectors, len: usize, k: usize, n: usize) -> Self {
        let panels = Self::Panels(vectors);
        if len == panels.len(k, n) { panels } else { Self::Tiles }
    }

    /// Columns of a panel.
    pub(crate) fn columns(self) -> usize {
        match self {
            Self::Panels(vectors) => vectors.columns(),
            Self::Tiles => PANEL,
        }
    }
}

/// Part of an operand: rows of adjacent columns, or, transposed, columns of adjacent terms.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) start: *const f32,
    /// From a row (a column, if transposed) to the next.
    pub(crate) stride: usize,
    pub(crate) transposed: bool,
    pub(crate) k: usize,
    pub(crate) n: usize,
}

/// Packs `source` as terms `first` … of an operand with `total` terms (multiples of 32 for tiles), panel by panel.
///
/// # Safety
/// The source is inside its allocation, and `to` holds the whole operand; the machine has these vectors, for tiles AVX-512.
pub(crate) unsafe fn pack(
    form: Form,
    s: Source,
    (first, total): (usize, usize),
    to: *mut f32,
    parallel: bool,
) {
    let shared = Shared((s, to));
    let columns = form.columns();
    share(s.n.div_ceil(columns), parallel, |panel| {
        let (s, to) = shared.get();
        let j = panel * columns;
        let cols = columns.min(s.n - j);
        // SAFETY: the caller's contract; panels do not overlap.
        unsafe {
            match form {
                Form::Panels(vectors) => {
                    let width = cols.next_multiple_of(TILE);
                    let to = to.add(j * total + first * width);
                    match (vectors, s.transposed) {
                        (Vectors::Avx2, _) => narrow_panel(s, j, cols, to),
                        (Vectors::Avx512, true) => panel_of_columns(s, j, cols, to),
                        (Vectors::Avx512, false) => panel_of_rows(s, j, cols, to),
                    }
                }
                Form::Tiles => {
                    let tiles = cols.div_ceil(TILE);
                    let blocks = total / DEPTH;
                    let to = to.cast::<u8>().add((j / TILE * blocks + first / DEPTH * tiles) * B_BYTES);
                    panel_of_tiles(s, j, cols, to);
                }
            }
        }
    });
}

/// A panel of 16 columns, in squares of 16 terms that stay in the first-level cache.
unsafe fn narrow_panel(s: Source, j: usize, cols: usize, to: *mut f32) {
    let (term, column) = if s.transposed { (1, s.stride) } else { (s.stride, 1) };
    for first in (0..s.k).step_by(TILE) {
        let terms = TILE.min(s.k - first);
        let mut square = [[0f32; TILE]; TILE];
        // SAFETY: the caller's contract: terms and columns that there are.
        unsafe {
            let from = s.start.add(first * term + j * column);
            if s.transposed {
                for i in 0..cols {
                    for (p, row) in square.iter_mut().enumerate().take(terms) {
                        row[i] = *from.add(p + i * column);
                    }
                }
            } else {
                for (p, row) in square.iter_mut().enumerate().take(terms) {
                    row.as_mut_ptr().copy_from_nonoverlapping(from.add(p * term), cols);
                }
            }
            to.add(first * TILE).copy_from_nonoverlapping(square.as_ptr().cast(), terms * TILE);
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn panel_of_rows(s: Source, j: usize, cols: usize, to: *mut f32) {
    let width = cols.next_multiple_of(TILE);
    let last = mask(cols - (width - TILE));
    let mut p = 0;
    while p < s.k {
        // SAFETY: the caller's contract; lanes beyond the columns are not read.
        unsafe {
            let (from, to) = (s.start.add(p * s.stride + j), to.add(p * width));
            if width == TILE {
                _mm512_storeu_ps(to, _mm512_maskz_loadu_ps(last, from));
            } else {
                _mm512_storeu_ps(to, _mm512_maskz_loadu_ps(!0, from));
                _mm512_storeu_ps(to.add(16), _mm512_maskz_loadu_ps(last, from.add(16)));
            }
        }
        p += 1;
    }
}

#[allow(clippy::needless_range_loop)] // registers; an iterator's code might not be inlined here
#[target_feature(enable = "avx512f")]
unsafe fn panel_of_columns(s: Source, j: usize, cols: usize, to: *mut f32) {
    let width = cols.next_multiple_of(TILE);
    let mut side = 0;
    while side < cols {
        let mut p = 0;
        while p < s.k {
            let (terms, mask) = ((s.k - p).min(16), mask(s.k - p));
            let mut x = [_mm512_setzero_ps(); 16];
            for i in 0..16 {
                if side + i < cols {
                    // SAFETY: the caller's contract; lanes beyond the terms are not read.
                    x[i] = unsafe { _mm512_maskz_loadu_ps(mask, s.start.add((j + side + i) * s.stride + p)) };
                }
            }
            let x = transpose(x);
            for i in 0..16 {
                if i < terms {
                    // SAFETY: as above.
                    unsafe { _mm512_storeu_ps(to.add((p + i) * width + side), x[i]) };
                }
            }
            p += 16;
        }
        side += TILE;
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn panel_of_tiles(s: Source, j: usize, cols: usize, to: *mut u8) {
    let mut to = to;
    let mut p = 0;
    while p < s.k {
        let terms = (s.k - p).min(DEPTH);
        let mut side = 0;
        while side < cols {
            let n = (cols - side).min(TILE);
            // SAFETY: the caller's contract.
            unsafe {
                if s.transposed {
                    let from = s.start.add((j + side) * s.stride + p);
                    let mut columns = [std::ptr::null(); TILE];
                    let mut i = 0;
                    while i < n {
                        columns[i] = from.add(i * s.stride);
                        i += 1;
                    }
                    pairs_of_columns(&columns, terms, to);
                } else {
                    let from = s.start.add(p * s.stride + j + side);
                    let mut rows = [std::ptr::null(); DEPTH];
                    let mut i = 0;
                    while i < terms {
                        rows[i] = from.add(i * s.stride);
                        i += 1;
                    }
                    pairs(&rows, n, to);
                }
                to = to.add(B_BYTES);
            }
            side += TILE;
        }
        p += DEPTH;
    }
}
