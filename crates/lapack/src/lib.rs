//! LAPACK's symbols on faer, so that ndarray-linalg links with cargo alone.
//!
//! ndarray-linalg calls Fortran's LAPACK by symbol (`dpotrf_`, `dgetrf_`, …). This crate exports those symbols,
//! for f32 and f64, each computed by faer; a crate that calls ndarray-linalg says `use sda_lapack as _;`, or the
//! linker never sees them. A symbol that is not here is a link error, never a wrong answer.
//!
//! | file | symbols (s and d) |
//! |---|---|
//! | `cholesky.rs` | potrf, potrs, potri |
//! | `lu.rs` | getrf, getrs, getri |
//! | `condition.rs` | gecon, lange |
//! | `eigh.rs` | syev |
//! | `svd.rs` | gesvd, gesdd |
//! | `qr.rs` | geqrf, orgqr; gelqf, orglq (ndarray-linalg's QR of a row-major matrix) |
//! | `least_squares.rs` | gelsd |
//!
//! Every routine runs on the calling thread, so that its bits do not depend on the number of threads; none keeps
//! anything in `work`, so a workspace query answers 1. `info` is LAPACK's: −i for a bad argument i, k > 0 for the
//! first leading minor that is not positive definite, the first zero pivot, or an iteration that did not converge.
//! The jobs 'O' of the SVD (overwrite the input) are refused as bad arguments.
//!
//! Feature `openblas` takes the system's OpenBLAS in place of all this.

#[cfg(not(any(feature = "faer", feature = "openblas")))]
compile_error!("sda-lapack needs a back end: feature `faer` (the default) or `openblas`");

#[cfg(feature = "openblas")]
use ndarray_linalg as _;

/// Name of the library behind LAPACK's symbols, for the versions kept with results.
pub const BACK_END: &str = if cfg!(feature = "openblas") { "openblas" } else { "faer" };

#[cfg(all(feature = "faer", not(feature = "openblas")))]
mod symbols {
    #[macro_use]
    mod fortran;
    mod scalar;

    mod cholesky;
    mod condition;
    mod eigh;
    mod least_squares;
    mod lu;
    mod qr;
    mod svd;

    #[cfg(test)]
    mod arguments;
    #[cfg(test)]
    mod info;
}

#[cfg(test)]
mod tests;
