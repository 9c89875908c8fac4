//! The shortest x among those that minimise ‖b − A x‖, from the singular value decomposition.

use std::ffi::c_int;

use faer::linalg::matmul::matmul;
use faer::linalg::svd::ComputeSvdVectors;
use faer::{Accum, Mat, MatMut, MatRef};

use super::fortran::{Info, dimension, is_query, leading, matrix, matrix_mut, write_vector};
use super::scalar::{PAR, Scalar};
use super::svd::{Factors, decompose};

fortran!(gelsd as sgelsd_, dgelsd_ (
    m: *const c_int, n: *const c_int, nrhs: *const c_int, a: *mut T, lda: *const c_int, b: *mut T,
    ldb: *const c_int, s: *mut T, rcond: *const T, rank: *mut c_int, work: *mut T, lwork: *const c_int,
    iwork: *mut c_int,
));

/// Solutions over the first n rows of B; where m > n and the rank is n, the squares of the rows below add up to each
/// solution's residual. Singular values up to `rcond` times the largest count as zero (unit roundoff where `rcond`
/// is negative). k > 0: no convergence.
pub(crate) unsafe fn gelsd<T: Scalar>(
    m: *const c_int,
    n: *const c_int,
    nrhs: *const c_int,
    a: *mut T,
    lda: *const c_int,
    b: *mut T,
    ldb: *const c_int,
    s: *mut T,
    rcond: *const T,
    rank: *mut c_int,
    work: *mut T,
    lwork: *const c_int,
    iwork: *mut c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    unsafe {
        let (m, n, nrhs) = (dimension(m, 1)?, dimension(n, 2)?, dimension(nrhs, 3)?);
        let (lda, ldb) = (leading(lda, m, 5)?, leading(ldb, m.max(n), 7)?);
        if is_query(work, lwork, 12)? {
            iwork.write(1);
            return Ok(());
        }
        rank.write(0);
        if m.max(n) == 0 {
            return Ok(());
        }
        let mut b = matrix_mut(b, m.max(n), nrhs, ldb);
        if m.min(n) == 0 {
            b.fill(T::ZERO);
            return Ok(());
        }
        let (thin, rcond) = (ComputeSvdVectors::Thin, *rcond);
        let factors = decompose(matrix(a, m, n, lda), thin, thin).ok_or(1)?;
        let cutoff = if rcond < T::ZERO { T::UNIT_ROUNDOFF } else { rcond } * factors.singular_values[0];
        let kept = factors.singular_values.iter().take_while(|&&value| value > cutoff).count();
        solve(&factors, kept, m, b);
        write_vector(s, factors.singular_values);
        rank.write(kept as c_int);
    }
    Ok(())
}

/// X = V₁ Σ₁⁻¹ U₁ᵀ B over the `kept` largest singular values.
fn solve<T: Scalar>(factors: &Factors<T>, kept: usize, m: usize, mut b: MatMut<'_, T>) {
    let (Some(u), Some(v)) = (&factors.u, &factors.v) else { unreachable!("both sides were asked for") };
    let (n, nrhs) = (v.nrows(), b.ncols());
    let (u, v) = (u.subcols(0, kept), v.subcols(0, kept));
    let mut residuals = b.as_ref().subrows(0, m).to_owned();
    let mut coefficients = Mat::<T>::zeros(kept, nrhs);
    matmul(&mut coefficients, Accum::Replace, u.transpose(), &residuals, T::ONE, PAR);
    matmul(&mut residuals, Accum::Add, u, &coefficients, T::ZERO - T::ONE, PAR);
    for j in 0..nrhs {
        for (i, &value) in factors.singular_values[..kept].iter().enumerate() {
            coefficients[(i, j)] /= value;
        }
    }
    matmul(b.as_mut().subrows_mut(0, n), Accum::Replace, v, &coefficients, T::ONE, PAR);
    if m > n {
        write_residuals(b.subrows_mut(n, m - n), residuals.as_ref());
    }
}

/// The whole norm of a residual stands in the first row, so that the rows' squares add up to its square.
fn write_residuals<T: Scalar>(mut rows: MatMut<'_, T>, residuals: MatRef<'_, T>) {
    rows.fill(T::ZERO);
    for j in 0..residuals.ncols() {
        rows[(0, j)] = residuals.col(j).norm_l2();
    }
}
