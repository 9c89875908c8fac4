//! Norms of a matrix, and the reciprocal of its condition number from its LU factors.

use std::ffi::{c_char, c_int};

use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_unit_lower_triangular_in_place,
    solve_unit_upper_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{ColMut, ColRef, MatRef};

use super::fortran::{Info, dimension, flag, leading, matrix};
use super::scalar::{PAR, Scalar};

fortran!(gecon as sgecon_, dgecon_ (
    norm: *const c_char, n: *const c_int, a: *const T, lda: *const c_int, anorm: *const T, rcond: *mut T,
    work: *mut T, iwork: *mut c_int,
));

/// 1 / (‖A‖ ‖A⁻¹‖) in the norm 1 or ∞, with ‖A⁻¹‖ estimated from a few solves.
pub(crate) unsafe fn gecon<T: Scalar>(
    norm: *const c_char,
    n: *const c_int,
    a: *const T,
    lda: *const c_int,
    anorm: *const T,
    rcond: *mut T,
    _work: *mut T,
    _iwork: *mut c_int,
) -> Info {
    // SAFETY: LAPACK's contract.
    unsafe {
        let (norm, n) = (flag(norm, b"1OI", 1)?, dimension(n, 2)?);
        let (lda, anorm) = (leading(lda, n, 4)?, *anorm);
        if !(anorm >= T::ZERO && anorm.finite()) {
            return Err(-5);
        }
        *rcond = if n == 0 {
            T::ONE
        } else if anorm == T::ZERO {
            T::ZERO
        } else {
            reciprocal_condition(matrix(a, n, n, lda), norm == b'I', anorm)
        };
    }
    Ok(())
}

fn reciprocal_condition<T: Scalar>(factors: MatRef<'_, T>, infinity: bool, anorm: T) -> T {
    if (0..factors.nrows()).any(|k| factors[(k, k)] == T::ZERO) {
        return T::ZERO;
    }
    // ‖A⁻¹‖∞ = ‖A⁻ᵀ‖₁; the row exchanges change neither norm.
    let inverse = |x: &mut [T]| solve(factors, x);
    let transposed = |x: &mut [T]| solve_transposed(factors, x);
    let estimate = if infinity {
        estimate_norm_one(factors.nrows(), transposed, inverse)
    } else {
        estimate_norm_one(factors.nrows(), inverse, transposed)
    };
    let rcond = (T::ONE / estimate) / anorm;
    if rcond.finite() { rcond } else { T::ZERO }
}

fn solve<T: Scalar>(factors: MatRef<'_, T>, x: &mut [T]) {
    let mut x = ColMut::from_slice_mut(x).as_mat_mut();
    solve_unit_lower_triangular_in_place(factors, x.as_mut(), PAR);
    solve_upper_triangular_in_place(factors, x, PAR);
}

fn solve_transposed<T: Scalar>(factors: MatRef<'_, T>, x: &mut [T]) {
    let mut x = ColMut::from_slice_mut(x).as_mat_mut();
    solve_lower_triangular_in_place(factors.transpose(), x.as_mut(), PAR);
    solve_unit_upper_triangular_in_place(factors.transpose(), x, PAR);
}

/// Lower bound of ‖B‖₁, nearly always the norm itself, from products with B and Bᵀ.
///
///   ascend x ← e_j, j = argmax |Bᵀ sign(B x)|, from x = 1/n; then try x_i = (−1)ⁱ (1 + i/(n − 1))
///
/// Source: Higham 1988, "FORTRAN codes for estimating the one-norm of a real or complex matrix".
fn estimate_norm_one<T: Scalar>(
    n: usize,
    product: impl Fn(&mut [T]),
    transposed_product: impl Fn(&mut [T]),
) -> T {
    let count = T::from_f64(n as f64);
    let mut x = vec![T::ONE / count; n];
    product(&mut x);
    let mut estimate = sum_of_magnitudes(&x);
    if n == 1 {
        return estimate;
    }
    let mut signs = signs_of(&x);
    let mut slope = signs.clone();
    transposed_product(&mut slope);
    let mut column = index_of_largest(&slope);
    for _ in 0..4 {
        x.fill(T::ZERO);
        x[column] = T::ONE;
        product(&mut x);
        let (before, signs_before) = (estimate, signs);
        estimate = sum_of_magnitudes(&x);
        signs = signs_of(&x);
        if estimate <= before || signs == signs_before {
            estimate = if estimate > before { estimate } else { before };
            break;
        }
        slope.clone_from(&signs);
        transposed_product(&mut slope);
        let next = index_of_largest(&slope);
        if slope[next].magnitude() == slope[column].magnitude() {
            break;
        }
        column = next;
    }
    for (i, x) in x.iter_mut().enumerate() {
        let size = T::ONE + T::from_f64(i as f64) / T::from_f64(n as f64 - 1.0);
        *x = if i % 2 == 0 { size } else { T::ZERO - size };
    }
    product(&mut x);
    let alternating = T::from_f64(2.0) * sum_of_magnitudes(&x) / (T::from_f64(3.0) * count);
    if alternating > estimate { alternating } else { estimate }
}

