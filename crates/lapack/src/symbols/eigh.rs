//! Eigenvalues, ascending, and eigenvectors of a symmetric matrix: A = Q Λ Qᵀ.

use std::ffi::{c_char, c_int};

use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, MatRef, Spec};

use super::fortran::{Info, dimension, flag, is_query, leading, matrix_mut, write_vector};
use super::scalar::{PAR, Scalar};
use super::svd::balanced;

fortran!(syev as ssyev_, dsyev_ (
    jobz: *const c_char, uplo: *const c_char, n: *const c_int, a: *mut T, lda: *const c_int, w: *mut T,
    work: *mut T, lwork: *const c_int,
));

/// Eigenvalues into `w` and, for job 'V', eigenvectors over `a`, of which only one triangle is read; k > 0: no
/// convergence, which is also what a matrix that is not finite gets.
pub(crate) unsafe fn syev<T: Scalar>(
    jobz: *const c_char,
    uplo: *const c_char,
    n: *const c_int,
    a: *mut T,
    lda: *const c_int,
    w: *mut T,
    work: *mut T,
    lwork: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    let (jobz, uplo, mut a) = unsafe {
        let (jobz, uplo, n) = (flag(jobz, b"NV", 1)?, flag(uplo, b"UL", 2)?, dimension(n, 3)?);
        let lda = leading(lda, n, 5)?;
        if is_query(work, lwork, 8)? || n == 0 {
            return Ok(());
        }
        (jobz, uplo, matrix_mut(a, n, n, lda))
    };
    let triangle = if uplo == b'L' { a.as_ref() } else { a.as_ref().transpose() };
    let (values, vectors) = decompose(triangle, jobz == b'V').ok_or(1)?;
    // SAFETY: LAPACK's contract, n entries.
    unsafe { write_vector(w, values) };
    if let Some(vectors) = vectors {
        a.copy_from(&vectors);
    }
    Ok(())
}

fn decompose<T: Scalar>(lower: MatRef<'_, T>, with_vectors: bool) -> Option<(Vec<T>, Option<Mat<T>>)> {
    let n = lower.nrows();
    let mut a = Mat::zeros(n, n);
    a.copy_from_triangular_lower(lower);
    let scale = balanced(a.as_mut())?;
    let mut values = vec![T::ZERO; n];
    let mut vectors = with_vectors.then(|| Mat::<T>::zeros(n, n));
    let job = if with_vectors { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<T>(n, job, PAR, Spec::default()));
    self_adjoint_evd(
        a.as_ref(),
        DiagMut::from_slice_mut(&mut values),
        vectors.as_mut().map(Mat::as_mut),
        PAR,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .ok()?;
    Some((values.into_iter().map(|value| value * scale).collect(), vectors))
}
