//! C = op(A) op(B), rank 2 or batched rank 3.
//!
//! Exactness: a reduction of length K. Order: along K for each element with AVX2 and AVX-512 (in partial
//! sums of a register's lanes for A Bᵀ in a step of few rows), with AMX tiles in blocks of 32 terms, each to the accuracy of
//! f32; else the matrix library's. None depends on the number of threads.
//!
//! Non-finite numbers: as the reference, but that with AMX ∞ times a number may be NaN where it would be ∞.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) mod blocks;
#[cfg(target_arch = "x86_64")]
pub(crate) mod by_columns;
#[cfg(target_arch = "x86_64")]
pub(crate) mod by_rows;
pub(crate) mod cases;
pub(crate) mod cpu;
#[cfg(target_arch = "x86_64")]
pub(crate) mod dots;
pub(crate) mod gpu;
#[cfg(target_arch = "x86_64")]
pub(crate) mod in_bands;
#[cfg(target_arch = "x86_64")]
pub(crate) mod pack;
pub(crate) mod reference;
#[cfg(target_arch = "x86_64")]
pub(crate) mod split;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(target_arch = "x86_64")]
pub(crate) mod tiles;
#[cfg(target_arch = "x86_64")]
pub(crate) mod transpose;

/// Lengths and strides of one product.
pub(crate) struct Product {
    pub(crate) batch: usize,
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// (row, column) strides of op(A) and op(B).
    pub(crate) a: (usize, usize),
    pub(crate) b: (usize, usize),
}

impl Product {
    pub(crate) fn new(ta: bool, tb: bool, shapes: &[&[usize]]) -> Self {
        let rank = shapes[0].len();
        let batch = if rank == 3 { shapes[0][0] } else { 1 };
        let (ra, ca) = (shapes[0][rank - 2], shapes[0][rank - 1]);
        let (rb, cb) = (shapes[1][rank - 2], shapes[1][rank - 1]);
        let (m, k, a) = if ta { (ca, ra, (1, ca)) } else { (ra, ca, (ca, 1)) };
        let (n, b) = if tb { (rb, (1, cb)) } else { (cb, (cb, 1)) };
        Self { batch, m, k, n, a, b }
    }
}