fn sum_of_magnitudes<T: Scalar>(x: &[T]) -> T {
    x.iter().fold(T::ZERO, |sum, x| sum + x.magnitude())
}

fn signs_of<T: Scalar>(x: &[T]) -> Vec<T> {
    x.iter().map(|&x| if x < T::ZERO { T::ZERO - T::ONE } else { T::ONE }).collect()
}

fn index_of_largest<T: Scalar>(x: &[T]) -> usize {
    (1..x.len()).fold(0, |best, i| if x[i].magnitude() > x[best].magnitude() { i } else { best })
}

/// max |a_ij| ('M'), largest column sum ('1', 'O'), largest row sum ('I') or Frobenius' norm ('F', 'E'); NaN where
/// an entry is NaN or the letter is unknown.
unsafe fn lange<T: Scalar>(
    norm: *const c_char,
    m: *const c_int,
    n: *const c_int,
    a: *const T,
    lda: *const c_int,
) -> Result<T, c_int> {
    // SAFETY: LAPACK's contract.
    unsafe {
        let (norm, m, n) = (flag(norm, b"M1OIFE", 1)?, dimension(m, 2)?, dimension(n, 3)?);
        let lda = leading(lda, m, 5)?;
        if m == 0 || n == 0 {
            return Ok(T::ZERO);
        }
        let a = matrix(a, m, n, lda);
        Ok(match norm {
            b'M' => largest_entry(a),
            b'I' => largest_column_sum(a.transpose()),
            b'F' | b'E' => frobenius(a),
            _ => largest_column_sum(a),
        })
    }
}

/// The larger of the two, or NaN where either is.
fn larger<T: Scalar>(a: T, b: T) -> T {
    if a >= b || a.not_a_number() { a } else { b }
}

fn largest_entry<T: Scalar>(a: MatRef<'_, T>) -> T {
    a.col_iter().flat_map(ColRef::iter).fold(T::ZERO, |norm, x| larger(norm, x.magnitude()))
}

fn largest_column_sum<T: Scalar>(a: MatRef<'_, T>) -> T {
    a.col_iter().map(|column| column.iter().fold(T::ZERO, |sum, x| sum + x.magnitude())).fold(T::ZERO, larger)
}

/// √Σ a², of entries scaled by a power of two so that no square overflows.
fn frobenius<T: Scalar>(a: MatRef<'_, T>) -> T {
    let largest = largest_entry(a);
    if largest == T::ZERO || !largest.finite() {
        return largest;
    }
    let scale = largest.binade();
    let squares = a.col_iter().flat_map(ColRef::iter).fold(T::ZERO, |sum, &x| {
        let x = x / scale;
        sum + x * x
    });
    squares.root() * scale
}

/// LAPACK's `slange`.
///
/// # Safety
/// LAPACK's contract: valid pointers, `a` of the size that the dimensions say.
#[unsafe(no_mangle)]
unsafe extern "C" fn slange_(
    norm: *const c_char,
    m: *const c_int,
    n: *const c_int,
    a: *const f32,
    lda: *const c_int,
    _work: *mut f32,
) -> f32 {
    // SAFETY: the caller's promise, passed on.
    unsafe { lange(norm, m, n, a, lda).unwrap_or(f32::NAN) }
}

/// LAPACK's `dlange`.
///
/// # Safety
/// LAPACK's contract: valid pointers, `a` of the size that the dimensions say.
#[unsafe(no_mangle)]
unsafe extern "C" fn dlange_(
    norm: *const c_char,
    m: *const c_int,
    n: *const c_int,
    a: *const f64,
    lda: *const c_int,
    _work: *mut f64,
) -> f64 {
    // SAFETY: the caller's promise, passed on.
    unsafe { lange(norm, m, n, a, lda).unwrap_or(f64::NAN) }
}
