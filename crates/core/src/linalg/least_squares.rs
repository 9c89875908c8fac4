//! Over- and underdetermined systems.

use ndarray::{Array, Array1, ArrayRef, ArrayRef2, Axis, Dimension};

use super::error::check_finite;
use super::{LinalgError, Svd, assert_rows_match, svd};

/// The shortest x that minimises ‖A x − b‖, with what the matrix told on the way.
#[derive(Clone, Debug)]
pub struct LeastSquares<D: Dimension> {
    /// x `[N]` or [N, P].
    pub solution: Array<f64, D>,
    /// Number of singular values that are not zero to working precision.
    pub rank: usize,
    /// Σ [min(M, N)], descending.
    pub singular_values: Array1<f64>,
}

/// Least squares by the singular value decomposition, for any shape and any rank.
///
///   x = V Σ⁺ Uᵀ b,  with σ ≤ ε max(M, N) σ₁ counted as zero
///
/// Shapes: `a` [M, N], `b` `[M]` or [M, P], solution `[N]` or [N, P].
/// Errors: not finite, no convergence.
/// Panics: `b` does not have M rows.
#[track_caller]
pub fn lstsq<D: Dimension>(a: &ArrayRef2<f64>, b: &ArrayRef<f64, D>) -> Result<LeastSquares<D>, LinalgError> {
    assert_rows_match(a, b);
    check_finite(b)?;
    let Svd { u, singular_values, vt } = svd(a)?;
    let cutoff =
        f64::EPSILON * a.nrows().max(a.ncols()) as f64 * singular_values.first().copied().unwrap_or(0.0);
    let reciprocals = singular_values.mapv(|value| if value > cutoff { 1.0 / value } else { 0.0 });
    let mut shape = b.raw_dim();
    shape[0] = a.ncols();
    let mut solution = Array::zeros(shape);
    for (b, mut x) in b.lanes(Axis(0)).into_iter().zip(solution.lanes_mut(Axis(0))) {
        x.assign(&vt.t().dot(&(&reciprocals * &u.t().dot(&b))));
    }
    let rank = singular_values.iter().filter(|&&value| value > cutoff).count();
    Ok(LeastSquares { solution, rank, singular_values })
}
