//! What can be wrong with a matrix.

use ndarray::{ArrayRef, ArrayRef2, Dimension};

/// Why a matrix has no such factorisation or solution; continues "failed to …".
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinalgError {
    /// The matrix has as many rows as columns in every factorisation but the singular value decomposition.
    #[error("factor a {rows} × {columns} matrix as if it were square")]
    NotSquare {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
    /// No Cholesky factor exists.
    #[error("find the Cholesky factor of a matrix whose leading minor {minor} is not positive definite")]
    NotPositiveDefinite {
        /// Size of the first leading minor that is not positive definite, from 1.
        minor: usize,
    },
    /// No square root exists.
    #[error("take the symmetric square root of a matrix with the negative eigenvalue {eigenvalue:e}")]
    NegativeEigenvalue {
        /// The least eigenvalue.
        eigenvalue: f64,
    },
    /// The solution would have no correct digit.
    #[error("solve with a matrix that is singular to working precision (reciprocal condition {rcond:e})")]
    Singular {
        /// 1 / (‖A‖₁ ‖A⁻¹‖₁), estimated; 0 where a pivot is exactly zero.
        rcond: f64,
    },
    /// NaN or ±∞.
    #[error("read entry {index:?}: {value} is not finite")]
    NonFinite {
        /// Where, from 0.
        index: Vec<usize>,
        /// The entry.
        value: f64,
    },
    /// The iteration for eigenvalues or singular values gave up.
    #[error("reach convergence in the {factorisation} of a {rows} × {columns} matrix")]
    NoConvergence {
        /// "eigendecomposition" or "singular value decomposition".
        factorisation: &'static str,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
    /// LAPACK refused its arguments.
    #[error("call LAPACK: {0}")]
    Lapack(String),
}

impl LinalgError {
    /// Gives LAPACK's positive `info` its meaning for the routine that was called.
    pub(super) fn from_lapack(
        error: ndarray_linalg::error::LinalgError,
        failure: impl FnOnce(usize) -> Self,
    ) -> Self {
        use lax::error::Error::LapackComputationalFailure;
        match error {
            ndarray_linalg::error::LinalgError::Lapack(LapackComputationalFailure { return_code }) => {
                failure(return_code.unsigned_abs() as usize)
            }
            other => Self::Lapack(other.to_string()),
        }
    }
}

pub(super) fn check_square(a: &ArrayRef2<f64>) -> Result<(), LinalgError> {
    if a.is_square() { Ok(()) } else { Err(LinalgError::NotSquare { rows: a.nrows(), columns: a.ncols() }) }
}

pub(super) fn check_finite<D: Dimension>(a: &ArrayRef<f64, D>) -> Result<(), LinalgError> {
    // The first bad entry in row-major order; its index from its rank, since `D` need not name one.
    let Some((rank, &value)) = a.iter().enumerate().find(|(_, x)| !x.is_finite()) else { return Ok(()) };
    let mut index = vec![0; a.ndim()];
    let mut rest = rank;
    for (i, &size) in index.iter_mut().zip(a.shape()).rev() {
        (*i, rest) = (rest % size, rest / size);
    }
    Err(LinalgError::NonFinite { index, value })
}
