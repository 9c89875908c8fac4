//! Cholesky's factorisation of a symmetric positive definite matrix: A = L Lᵀ, or A = Uᵀ U.
//!
//! Upper is lower of the transposed view, so everything below is written for L.

use std::ffi::{c_char, c_int};

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::cholesky::llt::factor::{LltError, LltRegularization};
use faer::{Mat, MatMut, MatRef, Spec};

use super::fortran::{Info, dimension, flag, leading, matrix, matrix_mut};
use super::scalar::{PAR, Scalar};

fortran!(potrf as spotrf_, dpotrf_ (uplo: *const c_char, n: *const c_int, a: *mut T, lda: *const c_int));
fortran!(potrs as spotrs_, dpotrs_ (
    uplo: *const c_char, n: *const c_int, nrhs: *const c_int, a: *const T, lda: *const c_int,
    b: *mut T, ldb: *const c_int,
));
fortran!(potri as spotri_, dpotri_ (uplo: *const c_char, n: *const c_int, a: *mut T, lda: *const c_int));

/// Factors the triangle named by `uplo` in place; k > 0: the leading minor k is not positive definite.
pub(crate) unsafe fn potrf<T: Scalar>(
    uplo: *const c_char,
    n: *const c_int,
    a: *mut T,
    lda: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    let (uplo, a) = unsafe {
        let (uplo, n) = (flag(uplo, b"UL", 1)?, dimension(n, 2)?);
        let lda = leading(lda, n, 4)?;
        if n == 0 {
            return Ok(());
        }
        (uplo, matrix_mut(a, n, n, lda))
    };
    factor(if uplo == b'L' { a } else { a.transpose_mut() })
}

fn factor<T: Scalar>(a: MatMut<'_, T>) -> Info {
    let mut memory =
        MemBuffer::new(llt::factor::cholesky_in_place_scratch::<T>(a.nrows(), PAR, Spec::default()));
    let stack = MemStack::new(&mut memory);
    match llt::factor::cholesky_in_place(a, LltRegularization::default(), PAR, stack, Spec::default()) {
        Ok(_) => Ok(()),
        Err(LltError::NonPositivePivot { index }) => Err(index as c_int + 1),
    }
}

/// Solves A X = B from the factor.
pub(crate) unsafe fn potrs<T: Scalar>(
    uplo: *const c_char,
    n: *const c_int,
    nrhs: *const c_int,
    a: *const T,
    lda: *const c_int,
    b: *mut T,
    ldb: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    let (uplo, a, b) = unsafe {
        let (uplo, n, nrhs) = (flag(uplo, b"UL", 1)?, dimension(n, 2)?, dimension(nrhs, 3)?);
        let (lda, ldb) = (leading(lda, n, 5)?, leading(ldb, n, 7)?);
        if n == 0 || nrhs == 0 {
            return Ok(());
        }
        (uplo, matrix(a, n, n, lda), matrix_mut(b, n, nrhs, ldb))
    };
    let lower = if uplo == b'L' { a } else { a.transpose() };
    llt::solve::solve_in_place(lower, b, PAR, MemStack::new(&mut []));
    Ok(())
}

/// Replaces the factor by the same triangle of A⁻¹; k > 0: the factor's diagonal entry k is zero.
pub(crate) unsafe fn potri<T: Scalar>(
    uplo: *const c_char,
    n: *const c_int,
    a: *mut T,
    lda: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    let (uplo, a) = unsafe {
        let (uplo, n) = (flag(uplo, b"UL", 1)?, dimension(n, 2)?);
        let lda = leading(lda, n, 4)?;
        if n == 0 {
            return Ok(());
        }
        (uplo, matrix_mut(a, n, n, lda))
    };
    let mut lower = if uplo == b'L' { a } else { a.transpose_mut() };
    let inverse = inverse(lower.as_ref())?;
    lower.copy_from_triangular_lower(inverse.as_ref());
    Ok(())
}

/// The lower triangle of (L Lᵀ)⁻¹.
fn inverse<T: Scalar>(lower: MatRef<'_, T>) -> Result<Mat<T>, c_int> {
    let n = lower.nrows();
    if let Some(k) = (0..n).find(|&k| lower[(k, k)] == T::ZERO) {
        return Err(k as c_int + 1);
    }
    let mut out = Mat::zeros(n, n);
    let mut memory = MemBuffer::new(llt::inverse::inverse_scratch::<T>(n, PAR));
    llt::inverse::inverse(out.as_mut(), lower, PAR, MemStack::new(&mut memory));
    Ok(out)
}
