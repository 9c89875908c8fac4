//! The singular value decomposition.

use ndarray::{Array1, Array2, ArrayRef2};
use ndarray_linalg::{JobSvd, SVDDC};
use sda_lapack as _;

use super::LinalgError;
use super::error::check_finite;

/// A = U Σ Vᵀ, with K = min(M, N).
#[derive(Clone, Debug)]
pub struct Svd {
    /// U [M, K], orthonormal columns.
    pub u: Array2<f64>,
    /// Σ `[K]`, descending, not negative.
    pub singular_values: Array1<f64>,
    /// Vᵀ [K, N], orthonormal rows; the sign of each is that of its column of U.
    pub vt: Array2<f64>,
}

/// Singular values and vectors (the first min(M, N)) of any matrix.
///
///   A = U Σ Vᵀ,  Uᵀ U = Vᵀ V = 1
///
/// Shapes: `a` [M, N].
/// Errors: not finite, no convergence.
pub fn svd(a: &ArrayRef2<f64>) -> Result<Svd, LinalgError> {
    check_finite(a)?;
    let (m, n) = a.dim();
    let k = m.min(n);
    if k == 0 {
        return Ok(Svd {
            u: Array2::zeros((m, 0)),
            singular_values: Array1::zeros(0),
            vt: Array2::zeros((0, n)),
        });
    }
    let (u, singular_values, vt) = a.as_standard_layout().svddc(JobSvd::Some).map_err(|e| {
        LinalgError::from_lapack(e, |_| LinalgError::NoConvergence {
            factorisation: "singular value decomposition",
            rows: m,
            columns: n,
        })
    })?;
    let missing = || LinalgError::Lapack("singular vectors were asked for and not returned".into());
    Ok(Svd { u: u.ok_or_else(missing)?, singular_values, vt: vt.ok_or_else(missing)? })
}
