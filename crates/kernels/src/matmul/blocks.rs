//! Blocks of C = A B that stay in registers while their terms go by, with the vectors that the machine has.

use super::{avx2, avx512};
use crate::Level;

/// The vectors of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vectors {
    /// 16 registers of 8 numbers, and fused multiply-adds.
    Avx2,
    /// 32 registers of 16 numbers.
    Avx512,
}

impl Vectors {
    /// Those of a level; none below AVX2.
    pub(crate) fn of(level: Level) -> Option<Self> {
        match level {
            Level::Portable => None,
            Level::Avx2 => Some(Self::Avx2),
            Level::Avx512 | Level::Amx => Some(Self::Avx512),
        }
    }

    /// Rows of a block.
    pub(crate) fn rows(self) -> usize {
        match self {
            Self::Avx2 => 6,
            Self::Avx512 => 12,
        }
    }

    /// Columns of a block: two registers.
    pub(crate) fn columns(self) -> usize {
        match self {
            Self::Avx2 => 16,
            Self::Avx512 => 32,
        }
    }

    /// Rows of the blocks that `rows` rows are cut into: as even as can be.
    pub(crate) fn even(self, rows: usize) -> usize {
        rows.div_ceil(rows.div_ceil(self.rows()).max(1))
    }

    /// Computes a block of C, every element in the order of its terms.
    ///
    /// # Safety
    /// The walk stays inside A for all rows and inside B for all columns; C's elements are inside their allocation, apart
    /// from A and B; the machine has these vectors.
    pub(crate) unsafe fn block(self, w: &Walk, t: &Block) {
        // SAFETY: the caller's contract.
        unsafe {
            match self {
                Self::Avx2 => avx2::block(w, t),
                Self::Avx512 => avx512::block(w, t),
            }
        }
    }
}

/// Where A and B are, as terms go by. Distances are in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// From a row of A to the next.
    pub(crate) row: usize,
    /// From a term to the next in A and in B, and terms of a run.
    pub(crate) step: (usize, usize),
    pub(crate) terms: usize,
    /// Runs of terms, outer and inner: (number, distance in A, distance in B).
    pub(crate) runs: [(usize, usize, usize); 2],
}

impl Walk {
    /// One run.
    pub(crate) fn single(row: usize, step: (usize, usize), terms: usize) -> Self {
        Self { row, step, terms, runs: [(1, 0, 0); 2] }
    }
}

/// A block of C: at most [`Vectors::rows`] × [`Vectors::columns`].
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub(crate) a: *const f32,
    pub(crate) rows: usize,
    pub(crate) b: *const f32,
    pub(crate) c: *mut f32,
    /// From a row of C to the next.
    pub(crate) row: usize,
    pub(crate) cols: usize,
    /// Whether B may be read beyond the columns, to a multiple of 16.
    pub(crate) is_padded: bool,
    pub(crate) accumulate: bool,
}
