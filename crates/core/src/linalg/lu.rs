//! General square matrices by elimination with row interchanges.

use ndarray::{Array, Array2, ArrayRef, ArrayRef2, Dimension};
use ndarray_linalg::{Lapack, MatrixLayout, Pivot, Transpose};
use sda_lapack as _;

use super::error::{check_finite, check_square};
use super::{LinalgError, assert_rows_match, for_each_column};

/// Solution of A x = b.
///
/// Shapes: `a` [N, N], `b` and result `[N]` or [N, M].
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
    let factors = Factors::of(a)?;
    for_each_column(b, |mut b| {
        let x = b.as_slice_mut().unwrap_or_default();
        f64::solve(factors.layout, Transpose::No, &factors.entries, &factors.exchanges, x)
            .map_err(singular)?;
        Ok(b)
    })
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
    let Factors { layout, mut entries, exchanges } = Factors::of(a)?;
    f64::inv(layout, &mut entries, &exchanges).map_err(singular)?;
    Array2::from_shape_vec(a.raw_dim(), entries).map_err(|e| LinalgError::Lapack(e.to_string()))
}

/// P, L and U, as LAPACK packs them.
struct Factors {
    layout: MatrixLayout,
    entries: Vec<f64>,
    exchanges: Pivot,
}

impl Factors {
    /// Refuses a matrix whose condition leaves no correct digit.
    ///
    /// On [`Lapack`] itself, because ndarray-linalg's `rcond` puts the norm of the factors for that of A.
    fn of(a: &ArrayRef2<f64>) -> Result<Self, LinalgError> {
        let layout = MatrixLayout::C { row: a.nrows() as i32, lda: a.ncols() as i32 };
        let mut entries: Vec<f64> = a.iter().copied().collect();
        let exchanges = f64::lu(layout, &mut entries).map_err(singular)?;
        let rcond = f64::rcond(layout, &entries, norm_one(a)).map_err(singular)?;
        if rcond < f64::EPSILON {
            return Err(LinalgError::Singular { rcond });
        }
        Ok(Self { layout, entries, exchanges })
    }
}

fn norm_one(a: &ArrayRef2<f64>) -> f64 {
    a.columns().into_iter().map(|column| column.iter().map(|x| x.abs()).sum()).fold(0.0, f64::max)
}

fn singular(error: lax::error::Error) -> LinalgError {
    LinalgError::from_lapack(error.into(), |_| LinalgError::Singular { rcond: 0.0 })
}
