//! What the routines leave in `info` when the numbers are at fault, and contracts that ndarray-linalg never uses.

#![allow(clippy::borrow_as_ptr)] // Fortran takes everything by pointer

use std::ffi::{c_char, c_int};

use super::cholesky::{potrf, potri};
use super::condition::gecon;
use super::eigh::syev;
use super::least_squares::gelsd;
use super::lu::{getrf, getri};
use super::svd::{gesdd, gesvd};

const NAN: f64 = f64::NAN;

fn letter(letter: u8) -> c_char {
    letter as c_char
}

/// Diagonally dominant, column-major.
fn dominant(n: usize) -> Vec<f64> {
    (0..n * n).map(|k| if k / n == k % n { n as f64 } else { 1.0 / (1 + k / n + k % n) as f64 }).collect()
}

#[test]
fn potrf_names_the_first_failing_minor() {
    for n in [1usize, 2, 7, 65, 130] {
        for bad in (0..n).step_by(1 + n / 40) {
            for (uplo, value) in [(b'L', -1.0), (b'u', 0.0), (b'L', NAN)] {
                let mut a = dominant(n);
                // Its row and column vanish, so that the pivot is the entry itself.
                (0..n).for_each(|i| (a[bad * n + i], a[i * n + bad]) = (0.0, 0.0));
                a[bad * n + bad] = value;
                let size = n as c_int;
                // SAFETY: n × n numbers, n apart.
                let info = unsafe { potrf::<f64>(&letter(uplo), &size, a.as_mut_ptr(), &size) };
                assert_eq!(info, Err(bad as c_int + 1), "n = {n}");
            }
        }
    }
}

#[test]
fn the_other_triangle_stays_as_it_was() {
    for n in [1usize, 7, 65, 130] {
        for (uplo, other) in [(b'L', true), (b'U', false)] {
            // Column-major: entry (i, j) at j n + i is above the diagonal where j > i.
            let in_other = |k: usize| if other { k / n > k % n } else { k / n < k % n };
            let mut a = dominant(n);
            (0..n * n).filter(|&k| in_other(k)).for_each(|k| a[k] = NAN);
            let size = n as c_int;
            // SAFETY: n × n numbers, n apart.
            unsafe {
                potrf::<f64>(&letter(uplo), &size, a.as_mut_ptr(), &size).unwrap();
                potri::<f64>(&letter(uplo), &size, a.as_mut_ptr(), &size).unwrap();
            }
            assert!((0..n * n).all(|k| a[k].is_nan() == in_other(k)));
        }
    }
}

#[test]
fn getrf_names_the_first_zero_pivot_and_finishes() {
    for n in [2usize, 7, 65] {
        for bad in 0..n {
            // The reversed unit vectors, one of them zeroed: every step needs an exchange, and one finds no pivot.
            let mut a = vec![0.0; n * n];
            (0..n).for_each(|j| a[j * n + (n - 1 - j)] = 2.0);
            (0..n).for_each(|i| a[bad * n + i] = 0.0);
            let original = a.clone();
            let (size, mut ipiv) = (n as c_int, vec![0; n]);
            // SAFETY: n × n numbers, n apart, and n exchanges.
            let info = unsafe { getrf::<f64>(&size, &size, a.as_mut_ptr(), &size, ipiv.as_mut_ptr()) };
            let Err(k) = info else { panic!("column {bad} of {n} is zero") };
            assert_eq!(a[(k as usize - 1) * (n + 1)], 0.0);
            assert!((0..k as usize - 1).all(|j| a[j * (n + 1)] != 0.0), "{k} is the first");
            assert_eq!(rebuilt(n, &a, &ipiv), original, "P L U is A, singular or not");
        }
    }
}

/// P L U from LAPACK's packed factors.
fn rebuilt(n: usize, factors: &[f64], ipiv: &[c_int]) -> Vec<f64> {
    let lower = |i: usize, k: usize| if i == k { 1.0 } else { factors[k * n + i] };
    let mut a = vec![0.0; n * n];
    for j in 0..n {
        for i in 0..n {
            a[j * n + i] = (0..=i.min(j)).map(|k| lower(i, k) * factors[j * n + k]).sum();
        }
    }
    for (k, &row) in ipiv.iter().enumerate().rev() {
        (0..n).for_each(|j| a.swap(j * n + k, j * n + row as usize - 1));
    }
    a
}

