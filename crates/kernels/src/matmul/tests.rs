//! Both forms of the product at all strides, alone and added to what is there; the catalogue sees only the form that
//! this machine chooses.

use super::cpu::{library, sgemm};
use sda_core::Stream;

const GUARD: f32 = 12_345.0;

fn numbers(n: usize, row: u32) -> Vec<f32> {
    let mut x = vec![0.0; n];
    Stream::new(2, 0).fill_normal(0, row, n, &mut x);
    x
}

/// C by the definition, in f64, and Σ |terms|.
fn exact(
    [m, k, n]: [usize; 3],
    (a, sa): (&[f32], (usize, usize)),
    (b, sb): (&[f32], (usize, usize)),
    old: f32,
) -> Vec<(f64, f64)> {
    let term =
        |i: usize, l: usize, j: usize| f64::from(a[i * sa.0 + l * sa.1]) * f64::from(b[l * sb.0 + j * sb.1]);
    let one = |i: usize, j: usize| {
        let terms = (0..k).map(|l| term(i, l, j));
        let old = f64::from(old);
        (terms.clone().sum::<f64>() + old, terms.map(f64::abs).sum::<f64>() + old.abs())
    };
    (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| one(i, j)).collect()
}

fn check(size: [usize; 3], ta: bool, tb: bool, old: Option<f32>, by_library: bool) {
    let [m, k, n] = size;
    let (a, b) = (numbers(m * k, 0), numbers(k * n, 1));
    let sa = if ta { (1, m) } else { (k, 1) };
    let sb = if tb { (1, k) } else { (n, 1) };
    // Rows of C are three further apart than they are long, and what lies between is not touched.
    let row = n + 3;
    let mut c = vec![GUARD; m * row];
    for i in 0..m {
        c[i * row..i * row + n].fill(old.unwrap_or(f32::NAN));
    }
    let accumulate = old.is_some();
    if by_library {
        let (pa, pb) = ((a.as_ptr(), sa), (b.as_ptr(), sb));
        // SAFETY: strides and lengths are those of the arrays.
        unsafe { library(size, pa, pb, (c.as_mut_ptr(), row), accumulate, false) };
    } else {
        sgemm(size, (&a, sa), (&b, sb), (&mut c, row), accumulate, false);
    }
    let want = exact(size, (&a, sa), (&b, sb), old.unwrap_or(0.0));
    for (i, (got, want)) in c.chunks(row).zip(want.chunks(n)).enumerate() {
        assert!(got[n..].iter().all(|x| *x == GUARD), "{size:?}: row {i} is written beyond its end");
        for (g, (w, magnitude)) in got.iter().zip(want) {
            let tolerance = (k + 4) as f64 * f64::from(f32::EPSILON) * magnitude;
            assert!(
                (f64::from(*g) - w).abs() <= tolerance,
                "{size:?} {ta} {tb} {old:?} {by_library}: {g}, {w}"
            );
        }
    }
}

#[test]
fn both_forms_are_the_product_at_all_strides() {
    let sizes = [
        [1, 1, 1],
        [1, 9, 31],
        [12, 512, 32],
        [13, 7, 33],
        [25, 600, 17],
        [11, 1, 64],
        [40, 33, 1],
        [3, 5, 48],
    ];
    for size in sizes {
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            for old in [None, Some(0.75)] {
                check(size, ta, tb, old, false);
                check(size, ta, tb, old, true);
            }
        }
    }
}

#[test]
fn an_empty_sum_is_zero_or_what_was_there() {
    for (accumulate, want) in [(false, 0.0), (true, 5.0)] {
        let mut c = [5.0; 6];
        sgemm([2, 0, 3], (&[], (0, 1)), (&[], (3, 1)), (&mut c, 3), accumulate, false);
        assert_eq!(c, [want; 6]);
    }
}
