//! Small dense linear algebra over ndarray, at f64, through ndarray-linalg.
//!
//! | function | factorisation |
//! |---|---|
//! | [`cholesky`], [`solve_spd`], [`log_det_spd`] | A = L Lᵀ |
//! | [`solve`], [`inverse`] | A = P L U |
//! | [`eigh`], [`sqrt_spd`] | A = Q Λ Qᵀ |
//! | [`svd`], [`lstsq`] | A = U Σ Vᵀ |
//!
//! A symmetric matrix is read from its lower triangle alone. Every entry must be finite. With the default back end
//! (faer) the same input gives the same bits on any number of threads; with `openblas`, that library decides.
//! Results are row-major.

mod cholesky;
mod eigh;
mod error;
mod least_squares;
mod lu;
mod svd;

#[cfg(test)]
mod tests;

pub use cholesky::{cholesky, log_det_spd, solve_spd};
pub use eigh::{Eigh, eigh, sqrt_spd};
pub use error::LinalgError;
pub use least_squares::{LeastSquares, lstsq};
pub use lu::{inverse, solve};
pub use svd::{Svd, svd};

/// The library behind LAPACK's symbols: "faer" or "openblas".
pub use sda_lapack::BACK_END;

use ndarray::{Array, Array1, ArrayRef, ArrayRef2, Axis, Dimension};

/// Solves for each column of `b` `[N]` or [N, M] in turn.
fn for_each_column<D: Dimension>(
    b: &ArrayRef<f64, D>,
    solve: impl Fn(Array1<f64>) -> Result<Array1<f64>, LinalgError>,
) -> Result<Array<f64, D>, LinalgError> {
    let mut x = Array::zeros(b.raw_dim());
    for (b, mut x) in b.lanes(Axis(0)).into_iter().zip(x.lanes_mut(Axis(0))) {
        x.assign(&solve(b.to_owned())?);
    }
    Ok(x)
}

/// Panics: `b` is not `[N]` or [N, M] for a matrix of N rows.
#[track_caller]
fn assert_rows_match<D: Dimension>(a: &ArrayRef2<f64>, b: &ArrayRef<f64, D>) {
    assert!(
        b.shape().first() == Some(&a.nrows()),
        "a right-hand side of shape {:?} does not fit a matrix of shape {:?}",
        b.shape(),
        a.shape()
    );
}