#[test]
fn pivots_without_a_reciprocal_are_divided_by() {
    // 1/1e-310 is infinite; 1e-310/1e-310 is not.
    let (mut a, mut ipiv, two) = ([1e-310, 1e-310, 0.0, 1e-310], [0; 2], 2);
    // SAFETY: 2 × 2 numbers and 2 exchanges.
    unsafe { getrf::<f64>(&two, &two, a.as_mut_ptr(), &two, ipiv.as_mut_ptr()).unwrap() };
    assert_eq!(a, [1e-310, 1.0, 0.0, 1e-310]);
}

#[test]
fn rectangular_factors_rebuild_the_matrix() {
    for (m, n) in [(3usize, 7usize), (7, 3), (65, 20), (20, 65), (1, 5), (5, 1)] {
        let original: Vec<f64> = (0..m * n).map(|k| ((k * k * 31 + k * 7) % 101) as f64 - 50.0).collect();
        let (mut a, mut ipiv) = (original.clone(), vec![0; m.min(n)]);
        let (rows, columns) = (m as c_int, n as c_int);
        // SAFETY: m × n numbers, m apart, and min(m, n) exchanges.
        unsafe { getrf::<f64>(&rows, &columns, a.as_mut_ptr(), &rows, ipiv.as_mut_ptr()).unwrap() };
        let mut got = vec![0.0; m * n];
        for j in 0..n {
            for i in 0..m {
                got[j * m + i] = (0..=i.min(j).min(m.min(n) - 1))
                    .map(|k| if i == k { a[j * m + k] } else { a[k * m + i] * a[j * m + k] })
                    .sum();
            }
        }
        for (k, &row) in ipiv.iter().enumerate().rev() {
            (0..n).for_each(|j| got.swap(j * m + k, j * m + row as usize - 1));
        }
        assert!(got.iter().zip(&original).all(|(a, b)| (a - b).abs() < 1e-10));
    }
}

#[test]
fn inverses_of_singular_factors_are_refused() {
    let (n, mut work, lwork) = (3, [0.0; 3], 3);
    let mut a = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    // SAFETY: 3 × 3 numbers, 3 exchanges, 3 numbers of workspace.
    unsafe {
        assert_eq!(potri::<f64>(&letter(b'L'), &n, a.as_mut_ptr(), &n), Err(2));
        let ipiv = [1, 2, 3];
        assert_eq!(getri::<f64>(&n, a.as_mut_ptr(), &n, ipiv.as_ptr(), work.as_mut_ptr(), &lwork), Err(2));
    }
}

#[test]
fn gecon_estimates_the_condition_in_both_norms() {
    for n in [1usize, 2, 3, 8, 20] {
        for seed in 0..5 {
            let original: Vec<f64> = (0..n * n)
                .map(|k| {
                    ((k * k * 37 + k * 11 + seed * 13) % 97) as f64 / 50.0 - 1.0
                        + if k % (n + 1) == 0 { 2.0 } else { 0.0 }
                })
                .collect();
            let (size, lwork, mut ipiv, mut iwork) = (n as c_int, n as c_int, vec![0; n], vec![0; n]);
            let (mut factors, mut work) = (original.clone(), vec![0.0; 4 * n]);
            // SAFETY: n × n numbers, n exchanges, workspaces of LAPACK's sizes.
            let estimates = unsafe {
                getrf::<f64>(&size, &size, factors.as_mut_ptr(), &size, ipiv.as_mut_ptr()).unwrap();
                [b'1', b'I'].map(|norm| {
                    let (mut rcond, anorm) = (0.0, matrix_norm(norm, n, &original));
                    gecon(
                        &letter(norm),
                        &size,
                        factors.as_ptr(),
                        &size,
                        &anorm,
                        &mut rcond,
                        work.as_mut_ptr(),
                        iwork.as_mut_ptr(),
                    )
                    .unwrap();
                    rcond
                })
            };
            let mut inverse = factors;
            // SAFETY: as above.
            unsafe {
                getri(&size, inverse.as_mut_ptr(), &size, ipiv.as_ptr(), work.as_mut_ptr(), &lwork).unwrap();
            };
            for (norm, estimate) in [b'1', b'I'].into_iter().zip(estimates) {
                let exact = 1.0 / (matrix_norm(norm, n, &original) * matrix_norm(norm, n, &inverse));
                let ratio = estimate / exact;
                // A lower bound of ‖A⁻¹‖, and within a factor 3 of it (Higham 1988).
                assert!((1.0 - 1e-12..3.0).contains(&ratio), "{ratio} for n = {n}, seed {seed}");
            }
        }
    }
}

