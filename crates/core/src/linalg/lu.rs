//! General square matrices by elimination with row interchanges.

use ndarray::{Array, Array2, ArrayRef, ArrayRef2, Dimension, OwnedRepr};
use ndarray_linalg::{Factorize, InverseInto, LUFactorized, ReciprocalConditionNum, Solve};
use sda_lapack as _;

use super::error::{check_finite, check_square};
use super::{LinalgError, assert_rows_match, for_each_column};

/// Solution of A x = b.
///
/// Shapes: `a` [N, N], `b` and result [N] or [N, M].
/// Errors: not square, not finite, singular to working precision.
/// Panics: `b` does not have N rows.
#[track_caller]
pub fn solve<D: Dimension>(a: &ArrayRef2<f64>, b: &ArrayRef<f64, D>) -> Result<Array<f64, D>, LinalgError> {
    check_square(a)?;
    assert_rows_match(a, b);
    check_finite(a)?;
    check_finite(b)?;
    if a.is_empty() {
        return Ok(b.to_owned());
    }
    let factors = factor(a)?;
    for_each_column(b, |b| factors.solve_into(b).map_err(singular))
}

/// A⁻¹. To solve with it once, [`solve`] is faster and more accurate.
///
/// Shapes: `a` and result [N, N].
/// Errors: not square, not finite, singular to working precision.
pub fn inverse(a: &ArrayRef2<f64>) -> Result<Array2<f64>, LinalgError> {
    check_square(a)?;
    check_finite(a)?;
    if a.is_empty() {
        return Ok(a.to_owned());
    }
    factor(a)?.inv_into().map_err(singular)
}

/// Refuses a matrix whose condition leaves no correct digit.
fn factor(a: &ArrayRef2<f64>) -> Result<LUFactorized<OwnedRepr<f64>>, LinalgError> {
    // The condition number needs the norm of A, and ndarray-linalg has only that of the factors.
    let norm = norm_one(a);
    let factors = a.as_standard_layout().factorize().map_err(singular)?;
    let rcond = factors.rcond().map_err(singular)? * norm_one(&factors.a) / norm;
    if rcond >= f64::EPSILON { Ok(factors) } else { Err(LinalgError::Singular { rcond }) }
}

fn norm_one(a: &ArrayRef2<f64>) -> f64 {
    a.columns().into_iter().map(|column| column.iter().map(|x| x.abs()).sum()).fold(0.0, f64::max)
}

fn singular(error: ndarray_linalg::error::LinalgError) -> LinalgError {
    LinalgError::from_lapack(error, |_| LinalgError::Singular { rcond: 0.0 })
}
