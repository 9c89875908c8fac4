//! Orthogonal factorisation by Householder's reflections: A = Q R, and A = L Q as that of the transposed view.
//!
//!   Q = H₁ H₂ … H_k,  H_i = I − τ_i v_i v_iᵀ,  v_i = (0 … 0, 1, entries of A below the diagonal)
//!
//! faer writes H = I − v vᵀ / τ: its τ is the reciprocal of LAPACK's, and infinite where LAPACK's is 0.

use std::ffi::c_int;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj,
};
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch, recommended_block_size};
use faer::{Conj, Mat, MatMut, MatRef, Spec};

use super::fortran::{Info, dimension, is_query, leading, matrix_mut, write_vector};
use super::scalar::{PAR, Scalar};

fortran!(geqrf as sgeqrf_, dgeqrf_ (
    m: *const c_int, n: *const c_int, a: *mut T, lda: *const c_int, tau: *mut T, work: *mut T,
    lwork: *const c_int,
));
fortran!(gelqf as sgelqf_, dgelqf_ (
    m: *const c_int, n: *const c_int, a: *mut T, lda: *const c_int, tau: *mut T, work: *mut T,
    lwork: *const c_int,
));
fortran!(orgqr as sorgqr_, dorgqr_ (
    m: *const c_int, n: *const c_int, k: *const c_int, a: *mut T, lda: *const c_int, tau: *const T,
    work: *mut T, lwork: *const c_int,
));
fortran!(orglq as sorglq_, dorglq_ (
    m: *const c_int, n: *const c_int, k: *const c_int, a: *mut T, lda: *const c_int, tau: *const T,
    work: *mut T, lwork: *const c_int,
));

/// R over the upper triangle of A, the reflections below it and in `tau`.
pub(crate) unsafe fn geqrf<T: Scalar>(
    m: *const c_int,
    n: *const c_int,
    a: *mut T,
    lda: *const c_int,
    tau: *mut T,
    work: *mut T,
    lwork: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    unsafe {
        if let Some(a) = input(m, n, a, lda, work, lwork)? {
            write_vector(tau, factor(a));
        }
    }
    Ok(())
}

/// L over the lower triangle of A, the reflections right of it and in `tau`.
pub(crate) unsafe fn gelqf<T: Scalar>(
    m: *const c_int,
    n: *const c_int,
    a: *mut T,
    lda: *const c_int,
    tau: *mut T,
    work: *mut T,
    lwork: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    unsafe {
        if let Some(a) = input(m, n, a, lda, work, lwork)? {
            write_vector(tau, factor(a.transpose_mut()));
        }
    }
    Ok(())
}

/// The matrix to factor; `None` for a query and for an empty matrix.
///
/// # Safety
/// LAPACK's contract.
unsafe fn input<'a, T: Scalar>(
    m: *const c_int,
    n: *const c_int,
    a: *mut T,
    lda: *const c_int,
    work: *mut T,
    lwork: *const c_int,
) -> Result<Option<MatMut<'a, T>>, c_int> {
    // SAFETY: the caller's promise.
    unsafe {
        let (m, n) = (dimension(m, 1)?, dimension(n, 2)?);
        let lda = leading(lda, m, 4)?;
        let nothing = is_query(work, lwork, 7)? || m == 0 || n == 0;
        Ok((!nothing).then(|| matrix_mut(a, m, n, lda)))
    }
}

/// Factors in place and returns LAPACK's τ.
fn factor<T: Scalar>(a: MatMut<'_, T>) -> Vec<T> {
    let (m, n) = (a.nrows(), a.ncols());
    let block = recommended_block_size::<T>(m, n);
    let mut reflections = Mat::<T>::zeros(block, m.min(n));
    let mut memory = MemBuffer::new(qr_in_place_scratch::<T>(m, n, block, PAR, Spec::default()));
    qr_in_place(a, reflections.as_mut(), PAR, MemStack::new(&mut memory), Spec::default());
    (0..m.min(n)).map(|i| T::ONE / reflections[(i % block, i)]).collect()
}

/// The first n columns of Q [m, n] from the first k reflections.
pub(crate) unsafe fn orgqr<T: Scalar>(
    m: *const c_int,
    n: *const c_int,
    k: *const c_int,
    a: *mut T,
    lda: *const c_int,
    tau: *const T,
    work: *mut T,
    lwork: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    unsafe {
        let m = dimension(m, 1)?;
        let n = dimension(n, 2).and_then(|n| if n <= m { Ok(n) } else { Err(-2) })?;
        let k = dimension(k, 3).and_then(|k| if k <= n { Ok(k) } else { Err(-3) })?;
        let lda = leading(lda, m, 5)?;
        if is_query(work, lwork, 8)? || n == 0 {
            return Ok(());
        }
        orthonormal(matrix_mut(a, m, n, lda), read(tau, k));
    }
    Ok(())
}

/// The first m rows of Q [m, n] from the first k reflections.
pub(crate) unsafe fn orglq<T: Scalar>(
    m: *const c_int,
    n: *const c_int,
    k: *const c_int,
    a: *mut T,
    lda: *const c_int,
    tau: *const T,
    work: *mut T,
    lwork: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    unsafe {
        let m = dimension(m, 1)?;
        let n = dimension(n, 2).and_then(|n| if n >= m { Ok(n) } else { Err(-2) })?;
        let k = dimension(k, 3).and_then(|k| if k <= m { Ok(k) } else { Err(-3) })?;
        let lda = leading(lda, m, 5)?;
        if is_query(work, lwork, 8)? || m == 0 {
            return Ok(());
        }
        orthonormal(matrix_mut(a, m, n, lda).transpose_mut(), read(tau, k));
    }
    Ok(())
}

/// # Safety
/// `tau` holds `k` numbers; it may be dangling where there are none.
unsafe fn read<'a, T: Scalar>(tau: *const T, k: usize) -> &'a [T] {
    // SAFETY: the caller's promise.
    if k == 0 { &[] } else { unsafe { std::slice::from_raw_parts(tau, k) } }
}

/// Replaces the reflections in `a` by the columns of Q.
fn orthonormal<T: Scalar>(mut a: MatMut<'_, T>, tau: &[T]) {
    let (m, n, k) = (a.nrows(), a.ncols(), tau.len());
    let reflections = a.as_ref().subcols(0, k).to_owned();
    let mut q = Mat::identity(m, n);
    if k > 0 {
        apply(reflections.as_ref(), tau, q.as_mut());
    }
    a.copy_from(&q);
}

/// X ← H₁ … H_k X, one reflection at a time.
fn apply<T: Scalar>(reflections: MatRef<'_, T>, tau: &[T], x: MatMut<'_, T>) {
    let reciprocals = Mat::from_fn(1, tau.len(), |_, i| T::ONE / tau[i]);
    let mut memory = MemBuffer::new(apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(
        x.nrows(),
        1,
        x.ncols(),
    ));
    apply_block_householder_sequence_on_the_left_in_place_with_conj(
        reflections,
        reciprocals.as_ref(),
        Conj::No,
        x,
        PAR,
        MemStack::new(&mut memory),
    );
}
