//! C = op(A) op(B), rank 2 or batched rank 3.
//!
//! Exactness: a reduction of length K. Order: along K for each element with AVX-512 (where B's columns are adjacent),
//! else the matrix library's; neither depends on the number of threads.

#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod cases;
pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

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
