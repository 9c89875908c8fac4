//! The symbols as ndarray-linalg calls them, in both precisions and both layouts; with feature `openblas` the same
//! laws are asked of OpenBLAS.

use ndarray::{Array1, Array2, ArrayRef2, Axis, ShapeBuilder};
use ndarray_linalg::{
    Cholesky, EigValsh, Eigh, FactorizeC, Inverse, InverseC, JobSvd, Lapack, LeastSquaresSvd, OperationNorm,
    QR, ReciprocalConditionNum, SVD, SVDDC, Scalar, Solve, SolveC, UPLO,
};

const SIZES: [usize; 6] = [1, 2, 3, 7, 32, 65];

/// f32 and f64, with the accuracy asked of each.
trait Precision: Lapack + Scalar<Real = Self> + PartialOrd {
    const TOLERANCE: Self;
}

impl Precision for f32 {
    const TOLERANCE: Self = 3e-4;
}

impl Precision for f64 {
    const TOLERANCE: Self = 1e-12;
}

/// Entries on [−1, 1) from a linear congruential sequence; row-major or column-major.
fn matrix<T: Precision>(m: usize, n: usize, column_major: bool) -> Array2<T> {
    let mut state = (m * 131 + n * 17 + 7) as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        T::from((state >> 40) as f64 / f64::from(1u32 << 23) - 1.0).unwrap()
    };
    let values = Array2::from_shape_simple_fn((m, n), &mut next);
    let mut a = Array2::zeros((m, n).set_f(column_major));
    a.assign(&values);
    a
}

fn positive_definite<T: Precision>(n: usize, column_major: bool) -> Array2<T> {
    let b = matrix::<T>(n, n, column_major);
    let mut a = b.clone();
    a.assign(&(b.dot(&b.t()).mapv(|x| x / T::from(n).unwrap()) + Array2::<T>::eye(n)));
    a
}

fn norm<T: Precision>(a: &ArrayRef2<T>) -> T {
    a.iter().map(|&x| x * x).sum::<T>().sqrt()
}

#[track_caller]
fn assert_close<T: Precision>(a: &ArrayRef2<T>, b: &ArrayRef2<T>) {
    assert_eq!(a.shape(), b.shape());
    let error = norm(&(a - b));
    assert!(error <= T::TOLERANCE * (T::one() + norm(b)), "error {error} at shape {:?}", a.shape());
}

#[track_caller]
fn assert_orthonormal_columns<T: Precision>(q: &ArrayRef2<T>) {
    assert_close(&q.t().dot(q), &Array2::eye(q.ncols()));
}

fn diagonal<T: Precision>(values: &Array1<T>, m: usize, n: usize) -> Array2<T> {
    let mut a = Array2::zeros((m, n));
    a.diag_mut().assign(values);
    a
}

fn cholesky_laws<T: Precision>() {
    for n in SIZES {
        for column_major in [false, true] {
            let a = positive_definite::<T>(n, column_major);
            let (lower, upper) = (a.cholesky(UPLO::Lower).unwrap(), a.cholesky(UPLO::Upper).unwrap());
            assert_close(&lower.dot(&lower.t()), &a);
            assert_close(&upper.t().dot(&upper), &a);
            let b = matrix::<T>(n, 1, false).remove_axis(Axis(1));
            for uplo in [UPLO::Lower, UPLO::Upper] {
                let factor = a.factorizec(uplo).unwrap();
                let x = factor.solvec(&b).unwrap();
                assert_close(&a.dot(&x).insert_axis(Axis(1)), &b.clone().insert_axis(Axis(1)));
                assert_close(&factor.invc().unwrap().dot(&a), &Array2::eye(n));
            }
        }
    }
}

fn lu_laws<T: Precision>() {
    for n in SIZES {
        for column_major in [false, true] {
            let mut a = matrix::<T>(n, n, column_major);
            a.diag_mut().mapv_inplace(|x| x + T::from(4).unwrap());
            let b = matrix::<T>(n, 1, false).remove_axis(Axis(1));
            let (x, y) = (a.solve(&b).unwrap(), a.solve_t(&b).unwrap());
            assert_close(&a.dot(&x).insert_axis(Axis(1)), &b.clone().insert_axis(Axis(1)));
            assert_close(&a.t().dot(&y).insert_axis(Axis(1)), &b.clone().insert_axis(Axis(1)));
            assert_close(&a.inv().unwrap().dot(&a), &Array2::eye(n));
        }
    }
}

