//! Singular values, descending, and singular vectors: A = U Σ Vᵀ.

use std::ffi::{c_char, c_int};

use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{ColMut, ColRef, Mat, MatMut, MatRef, Spec};

use super::fortran::{Info, dimension, flag, is_query, leading, matrix, write_matrix, write_vector};
use super::scalar::{PAR, Scalar};

fortran!(gesvd as sgesvd_, dgesvd_ (
    jobu: *const c_char, jobvt: *const c_char, m: *const c_int, n: *const c_int, a: *mut T, lda: *const c_int,
    s: *mut T, u: *mut T, ldu: *const c_int, vt: *mut T, ldvt: *const c_int, work: *mut T, lwork: *const c_int,
));
fortran!(gesdd as sgesdd_, dgesdd_ (
    jobz: *const c_char, m: *const c_int, n: *const c_int, a: *mut T, lda: *const c_int, s: *mut T,
    u: *mut T, ldu: *const c_int, vt: *mut T, ldvt: *const c_int, work: *mut T, lwork: *const c_int,
    iwork: *mut c_int,
));

/// Each side's vectors by its own job: 'A' all, 'S' the first min(m, n), 'N' none.
pub(crate) unsafe fn gesvd<T: Scalar>(
    jobu: *const c_char,
    jobvt: *const c_char,
    m: *const c_int,
    n: *const c_int,
    a: *mut T,
    lda: *const c_int,
    s: *mut T,
    u: *mut T,
    ldu: *const c_int,
    vt: *mut T,
    ldvt: *const c_int,
    work: *mut T,
    lwork: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    unsafe {
        let (jobu, jobvt) = (flag(jobu, b"ASN", 1)?, flag(jobvt, b"ASN", 2)?);
        let (m, n) = (dimension(m, 3)?, dimension(n, 4)?);
        let lda = leading(lda, m, 6)?;
        let ldu = leading(ldu, rows_of_u(jobu, m), 9)?;
        let ldvt = leading(ldvt, rows_of_vt(jobvt, m, n), 11)?;
        if is_query(work, lwork, 13)? || m == 0 || n == 0 {
            return Ok(());
        }
        let factors = decompose(matrix(a, m, n, lda), vectors(jobu), vectors(jobvt)).ok_or(1)?;
        write(&factors, s, (u, ldu), (vt, ldvt));
    }
    Ok(())
}

/// Both sides' vectors by one job.
pub(crate) unsafe fn gesdd<T: Scalar>(
    jobz: *const c_char,
    m: *const c_int,
    n: *const c_int,
    a: *mut T,
    lda: *const c_int,
    s: *mut T,
    u: *mut T,
    ldu: *const c_int,
    vt: *mut T,
    ldvt: *const c_int,
    work: *mut T,
    lwork: *const c_int,
    _iwork: *mut c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    unsafe {
        let (job, m, n) = (flag(jobz, b"ASN", 1)?, dimension(m, 2)?, dimension(n, 3)?);
        let lda = leading(lda, m, 5)?;
        let ldu = leading(ldu, rows_of_u(job, m), 8)?;
        let ldvt = leading(ldvt, rows_of_vt(job, m, n), 10)?;
        if is_query(work, lwork, 12)? || m == 0 || n == 0 {
            return Ok(());
        }
        let factors = decompose(matrix(a, m, n, lda), vectors(job), vectors(job)).ok_or(1)?;
        write(&factors, s, (u, ldu), (vt, ldvt));
    }
    Ok(())
}

fn rows_of_u(job: u8, m: usize) -> usize {
    if job == b'N' { 1 } else { m }
}

fn rows_of_vt(job: u8, m: usize, n: usize) -> usize {
    match job {
        b'A' => n,
        b'S' => m.min(n),
        _ => 1,
    }
}

fn vectors(job: u8) -> ComputeSvdVectors {
    match job {
        b'A' => ComputeSvdVectors::Full,
        b'S' => ComputeSvdVectors::Thin,
        _ => ComputeSvdVectors::No,
    }
}

/// A = U Σ Vᵀ; vectors that were not asked for are absent.
pub(crate) struct Factors<T> {
    pub(crate) u: Option<Mat<T>>,
    pub(crate) singular_values: Vec<T>,
    pub(crate) v: Option<Mat<T>>,
}

/// `None`: an entry is not finite, or the iteration did not converge.
pub(crate) fn decompose<T: Scalar>(
    a: MatRef<'_, T>,
    u: ComputeSvdVectors,
    v: ComputeSvdVectors,
) -> Option<Factors<T>> {
    let (m, n) = (a.nrows(), a.ncols());
    let mut a = a.to_owned();
    let scale = balanced(a.as_mut())?;
    let mut singular_values = vec![T::ZERO; m.min(n)];
    let mut factors = (room(u, m, n), room(v, n, m));
    let mut memory = MemBuffer::new(svd_scratch::<T>(m, n, u, v, PAR, Spec::default()));
    svd(
        a.as_ref(),
        DiagMut::from_slice_mut(&mut singular_values),
        factors.0.as_mut().map(Mat::as_mut),
        factors.1.as_mut().map(Mat::as_mut),
        PAR,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .ok()?;
    for value in &mut singular_values {
        *value *= scale;
    }
    Some(Factors { u: factors.0, singular_values, v: factors.1 })
}

/// Zeros, because for a tall matrix faer leaves the upper right block of all its vectors as it finds it.
fn room<T: Scalar>(job: ComputeSvdVectors, rows: usize, other: usize) -> Option<Mat<T>> {
    match job {
        ComputeSvdVectors::No => None,
        ComputeSvdVectors::Thin => Some(Mat::zeros(rows, rows.min(other))),
        ComputeSvdVectors::Full => Some(Mat::zeros(rows, rows)),
    }
}

/// Divides by a power of two, which it returns, so that the largest entry is in [1, 2) and no square in the
/// iterations over- or underflows; exact. `None`: an entry is not finite.
pub(crate) fn balanced<T: Scalar>(a: MatMut<'_, T>) -> Option<T> {
    let mut largest = T::ZERO;
    for x in a.as_ref().col_iter().flat_map(ColRef::iter) {
        if !x.finite() {
            return None;
        }
        largest = if x.magnitude() > largest { x.magnitude() } else { largest };
    }
    if largest == T::ZERO {
        return Some(T::ONE);
    }
    let scale = largest.binade();
    for x in a.col_iter_mut().flat_map(ColMut::iter_mut) {
        *x /= scale;
    }
    Some(scale)
}

/// # Safety
/// The outputs have room for what `factors` holds, columns their leading dimension apart.
unsafe fn write<T: Scalar>(factors: &Factors<T>, s: *mut T, u: (*mut T, usize), vt: (*mut T, usize)) {
    // SAFETY: the caller's promise.
    unsafe {
        write_vector(s, factors.singular_values.iter().copied());
        if let Some(vectors) = &factors.u {
            write_matrix(u.0, u.1, vectors.as_ref());
        }
        if let Some(vectors) = &factors.v {
            write_matrix(vt.0, vt.1, vectors.transpose());
        }
    }
}