fn matrix_norm(norm: u8, n: usize, a: &[f64]) -> f64 {
    let entry = |i: usize, j: usize| if norm == b'I' { a[i * n + j] } else { a[j * n + i] };
    (0..n).map(|j| (0..n).map(|i| entry(i, j).abs()).sum()).fold(0.0, f64::max)
}

#[test]
fn matrices_that_are_not_finite_do_not_converge() {
    for bad in [NAN, f64::INFINITY] {
        let (mut a, n, lwork) = ([1.0, 0.0, 0.0, bad], 2, 8);
        let (mut s, mut work, mut iwork, mut u, mut vt) = ([0.0; 2], [0.0; 8], [0; 16], [0.0; 4], [0.0; 4]);
        let (v, l, job) = (letter(b'V'), letter(b'L'), letter(b'A'));
        let (s, work, a) = (s.as_mut_ptr(), work.as_mut_ptr(), a.as_mut_ptr());
        // SAFETY: 2 × 2 matrices and workspaces of at least LAPACK's sizes.
        unsafe {
            assert_eq!(syev(&v, &l, &n, a, &n, s, work, &lwork), Err(1));
            let (u, vt) = (u.as_mut_ptr(), vt.as_mut_ptr());
            assert_eq!(gesvd(&job, &job, &n, &n, a, &n, s, u, &n, vt, &n, work, &lwork), Err(1));
            assert_eq!(
                gesdd(&job, &n, &n, a, &n, s, u, &n, vt, &n, work, &lwork, iwork.as_mut_ptr()),
                Err(1)
            );
            let (mut rank, mut b) = (0, [1.0, 1.0]);
            let info = gelsd(
                &n,
                &n,
                &1,
                a,
                &n,
                b.as_mut_ptr(),
                &n,
                s,
                &-1.0,
                &mut rank,
                work,
                &lwork,
                iwork.as_mut_ptr(),
            );
            assert_eq!(info, Err(1));
        }
    }
}

#[test]
fn gelsd_counts_the_rank_by_rcond() {
    for (rcond, want_rank, want) in [(-1.0, 2, [2.0, 3e5]), (1e-3, 1, [2.0, 0.0])] {
        let (mut a, mut b) = ([1.0, 0.0, 0.0, 0.0, 1e-5, 0.0], [2.0, 3.0, 4.0]);
        let (m, n, nrhs, lwork, mut rank) = (3, 2, 1, 8, 0);
        let (mut s, mut work, mut iwork) = ([0.0; 2], [0.0; 8], [0; 16]);
        // SAFETY: 3 × 2 numbers, 3 targets, 2 singular values.
        unsafe {
            gelsd::<f64>(
                &m,
                &n,
                &nrhs,
                a.as_mut_ptr(),
                &m,
                b.as_mut_ptr(),
                &m,
                s.as_mut_ptr(),
                &rcond,
                &mut rank,
                work.as_mut_ptr(),
                &lwork,
                iwork.as_mut_ptr(),
            )
            .unwrap();
        }
        assert_eq!(rank, want_rank);
        assert!(want.iter().zip(&b).all(|(want, got)| (want - got).abs() <= 1e-9 * (1.0 + want)), "{b:?}");
        assert!(rank == 1 || (b[2] - 4.0).abs() < 1e-12, "the residual's norm stands below");
    }
}
