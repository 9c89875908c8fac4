use ndarray::{Array1, Array2, ArrayRef2, Axis, s};
use proptest::prelude::*;

use super::super::{
    Eigh, LeastSquares, Svd, cholesky, eigh, inverse, log_det_spd, lstsq, solve, solve_spd, sqrt_spd, svd,
};
use super::{SIZES, assert_close, positive_definite, symmetric, uniform};

const TOLERANCE: f64 = 1e-12;

/// Cholesky by its definition, row by row.
fn cholesky_by_loops(a: &ArrayRef2<f64>) -> Array2<f64> {
    let n = a.nrows();
    let mut l = Array2::<f64>::zeros((n, n));
    for i in 0..n {
        for j in 0..=i {
            let rest = a[[i, j]] - (0..j).map(|k| l[[i, k]] * l[[j, k]]).sum::<f64>();
            l[[i, j]] = if i == j { rest.sqrt() } else { rest / l[[j, j]] };
        }
    }
    l
}

/// Gauss and Jordan's elimination of [A | b] with the largest pivot of each column.
fn solve_by_loops(a: &ArrayRef2<f64>, b: &Array1<f64>) -> Array1<f64> {
    let n = a.nrows();
    let (mut a, mut x) = (a.to_owned(), b.clone());
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[[i, k]].abs().total_cmp(&a[[j, k]].abs())).unwrap();
        x.swap(k, pivot);
        for j in 0..n {
            a.swap([k, j], [pivot, j]);
        }
        for i in (0..n).filter(|&i| i != k) {
            let factor = a[[i, k]] / a[[k, k]];
            for j in k..n {
                a[[i, j]] -= factor * a[[k, j]];
            }
            x[i] -= factor * x[k];
        }
    }
    for k in 0..n {
        x[k] /= a[[k, k]];
    }
    x
}

#[track_caller]
fn assert_orthonormal_columns(q: &ArrayRef2<f64>) {
    assert_close(&q.t().dot(q), &Array2::eye(q.ncols()), TOLERANCE);
}

#[test]
fn cholesky_is_the_lower_factor() {
    for n in SIZES {
        let a = positive_definite(n, 0);
        let l = cholesky(&a).unwrap();
        assert_close(&l.dot(&l.t()), &a, TOLERANCE);
        assert_close(&l, &cholesky_by_loops(&a), TOLERANCE);
        for ((i, j), &x) in l.indexed_iter() {
            assert!(if i == j { x > 0.0 } else { i > j || x == 0.0 }, "entry [{i}, {j}] is {x}");
        }
    }
}

#[test]
fn the_upper_triangle_is_not_read() {
    for n in SIZES {
        let a = positive_definite(n, 1);
        let mut poisoned = a.clone();
        for ((i, j), x) in poisoned.indexed_iter_mut() {
            *x = if j > i { 1e6 } else { *x };
        }
        assert_eq!(cholesky(&poisoned).unwrap(), cholesky(&a).unwrap());
        assert_eq!(eigh(&poisoned).unwrap().values, eigh(&a).unwrap().values);
        assert_eq!(sqrt_spd(&poisoned).unwrap(), sqrt_spd(&a).unwrap());
    }
}

#[test]
fn views_and_column_major_matrices_are_read_right() {
    let a = positive_definite(7, 2);
    let mut skewed = uniform(7, 7, 2);
    skewed[[0, 0]] += 3.0;
    // The transposed view of the transpose is the same matrix, column-major; every second row and column is strided.
    let (b, big) = (uniform(7, 1, 3).remove_axis(Axis(1)), uniform(14, 14, 4));
    let columns = skewed.t().to_owned();
    assert_close(&solve(&columns.t(), &b).unwrap(), &solve(&skewed, &b).unwrap(), TOLERANCE);
    assert_close(&inverse(&columns.t()).unwrap(), &inverse(&skewed).unwrap(), TOLERANCE);
    assert_close(&cholesky(&a.t()).unwrap(), &cholesky(&a).unwrap(), TOLERANCE);
    let strided = big.slice(s![..;2, 1..;2]);
    let Svd { u, singular_values, vt } = svd(&strided).unwrap();
    assert_close(&(&u * &singular_values).dot(&vt), &strided, TOLERANCE);
}