fn norm_and_condition_laws<T: Precision>() {
    for (m, n) in [(1, 1), (2, 5), (7, 3)] {
        for column_major in [false, true] {
            let a = matrix::<T>(m, n, column_major);
            let largest = |axis| {
                a.mapv(Scalar::abs)
                    .sum_axis(axis)
                    .iter()
                    .copied()
                    .fold(T::zero(), |a: T, b: T| if a > b { a } else { b })
            };
            assert_close(
                &Array2::eye(1).mapv(|x: T| x * a.opnorm_one().unwrap()),
                &Array2::from_elem((1, 1), largest(Axis(0))),
            );
            assert_close(
                &Array2::eye(1).mapv(|x: T| x * a.opnorm_inf().unwrap()),
                &Array2::from_elem((1, 1), largest(Axis(1))),
            );
            assert_close(
                &Array2::eye(1).mapv(|x: T| x * a.opnorm_fro().unwrap()),
                &Array2::from_elem((1, 1), norm(&a)),
            );
        }
    }
    // ndarray-linalg puts the norm of the packed factors for that of A; of a diagonal matrix they are the same.
    let diagonal = Array2::from_diag(&Array1::from(vec![T::one(), T::from(8).unwrap(), T::from(2).unwrap()]));
    assert_eq!(diagonal.rcond().unwrap(), T::from(0.125).unwrap());
}

fn eigh_laws<T: Precision>() {
    for n in SIZES {
        for column_major in [false, true] {
            let b = matrix::<T>(n, n, column_major);
            let mut a = b.clone();
            a.assign(&(&b + &b.t()));
            for uplo in [UPLO::Lower, UPLO::Upper] {
                let (values, vectors) = a.eigh(uplo).unwrap();
                assert_close(&a.dot(&vectors), &(&vectors * &values));
                assert_orthonormal_columns(&vectors);
                assert!(values.windows(2).into_iter().all(|pair| pair[0] <= pair[1]));
                let alone = a.eigvalsh(uplo).unwrap();
                assert_close(&alone.insert_axis(Axis(1)), &values.insert_axis(Axis(1)));
            }
        }
    }
}

fn svd_laws<T: Precision>() {
    for m in SIZES {
        for n in SIZES {
            for column_major in [false, true] {
                let a = matrix::<T>(m, n, column_major);
                let (u, values, vt) = a.svd(true, true).unwrap();
                let (u, vt) = (u.unwrap(), vt.unwrap());
                assert_eq!((u.dim(), vt.dim()), ((m, m), (n, n)));
                assert_orthonormal_columns(&u);
                assert_orthonormal_columns(&vt.t());
                assert_close(&u.dot(&diagonal(&values, m, n)).dot(&vt), &a);
                for job in [JobSvd::All, JobSvd::Some] {
                    let (u, values, vt) = a.svddc(job).unwrap();
                    let (u, vt) = (u.unwrap(), vt.unwrap());
                    assert_orthonormal_columns(&u);
                    assert_orthonormal_columns(&vt.t());
                    assert_close(&u.dot(&diagonal(&values, u.ncols(), vt.nrows())).dot(&vt), &a);
                }
                for alone in [a.svd(false, false).unwrap().1, a.svddc(JobSvd::None).unwrap().1] {
                    assert_close(&alone.insert_axis(Axis(1)), &values.clone().insert_axis(Axis(1)));
                }
            }
        }
    }
}

fn qr_laws<T: Precision>() {
    for m in SIZES {
        for n in SIZES {
            for column_major in [false, true] {
                let a = matrix::<T>(m, n, column_major);
                // The last columns repeat the first, or are zero: Q must be orthonormal at any rank.
                let mut deficient = a.clone();
                for j in n / 2..n {
                    let column = if j % 3 == 0 { Array1::zeros(m) } else { a.column(j - n / 2).to_owned() };
                    deficient.column_mut(j).assign(&column);
                }
                for a in [a, deficient] {
                    let (q, r) = a.qr().unwrap();
                    assert_orthonormal_columns(&q);
                    assert_close(&q.dot(&r), &a);
                }
            }
        }
    }
}

fn least_squares_laws<T: Precision>() {
    for m in SIZES {
        for n in SIZES {
            for column_major in [false, true] {
                let mut a = matrix::<T>(m, n, column_major);
                a.diag_mut().mapv_inplace(|x| x + T::from(4).unwrap());
                let mut b = matrix::<T>(m, 2, column_major);
                b.mapv_inplace(|x| x * T::from(0.5).unwrap());
                let fit = a.least_squares(&b).unwrap();
                let residual = a.dot(&fit.solution) - &b;
                assert_close(&a.t().dot(&residual), &Array2::zeros((n, 2)));
                assert_eq!(fit.rank as usize, m.min(n));
                if let Some(sums) = fit.residual_sum_of_squares {
                    let want = residual.mapv(|x| x * x).sum_axis(Axis(0));
                    assert_close(&sums.insert_axis(Axis(1)), &want.insert_axis(Axis(1)));
                }
            }
        }
    }
}

macro_rules! in_both_precisions {
    ($($law:ident => $single:ident, $double:ident;)*) => {$(
        #[test]
        fn $single() {
            $law::<f32>();
        }

        #[test]
        fn $double() {
            $law::<f64>();
        }
    )*};
}

in_both_precisions! {
    cholesky_laws => cholesky_f32, cholesky_f64;
    lu_laws => lu_f32, lu_f64;
    norm_and_condition_laws => norm_and_condition_f32, norm_and_condition_f64;
    eigh_laws => eigh_f32, eigh_f64;
    svd_laws => svd_f32, svd_f64;
    qr_laws => qr_f32, qr_f64;
    least_squares_laws => least_squares_f32, least_squares_f64;
}
