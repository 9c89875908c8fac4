use ndarray::{Array1, Array2, array};

use super::super::{
    LinalgError, cholesky, eigh, inverse, log_det_spd, lstsq, solve, solve_spd, sqrt_spd, svd,
};
use super::{SIZES, positive_definite, uniform};

#[test]
fn the_failing_minor_is_named() {
    for n in SIZES {
        for minor in 1..=n {
            // Schur's complement of the minor before it, less a little: the pivot becomes −1/100.
            let mut a = positive_definite(n, 0);
            let pivot = cholesky(&a).unwrap()[[minor - 1, minor - 1]].powi(2);
            a[[minor - 1, minor - 1]] -= pivot + 0.01;
            let b = Array1::<f64>::ones(n);
            for error in
                [cholesky(&a).unwrap_err(), log_det_spd(&a).unwrap_err(), solve_spd(&a, &b).unwrap_err()]
            {
                let LinalgError::NotPositiveDefinite { minor: found } = error else { panic!("{error}") };
                assert_eq!(found, minor, "of {n}");
            }
        }
    }
}

#[test]
fn singular_matrices_are_refused() {
    for n in SIZES {
        // The last column is the sum of the others: exactly singular, or to within rounding. Zero for n = 1.
        let mut a = uniform(n, n, 1);
        let sum = a.columns().into_iter().take(n - 1).fold(Array1::zeros(n), |sum, column| sum + column);
        a.column_mut(n - 1).assign(&sum);
        let b = Array1::<f64>::ones(n);
        for error in [solve(&a, &b).unwrap_err(), inverse(&a).unwrap_err()] {
            let LinalgError::Singular { rcond } = error else { panic!("{error}") };
            assert!(rcond < f64::EPSILON);
        }
    }
    let nearly = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]];
    assert!(matches!(inverse(&nearly), Err(LinalgError::Singular { .. })));
    // Small everywhere is not singular.
    assert!(inverse(&(Array2::<f64>::eye(3) * 1e-200)).is_ok());
}

#[test]
fn a_large_factor_does_not_hide_or_feign_singularity() {
    // Condition 1 in the 1-norm after scaling by 2^±300, where a norm of the wrong matrix would show.
    let a = array![[0.0, 2f64.powi(300)], [2f64.powi(300), 0.0]];
    assert_eq!(inverse(&a).unwrap(), array![[0.0, 2f64.powi(-300)], [2f64.powi(-300), 0.0]]);
    let graded = array![[1.0, 0.0], [0.0, 1e-17]];
    let Err(LinalgError::Singular { rcond }) = solve(&graded, &array![1.0, 1.0]) else { panic!("solved") };
    assert!((rcond / 1e-17 - 1.0).abs() < 1e-12, "{rcond:e}");
}

#[test]
fn entries_that_are_not_finite_are_named() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut a = positive_definite(7, 2);
        let b = Array2::<f64>::ones((7, 2));
        a[[4, 2]] = bad;
        let errors = [
            cholesky(&a).unwrap_err(),
            log_det_spd(&a).unwrap_err(),
            solve_spd(&a, &b).unwrap_err(),
            solve(&a, &b).unwrap_err(),
            inverse(&a).unwrap_err(),
            eigh(&a).unwrap_err(),
            svd(&a).unwrap_err(),
            sqrt_spd(&a).unwrap_err(),
            lstsq(&a, &b).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(&error, LinalgError::NonFinite { index, .. } if index == &[4, 2]), "{error}");
        }
        let mut b = b;
        b[[5, 1]] = bad;
        let a = positive_definite(7, 2);
        for error in [solve_spd(&a, &b).unwrap_err(), solve(&a, &b).unwrap_err(), lstsq(&a, &b).unwrap_err()]
        {
            assert!(matches!(&error, LinalgError::NonFinite { index, .. } if index == &[5, 1]), "{error}");
        }
    }
}

#[test]
fn matrices_that_are_not_square_are_refused() {
    let (a, b) = (Array2::<f64>::ones((2, 3)), Array1::<f64>::ones(2));
    let errors = [
        cholesky(&a).unwrap_err(),
        log_det_spd(&a).unwrap_err(),
        solve_spd(&a, &b).unwrap_err(),
        solve(&a, &b).unwrap_err(),
        inverse(&a).unwrap_err(),
        eigh(&a).unwrap_err(),
        sqrt_spd(&a).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "factor a 2 × 3 matrix as if it were square");
    }
}

#[test]
fn an_indefinite_matrix_has_no_symmetric_root() {
    let Err(LinalgError::NegativeEigenvalue { eigenvalue }) = sqrt_spd(&array![[0.0, 1.0], [1.0, 0.0]])
    else {
        panic!("a root was found")
    };
    assert!((eigenvalue + 1.0).abs() < 1e-15);
}

#[test]
#[should_panic(expected = "a right-hand side of shape [3, 1] does not fit a matrix of shape [2, 2]")]
fn a_wrong_right_hand_side_is_a_programmers_error() {
    drop(solve(&Array2::eye(2), &Array2::<f64>::ones((3, 1))));
}