#[test]
fn solutions_solve() {
    for n in SIZES {
        let (a, spd) = (uniform(n, n, 5) + Array2::<f64>::eye(n) * 2.0, positive_definite(n, 6));
        let b = uniform(n, 3, 7);
        let (x, y) = (solve(&a, &b).unwrap(), solve_spd(&spd, &b).unwrap());
        assert_close(&a.dot(&x), &b, 1e-11);
        assert_close(&spd.dot(&y), &b, TOLERANCE);
        for (j, b) in b.columns().into_iter().enumerate() {
            assert_close(&x.column(j), &solve_by_loops(&a, &b.to_owned()), 1e-10);
            assert_close(&y.column(j), &solve_by_loops(&spd, &b.to_owned()), 1e-11);
            assert_eq!(solve(&a, &b).unwrap(), x.column(j), "one column alone has the same bits");
        }
        assert_close(&a.dot(&inverse(&a).unwrap()), &Array2::eye(n), 1e-11);
    }
}

#[test]
fn log_det_is_that_of_the_eigenvalues() {
    for n in SIZES {
        let a = positive_definite(n, 8);
        let want: f64 = eigh(&a).unwrap().values.iter().map(|value| value.ln()).sum();
        assert!((log_det_spd(&a).unwrap() - want).abs() < 1e-11 * n as f64);
    }
    // det(2 · 1) = 2ⁿ, far beyond the largest f64.
    let log_det = log_det_spd(&(Array2::<f64>::eye(1200) * 2.0)).unwrap();
    assert!((log_det - 1200.0 * 2f64.ln()).abs() < 1e-9);
}

#[test]
fn eigenvectors_diagonalise() {
    for n in SIZES {
        let a = symmetric(n, 9);
        let Eigh { values, vectors } = eigh(&a).unwrap();
        assert_close(&a.dot(&vectors), &(&vectors * &values), TOLERANCE);
        assert_orthonormal_columns(&vectors);
        assert!(values.windows(2).into_iter().all(|pair| pair[0] <= pair[1]), "{values}");
    }
    // The second difference's eigenvalues are 2 − 2 cos(k π/(n + 1)).
    let n = 32;
    let a = Array2::from_shape_fn((n, n), |(i, j)| match i.abs_diff(j) {
        0 => 2.0,
        1 => -1.0,
        _ => 0.0,
    });
    let want = Array1::from_shape_fn(n, |k| 2.0 - 2.0 * ((k + 1) as f64 * std::f64::consts::PI / 33.0).cos());
    assert_close(&eigh(&a).unwrap().values, &want, 1e-13);
}

#[test]
fn singular_vectors_rebuild_every_shape() {
    for m in SIZES {
        for n in SIZES {
            let a = uniform(m, n, 10);
            let Svd { u, singular_values, vt } = svd(&a).unwrap();
            assert_eq!((u.dim(), vt.dim()), ((m, m.min(n)), (m.min(n), n)));
            assert_close(&(&u * &singular_values).dot(&vt), &a, TOLERANCE);
            assert_orthonormal_columns(&u);
            assert_orthonormal_columns(&vt.t());
            assert!(singular_values.windows(2).into_iter().all(|pair| pair[0] >= pair[1] && pair[1] >= 0.0));
        }
    }
}

#[test]
fn the_square_root_squares_to_the_matrix() {
    for n in SIZES {
        let a = positive_definite(n, 11);
        let root = sqrt_spd(&a).unwrap();
        assert_close(&root.dot(&root), &a, TOLERANCE);
        assert_eq!(root, root.t());
        // Of rank one: √(v vᵀ) = v vᵀ/|v|.
        let v = uniform(n, 1, 12);
        let outer = v.dot(&v.t());
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert_close(&sqrt_spd(&outer).unwrap(), &(&outer / length), 1e-7);
    }
}

#[test]
fn least_squares_is_shortest_and_leaves_an_orthogonal_residual() {
    for m in SIZES {
        for n in SIZES {
            let (a, b) = (uniform(m, n, 13), uniform(m, 2, 14));
            let LeastSquares { solution, rank, .. } = lstsq(&a, &b).unwrap();
            assert_eq!((solution.dim(), rank), ((n, 2), m.min(n)));
            assert_close(&a.t().dot(&(a.dot(&solution) - &b)), &Array2::zeros((n, 2)), 1e-9);
            // Shortest: orthogonal to the null space, whose projector is 1 − V Vᵀ.
            let vt = svd(&a).unwrap().vt;
            assert_close(&vt.t().dot(&vt.dot(&solution)), &solution, 1e-9);
        }
    }
}

