//! Symmetric positive definite matrices by Cholesky's factor.

use ndarray::{Array, Array2, ArrayRef, ArrayRef2, Dimension};
use ndarray_linalg::{CholeskyFactorized, FactorizeC, SolveC, UPLO};
use sda_lapack as _;

use super::error::{check_finite, check_square};
use super::{LinalgError, assert_rows_match, for_each_column};

/// Lower triangular L with positive diagonal.
///
///   A = L Lᵀ
///
/// Shapes: `a` [N, N], result [N, N].
/// Errors: not square, not finite, not positive definite.
pub fn cholesky(a: &ArrayRef2<f64>) -> Result<Array2<f64>, LinalgError> {
    check_square(a)?;
    check_finite(a)?;
    if a.is_empty() {
        return Ok(a.to_owned());
    }
    Ok(factor(a)?.into_lower())
}

fn factor(a: &ArrayRef2<f64>) -> Result<CholeskyFactorized<ndarray::OwnedRepr<f64>>, LinalgError> {
    // Row-major, as every result.
    a.as_standard_layout()
        .factorizec(UPLO::Lower)
        .map_err(|e| LinalgError::from_lapack(e, |minor| LinalgError::NotPositiveDefinite { minor }))
}

/// Solution of A x = b for symmetric positive definite A.
///
/// Shapes: `a` [N, N], `b` and result `[N]` or [N, M].
/// Errors: not square, not finite, not positive definite.
/// Panics: `b` does not have N rows.
#[track_caller]
pub fn solve_spd<D: Dimension>(
    a: &ArrayRef2<f64>,
    b: &ArrayRef<f64, D>,
) -> Result<Array<f64, D>, LinalgError> {
    check_square(a)?;
    assert_rows_match(a, b);
    check_finite(a)?;
    check_finite(b)?;
    if a.is_empty() {
        return Ok(b.to_owned());
    }
    let factor = factor(a)?;
    for_each_column(b, |b| {
        factor
            .solvec_into(b)
            .map_err(|e| LinalgError::from_lapack(e, |_| LinalgError::Singular { rcond: 0.0 }))
    })
}

/// Logarithm of the determinant of a symmetric positive definite matrix.
///
///   ln det A = 2 Σ ln L_ii
///
/// Shapes: `a` [N, N].
/// Errors: not square, not finite, not positive definite.
pub fn log_det_spd(a: &ArrayRef2<f64>) -> Result<f64, LinalgError> {
    Ok(2.0 * cholesky(a)?.diag().iter().map(|x| x.ln()).sum::<f64>())
}
