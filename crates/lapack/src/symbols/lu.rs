//! Factorisation by elimination with row interchanges: A = P L U.

use std::ffi::{c_char, c_int};

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place,
    solve_unit_upper_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Mat, MatMut, MatRef, Spec};

use super::fortran::{Info, dimension, flag, is_query, leading, matrix, matrix_mut, write_vector};
use super::scalar::{PAR, Scalar};

fortran!(getrf as sgetrf_, dgetrf_ (
    m: *const c_int, n: *const c_int, a: *mut T, lda: *const c_int, ipiv: *mut c_int,
));
fortran!(getrs as sgetrs_, dgetrs_ (
    trans: *const c_char, n: *const c_int, nrhs: *const c_int, a: *const T, lda: *const c_int,
    ipiv: *const c_int, b: *mut T, ldb: *const c_int,
));
fortran!(getri as sgetri_, dgetri_ (
    n: *const c_int, a: *mut T, lda: *const c_int, ipiv: *const c_int, work: *mut T, lwork: *const c_int,
));

/// Factors in place; row k was exchanged with row `ipiv[k]` (from 1); k > 0: the first pivot that is zero.
pub(crate) unsafe fn getrf<T: Scalar>(
    m: *const c_int,
    n: *const c_int,
    a: *mut T,
    lda: *const c_int,
    ipiv: *mut c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    let a = unsafe {
        let (m, n) = (dimension(m, 1)?, dimension(n, 2)?);
        let lda = leading(lda, m, 4)?;
        if m == 0 || n == 0 {
            return Ok(());
        }
        matrix_mut(a, m, n, lda)
    };
    let (exchanges, zero_pivot) = factor(a);
    // SAFETY: LAPACK's contract, min(m, n) entries.
    unsafe { write_vector(ipiv, exchanges.iter().map(|&row| row as c_int + 1)) };
    zero_pivot.map_or(Ok(()), |k| Err(k as c_int + 1))
}

/// faer's blocked elimination; the plain one where a pivot is zero or has no reciprocal, since faer multiplies by
/// reciprocals and would leave NaN where LAPACK finishes the factorisation.
fn factor<T: Scalar>(mut a: MatMut<'_, T>) -> (Vec<usize>, Option<usize>) {
    let (m, n) = (a.nrows(), a.ncols());
    let mut factors = a.to_owned();
    let (mut rows, mut rows_inverse) = (vec![0usize; m], vec![0usize; m]);
    let mut memory = MemBuffer::new(lu_in_place_scratch::<usize, T>(m, n, PAR, Spec::default()));
    let stack = MemStack::new(&mut memory);
    lu_in_place(factors.as_mut(), &mut rows, &mut rows_inverse, PAR, stack, Spec::default());
    if (0..m.min(n)).any(|k| factors[(k, k)].magnitude() < T::SMALLEST_NORMAL) {
        return eliminate(a);
    }
    a.copy_from(&factors);
    (exchanges(&rows, m.min(n)), None)
}

/// The sequence of exchanges whose outcome is that position k holds row `rows[k]`.
fn exchanges(rows: &[usize], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut position = order.clone();
    (0..count)
        .map(|k| {
            let found = position[rows[k]];
            order.swap(k, found);
            (position[order[k]], position[order[found]]) = (k, found);
            found
        })
        .collect()
}

/// Right-looking elimination column by column, with the exchanges and the first zero pivot.
fn eliminate<T: Scalar>(mut a: MatMut<'_, T>) -> (Vec<usize>, Option<usize>) {
    let (m, n) = (a.nrows(), a.ncols());
    let (mut exchanges, mut zero_pivot) = (Vec::with_capacity(m.min(n)), None);
    for k in 0..m.min(n) {
        let found = (k + 1..m)
            .fold(k, |best, i| if a[(i, k)].magnitude() > a[(best, k)].magnitude() { i } else { best });
        exchanges.push(found);
        exchange(a.as_mut(), k, found);
        let pivot = a[(k, k)];
        if pivot == T::ZERO {
            zero_pivot = zero_pivot.or(Some(k));
            continue;
        }
        for i in k + 1..m {
            a[(i, k)] /= pivot;
        }
        for j in k + 1..n {
            for i in k + 1..m {
                a[(i, j)] = a[(i, j)] - a[(i, k)] * a[(k, j)];
            }
        }
    }
    (exchanges, zero_pivot)
}

fn exchange<T: Scalar>(mut a: MatMut<'_, T>, i: usize, k: usize) {
    for j in 0..a.ncols() {
        (a[(i, j)], a[(k, j)]) = (a[(k, j)], a[(i, j)]);
    }
}

/// Solves A X = B, or Aᵀ X = B, from the factors.
pub(crate) unsafe fn getrs<T: Scalar>(
    trans: *const c_char,
    n: *const c_int,
    nrhs: *const c_int,
    a: *const T,
    lda: *const c_int,
    ipiv: *const c_int,
    b: *mut T,
    ldb: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    unsafe {
        let (trans, n, nrhs) = (flag(trans, b"NTC", 1)?, dimension(n, 2)?, dimension(nrhs, 3)?);
        let (lda, ldb) = (leading(lda, n, 5)?, leading(ldb, n, 8)?);
        if n == 0 || nrhs == 0 {
            return Ok(());
        }
        let exchanges = std::slice::from_raw_parts(ipiv, n);
        let (factors, b) = (matrix(a, n, n, lda), matrix_mut(b, n, nrhs, ldb));
        if trans == b'N' {
            solve(factors, exchanges, b);
        } else {
            solve_transposed(factors, exchanges, b);
        }
    }
    Ok(())
}

/// X ← U⁻¹ L⁻¹ Pᵀ X.
fn solve<T: Scalar>(factors: MatRef<'_, T>, exchanges: &[c_int], mut x: MatMut<'_, T>) {
    for (k, &row) in exchanges.iter().enumerate() {
        exchange(x.as_mut(), k, row as usize - 1);
    }
    solve_unit_lower_triangular_in_place(factors, x.as_mut(), PAR);
    solve_upper_triangular_in_place(factors, x, PAR);
}

/// X ← P L⁻ᵀ U⁻ᵀ X.
fn solve_transposed<T: Scalar>(factors: MatRef<'_, T>, exchanges: &[c_int], mut x: MatMut<'_, T>) {
    solve_lower_triangular_in_place(factors.transpose(), x.as_mut(), PAR);
    solve_unit_upper_triangular_in_place(factors.transpose(), x.as_mut(), PAR);
    for (k, &row) in exchanges.iter().enumerate().rev() {
        exchange(x.as_mut(), k, row as usize - 1);
    }
}

/// Replaces the factors by A⁻¹; k > 0: the first pivot that is zero.
pub(crate) unsafe fn getri<T: Scalar>(
    n: *const c_int,
    a: *mut T,
    lda: *const c_int,
    ipiv: *const c_int,
    work: *mut T,
    lwork: *const c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    let (mut a, exchanges) = unsafe {
        let n = dimension(n, 1)?;
        let lda = leading(lda, n, 3)?;
        if is_query(work, lwork, 6)? || n == 0 {
            return Ok(());
        }
        (matrix_mut(a, n, n, lda), std::slice::from_raw_parts(ipiv, n))
    };
    if let Some(k) = (0..a.nrows()).find(|&k| a[(k, k)] == T::ZERO) {
        return Err(k as c_int + 1);
    }
    let mut inverse = Mat::identity(a.nrows(), a.nrows());
    solve(a.as_ref(), exchanges, inverse.as_mut());
    a.copy_from(&inverse);
    Ok(())
}