#[test]
fn least_squares_splits_evenly_between_equal_columns() {
    // Columns a and a: x₁ = x₂ = half of the coefficient on a alone.
    for m in [2, 7, 65] {
        let (column, b) = (uniform(m, 1, 15), uniform(m, 1, 16).remove_axis(Axis(1)));
        let a = ndarray::concatenate![Axis(1), column, column];
        let fit = lstsq(&a, &b).unwrap();
        let alone = column.column(0).dot(&b) / column.column(0).dot(&column.column(0));
        assert_eq!(fit.rank, 1);
        assert_close(&fit.solution, &Array1::from_elem(2, alone / 2.0), TOLERANCE);
    }
}

#[test]
fn matrices_without_entries_have_empty_results() {
    let none = Array2::<f64>::zeros((0, 0));
    assert_eq!(cholesky(&none).unwrap().dim(), (0, 0));
    assert_eq!(inverse(&none).unwrap().dim(), (0, 0));
    assert_eq!(log_det_spd(&none).unwrap(), 0.0);
    assert_eq!(solve(&none, &Array2::zeros((0, 4))).unwrap().dim(), (0, 4));
    assert_eq!(solve_spd(&none, &Array1::zeros(0)).unwrap().len(), 0);
    assert_eq!(sqrt_spd(&none).unwrap().dim(), (0, 0));
    let flat = Array2::<f64>::zeros((0, 3));
    let Svd { u, singular_values, vt } = svd(&flat).unwrap();
    assert_eq!((u.dim(), singular_values.len(), vt.dim()), ((0, 0), 0, (0, 3)));
    assert_eq!(lstsq(&flat, &Array1::zeros(0)).unwrap().solution, Array1::zeros(3));
    assert_eq!(lstsq(&Array2::zeros((3, 0)), &Array1::zeros(3)).unwrap().solution.len(), 0);
}

#[test]
fn extreme_scales_keep_their_digits() {
    let (a, general) = (positive_definite(7, 17), uniform(5, 7, 18));
    let (values, singular_values) = (eigh(&a).unwrap().values, svd(&general).unwrap().singular_values);
    for scale in [2f64.powi(-900), 2f64.powi(-500), 2f64.powi(500), 2f64.powi(900)] {
        assert_close(&(eigh(&(&a * scale)).unwrap().values / scale), &values, 1e-13);
        assert_close(&(svd(&(&general * scale)).unwrap().singular_values / scale), &singular_values, 1e-13);
    }
}

/// OpenBLAS threads as it likes; faer's symbols must not.
#[cfg(not(feature = "openblas"))]
#[test]
fn bits_do_not_depend_on_threads() {
    let (spd, a) = (positive_definite(150, 19), uniform(150, 150, 20));
    let all = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let Svd { u, singular_values, vt } = svd(&a).unwrap();
            let Eigh { values, vectors } = eigh(&spd).unwrap();
            (cholesky(&spd).unwrap(), inverse(&a).unwrap(), u, singular_values, vt, values, vectors)
        })
    };
    assert_eq!(all(1), all(4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn laws_hold_at_any_size(n in 1usize..24, extra in 0usize..9, row in 100u32..10_000) {
        let (spd, tall) = (positive_definite(n, row), uniform(n + extra, n, row));
        let b = uniform(n, 1, row + 1).remove_axis(Axis(1));
        let l = cholesky(&spd).unwrap();
        assert_close(&l.dot(&l.t()), &spd, TOLERANCE);
        assert_close(&spd.dot(&solve_spd(&spd, &b).unwrap()), &b, TOLERANCE);
        assert_close(&solve(&spd, &b).unwrap(), &solve_spd(&spd, &b).unwrap(), 1e-11);
        // Singular values of A are the roots of the eigenvalues of Aᵀ A.
        let singular_values = svd(&tall).unwrap().singular_values;
        let mut values = eigh(&tall.t().dot(&tall)).unwrap().values;
        values.invert_axis(Axis(0));
        assert_close(&singular_values.mapv(|value| value * value), &values, 1e-11);
        // Σ ln σ of the root is half of ln det.
        let root = sqrt_spd(&spd).unwrap();
        prop_assert!((2.0 * log_det_spd(&root).unwrap() - log_det_spd(&spd).unwrap()).abs() < 1e-9);
    }
}
