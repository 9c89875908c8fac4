//! Symmetric matrices by their eigenvectors.

use ndarray::{Array1, Array2, ArrayRef2, ShapeBuilder};
use ndarray_linalg::{EighInto, UPLO};
use sda_lapack as _;

use super::LinalgError;
use super::error::{check_finite, check_square};

/// A = Q Λ Qᵀ.
#[derive(Clone, Debug)]
pub struct Eigh {
    /// Λ `[N]`, ascending.
    pub values: Array1<f64>,
    /// Q [N, N]: column i is the unit eigenvector of value i, of either sign.
    pub vectors: Array2<f64>,
}

/// Eigenvalues and eigenvectors of a symmetric matrix.
///
///   A = Q Λ Qᵀ,  Qᵀ Q = 1
///
/// Shapes: `a` [N, N].
/// Errors: not square, not finite, no convergence.
pub fn eigh(a: &ArrayRef2<f64>) -> Result<Eigh, LinalgError> {
    check_square(a)?;
    check_finite(a)?;
    if a.is_empty() {
        return Ok(Eigh { values: Array1::zeros(0), vectors: a.to_owned() });
    }
    // Column-major: of a row-major matrix ndarray-linalg reads the other triangle.
    let mut lower = Array2::zeros(a.raw_dim().f());
    lower.assign(a);
    let (values, vectors) = lower.eigh_into(UPLO::Lower).map_err(|e| {
        LinalgError::from_lapack(e, |_| LinalgError::NoConvergence {
            factorisation: "eigendecomposition",
            rows: a.nrows(),
            columns: a.ncols(),
        })
    })?;
    Ok(Eigh { values, vectors: vectors.as_standard_layout().into_owned() })
}

/// The symmetric square root of a symmetric positive (semi-)definite matrix.
///
///   S = Q √Λ Qᵀ,  S S = A
///
/// Eigenvalues within rounding of zero (N ε times the largest) count as zero.
///
/// Shapes: `a` and result [N, N].
/// Errors: not square, not finite, a negative eigenvalue, no convergence.
pub fn sqrt_spd(a: &ArrayRef2<f64>) -> Result<Array2<f64>, LinalgError> {
    let Eigh { values, vectors } = eigh(a)?;
    let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let rounding = largest * f64::EPSILON * values.len() as f64;
    match values.first() {
        Some(&eigenvalue) if eigenvalue < -rounding => {
            return Err(LinalgError::NegativeEigenvalue { eigenvalue });
        }
        _ => {}
    }
    let root = (&vectors * &values.mapv(|value| value.max(0.0).sqrt())).dot(&vectors.t());
    // Symmetric to the last bit.
    Ok((&root + &root.t()) * 0.5)
}
